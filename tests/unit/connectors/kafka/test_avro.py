"""Avro with schemas from a registry: confluent-kafka's own client against a server that speaks its REST."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import fastavro
import pytest
from confluent_kafka import Message

from connectors.kafka import Avro
from connectors.kafka.decoding import Decoder
from connectors.kafka.partitions import Partition
from pipeline.core.errors import ConfigError, SourceError

EVENTS = Partition("events", 0)
WRITTEN = {
    "type": "record",
    "name": "Event",
    "fields": [{"name": "id", "type": "long"}, {"name": "user", "type": "string"}],
}
READ = {
    "type": "record",
    "name": "Event",
    "fields": [{"name": "id", "type": "long"}, {"name": "city", "type": "string", "default": "?"}],
}


class Registry(ThreadingHTTPServer):
    """Has one schema, of id 1; counts what it is asked; may be out of order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = 0
        self.broken = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        registry = self.server
        assert isinstance(registry, Registry)
        registry.asked += 1
        if registry.broken:
            self._answer(400, {"error_code": 50001, "message": "out of order"})
        elif self.path.startswith("/schemas/ids/1"):
            self._answer(200, {"schema": json.dumps(WRITTEN)})
        else:
            self._answer(404, {"error_code": 40403, "message": "Schema not found"})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as server:
        thread = Thread(target=server.serve_forever, args=[0.01], name="registry")
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def written(record: dict[str, object], schema_id: int = 1) -> bytes:
    """Encode as every producer does: a zero byte, the schema's id, then Avro."""
    data = io.BytesIO()
    fastavro.schemaless_writer(data, fastavro.parse_schema(WRITTEN), record)
    return struct.pack(">bI", 0, schema_id) + data.getvalue()


def message(value: bytes, offset: int = 0) -> Message:
    return Message(topic="events", partition=0, offset=offset, value=value)


def test_records_are_read_with_the_schema_they_were_written_with(registry: Registry) -> None:
    """Which is not asked for again."""
    decoder = Decoder("events", Avro(registry.url), None)
    records: list[dict[str, object]] = [{"id": n, "user": f"u{n}"} for n in range(5)]
    messages = [message(written(record)) for record in records]
    assert decoder.decode(EVENTS, messages).values == records
    asked = registry.asked
    assert decoder.decode(EVENTS, messages).values == records
    assert registry.asked == asked


def test_a_schema_to_read_with_resolves_theirs(registry: Registry) -> None:
    decoder = Decoder("events", Avro(registry.url, schema=json.dumps(READ)), None)
    decoded = decoder.decode(EVENTS, [message(written({"id": 1, "user": "u"}))])
    assert decoded.values == [{"id": 1, "city": "?"}]


def test_broken_bytes_and_unknown_schemas_are_poison(registry: Registry) -> None:
    decoder = Decoder("events", Avro(registry.url), None)
    good = written({"id": 1, "user": "u"})
    decoded = decoder.decode(
        EVENTS, [message(b"{}", 0), message(written({"id": 1, "user": "u"}, 9), 1), message(good, 2)]
    )
    assert decoded.values == [{"id": 1, "user": "u"}]
    assert [poison.origin.position for poison in decoded.poison] == [0, 1]
    assert "is no Avro" in str(decoded.poison[0].error)


def test_a_registry_out_of_order_fails_the_job_and_takes_no_record_for_poison(registry: Registry) -> None:
    registry.broken = True
    decoder = Decoder("events", Avro(registry.url), None)
    with pytest.raises(SourceError, match="the Schema Registry did not give a schema") as caught:
        decoder.decode(EVENTS, [message(written({"id": 1, "user": "u"}))])
    assert caught.value.retryable


def test_a_registry_that_is_not_there_fails_the_job_too() -> None:
    with Registry() as server:
        url = server.url  # and nobody serves it from here on
    avro = Avro(url, config={"max.retries": 0})
    with pytest.raises(SourceError, match="the Schema Registry did not give a schema"):
        Decoder("events", avro, None).decode(EVENTS, [message(written({"id": 1, "user": "u"}))])


def test_a_missing_registry_says_where_it_is_looked_for(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIPELINE_SCHEMA_REGISTRY", raising=False)
    with pytest.raises(ConfigError, match=r"expected Avro\(registry=\) or the variable"):
        Decoder("events", Avro(), None)
    monkeypatch.setenv("PIPELINE_SCHEMA_REGISTRY", registry.url)
    decoded = Decoder("events", Avro(), None).decode(EVENTS, [message(written({"id": 1, "user": "u"}))])
    assert decoded.values == [{"id": 1, "user": "u"}]
