"""A source in its own thread: emits under demand, lets barriers pass whatever it waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from checkpoint.barrier import Barrier, CheckpointKind
from pipeline.core.clock import Clock
from pipeline.core.elements import END_OF_INPUT, TimeElement
from pipeline.core.errors import InternalError, PipelineError, SourceError
from pipeline.core.faults import faultpoint
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy
from pipeline.core.raised import connector_error, describe
from pipeline.core.records import FAILED_RECORDS_KEPT, Batch, DeadLetter, FailedRecord, Origin
from pipeline.core.waits import Waits
from pipeline.operators.timestamps import Timestamps
from pipeline.reactive.demand import BatchBound
from pipeline.reactive.producer import Interrupted
from pipeline.runtime.checkpoint_lock import BarrierThread, LockScope
from pipeline.runtime.contexts import VertexContext
from pipeline.runtime.events import InputEnded, RowsDue
from pipeline.runtime.result import EventTimeProgress
from pipeline.runtime.snapshot import OperatorSnapshot, Participant
from pipeline.runtime.source_time import SourceTime
from pipeline.runtime.subtask import HostedOperator, Post, Store, Subtask
from pipeline.spi.source import Source
from pipeline.windows.watermarks import WatermarkStrategy

R = TypeVar("R")


class SourceSubtask(Subtask):
    """Runs `Source.run` and is its context.

    Emission and position change together under the checkpoint lock. A barrier is performed under
    the same lock by whichever thread gets there first: the source's own, when it leaves the lock,
    or the barrier thread, while the source waits for demand or for input. So a busy source is
    never starved of barriers by the unfairness of locks, and a blocked one holds none up.

    Args:
        uid: of the source.
        source: this attempt's copy.
        rows: emitted records after which a checkpoint is due; None for never.
        batch_limit: the most records to read at once; None adapts to how long they take.
        watermarks: how it tells event time; None where nothing wants to know.

    Attributes:
        estimate: about how many records there are in all; None where unknown.
        restored: whether it has been given a position.
    """

    def __init__(
        self,
        participant: Participant,
        ctx: VertexContext,
        operators: Sequence[HostedOperator],
        post: Post,
        store: Store,
        *,
        uid: str,
        source: Source[Any],
        rows: int | None,
        batch_limit: int | None,
        watermarks: WatermarkStrategy | None = None,
    ) -> None:
        super().__init__(participant, ctx, operators, post, store, f"{ctx.job_name}/{uid}")
        self._uid = uid
        self._source = source
        self._rows = rows
        self._batch_limit = batch_limit
        self._batch_bound = BatchBound()
        self._waits = Waits(ctx.clock)
        self._lock = threading.Lock()
        self.checkpoint_lock = LockScope(self._lock, self._settle)
        self.estimate: int | None = None
        self.restored = False
        self._emitted = 0
        self._emitted_at_barrier = 0
        self._rows_posted = False
        self._stopping = False
        self._input_ended = False
        self._finished = False
        self._broken = False  # a batch is out in part: no barrier may pass behind it
        self._is_open = False
        self._barriers = BarrierThread(self, f"{ctx.job_name}/{uid}/barriers", ctx.clock)
        self._time: SourceTime | None = None
        if watermarks is not None:
            self._time = SourceTime(
                watermarks,
                uid,
                Timestamps(watermarks, uid, ctx, ctx.clock),
                ctx.clock,
                self._barriers.wake,
                confirms_silence=source.info.confirms_silence,
            )
        self._idleness = None if self._time is None else self._time.idleness

    # --- lifecycle: the job's thread --------------------------------------------------------------

    def open(self) -> None:
        """Open the source."""
        self._is_open = True
        self._call(self._source.open, self)
        self.estimate = self._call(self._source.estimated_records)

    @property
    def remarks(self) -> Sequence[str]:
        """What a person should hear about the input."""
        return self._source.remarks

    def record_fields(self) -> Sequence[str] | None:
        """Ask which fields its records have; None where nothing is open."""
        return self._call(self._source.record_fields) if self._is_open else None

    def restore(self, position: Any) -> None:
        """Go to a position."""
        self._call(self._source.restore_state, position)
        self.restored = position is not None

    def find_start(self) -> Any:
        """Return where a fresh start begins, None where that is found again at any time."""
        return self._call(self._source.find_start)

    def restore_time(self, state: Any) -> None:
        """Continue with the event time of a snapshot, if both then and now something wants to know it."""
        if self._time is not None and state is not None:
            self._time.restore(state)

    def start(self) -> None:
        self._barriers.start()
        super().start()

    def inject(self, barrier: Barrier) -> None:
        """Have a barrier performed at the next moment at which the position is settled."""
        self._barriers.put(barrier)

    def abandon(self, checkpoint_id: int) -> None:
        self._barriers.abandon(checkpoint_id)

    def finish(self) -> None:
        """Let the stream complete after the last checkpoint."""
        with self.producer.condition:
            self._finished = True
            self.producer.condition.notify_all()

    def cancel(self) -> None:
        super().cancel()
        self._waits.cancel()
        self._source.cancel()
        self._barriers.stop()

    def join(self, timeout: timedelta) -> bool:
        self._barriers.stop()
        return super().join(timeout) and self._barriers.join(timeout)

    def committed(self, checkpoint_id: int) -> None:
        """Tell the source that an epoch is committed."""
        self._call(self._source.checkpoint_committed, checkpoint_id)

    def close(self) -> None:
        """Close the source."""
        if self._is_open:
            self._is_open = False
            self._call(self._source.close)

    @property
    def processed(self) -> int:
        return self._emitted

    @property
    def input_ended(self) -> bool:
        return self._input_ended

    @property
    def event_time(self) -> EventTimeProgress | None:
        """How far its event time has come; None where nothing wants to know."""
        return None if self._time is None else self._time.progress()

    # --- SourceContext -----------------------------------------------------------------------------

    @property
    def job_name(self) -> str:
        return self.ctx.job_name

    @property
    def uid(self) -> str:
        return self._uid

    @property
    def clock(self) -> Clock:
        return self.ctx.clock

    @property
    def batch_limit(self) -> int:
        return self._batch_limit or self._batch_bound.value

    @property
    def cancelled(self) -> bool:
        return self.producer.cancelled or self._stopping

    def wait_demand(self) -> int:
        producer = self.producer
        if not (producer.requested > 0 or self._stopping):
            if self._idleness is not None:
                self._idleness.rest()
            producer.wait_until(lambda: producer.requested > 0 or self._stopping)
        if self._idleness is not None:
            self._idleness.look()
        return 0 if self.cancelled else producer.requested

    def wait(self, timeout: timedelta) -> bool:
        return self._waits.wait(timeout)

    def emit(
        self,
        values: Sequence[Any],
        timestamps: Sequence[int] | None = None,
        origins: Sequence[Origin] | None = None,
        *,
        split: str = "",
    ) -> None:
        if self.cancelled:
            raise Interrupted
        self._require_lock("emitted")
        if not values:
            return
        self._emitted += len(values)
        if self._idleness is not None:
            self._idleness.rest()
        started = time.perf_counter()
        if self._time is None:
            self._hand_on(Batch(values, None, origins))
        else:
            for element in self._time.stamped(Batch(values, timestamps, origins), split):
                self._hand_on(element)
        self._batch_bound.observe(len(values), time.perf_counter() - started)
        faultpoint("P0")
        if self._rows is not None:
            self._count_rows(self._rows)

    def reject(self, value: object, error: SourceError, origin: Origin, policy: ErrorPolicy) -> None:
        if self.cancelled:
            raise Interrupted
        if policy.kind == "fail":
            raise error
        letter = DeadLetter(value, error.message, self._uid, type(self._source).__name__, origin)
        if policy.kind == "dead_letter":
            self.ctx.side_output(policy.tag or DEAD_LETTERS, [letter])
        sampled = sum(record.operator == self._uid for record in self.ctx.failed_records)
        self.ctx.count_failed(1, [FailedRecord.of(letter)] if sampled < FAILED_RECORDS_KEPT else ())
        self._emitted += 1

    def declare_splits(self, splits: Sequence[str]) -> None:
        self._require_lock("declared splits")
        if self._time is not None:
            self._tell(self._time.declare(splits))

    def end_splits(self, splits: Sequence[str]) -> None:
        self._require_lock("ended splits")
        if self._time is not None:
            self._tell(self._time.end(splits))

    def silent_splits(self) -> Sequence[str]:
        return () if self._time is None else self._time.silent()

    def settle_silence(self, split: str, *, pending: bool) -> None:
        self._require_lock("settled a silence")
        if self._time is not None:
            self._tell(self._time.settle_silence(split, pending=pending))

    def _require_lock(self, what: str) -> None:
        if not self._lock.locked():
            raise InternalError(f"{self._uid} {what} without holding ctx.checkpoint_lock")

    def _tell(self, elements: Sequence[TimeElement]) -> None:
        for element in elements:
            self._hand_on(element)

    def _hand_on(self, element: Batch[Any] | TimeElement) -> None:
        """Run the chain; what is no error of a known kind is a defect of the engine, not of the source."""
        try:
            if isinstance(element, Batch):
                self.producer.next_batch(element)
            else:
                self.producer.control(element)
        except BaseException as error:
            self._broken = True
            if isinstance(error, PipelineError) or not isinstance(error, Exception):
                raise
            raise InternalError(
                f"the chain behind {self._uid} broke: {describe(error)}",
                hint="please report it with the traceback",
            ) from error

    def _count_rows(self, due: int) -> None:
        if self._emitted - self._emitted_at_barrier >= due and not self._rows_posted:
            self._rows_posted = True
            self.post(RowsDue(self.participant, self._emitted))

    # --- the thread ---------------------------------------------------------------------------------

    def open_functions(self) -> None:
        # The barrier thread may let event time move on, and what that fires must find them open.
        with self._lock:
            super().open_functions()

    def run(self) -> None:
        try:
            if self._time is not None:
                with self.checkpoint_lock:
                    self._tell(self._time.now())
                self._barriers.wake()
            self._call(self._source.run, self)
        except Interrupted:
            if self.producer.cancelled:
                return
        if not self.cancelled:
            with self.checkpoint_lock:
                self._input_ended = True
                self.producer.control(END_OF_INPUT)
            self.post(InputEnded(self.participant))
        self.producer.wait_until(lambda: self._finished)

    def _call(self, function: Callable[..., R], *arguments: Any) -> R:
        try:
            return function(*arguments)
        except PipelineError as error:
            error.located(job=self.job_name, operator=self._uid)
            raise
        except Exception as error:
            if self.producer.cancelled:
                raise Interrupted from error
            raise connector_error(SourceError, self._source, error).located(
                job=self.job_name, operator=self._uid
            ) from error

    # --- barriers -------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """See to it that all that was emitted is out, then let a barrier pass; holds the checkpoint lock.

        Held records are waited for without the lock: the position is behind them already, so no
        barrier may pass before they are out.
        """
        fused = self.fused
        while fused.suspended:
            self._lock.release()
            try:
                alive = self.producer.wait_until(lambda: fused.resumable)
            finally:
                self._lock.acquire()
            if not alive:
                raise Interrupted
            fused.resume()
        barrier = self._barriers.take()
        if barrier is not None:
            self._perform(barrier)

    def perform_if_settled(self) -> int | None:
        """Perform a due barrier from the barrier thread, unless the source's own thread must."""
        with self._lock:
            if self.fused.suspended or self.producer.cancelled or self._broken:
                return None
            if self._time is not None and not (self._input_ended or self._stopping):
                self._tell(self._time.fall_idle())
            barrier = self._barriers.take()
            if barrier is not None:
                self._perform(barrier)
            return None if self._time is None else self._time.left_ms()

    def _perform(self, barrier: Barrier) -> None:
        self._emitted_at_barrier = self._emitted
        self._rows_posted = False
        self.take_snapshot(barrier, {self._uid: self._source.snapshot_state()}, self._time_snapshot())
        faultpoint("P1")
        if barrier.kind is CheckpointKind.STOP:
            self._stop_reading()

    def _time_snapshot(self) -> list[OperatorSnapshot]:
        if self._time is None:
            return []
        return [OperatorSnapshot(self._uid, self.ctx.subtask, None, self._time.snapshot())]

    def _stop_reading(self) -> None:
        """Emit nothing behind a STOP barrier: what follows belongs to the next run."""
        self._stopping = True
        self.producer.wake()
        self._waits.cancel()
        self._source.cancel()
