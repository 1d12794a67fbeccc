"""Avro with the schemas of a Schema Registry, through confluent-kafka's own client (extra `avro`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from connectors.kafka.config import check_reach, with_secrets
from connectors.kafka.formats import Field, Format
from pipeline.core.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from connectors.kafka.schema_registry import Registry

REGISTRY_VARIABLE: Final = "PIPELINE_SCHEMA_REGISTRY"

_CONFIG: Final = {"subject.name.strategy.type": "TOPIC"}
"""The registry is asked for schemas and nothing else, so that no other question can fail."""


class Avro(Format[dict[str, Any]]):
    """Avro records, each with the id of the schema it was written with.

    Args:
        registry: URL of the Schema Registry, with the path of its API; default `PIPELINE_SCHEMA_REGISTRY`.
        schema: the Avro schema, as JSON, to which the records' own schemas are resolved; None for the
            schema each was written with. A sink requires it, and registers it at its start as
            `<topic>-value`.
        config: further settings of the registry's client, such as `basic.auth.user.info`.

    Raises:
        ConfigError: (here) a setting is not for a job to set; (at the start) no registry is named, or
            the schema is none.
    """

    def __init__(
        self,
        registry: str | None = None,
        *,
        schema: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self._url = registry
        self._schema = schema
        self._config = dict(config or {})
        for key in self._config:
            check_reach(
                key, "the machine trusts the authorities in the file that its variable SSL_CERT_FILE names"
            )

    @property
    def name(self) -> str:
        return "Avro"

    def to_config(self) -> Any:
        return {
            "type": "avro",
            "registry": self._url,
            "schema": self._schema,
            "config": with_secrets(self._config),
        }

    def decoder(self, topic: str, field: Field) -> Callable[[bytes], dict[str, Any]]:
        registry = self._registry
        from confluent_kafka.schema_registry.avro import AvroDeserializer
        from confluent_kafka.serialization import SerializationContext

        make: Any = AvroDeserializer  # its stub knows no arguments
        decode = self._with_schema(make, registry)
        context = SerializationContext(topic, _message_field(field))
        return lambda data: decode(data, context)

    def encoder(self, topic: str, field: Field) -> Callable[[dict[str, Any]], bytes]:
        if self._schema is None:
            raise ConfigError(f"Avro for {topic} has no schema", hint="set Avro(schema=…)")
        registry = self._registry
        from confluent_kafka.schema_registry import Schema
        from confluent_kafka.schema_registry.avro import AvroSerializer
        from confluent_kafka.serialization import SerializationContext

        make: Any = AvroSerializer  # its stub knows no arguments
        encode = self._with_schema(make, registry)
        # The serialiser would do it at the first record, when a job has begun that cannot continue.
        registry.register_schema_full_response(f"{topic}-{field}", Schema(self._schema, "AVRO"))
        context = SerializationContext(topic, _message_field(field))
        return lambda value: encode(value, context)

    def _with_schema(self, make: Any, registry: Registry) -> Any:
        try:
            return make(registry, self._schema, conf=_CONFIG)
        except Exception as error:
            raise ConfigError(
                f"Avro's schema= is not an Avro schema: {type(error).__name__}: {error}",
                hint='expected JSON such as {"type": "record", "name": …, "fields": […]}',
            ) from error

    @cached_property
    def _registry(self) -> Registry:
        """One for all topics and for all attempts of the job: each schema is asked for once."""
        url = self._url or os.environ.get(REGISTRY_VARIABLE)
        if not url:
            raise ConfigError(
                f"no Schema Registry: expected Avro(registry=) or the variable {REGISTRY_VARIABLE}",
                hint=f"set {REGISTRY_VARIABLE}=http://host:8081",
            )
        try:
            from connectors.kafka.schema_registry import Registry
        except ImportError as error:
            raise MissingExtra("confluent-kafka[avro,schemaregistry]", "avro") from error
        try:
            return Registry(url, self._config)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the Schema Registry's client rejects its settings: {error}") from error


def _message_field(field: Field) -> Any:
    return field  # confluent-kafka's class of two constants, which it takes for a type of its own
