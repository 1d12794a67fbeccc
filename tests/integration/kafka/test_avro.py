"""Avro with a real Schema Registry and a real broker: written, read, evolved, refused, and not to be had.

Covers of FAULTS 1: schema change in and out; poison record.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Schema,
    SchemaRegistryClient,
    ServerConfig,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from connectors import CollectionSource, CollectSink, KafkaSink, KafkaSource
from connectors.kafka import Avro
from pipeline import DEAD_LETTERS, ErrorPolicy, JobConfig, RestartStrategy, StreamJob
from pipeline.core.errors import PipelineError, SinkError, SourceError
from pipeline.runtime.events import Restarting
from pipeline.testing.connectors import SourceDriver
from tests.integration.kafka.conftest import Write, self_signed
from tests.integration.kafka.readers import read_committed
from tests.kafka_broker import Topics
from tests.tcp_proxy import TcpProxy

pytestmark = pytest.mark.timeout(420)  # the registry is fetched once

ID = {"name": "id", "type": "long"}
USER = {"name": "user", "type": "string"}
CITY = {"name": "city", "type": "string", "default": "?"}
Row = dict[str, Any]


def event(*fields: Any) -> str:
    return json.dumps({"type": "record", "name": "Event", "fields": fields})


V1, V2 = event(ID, USER), event(ID, USER, CITY)
INCOMPATIBLE = event({"name": "id", "type": "boolean"}, USER)
ROWS: list[Row] = [{"id": n, "user": f"u{n}"} for n in range(100)]


@pytest.fixture
def others(registry: str) -> Iterator[SchemaRegistryClient]:
    """The client of those who use neither the engine nor its settings."""
    with SchemaRegistryClient({"url": registry}) as client:
        yield client


@pytest.fixture
def network(registry: str) -> Iterator[TcpProxy]:
    """A network in front of the registry."""
    parts = urlsplit(registry)
    with TcpProxy((parts.hostname or "", parts.port or 80)) as proxy:
        yield proxy


def through(network: TcpProxy, registry: str) -> str:
    return f"http://127.0.0.1:{network.port}{urlsplit(registry).path}"


def patient(registry: str, schema: str | None = None) -> Avro:
    """Avro that allows a registry on a busy machine more than the default of two seconds."""
    return Avro(registry, schema=schema, config={"timeout": 60})


def at(topic: str, field: Any = MessageField.VALUE) -> SerializationContext:
    return SerializationContext(topic, field)


def encoder(others: SchemaRegistryClient, schema: str) -> Any:
    make: Any = AvroSerializer  # its stub knows no arguments
    return make(others, schema)


def write_rows(address: str, topic: str, avro: Avro, rows: list[Row]) -> None:
    source = CollectionSource(rows)
    sink = KafkaSink(topic, bootstrap_servers=address, value=avro)
    StreamJob.builder().name(topic).source(source).sink(sink).build().execute()


def read_rows(address: str, topic: str, avro: Avro) -> list[Any]:
    source = KafkaSource(topic, bootstrap_servers=address, value=avro, stop="latest")
    with SourceDriver(source) as driver:
        while driver.take(1_000):
            pass
        return list(driver.emitted)


def error_of(source: KafkaSource[Any]) -> SourceError:
    with SourceDriver(source) as driver, pytest.raises(SourceError) as caught:
        driver.take(1_000)
    return caught.value


# --- written and read ------------------------------------------------------------------------------


def test_what_the_sink_writes_everyone_reads(
    kafka: str, topic: Topics, registry: str, others: SchemaRegistryClient
) -> None:
    """Registered where others look for it; read by confluent-kafka alone, and by the source."""
    name = topic()
    write_rows(kafka, name, patient(registry, schema=V1), ROWS)
    assert f"{name}-value" in others.get_subjects()
    make: Any = AvroDeserializer  # its stub knows no arguments
    decode = make(others)
    assert [decode(value, at(name)) for value in read_committed(kafka, name)] == ROWS
    assert read_rows(kafka, name, patient(registry)) == ROWS


def test_what_others_write_the_source_reads(
    kafka: str, topic: Topics, registry: str, others: SchemaRegistryClient, write: Write
) -> None:
    """Keys too, and whichever schema each record was written with."""
    name = topic()
    key = encoder(others, event(ID))({"id": 7}, at(name, MessageField.KEY))
    old = encoder(others, V1)({"id": 1, "user": "u"}, at(name))
    new = encoder(others, V2)({"id": 2, "user": "u", "city": "Ulm"}, at(name))
    write(name, [old, new, None], key=key)
    avro = patient(registry)
    source = KafkaSource(name, bootstrap_servers=kafka, value=avro, key=avro, metadata=True, stop="latest")
    with SourceDriver(source) as driver:
        records = driver.take(10)
    assert [record.key for record in records] == [{"id": 7}] * 3
    assert [record.value for record in records] == [
        {"id": 1, "user": "u"},
        {"id": 2, "user": "u", "city": "Ulm"},
        None,
    ]


@pytest.mark.parametrize(
    ("written", "rows", "reader", "expected"),
    [
        (V2, [{"id": 1, "user": "u", "city": "Ulm"}], V1, [{"id": 1, "user": "u"}]),
        (V1, [{"id": 1, "user": "u"}], V2, [{"id": 1, "user": "u", "city": "?"}]),
    ],
    ids=["newer", "older"],
)
def test_a_job_sees_the_schema_it_declares(
    written: str,
    rows: list[Row],
    reader: str,
    expected: list[Row],
    kafka: str,
    topic: Topics,
    registry: str,
) -> None:
    """Whether its producers have a newer or an older one."""
    name = topic()
    write_rows(kafka, name, patient(registry, schema=written), rows)
    assert read_rows(kafka, name, patient(registry, schema=reader)) == expected


# --- refused ----------------------------------------------------------------------------------------


def test_a_schema_that_does_not_go_with_the_others_is_refused_at_the_start(
    kafka: str, topic: Topics, registry: str, others: SchemaRegistryClient
) -> None:
    """By the registry, before a record is read; a compatible one is taken."""
    name = topic()
    subject = f"{name}-value"
    others.register_schema(subject, Schema(V1, "AVRO"))
    others.set_config(subject, ServerConfig(compatibility=ConfigCompatibilityLevel.BACKWARD))
    with pytest.raises(SinkError, match=f"did not take the schema of {subject}") as caught:
        write_rows(kafka, name, patient(registry, schema=INCOMPATIBLE), [])
    assert not caught.value.retryable
    assert "compatibility" in str(caught.value)
    rows = [{"id": 1, "user": "u", "city": "Ulm"}]
    write_rows(kafka, name, patient(registry, schema=V2), rows)
    assert read_rows(kafka, name, patient(registry)) == rows


def test_a_record_that_does_not_fit_the_schema_is_named(kafka: str, topic: Topics, registry: str) -> None:
    name = topic()
    with pytest.raises(SinkError, match=r"value= raised.*'id': 'seven'") as caught:
        write_rows(kafka, name, patient(registry, schema=V1), [*ROWS, {"id": "seven", "user": "u"}])
    assert not caught.value.retryable
    assert read_committed(kafka, name) == []


def test_poison_goes_where_the_policy_says(
    kafka: str, topic: Topics, registry: str, others: SchemaRegistryClient, write: Write
) -> None:
    """No Avro, Avro cut off, a schema that is not registered, one that cannot be read as the job's."""
    name = topic()
    good = encoder(others, V1)(ROWS[0], at(name))
    alien = encoder(others, INCOMPATIBLE)({"id": True, "user": "u"}, at(f"{name}-other"))
    unknown = b"\0\x7f\xff\xff\xff" + good[5:]
    poison = [b"{}", good[:-1], unknown, alien]
    write(name, [good, *poison, good])

    def source(policy: ErrorPolicy) -> KafkaSource[Any]:
        avro = patient(registry, schema=V1)
        return KafkaSource(name, bootstrap_servers=kafka, value=avro, stop="latest", on_error=policy)

    error = error_of(source(ErrorPolicy.fail()))
    assert f"the value at offset 1 of topic {name}, partition 0, is not valid Avro" in str(error)
    assert not error.retryable
    sound: CollectSink[Any] = CollectSink()
    rejected: CollectSink[Any] = CollectSink()
    job = StreamJob(name)
    events = job.source(source(ErrorPolicy.dead_letter()))
    events.side_output(DEAD_LETTERS).sink(rejected, uid="rejected")
    events.sink(sound, uid="sound")
    job.execute()
    assert sound.values == [ROWS[0]] * 2
    assert len(rejected.values) == len(poison)


# --- not to be had ----------------------------------------------------------------------------------


def test_a_source_without_its_registry_names_the_record_and_may_try_again(
    kafka: str, topic: Topics, registry: str, others: SchemaRegistryClient, write: Write
) -> None:
    """And takes none for poison: it is all there when the registry is."""
    name = topic()
    encode = encoder(others, V1)
    write(name, [encode(row, at(name)) for row in ROWS])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
    policy = ErrorPolicy.dead_letter()
    error = error_of(KafkaSource(name, bootstrap_servers=kafka, value=Avro(nowhere), on_error=policy))
    assert "the Schema Registry did not give the schema" in str(error)
    assert error.position == f"{name}-0@0"
    assert error.retryable
    assert read_rows(kafka, name, patient(registry)) == ROWS


def test_a_registry_that_says_nothing_is_given_up_within_seconds(
    kafka: str, topic: Topics, registry: str, others: SchemaRegistryClient, write: Write, network: TcpProxy
) -> None:
    """Half-open: the connection is up and no answer comes. The client alone would wait for ever."""
    name = topic()
    write(name, [encoder(others, V1)(ROWS[0], at(name))])
    source = KafkaSource(name, bootstrap_servers=kafka, value=Avro(through(network, registry)))
    network.blackhole()
    began = time.monotonic()
    error = error_of(source)
    assert time.monotonic() - began < 6
    assert error.retryable
    assert error.position == f"{name}-0@0"
    network.heal()
    assert read_rows(kafka, name, patient(through(network, registry))) == ROWS[:1]


def test_schemas_that_are_known_need_no_registry(
    kafka: str, topic: Topics, registry: str, write: Write, network: TcpProxy
) -> None:
    """Each is asked for once in a job's life, not for each record."""
    name = topic()
    write_rows(kafka, name, patient(registry, schema=V1), ROWS)
    source = KafkaSource(name, bootstrap_servers=kafka, value=patient(through(network, registry)))
    with SourceDriver(source) as driver:
        assert driver.take(10) == ROWS[:10]
        network.blackhole()
        assert driver.take(90) == ROWS[10:]


def test_a_sink_without_its_registry_fails_at_the_start_and_may_try_again(
    kafka: str, topic: Topics, registry: str, network: TcpProxy
) -> None:
    name = topic()
    network.blackhole()
    with pytest.raises(PipelineError) as caught:
        write_rows(kafka, name, Avro(through(network, registry), schema=V1), [])
    assert f"the Schema Registry did not take the schema of {name}-value" in str(caught.value)
    assert isinstance(caught.value, SinkError)
    assert caught.value.retryable


def test_a_job_continues_by_itself_when_its_registry_is_back(
    kafka: str, topic: Topics, registry: str, network: TcpProxy
) -> None:
    """Every connection is reset at its first answer until the job has failed once."""
    name = topic()
    avro = patient(through(network, registry), schema=V1)
    sink = KafkaSink(name, bootstrap_servers=kafka, value=avro)
    job = StreamJob.builder().name(name).source(CollectionSource(ROWS)).sink(sink)
    job.config(JobConfig(restart=RestartStrategy.fixed_delay(3, timedelta(milliseconds=10))))
    network.cut_after(1)

    def listen(event: Any) -> None:
        if isinstance(event, Restarting):
            network.heal()

    job.build().execute(listeners=[listen])
    assert read_rows(kafka, name, patient(registry)) == ROWS


def test_a_registry_with_an_untrusted_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is an error at once, until the machine trusts it."""
    key, certificate = self_signed(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        avro = Avro(f"https://127.0.0.1:{server.server_port}", schema=V1)
        with ThreadPoolExecutor(1) as pool:
            answered = pool.submit(server.handle_request)
            with pytest.raises(SinkError, match="certificate is not trusted") as caught:
                avro.encoder("events", "value")
            assert not caught.value.retryable
            answered.result()
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            answered = pool.submit(server.handle_request)
            with pytest.raises(SinkError, match="Unsupported method"):  # so it was heard
                avro.encoder("events", "value")
            answered.result()
