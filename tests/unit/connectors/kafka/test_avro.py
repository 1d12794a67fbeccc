"""Avro and a Schema Registry that answers amiss: whose fault it is, and whether a retry can help.

A server of this file plays the answers that a sound registry does not give; the sound one is in
`tests/integration/kafka/test_avro.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from confluent_kafka import Message

from connectors.kafka import Avro
from connectors.kafka.decoding import Decoder
from connectors.kafka.partitions import Partition
from pipeline.core.errors import ConfigError, ConnectorError, SinkError, SourceError

EVENTS = Partition("events", 0)
SCHEMA = json.dumps({"type": "record", "name": "Event", "fields": [{"name": "id", "type": "long"}]})
RECORD = Message(topic="events", partition=0, offset=17, value=b"\0\0\0\0\1\2")
"""As every producer writes it: a zero byte, the schema's id, then Avro."""


class Registry(ThreadingHTTPServer):
    """Returns one answer to every request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.body = 200, b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, status: int, body: object) -> None:
        self.status, self.body = status, json.dumps(body).encode()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        registry = self.server
        assert isinstance(registry, Registry)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(registry.status)
        self.send_header("Content-Length", str(len(registry.body)))
        self.end_headers()
        self.wfile.write(registry.body)

    do_POST = do_GET  # noqa: N815 - the base class's way of names

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


def read(avro: Avro) -> None:
    assert Decoder("events", avro, None).decode(EVENTS, [RECORD]).poison == []


def write(avro: Avro) -> None:
    avro.encoder("events", "value")


READS = pytest.param(read, SourceError, id="reading")
WRITES = pytest.param(write, SinkError, id="writing")


@pytest.mark.parametrize(("use", "kind"), [READS, WRITES])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_registry_out_of_order_may_be_tried_again(
    use: Callable[[Avro], None], kind: type[ConnectorError], status: int, registry: Registry
) -> None:
    """And no record is taken for poison."""
    registry.answer(status, {"error_code": 50001, "message": "out of order"})
    with pytest.raises(kind, match=r"the Schema Registry did not .*out of order") as caught:
        use(Avro(registry.url, schema=SCHEMA))
    assert caught.value.retryable


@pytest.mark.parametrize(("use", "kind"), [READS, WRITES])
@pytest.mark.parametrize(
    ("status", "hint"), [(401, "basic.auth.user.info"), (403, "what the user may do"), (404, "its path")]
)
def test_what_a_retry_does_not_change_says_what_does(
    use: Callable[[Avro], None],
    kind: type[ConnectorError],
    status: int,
    hint: str,
    registry: Registry,
) -> None:
    """A wrong address answers 404 for every schema: that makes no record poison."""
    registry.answer(status, {"error_code": status, "message": "no"})
    with pytest.raises(kind) as caught:
        use(Avro(registry.url, schema=SCHEMA))
    assert not caught.value.retryable
    assert hint in (caught.value.hint or "")


def test_an_address_of_something_else_is_an_error(registry: Registry) -> None:
    registry.body = b"<html>"
    with pytest.raises(SourceError, match="did not give the schema 1"):
        read(Avro(registry.url))


def test_a_schema_that_the_registry_does_not_have_makes_the_record_poison(registry: Registry) -> None:
    registry.answer(404, {"error_code": 40403, "message": "Schema 1 not found"})
    decoded = Decoder("events", Avro(registry.url), None).decode(EVENTS, [RECORD])
    assert [poison.origin.position for poison in decoded.poison] == [17]
    assert "Schema 1 not found" in str(decoded.poison[0].error)


def test_the_registry_is_found_as_the_brokers_are(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIPELINE_SCHEMA_REGISTRY", raising=False)
    with pytest.raises(ConfigError, match=r"expected Avro\(registry=\) or the variable"):
        read(Avro())
    monkeypatch.setenv("PIPELINE_SCHEMA_REGISTRY", registry.url)
    registry.answer(200, {"schema": SCHEMA})
    read(Avro())


@pytest.mark.parametrize(
    "setting",
    ["ssl.ca.location", "ssl.key.location", "ssl.certificate.location", "bearer.auth.issuer.endpoint.url"],
)
def test_a_job_may_not_reach_for_the_machine_s_files_and_addresses(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"a job may not set {setting}"):
        Avro("http://127.0.0.1:1", config={setting: "x"})


@pytest.mark.parametrize("use", [read, write])
@pytest.mark.parametrize(
    ("avro", "message"),
    [
        (lambda url: Avro(url, schema="{"), "is not an Avro schema"),
        (lambda url: Avro(url, schema='{"type": "nonsense"}'), "is not an Avro schema"),
        (lambda url: Avro("ftp://x", schema=SCHEMA), "rejects its settings: Invalid url"),
        (lambda url: Avro(url, schema=SCHEMA, config={"tiemout": 1}), "Unrecognized properties: tiemout"),
    ],
)
def test_mistakes_are_the_configuration_s(
    use: Callable[[Avro], None], avro: Callable[[str], Avro], message: str, registry: Registry
) -> None:
    """Found at the start."""
    registry.answer(200, {"schema": SCHEMA})
    with pytest.raises(ConfigError, match=message):
        use(avro(registry.url))


def test_a_sink_needs_a_schema() -> None:
    with pytest.raises(ConfigError, match=r"set Avro\(schema=…\)"):
        Avro("http://127.0.0.1:1").encoder("events", "value")
