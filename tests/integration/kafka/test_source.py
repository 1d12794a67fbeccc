"""KafkaSource on a real broker: where it begins and ends, and what its records are."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from connectors import CollectSink, KafkaSource
from connectors.kafka import Bytes, Json, KafkaRecord, Text, open_transactions
from pipeline.api.job import StreamJob
from pipeline.core.config import JobConfig
from pipeline.core.errors import ConfigError, PipelineError, SourceError
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy
from pipeline.core.records import DeadLetter, Origin
from pipeline.testing.connectors import SourceDriver
from tests.integration.kafka.conftest import Write
from tests.kafka_broker import TIMEOUT, Topics

QUICK = {"fetch.wait.max.ms": 20}  # an end is seen when this is over


@pytest.fixture(autouse=True)
def _broker(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sources of these tests find their broker as jobs do."""
    monkeypatch.setenv("PIPELINE_KAFKA", kafka)


def read_all(source: KafkaSource[Any]) -> list[Any]:
    """Read a source that ends, to its end."""
    with SourceDriver(source) as driver:
        while driver.take(1000):
            pass
        return list(driver.emitted)


# --- where it begins and ends --------------------------------------------------------------------


def test_latest_begins_after_the_records_present(topic: Topics, write: Write) -> None:
    name = topic()
    write(name, range(5))
    with SourceDriver(KafkaSource(name, start="latest", config=QUICK)) as driver:
        driver.wait_until_idle()
        write(name, [5])
        assert driver.take(1) == [5]


def test_a_time_begins_and_ends_it(topic: Topics, write: Write) -> None:
    """From the first record of that time or later, to before the first of that other time."""
    name = topic()
    for value in range(6):
        write(name, [value], timestamp=1_000 * (value + 1))
    at = datetime(1970, 1, 1, tzinfo=UTC)
    source = KafkaSource(
        name, start=at + timedelta(milliseconds=1_500), stop=at + timedelta(milliseconds=4_000), config=QUICK
    )
    assert read_all(source) == [1, 2]
    past_the_end = KafkaSource(name, start=at + timedelta(days=1), stop="latest", config=QUICK)
    assert read_all(past_the_end) == []


def test_offsets_begin_and_end_it(topic: Topics, write: Write) -> None:
    """Partitions they do not name begin at the beginning and end where they end now."""
    name = topic(2)
    write(name, range(6))
    write(name, range(10, 13), partition=1)
    source = KafkaSource(name, start={name: {0: 2}}, stop={name: {0: 4}}, config=QUICK)
    assert sorted(read_all(source)) == [2, 3, 10, 11, 12]


def test_offsets_of_a_partition_that_is_not_there_are_refused(topic: Topics) -> None:
    name = topic()
    wrong = {name: {1: 0}}
    for source in (KafkaSource(name, start=wrong), KafkaSource(name, stop=wrong)):
        with pytest.raises(ConfigError, match=f"{name}-1, which is not read"):
            read_all(source)


def test_a_start_beyond_the_end_is_refused(topic: Topics, write: Write) -> None:
    name = topic()
    write(name, range(3))
    with pytest.raises(SourceError, match=f"offset 4 of {name}-0 is out of range: it has 0 to 3"):
        read_all(KafkaSource(name, start={name: {0: 4}}, stop="latest"))


def test_the_group_begins_it(topic: Topics, write: Write, kafka: str) -> None:
    """Where it has committed; a partition it has not is read from the beginning."""
    name = topic(2)
    write(name, range(4))
    write(name, [10, 11], partition=1)
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": name})
    consumer.commit(offsets=[TopicPartition(name, 0, 3)], asynchronous=False)
    consumer.close()
    source = KafkaSource(name, start="group", group_id=name, stop="latest", config=QUICK)
    assert sorted(read_all(source)) == [3, 10, 11]


def test_a_transaction_that_is_open_or_aborted_is_not_seen(topic: Topics, kafka: str) -> None:
    """Unless it is asked for: then an open one is read too."""
    name = topic()
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": name})
    producer.init_transactions(TIMEOUT)
    for value, end in ((b"1", producer.commit_transaction), (b"2", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(name, value)
        producer.flush(TIMEOUT)  # else the abort takes back what was never sent
        end(TIMEOUT)
    producer.begin_transaction()
    producer.produce(name, b"3")
    producer.flush(TIMEOUT)
    assert read_all(KafkaSource(name, stop="latest", config=QUICK)) == [1]
    uncommitted = KafkaSource(name, stop="latest", isolation="read_uncommitted", config=QUICK)
    assert read_all(uncommitted) == [1, 2, 3]
    producer.abort_transaction(TIMEOUT)


def test_an_open_transaction_that_holds_the_source_up_is_said(
    topic: Topics, write: Write, kafka: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """It waits where its end is beyond; with `stop="latest"` it ends before what was acknowledged since."""
    monkeypatch.setattr(open_transactions, "_HELD_AT_THE_END_MS", 20)
    name = topic()
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": name})
    producer.init_transactions(TIMEOUT)
    producer.begin_transaction()
    producer.produce(name, b"1")
    producer.flush(TIMEOUT)
    write(name, [2])
    assert read_all(KafkaSource(name, stop="latest", config=QUICK)) == []
    assert f"{name}-0 is read up to offset 0, where a transaction" in caplog.text
    waits = Event()

    class Log(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if f"{name}-0 waits at offset 0, where a transaction" in record.getMessage():
                waits.set()

    log, handler = logging.getLogger(open_transactions.__name__), Log()
    log.addHandler(handler)
    with SourceDriver(KafkaSource(name, stop={name: {0: 2}}, config=QUICK)) as driver:
        driver.request(10)
        assert waits.wait(TIMEOUT)
        assert driver.emitted == []
        producer.commit_transaction(TIMEOUT)
        driver.wait_until_emitted(2)
    log.removeHandler(handler)
    assert driver.emitted == [1, 2]


def test_several_topics_and_a_pattern_are_read_as_one(topic: Topics, write: Write) -> None:
    names = [topic(), topic()]
    for number, name in enumerate(names):
        write(name, [number])
    assert sorted(read_all(KafkaSource(names, stop="latest", config=QUICK))) == [0, 1]
    pattern = "|".join(names)
    assert sorted(read_all(KafkaSource(pattern=pattern, stop="latest", config=QUICK))) == [0, 1]


def test_a_topic_that_is_not_there_is_named(topic: Topics) -> None:
    name = topic()
    with pytest.raises(SourceError, match="there is no topic no-such-topic"):
        read_all(KafkaSource([name, "no-such-topic"]))
    with pytest.raises(SourceError, match=r"no topic matches 'no-such-.\*'"):
        read_all(KafkaSource(pattern="no-such-.*"))


# --- the position --------------------------------------------------------------------------------


def test_the_position_is_the_next_offset_of_each_partition(topic: Topics, write: Write) -> None:
    """As SPEC has it, with the topic's id beside, and after the markers of transactions."""
    name = topic(2)
    write(name, range(3), partition=1)
    with SourceDriver(KafkaSource(name, config=QUICK)) as driver:
        driver.take(3)
        state = json.loads(driver.snapshot().state)
        id_ = state.pop("topic_ids")[name]
        assert state == {"source_type": "kafka", "offsets": {name: {"0": 0, "1": 3}}}
        assert len(id_) == 22
    assert driver.heard.splits == {f"{name}-0", f"{name}-1"}
    assert driver.origins == [Origin(f"{name}-1", offset) for offset in range(3)]


def test_committed_offsets_are_shown_by_the_group(topic: Topics, write: Write, kafka: str) -> None:
    """Those of the last snapshot, for people who watch the lag; a later position is not shown."""
    name = topic()
    write(name, range(5))
    with SourceDriver(KafkaSource(name, group_id=name, config=QUICK)) as driver:
        driver.take(3)
        driver.snapshot()
        driver.take(2)
        driver.source.checkpoint_committed(1)
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": name})
    assert consumer.committed([TopicPartition(name, 0)], timeout=TIMEOUT)[0].offset == 3
    consumer.close()


def test_another_sources_position_is_refused(topic: Topics) -> None:
    source = KafkaSource(topic())
    with SourceDriver(source) as driver:
        driver.wait_until_idle()
        with pytest.raises(SourceError, match="no position of a Kafka source"):
            driver.source.restore_state({"source_type": "jdbc_query"})


# --- records ---------------------------------------------------------------------------------------


class Order(msgspec.Struct):
    id: int


def test_values_are_what_their_format_says(topic: Topics, write: Write) -> None:
    name = topic()
    write(name, [{"id": 1}])
    assert read_all(KafkaSource(name, stop="latest", config=QUICK)) == [{"id": 1}]
    assert read_all(KafkaSource(name, value=Json(Order), stop="latest", config=QUICK)) == [Order(1)]
    assert read_all(KafkaSource(name, value=Text(), stop="latest", config=QUICK)) == ['{"id": 1}']
    assert read_all(KafkaSource(name, value=Bytes(), stop="latest", config=QUICK)) == [b'{"id": 1}']
    assert read_all(KafkaSource(name, value=len, stop="latest", config=QUICK)) == [9]


def test_metadata_has_all_that_kafka_keeps(topic: Topics, write: Write) -> None:
    name = topic()
    write(name, [1], timestamp=1_234, key=b"k", headers=[("a", b"1"), ("a", None)])
    write(name, [None], timestamp=1_235)
    source = KafkaSource(name, key=Text(), metadata=True, stop="latest", config=QUICK)
    assert read_all(source) == [
        KafkaRecord(1, "k", name, 0, 0, 1_234, [("a", b"1"), ("a", None)]),
        KafkaRecord(None, None, name, 0, 1, 1_235, ()),
    ]


def test_a_poison_record_is_named_by_topic_partition_and_offset(topic: Topics, write: Write) -> None:
    name = topic()
    write(name, [1, b"{", 3])
    with pytest.raises(SourceError, match=f"offset 1 of topic {name}, partition 0, is not valid JSON"):
        read_all(KafkaSource(name, stop="latest", config=QUICK))


def test_a_poison_key_is_told_from_a_poison_value(topic: Topics, write: Write) -> None:
    name = topic()
    write(name, [1], key=b"\xff")
    with pytest.raises(SourceError, match="the key at offset 0"):
        read_all(KafkaSource(name, key=Text(), metadata=True, stop="latest", config=QUICK))


@pytest.mark.parametrize("policy", [ErrorPolicy.skip(), ErrorPolicy.dead_letter()])
def test_a_job_continues_without_poison_records(
    topic: Topics, write: Write, tmp_path: Any, policy: ErrorPolicy
) -> None:
    """In = out + failed; a dead letter holds the bytes, the reason and the place."""
    name = topic()
    write(name, [b"{", 1, b"\xff", 3, b"]"])
    good: CollectSink[Any] = CollectSink()
    bad: CollectSink[DeadLetter] = CollectSink()
    job = StreamJob("poison", JobConfig(checkpoint_dir=tmp_path, checkpoint_interval=timedelta(seconds=60)))
    numbers = job.source(KafkaSource(name, on_error=policy, stop="latest", config=QUICK))
    numbers.sink(good, uid="good")
    if policy.kind == "dead_letter":
        numbers.side_output(DEAD_LETTERS).sink(bad, uid="bad")
    result = job.execute()
    assert good.values == [1, 3]
    assert result.failed_records == 3
    assert result.processed_records == 5
    if policy.kind == "dead_letter":
        assert [(letter.value, letter.origin) for letter in bad.values] == [
            (b"{", Origin(f"{name}-0", 0)),
            (b"\xff", Origin(f"{name}-0", 2)),
            (b"]", Origin(f"{name}-0", 4)),
        ]
        assert f"offset 2 of topic {name}" in bad.values[1].error


def test_a_job_fails_at_a_poison_record_unless_told_otherwise(topic: Topics, write: Write) -> None:
    name = topic()
    write(name, [1, b"{"])
    job = StreamJob("poison", JobConfig(checkpoint_interval=timedelta(seconds=60)))
    job.source(KafkaSource(name, stop="latest", config=QUICK)).sink(CollectSink())
    with pytest.raises(PipelineError, match=f"offset 1 of topic {name}") as caught:
        job.execute()
    assert caught.value.position == f"{name}-0@1"
