"""Avro with the schemas of a Schema Registry, through confluent-kafka's own client (extra `avro`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.kafka.formats import Field, Format
from pipeline.core.errors import ConfigError, MissingExtra, SinkError, SourceError

REGISTRY_VARIABLE: Final = "PIPELINE_SCHEMA_REGISTRY"

_NOT_FOUND: Final = 404

_CONFIG: Final = {"subject.name.strategy.type": "TOPIC"}
"""The registry is asked for schemas and nothing else, so that no other question can fail."""


class Avro(Format[dict[str, Any]]):
    """Records of Avro, each with the id of the schema it was written with.

    Args:
        registry: URL of the Schema Registry; default `PIPELINE_SCHEMA_REGISTRY`.
        schema: what to read them as, JSON of an Avro schema that theirs can be resolved to; None
            for what each was written with. A sink needs it: it is what it writes.
        config: further settings of the registry's client, such as `basic.auth.user.info`.
    """

    def __init__(
        self,
        registry: str | None = None,
        *,
        schema: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self._registry = registry
        self._schema = schema
        self._config = dict(config or {})

    @property
    def name(self) -> str:
        return "Avro"

    def decoder(self, topic: str, field: Field) -> Callable[[bytes], dict[str, Any]]:
        try:
            from confluent_kafka.schema_registry import SchemaRegistryClient
            from confluent_kafka.schema_registry.avro import AvroDeserializer
            from confluent_kafka.schema_registry.error import SchemaRegistryError
            from confluent_kafka.serialization import MessageField, SerializationContext
        except ImportError as error:
            raise MissingExtra("confluent-kafka[avro,schemaregistry]", "avro") from error

        class Registry(SchemaRegistryClient):
            """Tells a schema that is not there, the record's fault, from one that cannot be had now."""

            def get_schema(self, *arguments: Any, **named: Any) -> Any:
                try:
                    return super().get_schema(*arguments, **named)
                except Exception as error:
                    if isinstance(error, SchemaRegistryError) and error.http_status_code == _NOT_FOUND:
                        raise
                    raise _unreachable(error) from error

        make: Any = AvroDeserializer  # its stub knows no arguments
        decode = make(Registry({**self._config, "url": self._url()}), self._schema, conf=_CONFIG)
        context = SerializationContext(topic, MessageField.VALUE if field == "value" else MessageField.KEY)
        return lambda data: decode(data, context)

    def encoder(self, topic: str, field: Field) -> Callable[[dict[str, Any]], bytes]:
        if self._schema is None:
            raise ConfigError(f"Avro for {topic} has no schema", hint="give it: Avro(schema=...)")
        try:
            from confluent_kafka.schema_registry import SchemaRegistryClient
            from confluent_kafka.schema_registry.avro import AvroSerializer
            from confluent_kafka.schema_registry.error import SchemaRegistryError
            from confluent_kafka.serialization import MessageField, SerializationContext
        except ImportError as error:
            raise MissingExtra("confluent-kafka[avro,schemaregistry]", "avro") from error
        make: Any = AvroSerializer  # its stub knows no arguments
        encode = make(SchemaRegistryClient({**self._config, "url": self._url()}), self._schema)
        context = SerializationContext(topic, MessageField.VALUE if field == "value" else MessageField.KEY)

        def encoded(value: dict[str, Any]) -> bytes:
            try:
                return encode(value, context)
            except (SchemaRegistryError, OSError) as error:
                raise SinkError(
                    f"the Schema Registry did not take a schema: {type(error).__name__}: {error}",
                    retryable=isinstance(error, OSError),
                    hint="check that it runs, its address, the credentials, and that the schemas go together",
                ) from error

        return encoded

    def _url(self) -> str:
        url = self._registry or os.environ.get(REGISTRY_VARIABLE)
        if not url:
            raise ConfigError(
                f"no Schema Registry is named: expected Avro(registry=) or the variable {REGISTRY_VARIABLE}",
                hint=f"set {REGISTRY_VARIABLE}=http://host:8081",
            )
        return url


def _unreachable(error: Exception) -> SourceError:
    return SourceError(
        f"the Schema Registry did not give a schema: {type(error).__name__}: {error}",
        retryable=True,
        hint="check that it runs, its address and the credentials; the record is read again",
    )
