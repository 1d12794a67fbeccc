"""Topics that are deleted, or deleted and recreated, while a job works on them.

Covers of FAULTS 1: topic recreated. What a source sees alone is in `test_faults.py`; here whole jobs
fail with a name or continue, and the next run is refused or loses nothing of what follows its checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import KafkaSink, KafkaSource
from pipeline import JobStatus, RestartStrategy
from pipeline.core.errors import SinkError, SourceError
from tests.integration.kafka.conftest import Write
from tests.integration.kafka.readers import open_transactions, read_committed
from tests.integration.kafka.running import AGAIN, EPOCH, ROWS, Numbers, Running
from tests.kafka_broker import TIMEOUT, Topics

Job = Callable[..., Running]


@pytest.fixture
def name(topic: Topics) -> str:
    return topic()


@pytest.fixture
def marks(topic: Topics, name: str) -> Iterator[str]:
    """The topic of the marks, which the jobs make themselves."""
    marks = f"marks-of-{name}"
    yield marks
    topic.admin.delete_topics([marks])[marks].result(TIMEOUT)


@pytest.fixture
def job(kafka: str, name: str, marks: str, tmp_path: Path) -> Job:
    """Starts a job that writes numbers to the topic, or continues where an earlier one ended."""

    def start(**how: Any) -> Running:
        sink = KafkaSink(
            name,
            bootstrap_servers=kafka,
            transactional_id=name,
            marks_topic=marks,
            config={"topic.metadata.propagation.max.ms": 2_000},
        )
        return Running(name, Numbers(), sink, tmp_path, **how)

    return start


def delete(topic: Topics, name: str, *, made_anew: bool) -> None:
    topic.admin.delete_topics([name], operation_timeout=TIMEOUT)[name].result(TIMEOUT)
    if made_anew:
        topic.create(name)


def visible(address: str, topic: str) -> list[int]:
    return [json.loads(value) for value in read_committed(address, topic)]


# --- the topic of the marks ------------------------------------------------------------------------------


@pytest.mark.parametrize("by_itself", [True, False])
def test_without_its_marks_a_job_recovers(
    kafka: str, topic: Topics, name: str, marks: str, job: Job, by_itself: bool
) -> None:
    """All is noted that was committed, so that a restart, or the next run, recreates the marks."""
    running = job(restart=AGAIN if by_itself else RestartStrategy.none())
    running.wait_reached()
    delete(topic, marks, made_anew=False)
    running.go_on()
    if by_itself:
        assert running.join().status is JobStatus.COMPLETED
        (restart,) = running.restarts
        assert f"the topic of the marks, {marks}, was deleted" in restart
    else:
        with pytest.raises(SinkError, match=f"the topic of the marks, {marks}, was deleted"):
            running.join()
        assert job(after=None).join().status is JobStatus.COMPLETED
    assert visible(kafka, name) == [*range(ROWS)]


def test_recreated_marks_are_continued(kafka: str, topic: Topics, name: str, marks: str, job: Job) -> None:
    """The next epoch brings its own mark; none of them is read before."""
    running = job()
    running.wait_reached()
    delete(topic, marks, made_anew=True)
    running.go_on()
    assert running.join().status is JobStatus.COMPLETED
    assert running.restarts == []
    assert visible(kafka, name) == [*range(ROWS)]


# --- the topic that is written to --------------------------------------------------------------------------


@pytest.mark.parametrize("made_anew", [False, True])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_target_that_is_deleted_fails_the_job_by_name(
    kafka: str, topic: Topics, name: str, job: Job, made_anew: bool, fresh: bool
) -> None:
    """Nothing of the torn epoch is seen; the next run has what follows the checkpoint, or everything."""
    running = job()
    running.wait_reached()
    assert visible(kafka, name) == [*range(2 * EPOCH)]
    delete(topic, name, made_anew=made_anew)
    running.go_on()
    what = f"the topic {name} was deleted and created again"
    if not made_anew:  # the client is notified of it, or waits for it until another one is asked
        what = f"write to the topic {name}|the topic {name} was deleted while"
    with pytest.raises(SinkError, match=what) as error:
        running.join()
    assert not error.value.retryable
    assert running.restarts == []
    if made_anew:
        assert visible(kafka, name) == []
    else:
        topic.create(name)
    assert job(after=None, fresh=fresh).join().status is JobStatus.COMPLETED
    first = 0 if fresh else 2 * EPOCH
    assert visible(kafka, name) == [*range(first, ROWS)]
    assert open_transactions(kafka, name) == []


# --- the topic that is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("made_anew", [False, True])
def test_a_source_that_is_deleted_fails_the_job_by_name(
    kafka: str, topic: Topics, write: Write, marks: str, name: str, tmp_path: Path, made_anew: bool
) -> None:
    """The next run is refused as well, until the user says that it is to start over."""
    read = topic()
    write(read, range(ROWS))

    def start(**how: Any) -> Running:
        source = KafkaSource(
            read,
            bootstrap_servers=kafka,
            stop="latest" if "fresh" in how else None,
            discovery_interval=timedelta(milliseconds=50),
        )
        sink = KafkaSink(name, bootstrap_servers=kafka, transactional_id=name, marks_topic=marks)
        return Running(name, source, sink, tmp_path, **how)

    running = start(after=1)
    running.wait_reached()
    delete(topic, read, made_anew=made_anew)
    with pytest.raises(SourceError, match=f"the topic {read} was deleted") as error:
        running.join()
    assert not error.value.retryable
    assert running.restarts == []
    seen = visible(kafka, name)
    assert seen == [*range(len(seen))]
    found = f"{read} was deleted and created again since" if made_anew else f"there is no topic {read}"
    with pytest.raises(SourceError, match=found):
        start().join()
    assert visible(kafka, name) == seen
    if not made_anew:
        topic.create(read)
    write(read, range(10))
    assert start(fresh=True).join().status is JobStatus.COMPLETED
    assert visible(kafka, name) == [*seen, *range(10)]
