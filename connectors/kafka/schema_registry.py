"""confluent-kafka's client of a Schema Registry, with errors that say whose fault it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from pipeline.core.errors import ConnectorError, SinkError, SourceError

_DEFAULTS: Final = {
    # By default the client has no timeout and retries for up to 7 s. A job must be stoppable within
    # seconds, and has a restart strategy for what does not answer.
    "timeout": 2,
    "max.retries": 0,
}

_NO_SUCH_SCHEMA: Final = 40403  # the API's code; HTTP's 404 alone may be a wrong address

_CREDENTIALS: Final = "check basic.auth.user.info or bearer.auth.token, and what the user may do"
_ADDRESS: Final = "check the address, with its path: of Apicurio it ends in /apis/ccompat/v7"
_SCHEMA: Final = "make a schema that goes with the subject's others, or change the subject's compatibility"
_AWAY: Final = "check that it runs, and its address"

_REFUSALS: Final = {401: _CREDENTIALS, 403: _CREDENTIALS, 404: _ADDRESS, 409: _SCHEMA, 422: _SCHEMA}
"""HTTP's codes that a retry does not change, and what the user can do."""


class Registry:
    """What the serialisers ask of a registry; each question once, so that what is known needs none.

    It has a client only while it asks: between the few questions no connection is left open.

    Args:
        url: the registry's, with the path of its API; several with commas between.
        config: further settings of the client.

    Raises:
        ValueError, TypeError: the client refuses its settings.
    """

    def __init__(self, url: str, config: Mapping[str, Any]) -> None:
        self._settings = {**_DEFAULTS, **config, "url": url}
        self._known: dict[tuple[Any, ...], Any] = {}
        self._client().close()

    def config(self) -> dict[str, Any]:
        """Return what rules in schemas may know of the client: nothing."""
        return {}

    def get_schema(self, schema_id: int, subject: str | None = None, fmt: str | None = None) -> Any:
        """Return a schema; what is raised for one that does not exist is the record's fault.

        Raises:
            SourceError: it is not available now.
        """
        return self._ask(SourceError, f"give the schema {schema_id}", "get_schema", schema_id, subject, fmt)

    def get_schema_by_guid(self, guid: str, fmt: str | None = None) -> Any:
        """Return a schema by its other name, as `get_schema` does."""
        return self._ask(SourceError, f"give the schema {guid}", "get_schema_by_guid", guid, fmt)

    def get_version(self, subject: str, version: int, deleted: bool = False) -> Any:
        """Return a schema that another one refers to, as `get_schema` does."""
        doing = f"give version {version} of {subject}"
        return self._ask(SourceError, doing, "get_version", subject, version, deleted)

    def register_schema_full_response(
        self, subject: str, schema: Schema, normalize_schemas: bool = False
    ) -> Any:
        """Register a schema, unless it is, and return what the registry has of it.

        Raises:
            SinkError: the registry does not take it, or does not answer.
        """
        name, doing = "register_schema_full_response", f"take the schema of {subject}"
        return self._ask(SinkError, doing, name, subject, schema, normalize_schemas)

    def _ask(self, kind: type[ConnectorError], doing: str, *question: Any) -> Any:
        if question not in self._known:
            name, *arguments = question
            try:
                with self._client() as client:
                    self._known[question] = getattr(client, name)(*arguments)
            except Exception as error:
                if getattr(error, "error_code", None) == _NO_SUCH_SCHEMA and kind is SourceError:
                    raise
                raise _failure(kind, doing, error) from error
        return self._known[question]

    def _client(self) -> SchemaRegistryClient:
        return SchemaRegistryClient(self._settings)


def _failure(kind: type[ConnectorError], doing: str, error: Exception) -> ConnectorError:
    """Translate what the client raised; the caller raises the result from it."""
    status = error.http_status_code if isinstance(error, SchemaRegistryError) else None
    text = " ".join(str(error).split()) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        hint = "the machine trusts the authorities in the file that SSL_CERT_FILE names"
        return kind(f"the Schema Registry's certificate is not trusted: {text}", retryable=False, hint=hint)
    return kind(
        f"the Schema Registry did not {doing}: {text}",
        retryable=status not in _REFUSALS,
        hint=_AWAY if status is None else _REFUSALS.get(status, "see what it says, and its log"),
    )
