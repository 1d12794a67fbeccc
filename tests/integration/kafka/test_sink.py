"""KafkaSink on a real broker: what arrives, what is refused at the start, and how a running job ends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import CollectionSource, GeneratorSource, KafkaSink, KafkaSource
from connectors.kafka import Bytes, Text
from connectors.kafka.cluster import Cluster
from pipeline import JobConfig, JobStatus, StreamJob
from pipeline.core.errors import ConfigError, PipelineError, SinkError
from pipeline.runtime.control import JobControl
from pipeline.testing.drivers import VerificationSinkContext
from tests.integration.kafka.readers import open_transactions, read_committed
from tests.kafka_broker import Topics

CTX = VerificationSinkContext()


def run(values: list[Any], sink: KafkaSink) -> None:
    StreamJob.builder().name("writing").source(CollectionSource(values)).sink(sink).build().execute()


def read_records(address: str, topic: str, count: int) -> list[Any]:
    """Read with all that Kafka keeps, in the order of the partitions' records, until `count` have come.

    Not to the end there is now: a commit is answered before all partitions show it to readers.
    """
    from connectors import CollectSink

    sink, control, seen = CollectSink(), JobControl(), []

    def counted(record: Any) -> Any:
        seen.append(record)
        if len(seen) == count:
            control.stop()
        return record

    source = KafkaSource(topic, bootstrap_servers=address, value=Bytes(), metadata=True)
    job = StreamJob.builder().name("reading").source(source).map(counted).sink(sink)
    job.config(JobConfig(checkpoint_interval=timedelta(seconds=60))).build().execute(control=control)
    return sink.values


def test_all_that_a_record_has_arrives(kafka: str, topic: Topics, tmp_path: Path, monkeypatch: Any) -> None:
    """Key, value, headers, time and partition, as the sink's arguments say."""
    monkeypatch.chdir(tmp_path)
    name = topic(partitions=3)
    sink = KafkaSink(
        name,
        bootstrap_servers=kafka,
        value=lambda row: None if row["n"] == 2 else b"%d" % row["n"],
        key=lambda row: f"k{row['n']}",
        partitioner=lambda key, partitions: int(key[1:]) % partitions if key else 0,
        headers=lambda row: [("h", b"x")] if row["n"] == 1 else None,
        timestamp=lambda row: 1_000 + row["n"],
    )
    run([{"n": n} for n in range(3)], sink)
    records = sorted(read_records(kafka, name, 3), key=lambda record: record.timestamp)
    assert [record.key for record in records] == [b"k0", b"k1", b"k2"]
    assert [record.value for record in records] == [b"0", b"1", None]
    assert [record.partition for record in records] == [0, 1, 2]
    assert [record.timestamp for record in records] == [1000, 1001, 1002]
    assert [list(record.headers or ()) for record in records] == [[], [("h", b"x")], []]


def test_a_topic_for_each_record(kafka: str, topic: Topics) -> None:
    first, second = topic(), topic()
    sink = KafkaSink(lambda n: (first, second)[n % 2], bootstrap_servers=kafka)
    run(list(range(10)), sink)
    assert [json.loads(value) for value in read_committed(kafka, first)] == [0, 2, 4, 6, 8]
    assert [json.loads(value) for value in read_committed(kafka, second)] == [1, 3, 5, 7, 9]


def test_at_least_once_opens_no_transaction(kafka: str, topic: Topics) -> None:
    name = topic()
    sink = KafkaSink(
        name, bootstrap_servers=kafka, value=Text(), guarantee="at-least-once", transactional_id=name
    )
    run(["a", "b"], sink)
    assert read_committed(kafka, name) == [b"a", b"b"]
    assert sink.info.guarantee == "at-least-once"
    assert open_transactions(kafka, name) == []


def test_a_missing_topic_is_refused_before_anything_is_read(kafka: str) -> None:
    with pytest.raises(SinkError, match="there is no topic nowhere") as error:
        KafkaSink("nowhere", bootstrap_servers=kafka).open(CTX)
    assert not error.value.retryable


def test_a_timeout_above_the_broker_s_is_refused(kafka: str, topic: Topics) -> None:
    """The broker's transaction.max.timeout.ms is 15 minutes unless it is raised."""
    sink = KafkaSink(topic(), bootstrap_servers=kafka, transaction_timeout=timedelta(hours=1))
    sink.open(CTX)
    with pytest.raises(SinkError, match="INVALID_TRANSACTION_TIMEOUT") as error:
        sink.recover_and_abort([])
    assert "transaction.max.timeout.ms" in str(error.value)
    assert not error.value.retryable
    sink.close()


def test_a_timeout_below_the_interval_is_refused(kafka: str, topic: Topics) -> None:
    ctx = VerificationSinkContext(checkpoint_interval=timedelta(minutes=10))
    with pytest.raises(ConfigError, match="the broker would abort transactions before their commit"):
        KafkaSink(topic(), bootstrap_servers=kafka).open(ctx)


def test_a_record_that_is_too_large_fails_by_name(kafka: str, topic: Topics) -> None:
    """The limit is the topic's; the records before it are not lost with it."""
    name = topic(max_message_bytes=500)
    with pytest.raises(SinkError, match="is too large for the topic"):
        run(["x" * 1000], KafkaSink(name, bootstrap_servers=kafka))
    assert read_committed(kafka, name) == []


@pytest.mark.parametrize("guarantee", ["exactly-once", "at-least-once"])
@pytest.mark.parametrize(
    ("bad", "known", "unknown"),
    [
        ({"key": None}, "accepts no record without a key: {", "INVALID_RECORD.*give the sink key="),
        ({"at": 2_000}, r"not accept the time \d+, [\d,]+ ms ahead", "INVALID_TIMESTAMP.*let timestamp="),
    ],
)
def test_a_record_that_the_topic_refuses_fails_by_name(
    kafka: str, topic: Topics, bad: dict[str, Any], known: str, unknown: str, guarantee: Any, monkeypatch: Any
) -> None:
    """Before it is sent; by what the broker says where the user may not ask for the topic's settings."""
    name = topic(cleanup_policy="compact", message_timestamp_after_max_ms=1_000)
    now = int(time.time() * 1000)
    sink = KafkaSink(
        name,
        bootstrap_servers=kafka,
        key=lambda row: row["key"],
        timestamp=lambda row: now * row["at"] // 1_000,
        guarantee=guarantee,
        transactional_id=name,
    )
    rows = [{"key": "k", "at": 1_000}, {"key": "k", "at": 1_000, **bad}]
    with pytest.raises(SinkError, match=known) as error:
        run(rows, sink)
    assert not error.value.retryable
    monkeypatch.setattr(Cluster, "settings_of", lambda *_: {})
    with pytest.raises(
        SinkError, match=rf"cannot write b'{{.*' or a record sent with it .*{unknown}"
    ) as error:
        run(rows, sink)
    assert not error.value.retryable
    assert read_committed(kafka, name) == []


@pytest.mark.parametrize("key", ["transactional.id", "transaction.timeout.ms", "enable.idempotence", "acks"])
def test_what_the_promise_rests_on_is_not_for_a_job_to_set(key: str) -> None:
    with pytest.raises(ConfigError, match=f"the client setting {key} belongs to the engine"):
        KafkaSink("t", config={key: 1})


def test_an_unknown_guarantee_is_refused() -> None:
    with pytest.raises(ConfigError, match="guarantee must be 'exactly-once' or 'at-least-once', not 'none'"):
        KafkaSink("t", guarantee="none")  # type: ignore[arg-type] - what a user may write


def test_a_streaming_job_from_kafka_to_kafka_is_stopped_in_order(
    kafka: str, topic: Topics, write: Callable[..., None], tmp_path: Path
) -> None:
    """The stop takes a last checkpoint: what was read is visible, and the next run continues after it."""
    source, target = topic(), topic()
    write(source, range(1000))

    def job() -> StreamJob:
        config = JobConfig(checkpoint_interval=timedelta(milliseconds=100), checkpoint_dir=tmp_path)
        built = StreamJob.builder().name("copy").source(KafkaSource(source, bootstrap_servers=kafka))
        return built.sink(KafkaSink(target, bootstrap_servers=kafka)).config(config).build()

    def run_until(count: int) -> list[Any]:
        control = JobControl()
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(job().execute(control=control)), name="job")
        thread.start()
        until = time.monotonic() + 30
        while len(read_committed(kafka, target)) < count and time.monotonic() < until:
            pass
        control.stop()
        thread.join()
        assert results[0].status is JobStatus.CANCELLED
        return [json.loads(value) for value in read_committed(kafka, target)]

    assert run_until(1000) == [*range(1000)]
    write(source, range(1000, 2000))
    assert run_until(2000) == [*range(2000)]


def test_a_full_epoch_hastens_the_checkpoint(kafka: str, topic: Topics, tmp_path: Path) -> None:
    """A megabyte an epoch: the job continues, in more epochs than its interval requires."""
    name, written = topic(), 300
    source = GeneratorSource(lambda n: {"n": n, "pad": "x" * 20_000}, count=written)
    sink = KafkaSink(name, bootstrap_servers=kafka, epoch_max_bytes=1 << 20)
    config = JobConfig(
        checkpoint_interval=timedelta(seconds=60),
        checkpoint_min_pause=timedelta(),
        checkpoint_dir=tmp_path,
        source_batch_size=10,
        sink_batch_size=10,
    )
    job = StreamJob.builder().name("full").source(source).sink(sink).config(config).build()
    try:
        result = job.execute()
    except PipelineError as error:  # pragma: no cover - a source that cannot resume has one epoch only
        pytest.fail(str(error))
    assert [json.loads(value)["n"] for value in read_committed(kafka, name)] == list(range(written))
    assert result.checkpoints >= 3
