"""A source in its thread: when a barrier may pass, and when none may."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from checkpoint.barrier import Barrier, CheckpointKind
from pipeline.core.elements import END_OF_INPUT, Watermark
from pipeline.core.errors import UserFunctionError
from pipeline.core.job import JobMode
from pipeline.reactive.producer import Interrupted
from pipeline.runtime.contexts import Identity, VertexContext
from pipeline.runtime.events import Acknowledged, InputEnded, RowsDue, SubtaskFailed, TaskEvent
from pipeline.runtime.fused import fuse
from pipeline.runtime.snapshot import Participant
from pipeline.runtime.source_subtask import SourceSubtask
from pipeline.spi.source import Source, SourceContext, SourceInfo
from pipeline.testing import ManualClock
from pipeline.windows.watermarks import WatermarkStrategy
from tests.unit.pipeline.runtime.stage import Consumer, FakeChain

BARRIER = Barrier(1, CheckpointKind.PERIODIC)
STOP = Barrier(1, CheckpointKind.STOP)
PATIENCE_S = 20


class Scripted(Source[int]):
    """Runs what the test says."""

    def __init__(self, script: Callable[[SourceContext[int]], None]) -> None:
        self._script = script

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("scripted", "test", JobMode.STREAMING)

    def run(self, ctx: SourceContext[int], /) -> None:
        self._script(ctx)

    def snapshot_state(self) -> int:
        return 0

    def restore_state(self, state: Any, /) -> None:
        raise AssertionError("nothing is restored")


class Stage:
    """One source subtask, its chain and a consumer, driven by the test."""

    def __init__(
        self,
        script: Callable[[SourceContext[int]], None],
        chain: FakeChain,
        watermarks: WatermarkStrategy | None = None,
        rows: int | None = None,
        consumer: Counting | None = None,
    ) -> None:
        self.consumer = consumer or Counting()
        self.changed = threading.Condition()
        self.events: list[TaskEvent] = []
        ctx = VertexContext(Identity("job", "lineage", 1), 0, 1, ManualClock())
        self.subtask = SourceSubtask(
            Participant("Source", 0),
            ctx,
            [],
            self._post,
            lambda checkpoint_id, snapshot: self._post(Acknowledged(checkpoint_id, snapshot)),
            uid="in",
            source=Scripted(script),
            rows=rows,
            batch_limit=None,
            watermarks=watermarks,
        )
        self.subtask.wire(fuse(chain, self.consumer))

    def wait_for(self, kind: type[TaskEvent]) -> TaskEvent:
        with self.changed:
            found = lambda: next((event for event in self.events if isinstance(event, kind)), None)  # noqa: E731
            assert self.changed.wait_for(found, PATIENCE_S), f"no {kind.__name__}: {self.events}"
            event = found()
            assert event is not None
            return event

    def end(self) -> None:
        self.subtask.cancel()
        assert self.subtask.join(timedelta(seconds=PATIENCE_S))

    def _post(self, event: TaskEvent) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()


class Counting(Consumer):
    """A consumer on another thread than the test, which waits for what it has heard."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def wait_heard(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.heard) >= count, PATIENCE_S), self.heard

    def on_next_batch(self, values: Any) -> None:
        super().on_next_batch(values)
        self._notify()

    def on_control(self, element: object) -> None:
        super().on_control(element)
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


def test_a_barrier_waits_for_every_output_of_a_record_however_slowly_they_are_asked_for() -> None:
    """A flat_map before a slow sink is suspended again after each of them."""

    def script(ctx: SourceContext[int]) -> None:
        assert ctx.wait_demand()
        with ctx.checkpoint_lock:
            ctx.emit([1])
        ctx.wait_demand()

    stage = Stage(script, FakeChain(lambda value: [value] * 5, expands=True))
    stage.subtask.start()
    for count in range(1, 5):
        stage.consumer.request(1)
        stage.consumer.wait_heard(count)
        if count == 1:
            stage.subtask.inject(BARRIER)
        assert stage.subtask.perform_if_settled() is None
        assert stage.events == []  # its position is after all of them
    stage.consumer.request(1)
    stage.wait_for(Acknowledged)
    assert stage.consumer.heard == [1, 1, 1, 1, 1, BARRIER]
    stage.end()


def test_no_barrier_passes_after_a_batch_that_is_out_in_part() -> None:
    """The position is before all of it: the part that is out would come a second time."""
    failed, go_on = threading.Event(), threading.Event()

    def script(ctx: SourceContext[int]) -> None:
        assert ctx.wait_demand()
        try:
            with ctx.checkpoint_lock:
                ctx.emit([1, 2])
        finally:
            failed.set()  # as one that tidies up before its error is known
            assert go_on.wait(PATIENCE_S)

    def refuse_two(value: int) -> list[int]:
        if value == 2:
            raise UserFunctionError("two is refused")
        return [value]

    strategy = WatermarkStrategy.monotonic(timestamp=int).emit_every(1)
    stage = Stage(script, FakeChain(refuse_two, expands=False), strategy)
    stage.consumer.request(10)
    stage.subtask.start()
    assert failed.wait(PATIENCE_S)
    stage.subtask.inject(BARRIER)
    assert stage.subtask.perform_if_settled() is None
    assert stage.consumer.heard == [1, Watermark(0)]
    go_on.set()
    stage.wait_for(SubtaskFailed)
    stage.end()
    assert not any(isinstance(event, Acknowledged) for event in stage.events)


@pytest.mark.parametrize("what", ["declared splits", "ended splits", "settled a silence"])
def test_splits_change_under_the_checkpoint_lock_only(what: str) -> None:
    """So that a snapshot sees a position and an event time of one instant."""

    def script(ctx: SourceContext[int]) -> None:
        match what:
            case "declared splits":
                ctx.declare_splits(["a"])
            case "ended splits":
                ctx.end_splits(["a"])
            case _:
                ctx.settle_silence("a", pending=True)

    stage = Stage(script, FakeChain(lambda value: [value], expands=False))
    stage.subtask.start()
    failed = stage.wait_for(SubtaskFailed)
    assert isinstance(failed, SubtaskFailed)
    assert f"in {what} without holding ctx.checkpoint_lock" in str(failed.error)
    stage.end()


def test_rows_count_from_one_barrier_to_the_next() -> None:
    """Else each batch after the first checkpoint would bring another one about."""
    emitted, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def script(ctx: SourceContext[int]) -> None:
        while ctx.wait_demand():
            assert go_on.acquire(timeout=PATIENCE_S)
            if ctx.cancelled:
                return
            with ctx.checkpoint_lock:
                ctx.emit([1] * 5)
            emitted.release()

    stage = Stage(script, FakeChain(lambda value: [value], expands=False), rows=10)
    stage.consumer.request(100)
    stage.subtask.start()
    due: list[int] = []
    for number in range(1, 7):
        go_on.release()
        assert emitted.acquire(timeout=PATIENCE_S)
        due.append(sum(isinstance(event, RowsDue) for event in stage.events))
        if number == 3:
            stage.subtask.inject(BARRIER)
            stage.wait_for(Acknowledged)
    assert due == [0, 1, 1, 1, 2, 2]
    go_on.release()
    stage.end()


@pytest.mark.parametrize("stopped", [True, False])
def test_a_wait_of_the_source_ends_with_its_attempt(stopped: bool) -> None:
    """By the barrier after which it reads nothing more, and by a cancel; no clock moves here."""
    waited: list[bool] = []

    def script(ctx: SourceContext[int]) -> None:
        waited.append(ctx.wait(timedelta(hours=1)))
        waited.append(ctx.cancelled)

    stage = Stage(script, FakeChain(lambda value: [value], expands=False))
    stage.subtask.start()
    clock = stage.subtask.clock
    assert isinstance(clock, ManualClock)
    clock.await_waiters()
    if stopped:
        stage.subtask.inject(Barrier(1, CheckpointKind.STOP))
        stage.wait_for(Acknowledged)
    stage.end()
    assert waited == [False, True]


def test_no_barrier_passes_after_an_end_of_the_input_that_is_out_in_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What operators had held back is: a checkpoint would count the input as ended, and lose the rest."""
    closing, go_on = threading.Event(), threading.Event()

    class Failing(Counting):
        def on_control(self, element: object) -> None:
            super().on_control(element)
            if element is END_OF_INPUT:
                raise UserFunctionError("the last window is refused")

    def close(cause: BaseException | None) -> None:
        closing.set()  # the thread has left the checkpoint lock, and its end takes its time
        assert go_on.wait(PATIENCE_S)

    stage = Stage(lambda ctx: None, FakeChain(lambda value: [value], expands=False), consumer=Failing())
    monkeypatch.setattr(stage.subtask.functions, "close", close)
    stage.subtask.start()
    assert closing.wait(PATIENCE_S)
    stage.subtask.inject(BARRIER)
    assert stage.subtask.perform_if_settled() is None
    go_on.set()
    stage.wait_for(SubtaskFailed)
    stage.end()
    assert not any(isinstance(event, Acknowledged) for event in stage.events)
    assert stage.consumer.heard == [END_OF_INPUT]


def test_a_failure_of_the_chain_that_a_source_swallows_fails_the_job() -> None:
    """The records are lost, and the source would continue as if they were not."""

    def script(ctx: SourceContext[int]) -> None:
        assert ctx.wait_demand()
        with ctx.checkpoint_lock, suppress(Exception):
            ctx.emit([1])

    def refuse(value: int) -> list[int]:
        raise UserFunctionError(f"{value} is refused")

    stage = Stage(script, FakeChain(refuse, expands=False))
    stage.consumer.request(10)
    stage.subtask.start()
    stage.subtask.inject(BARRIER)
    failed = stage.wait_for(SubtaskFailed)
    assert isinstance(failed, SubtaskFailed)
    assert "1 is refused" in str(failed.error)
    stage.end()


def test_an_input_that_ends_just_after_the_barrier_of_a_stop_does_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next run finds its end; downstream nothing comes after that barrier."""
    returning, go_on, settled = threading.Event(), threading.Event(), threading.Event()

    def script(ctx: SourceContext[int]) -> None:
        returning.set()
        assert go_on.wait(PATIENCE_S)

    stage = Stage(script, FakeChain(lambda value: [value], expands=False))
    stage.subtask.start()
    assert returning.wait(PATIENCE_S)
    stage.subtask.inject(STOP)
    stage.wait_for(Acknowledged)
    wait_until = stage.subtask.producer.wait_until

    def wait_for_the_end(ready: Callable[[], bool]) -> bool:
        settled.set()
        return wait_until(ready)

    monkeypatch.setattr(stage.subtask.producer, "wait_until", wait_for_the_end)
    go_on.set()
    assert settled.wait(PATIENCE_S)
    stage.end()
    assert not any(isinstance(event, InputEnded) for event in stage.events)
    assert stage.consumer.heard == [STOP]


def test_a_stop_that_is_tried_again_passes_once_more() -> None:
    """With the same position: nothing was emitted in between."""

    def script(ctx: SourceContext[int]) -> None:
        ctx.wait(timedelta(hours=1))

    stage = Stage(script, FakeChain(lambda value: [value], expands=False))
    stage.subtask.start()
    again = Barrier(2, CheckpointKind.STOP)
    for barrier in (STOP, again):
        stage.subtask.inject(barrier)
        stage.consumer.wait_heard(barrier.checkpoint_id)
    stage.end()
    assert stage.consumer.heard == [STOP, again]


def test_a_stop_for_the_other_sources_leaves_an_input_ended() -> None:
    """And its snapshot says so, so that the next run does not read it again."""
    stage = Stage(lambda ctx: None, FakeChain(lambda value: [value], expands=False))
    stage.subtask.start()
    stage.wait_for(InputEnded)
    stage.subtask.inject(STOP)
    acknowledged = stage.wait_for(Acknowledged)
    assert isinstance(acknowledged, Acknowledged)
    assert acknowledged.snapshot.input_ended
    assert stage.subtask.input_ended
    stage.end()


def test_a_source_that_goes_on_after_the_barrier_of_a_stop_is_unwound() -> None:
    """By its next word, whatever that is: event time does not advance either."""
    unwound: list[str] = []

    def script(ctx: SourceContext[int]) -> None:
        ctx.wait(timedelta(hours=1))
        try:
            with ctx.checkpoint_lock:
                ctx.end_splits(["a"])
        except Interrupted:
            unwound.append("interrupted")
            raise

    stage = Stage(script, FakeChain(lambda value: [value], expands=False))
    stage.subtask.start()
    stage.subtask.inject(STOP)
    stage.wait_for(Acknowledged)
    stage.end()
    assert unwound == ["interrupted"]
