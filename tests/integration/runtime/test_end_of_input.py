"""A checkpoint by rows that is taken after the end of an input: a later run does not read it again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import CollectionSource, FileSink, FileSource
from pipeline import JobConfig, JobStatus, SinkError, SourceError, StreamJob
from pipeline.runtime.events import CheckpointCompleted, StatusChanged

pytestmark = pytest.mark.usefixtures("nothing_left")

ROWS = 100


class Moments:
    """Puts the second checkpoint by rows after the end of the input, whichever is faster.

    The first one comes after some records. When it is complete the job's thread waits, and the source
    reads the rest. The end of the input is passed on once the second one has been triggered.
    """

    def __init__(self) -> None:
        self.first_completed = threading.Event()
        self.ending = threading.Event()
        self.second_triggered = threading.Event()
        self.second_completed = threading.Event()
        self._triggered = 0

    def listen(self, event: object) -> None:
        if isinstance(event, StatusChanged) and event.status is JobStatus.CHECKPOINTING:
            self._triggered += 1
            if self._triggered == 2:
                self.second_triggered.set()
        elif isinstance(event, CheckpointCompleted) and self._triggered == 1:
            self.first_completed.set()
            assert self.ending.wait(30)
        elif isinstance(event, CheckpointCompleted):
            self.second_completed.set()


class Waiting:
    """Mixed into a source: reads a part of its input before the first checkpoint, the rest after it."""

    moments: Moments | None = None
    _has_read = False

    def poll(self, demand: int) -> Any:
        if self.moments is not None and self._has_read:
            assert self.moments.first_completed.wait(30)
        parent: Any = super()
        polled = parent.poll(demand)
        self._has_read = self._has_read or bool(polled and polled.values)
        return polled


class WaitingFile(Waiting, FileSource):
    """A file, read in two parts."""


class FailingFile(FileSource):
    """A file that cannot be read any more once the other one is complete."""

    moments: Moments | None = None

    def poll(self, demand: int) -> Any:
        if self.moments is not None:
            assert self.moments.second_completed.wait(30)
            raise SourceError("the other source is done", retryable=False)
        return super().poll(demand)


class WaitingCollection(Waiting, CollectionSource[Any]):
    """A collection, read in two parts."""


class LateFileSink(FileSink):
    """Passes the end of its input on when a checkpoint is under way that began for another reason."""

    moments: Moments | None = None
    dies = False

    def finish(self) -> None:
        super().finish()
        if self.moments is not None:
            self.moments.ending.set()
            assert self.moments.second_triggered.wait(30)

    def commit(self, txn: Any) -> Any:
        outcome = super().commit(txn)
        if self.dies:
            raise SinkError("the commit took effect, and the job knows nothing of it", retryable=False)
        return outcome


def set_up(part: Any, moments: Moments | None, *, dies: bool = False) -> Any:
    part.moments, part.dies = moments, dies
    return part


def config(folder: Path, **settings: Any) -> JobConfig:
    return JobConfig(
        checkpoint_rows=1,
        checkpoint_min_pause=timedelta(0),
        checkpoint_dir=folder / "checkpoints",
        source_batch_size=10,
        **settings,
    )


def kinds(folder: Path, job: str) -> list[str]:
    """Why each stored checkpoint was taken."""
    paths = sorted((folder / "checkpoints" / job / "manifests").iterdir())
    return [json.loads(path.read_text())["kind"] for path in paths]


def write(path: Path, numbers: range) -> None:
    path.write_text("n\n" + "".join(f"{n}\n" for n in numbers))


def read(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().splitlines()[1:]]


@pytest.mark.parametrize(
    "then",
    [
        pytest.param(lambda path: path.rename(path.with_name("gone")), id="input moved away"),
        pytest.param(lambda path: path.write_text(path.read_text() + "7\n"), id="input appended"),
        pytest.param(lambda path: None, id="input as it was"),
    ],
)
def test_a_run_that_died_in_the_commit_of_all_it_read_is_complete(
    then: Callable[[Path], Any], tmp_path: Path
) -> None:
    """As docs/checkpoints.md says: its output is in place, and nothing is read."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    write(source, range(ROWS))

    def job(moments: Moments | None = None, *, dies: bool = False) -> StreamJob:
        job = StreamJob("copy", config(tmp_path))
        rows = job.source(set_up(WaitingFile(source), moments), uid="in")
        rows.sink(set_up(LateFileSink(target), moments, dies=dies), uid="out")
        return job

    moments = Moments()
    with pytest.raises(SinkError, match="the job knows nothing of it"):
        job(moments, dies=True).execute(listeners=[moments.listen])
    assert kinds(tmp_path, "copy") == ["PERIODIC", "PERIODIC"]
    assert read(target) == list(range(ROWS))

    then(source)
    result = job().execute()
    assert (result.status, result.processed_records, result.written_records) == (
        JobStatus.COMPLETED,
        ROWS,
        ROWS,
    )
    assert read(target) == list(range(ROWS))

    write(source, range(5))
    assert job().execute().processed_records == 5
    assert read(target) == list(range(5))


def test_a_source_that_is_gone_with_its_process_is_complete_as_well(tmp_path: Path) -> None:
    target, moments = tmp_path / "out.csv", Moments()

    def job(count: int, moments: Moments | None, *, dies: bool) -> StreamJob:
        job = StreamJob("copy", config(tmp_path))
        rows = job.source(set_up(WaitingCollection([{"n": n} for n in range(count)]), moments))
        rows.sink(set_up(LateFileSink(target), moments, dies=dies))
        return job

    with pytest.raises(SinkError):
        job(ROWS, moments, dies=True).execute(listeners=[moments.listen])
    assert job(5, None, dies=False).execute().processed_records == ROWS
    assert read(target) == list(range(ROWS))


def test_of_two_sources_only_the_one_that_has_not_ended_is_read_again(tmp_path: Path) -> None:
    """The output of the other is complete, and would take nothing more."""
    ended, going = tmp_path / "ended.csv", tmp_path / "going.csv"
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    write(ended, range(ROWS))
    write(going, range(ROWS))

    def job(moments: Moments | None) -> StreamJob:
        job = StreamJob("two", config(tmp_path))
        rows = job.source(set_up(WaitingFile(ended), moments), uid="a")
        rows.sink(set_up(LateFileSink(first), moments), uid="first")
        job.source(set_up(FailingFile(going), moments), uid="b").sink(FileSink(second), uid="second")
        return job

    moments = Moments()
    with pytest.raises(SourceError, match="the other source is done"):
        job(moments).execute(listeners=[moments.listen])
    assert "FINAL" not in kinds(tmp_path, "two")
    assert read(first) == list(range(ROWS))
    ended.unlink()
    result = job(None).execute()
    assert (read(first), read(second)) == (list(range(ROWS)), list(range(ROWS)))
    assert result.written_by_sink == {"first": ROWS, "second": ROWS}
