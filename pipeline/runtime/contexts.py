"""What a chain, an operator and a sink get from the engine while they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from pipeline.core.clock import Clock
from pipeline.core.counts import FAILED
from pipeline.core.errors import InternalError
from pipeline.core.policy import SideTag
from pipeline.core.records import FailedRecord
from pipeline.core.waits import Waits
from pipeline.operators.timers import OperatorTimers
from pipeline.reactive.producer import Interrupted
from pipeline.runtime.epoch_logs import SinkLog, SinkLogs
from pipeline.runtime.event_loop import SubtaskLoop
from pipeline.runtime.fanout import SideOutput
from pipeline.spi.operator import Timers
from pipeline.spi.sink import RecoveryChoices
from state.backend import KeyedStateBackend

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Identity:
    """Which part of which run something belongs to.

    Args:
        lineage: changes when a job starts over, so that what an earlier life left is not taken for ours.
        attempt: larger for every later start of the job.
    """

    job_name: str
    lineage: str
    attempt: int


class VertexContext:
    """Serves one subtask: side outputs, the failed count, waits, its event loop."""

    def __init__(self, identity: Identity, subtask: int, parallelism: int, clock: Clock) -> None:
        self.identity = identity
        self.subtask = subtask
        self.parallelism = parallelism
        self.clock = clock
        self.counters: Counter[str] = Counter()
        self.failed_records: list[FailedRecord] = []
        self.send_side: Callable[[SideOutput, Sequence[Any]], None] | None = None
        self.waits = Waits(clock)
        self.loop = SubtaskLoop()

    @property
    def job_name(self) -> str:
        return self.identity.job_name

    def side_output(self, tag: SideTag, values: Sequence[Any]) -> None:
        """Send dead letters of a step, which name the operator that wrote them."""
        if values:
            self.send(SideOutput(values[0].operator, tag), values)

    def send(self, side: SideOutput, values: Sequence[Any]) -> None:
        """Send records to a side output."""
        if self.send_side is None:
            raise InternalError(f"side output {side.tag.name!r} of {side.writer} has no reader")
        self.send_side(side, values)

    def count_failed(self, records: int, samples: Sequence[FailedRecord] = ()) -> None:
        self.counters[FAILED] += records
        self.failed_records.extend(samples)

    def count(self, name: str, records: int) -> None:
        """Add to a counter."""
        self.counters[name] += records

    def pause(self, delay: timedelta) -> None:
        """Wait for `delay`.

        Raises:
            Interrupted: `cancel` has ended it, now or before.
        """
        if not self.waits.wait(delay):
            raise Interrupted

    def run_async(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine on this vertex's own event loop, on its own thread.

        Raises:
            Interrupted: `cancel` has ended it.
        """
        return self.loop.run(coroutine)

    def cancel(self) -> None:
        """End what the vertex's thread awaits and all waits, now or later; any thread."""
        self.waits.cancel()
        self.loop.cancel()


@dataclass(frozen=True, slots=True)
class RunningOperatorContext:
    """`OperatorContext` of one operator of a vertex."""

    vertex: VertexContext
    uid: str
    backend: KeyedStateBackend | None
    event_time: bool
    timers: OperatorTimers = field(default_factory=OperatorTimers)

    @property
    def job_name(self) -> str:
        return self.vertex.job_name

    @property
    def subtask(self) -> int:
        return self.vertex.subtask

    @property
    def parallelism(self) -> int:
        return self.vertex.parallelism

    @property
    def clock(self) -> Clock:
        return self.vertex.clock

    @property
    def keyed_state(self) -> KeyedStateBackend:
        if self.backend is None:
            raise InternalError(f"{self.uid} requests keyed state but is not downstream of a key_by")
        return self.backend

    @property
    def event_timers(self) -> Timers:
        return self.timers.event

    @property
    def wall_timers(self) -> Timers:
        return self.timers.wall

    def side_output(self, tag: SideTag, values: Sequence[Any]) -> None:
        self.vertex.send(SideOutput(self.uid, tag), values)

    def count_failed(self, records: int, samples: Sequence[FailedRecord] = ()) -> None:
        self.vertex.count_failed(records, samples)

    def count(self, name: str, records: int) -> None:
        self.vertex.count(name, records)

    def pause(self, delay: timedelta) -> None:
        self.vertex.pause(delay)


@dataclass(frozen=True, slots=True)
class RunningSinkContext:
    """`SinkContext` of one subtask of a sink.

    Args:
        vertex: serves the subtask.
        logs: its epoch logs.
        check_newest: raises `Fenced` if a newer attempt was claimed.
        find_fields: asks the sources which fields its records have.
    """

    vertex: VertexContext
    uid: str
    logs: SinkLogs
    checkpoint_interval: timedelta | None
    choices: RecoveryChoices
    check_newest: Callable[[], None]
    find_fields: Callable[[], Sequence[str] | None]

    def open_log(self) -> SinkLog:
        return self.logs.open()

    def read_log(self, name: str) -> Iterator[bytes]:
        return self.logs.read(name)

    def ensure_newest(self) -> None:
        self.check_newest()

    @property
    def fields(self) -> Sequence[str] | None:
        return self.find_fields()

    def wait(self, timeout: timedelta) -> bool:
        return self.vertex.waits.wait(timeout)

    @property
    def clock(self) -> Clock:
        return self.vertex.clock

    @property
    def job_name(self) -> str:
        return self.vertex.job_name

    @property
    def subtask(self) -> int:
        return self.vertex.subtask

    @property
    def parallelism(self) -> int:
        return self.vertex.parallelism

    @property
    def lineage(self) -> str:
        return self.vertex.identity.lineage

    @property
    def attempt(self) -> int:
        return self.vertex.identity.attempt
