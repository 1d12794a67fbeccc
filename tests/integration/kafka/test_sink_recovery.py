"""What becomes of an epoch that is decided and not noted: by its mark, or by what the user says."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from kafka import KafkaAdminClient

from checkpoint.two_phase import TwoPhaseDriver
from connectors import KafkaSink
from connectors.kafka import writing
from pipeline.core.errors import CheckpointError, Fenced, SinkError
from pipeline.spi.sink import CommitOutcome, RecoveryChoices
from pipeline.testing.drivers import LogShelf, VerificationSinkContext
from tests.integration.kafka.readers import open_transactions, read_committed
from tests.kafka_broker import TIMEOUT, Topics


class Target:
    """One topic, and sinks that write to it as the attempts of one job."""

    def __init__(self, address: str, name: str) -> None:
        self.address = address
        self.name = name
        self.logs = LogShelf()
        self.attempts = 0

    @contextmanager
    def sink(self, *, epoch_max_bytes: int = 1 << 30, **ctx: Any) -> Generator[KafkaSink]:
        """A sink of the next attempt; what it has open at the end stays so, as after a crash."""
        self.attempts += 1
        sink = KafkaSink(
            self.name,
            bootstrap_servers=self.address,
            transactional_id=self.name,
            transaction_timeout=timedelta(seconds=30),
            marks_topic=f"marks-of-{self.name}",
            epoch_max_bytes=epoch_max_bytes,
        )
        sink.open(VerificationSinkContext(attempt=self.attempts, logs=self.logs, **ctx))
        try:
            yield sink
        finally:
            sink.close()

    def write(self, sink: KafkaSink, values: range) -> Any:
        txn = sink.begin_transaction()
        sink.invoke_batch(txn, values, VerificationSinkContext())
        return sink.pre_commit(txn)

    @property
    def visible(self) -> list[int]:
        return [json.loads(value) for value in read_committed(self.address, self.name)]


@pytest.fixture
def target(kafka: str, topic: Topics) -> Iterator[Target]:
    target = Target(kafka, topic())
    yield target
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.delete_topics([f"marks-of-{target.name}"])[f"marks-of-{target.name}"].result(TIMEOUT)


def decide(target: Target, *, commit: bool) -> Any:
    """Let an attempt decide epoch 1, committed or not, and die."""
    with target.sink() as sink:
        sink.recover_and_abort([])
        handle = target.write(sink, range(5))
        if commit:
            assert sink.commit(handle) is CommitOutcome.COMMITTED
    return handle


def lose_mark(target: Target) -> None:
    """Delete the group, as its expiry does."""
    admin: Any = KafkaAdminClient(bootstrap_servers=target.address)
    group = f"{target.name}-0"
    assert admin.delete_groups([group])[group] == "OK"
    admin.close()


def move_mark(target: Target, epoch: int, lineage: str) -> None:
    about = json.dumps({"lineage": lineage, "attempt": 9})
    consumer = Consumer({"bootstrap.servers": target.address, "group.id": f"{target.name}-0"})
    offsets = [TopicPartition(f"marks-of-{target.name}", 0, epoch, about)]
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()


@pytest.mark.parametrize("commit", [False, True])
def test_the_mark_tells(target: Target, commit: bool) -> None:
    """Committed: nothing is written. Not committed: the epoch is written from its log."""
    handle = decide(target, commit=commit)
    with target.sink() as sink:
        outcome = sink.recover_and_commit(handle)
    assert outcome is (CommitOutcome.ALREADY_COMMITTED if commit else CommitOutcome.COMMITTED)
    assert target.visible == [*range(5)]


@pytest.mark.parametrize("loss", ["group", "topic", "lineage"])
@pytest.mark.parametrize("commit", [False, True])
def test_a_lost_mark_is_not_guessed(target: Target, loss: str, commit: bool) -> None:
    """The group expired, the topic was deleted, another lineage wrote: refused, until the user says."""
    handle = decide(target, commit=commit)
    if loss == "group":
        lose_mark(target)
    elif loss == "lineage":
        move_mark(target, 3, "another")
    else:
        topic = f"marks-of-{target.name}"
        admin = AdminClient({"bootstrap.servers": target.address})
        admin.delete_topics([topic])[topic].result(TIMEOUT)
    with target.sink() as sink, pytest.raises(SinkError, match="cannot be determined") as error:
        sink.recover_and_commit(handle)
    assert not error.value.retryable
    assert target.visible == ([*range(5)] if commit else [])
    with target.sink(choices=RecoveryChoices(assume_committed=commit)) as sink:
        sink.recover_and_commit(handle)
        sink.recover_and_abort([handle])
    assert target.visible == [*range(5)]


def test_a_mark_that_is_ahead_is_refused(target: Target) -> None:
    """The checkpoint folder was restored: the epochs after it are visible already."""
    handle = decide(target, commit=True)
    move_mark(target, 4, "verification")
    with target.sink() as sink, pytest.raises(SinkError, match="epoch 4 is committed"):
        sink.recover_and_commit(handle)
    with target.sink() as sink:  # the same once the checkpoint is noted
        sink.restore_state({"type": "kafka", "committed_offset": 1})
        with pytest.raises(SinkError, match="epoch 4 is committed"):
            sink.recover_and_abort([])
    with target.sink(choices=RecoveryChoices(accept_duplicates=True)) as sink:
        sink.restore_state({"type": "kafka", "committed_offset": 1})
        sink.recover_and_abort([])
        assert target.write(sink, range(1))["number"] == 5, "numbers never restart"


def test_after_a_note_the_mark_is_not_needed(target: Target) -> None:
    """What is noted is committed; a new mark is set before the next record."""
    handle = decide(target, commit=True)
    lose_mark(target)
    with target.sink() as sink:
        sink.restore_state({"type": "kafka", "committed_offset": 1})
        sink.recover_and_abort([handle])
        again = target.write(sink, range(5, 7))
    with target.sink() as sink:
        assert sink.recover_and_commit(again) is CommitOutcome.COMMITTED
    assert target.visible == [*range(7)]


def test_declined_epochs_become_one(target: Target) -> None:
    """The younger transaction is aborted, its records are appended to the older's; then it is one commit."""
    with target.sink() as sink:
        driver = TwoPhaseDriver[Any](sink, "kafka")
        driver.begin([])
        ctx = VerificationSinkContext()
        for checkpoint_id in (1, 2, 3, 4):
            values = range(10 * checkpoint_id, 10 * checkpoint_id + 3)
            if checkpoint_id != 3:  # an empty epoch between two declined ones
                sink.invoke_batch(driver.current, values, ctx)
            handles = driver.pre_commit(checkpoint_id)
            assert len(handles) == 1
        assert target.visible == []
        assert driver.commit(4) == []
        assert target.visible == [10, 11, 12, 20, 21, 22, 40, 41, 42]
        sink.invoke_batch(driver.current, [50], ctx)
        (handle,) = driver.pre_commit(5)
        assert handle["number"] == 2
        driver.commit(5)
        driver.close(6)
    assert target.visible[-1] == 50
    assert open_transactions(target.address, target.name) == []


def test_joined_epochs_are_written_again_together(target: Target) -> None:
    """A crash after the decision: both logs are needed, in their order."""
    with target.sink() as sink:
        driver = TwoPhaseDriver[Any](sink, "kafka")
        driver.begin([])
        for checkpoint_id in (1, 2):
            sink.invoke_batch(driver.current, [checkpoint_id], VerificationSinkContext())
            (handle,) = driver.pre_commit(checkpoint_id)
    with target.sink() as sink:
        sink.recover_and_commit(handle)
    assert target.visible == [1, 2]


def test_joined_epochs_count_together_against_the_bound(target: Target) -> None:
    """However many checkpoints are declined, `epoch_max_bytes` bounds what waits for a commit."""
    half = "x" * 300_000
    with target.sink(epoch_max_bytes=1 << 20) as sink:
        driver = TwoPhaseDriver[Any](sink, "kafka")
        driver.begin([])
        for checkpoint_id in (1, 2, 3):
            assert sink.wants_more
            sink.invoke_batch(driver.current, [half, checkpoint_id], VerificationSinkContext())
            driver.pre_commit(checkpoint_id)
        sink.invoke_batch(driver.current, [half], VerificationSinkContext())
        assert not sink.wants_more
        driver.pre_commit(4)
        assert driver.commit(4) == []
        assert sink.wants_more, "what is committed waits no longer"


def test_a_log_that_cannot_be_sealed_changes_nothing(target: Target) -> None:
    """The checkpoint is declined; the epoch continues in the same transaction."""
    with target.sink() as sink:
        driver = TwoPhaseDriver[Any](sink, "kafka")
        driver.begin([])
        ctx = VerificationSinkContext()
        sink.invoke_batch(driver.current, [1], ctx)
        target.logs.refuse_next = CheckpointError("no room")
        with pytest.raises(CheckpointError, match="no room"):
            driver.pre_commit(1)
        sink.invoke_batch(driver.current, [2], ctx)
        driver.pre_commit(2)
        driver.commit(2)
    assert target.visible == [1, 2]


def test_ids_of_an_earlier_configuration_are_fenced_as_well(target: Target) -> None:
    """The handle names them: what they have open would hold up every reader."""
    handle = decide(target, commit=False)
    assert open_transactions(target.address, target.name) != []
    renamed = KafkaSink(target.name, bootstrap_servers=target.address, transactional_id=f"new-{target.name}")
    renamed.open(VerificationSinkContext(attempt=9, logs=target.logs))
    assert renamed.recover_and_commit(handle) is CommitOutcome.COMMITTED
    renamed.recover_and_abort([handle])
    renamed.close()
    assert target.visible == [*range(5)]
    assert open_transactions(target.address, target.name) == []


def test_ids_that_only_the_state_names_are_fenced_as_well(target: Target) -> None:
    """No epoch waits, but what the job left open, under ids that it no longer has, would hold up readers."""
    with target.sink() as sink:
        sink.recover_and_abort([])
        txn = sink.begin_transaction()
        sink.invoke_batch(txn, range(3), VerificationSinkContext())
        sink.flush()
        state = sink.snapshot_state()
    assert open_transactions(target.address, target.name) != []
    renamed = KafkaSink(target.name, bootstrap_servers=target.address, transactional_id=f"new-{target.name}")
    renamed.open(VerificationSinkContext(attempt=9, logs=target.logs))
    renamed.restore_state(state)
    renamed.recover_and_abort([])
    renamed.close()
    assert open_transactions(target.address, target.name) == []
    assert target.visible == []


def test_a_sink_that_was_overtaken_is_fenced(target: Target) -> None:
    """It finds out at its next word with the broker, and asks who is the newest."""
    overtaken = False

    def newest() -> None:
        if overtaken:
            raise Fenced("a newer attempt has taken the job over")

    with target.sink(newest=newest) as zombie:
        zombie.recover_and_abort([])
        txn = zombie.begin_transaction()
        zombie.invoke_batch(txn, range(3), VerificationSinkContext())
        zombie.flush()
        with target.sink() as heir:
            heir.recover_and_abort([])
            overtaken = True
            with pytest.raises(Fenced):
                zombie.pre_commit(txn)
            heir.commit(target.write(heir, range(2)))
    assert target.visible == [0, 1]


def test_a_transaction_that_the_broker_ended_is_retryable(target: Target) -> None:
    """No mark tells of another run, as after the broker's own timeout: the job recovers."""
    with target.sink() as sink:
        sink.recover_and_abort([])
        txn = sink.begin_transaction()
        sink.invoke_batch(txn, range(3), VerificationSinkContext())
        sink.flush()
        fence(target)
        with pytest.raises(SinkError, match="the broker has ended the transaction") as error:
            sink.pre_commit(txn)
    assert error.value.retryable


def fence(target: Target) -> None:
    """End what is open under the ids of a sink, as a broker does after `transaction_timeout`."""
    for id_ in ("a", "b"):
        settings = {"bootstrap.servers": target.address, "log_level": 2}
        Producer({**settings, "transactional.id": f"{target.name}-0-{id_}"}).init_transactions(TIMEOUT)


def test_what_the_client_says_goes_to_standard_logging(target: Target, capfd: Any, caplog: Any) -> None:
    """A line of its own on stderr would break the display of progress."""
    with target.sink() as sink:
        sink.recover_and_abort([])
        txn = sink.begin_transaction()
        sink.invoke_batch(txn, range(3), VerificationSinkContext())
        fence(target)
        with pytest.raises(SinkError):
            sink.pre_commit(txn)
    assert "rdkafka" not in capfd.readouterr().err
    lines = [record.getMessage() for record in caplog.records if record.name == "connectors.kafka.client"]
    assert any("FATAL" in line and "fenced" in line for line in lines)


@pytest.mark.parametrize("copied", [False, True], ids=["another job", "a copy of the folder"])
def test_another_run_with_the_same_ids_is_named(target: Target, copied: bool) -> None:
    """Two jobs of one name in two folders: the one that is fenced says by whom, and does not fence back."""
    lineage = "verification" if copied else "another"
    with target.sink() as sink:
        sink.recover_and_abort([])
        txn = sink.begin_transaction()
        sink.invoke_batch(txn, range(3), VerificationSinkContext())
        sink.flush()
        with target.sink(lineage=lineage, job_name="other") as other:
            other.recover_and_abort([])
            with pytest.raises(SinkError, match="another run has taken over the transactional id") as error:
                sink.pre_commit(txn)
            said = str(error.value)
            assert f"job 'other', process {os.getpid()} on {socket.gethostname()}, started in" in said
            assert "each job on a Kafka cluster needs its own name" in said
            assert not error.value.retryable
            other.commit(target.write(other, range(2)))
    assert target.visible == [0, 1]


def test_a_run_that_takes_over_later_than_it_fences_is_waited_for(target: Target) -> None:
    """Its mark comes some tenths of a second after the victim may have noticed."""
    with target.sink() as sink, target.sink(lineage="another") as other, ThreadPoolExecutor(1) as pool:
        sink.recover_and_abort([])
        txn = sink.begin_transaction()
        sink.invoke_batch(txn, range(3), VerificationSinkContext())
        sink.flush()
        fence(target)
        victim = pool.submit(sink.pre_commit, txn)
        other.recover_and_abort([])
        with pytest.raises(SinkError, match="another run has taken over"):
            victim.result(TIMEOUT)


def test_an_id_is_not_used_while_its_transaction_waits(target: Target, monkeypatch: Any) -> None:
    """With one id for both, planted here, the next epoch would go into the one that is decided."""
    place = writing.Place

    def planted(ids: tuple[str, str], group: str, marks: str) -> writing.Place:
        return place((ids[0], ids[0]), group, marks)

    monkeypatch.setattr(writing, "Place", planted)
    with target.sink() as sink:
        sink.recover_and_abort([])
        target.write(sink, range(3))
        with pytest.raises(SinkError, match="cannot begin a transaction"):
            target.write(sink, range(3))
