"""A source in its own thread: emits under demand, lets barriers pass whatever it waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from checkpoint.barrier import Barrier, CheckpointKind
from pipeline.core.clock import Clock
from pipeline.core.elements import END_OF_INPUT, EndOfInput, TimeElement
from pipeline.core.errors import InternalError, PipelineError, SourceError
from pipeline.core.faults import faultpoint
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy
from pipeline.core.raised import describe
from pipeline.core.records import FAILED_RECORDS_KEPT, Batch, DeadLetter, FailedRecord, Origin
from pipeline.core.waits import Waits
from pipeline.operators.timestamps import Timestamps
from pipeline.reactive.demand import BatchBound
from pipeline.reactive.producer import Interrupted
from pipeline.runtime.checkpoint_lock import BarrierThread, LockScope
from pipeline.runtime.contexts import VertexContext
from pipeline.runtime.emitted_rows import EmittedRows
from pipeline.runtime.events import InputEnded, RowsDue
from pipeline.runtime.opened_source import OpenedSource
from pipeline.runtime.result import EventTimeProgress
from pipeline.runtime.snapshot import OperatorSnapshot, Participant
from pipeline.runtime.source_life import SourceEvent, SourceLife, SourceState
from pipeline.runtime.source_time import SourceTime
from pipeline.runtime.subtask import HostedOperator, Post, Store, Subtask
from pipeline.spi.source import Source
from pipeline.windows.watermarks import WatermarkStrategy


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
        opened: the source as the engine calls it.
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
        self.opened = OpenedSource(source, uid, ctx.job_name)
        self._life = SourceLife(uid)
        self._rows = EmittedRows(rows)
        self._batch_limit = batch_limit
        self._batch_bound = BatchBound()
        self._waits = Waits(ctx.clock)
        self._lock = threading.Lock()
        self.checkpoint_lock = LockScope(self._lock, self._settle)
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

    # --- lifecycle: the job's thread --------------------------------------------------------------

    def open(self) -> None:
        """Open the source."""
        self.opened.open(self)

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
        self._life.happens(SourceEvent.FINISH)
        self.producer.wake()

    def cancel(self) -> None:
        self._life.happens(SourceEvent.CANCEL)
        super().cancel()
        self._waits.cancel()
        self.opened.source.cancel()
        self._barriers.stop()

    def join(self, timeout: timedelta) -> bool:
        self._barriers.stop()
        return super().join(timeout) and self._barriers.join(timeout)

    def committed(self, checkpoint_id: int) -> None:
        """Tell the source that an epoch is committed."""
        self.opened.call(self.opened.source.checkpoint_committed, checkpoint_id)

    def close(self) -> None:
        """Close the source."""
        self.opened.close()

    @property
    def processed(self) -> int:
        return self._rows.total

    @property
    def state(self) -> str:
        return self._life.state

    @property
    def input_ended(self) -> bool:
        return self._life.state in (SourceState.ENDED, SourceState.FINISHED)

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
        return self.opened.uid

    @property
    def clock(self) -> Clock:
        return self.ctx.clock

    @property
    def batch_limit(self) -> int:
        return self._batch_limit or self._batch_bound.value

    @property
    def cancelled(self) -> bool:
        return not self._life.may_emit

    def wait_demand(self) -> int:
        producer, life, time = self.producer, self._life, self._time
        if not producer.requested and life.may_emit:
            if time is not None:
                time.rest()
            producer.wait_until(lambda: producer.requested > 0 or not life.may_emit)
        if time is not None:
            time.look()
        return producer.requested if life.may_emit else 0

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
        self._require_lock("emitted")
        if not values:
            return
        due = self._rows.add(len(values))
        started = time.perf_counter()
        if self._time is None:
            self._hand_on(Batch(values, None, origins))
        else:
            self._time.rest()
            for element in self._time.stamped(Batch(values, timestamps, origins), split):
                self._hand_on(element)
        self._batch_bound.observe(len(values), time.perf_counter() - started)
        faultpoint("P0")
        if due:
            self.post(RowsDue(self.participant, self._rows.total))

    def reject(self, value: object, error: SourceError, origin: Origin, policy: ErrorPolicy) -> None:
        self._require_lock("rejected a record")
        if policy.kind == "fail":
            raise error
        letter = DeadLetter(value, error.message, self.uid, type(self.opened.source).__name__, origin)
        if policy.kind == "dead_letter":
            self.ctx.side_output(policy.tag or DEAD_LETTERS, [letter])
        sampled = sum(record.operator == self.uid for record in self.ctx.failed_records)
        self.ctx.count_failed(1, [FailedRecord.of(letter)] if sampled < FAILED_RECORDS_KEPT else ())
        if self._rows.add(1):
            self.post(RowsDue(self.participant, self._rows.total))

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
        """Let nothing out after the barrier of a stop, and nothing that no barrier would see."""
        if not self._life.may_emit:
            raise Interrupted
        if not self._lock.locked():
            raise InternalError(f"{self.uid} {what} without holding ctx.checkpoint_lock")

    def _tell(self, elements: Sequence[TimeElement]) -> None:
        for element in elements:
            self._hand_on(element)

    def _hand_on(self, element: Batch[Any] | TimeElement | EndOfInput) -> None:
        """Run the chain."""
        try:
            if isinstance(element, Batch):
                self.producer.next_batch(element)
            else:
                self.producer.control(element)
        except BaseException as error:
            self._break(error)
            raise

    def _break(self, error: BaseException) -> None:
        """Let no barrier pass once the chain has raised, and report that, as the source may swallow it.

        Raises:
            InternalError: any other error is a defect of the engine, not of the source.
        """
        self._life.happens(SourceEvent.BREAK)
        if isinstance(error, Interrupted):
            return
        if isinstance(error, PipelineError) or not isinstance(error, Exception):
            self.fail(error)
            return
        defect = InternalError(
            f"the chain downstream of {self.uid} broke: {describe(error)}",
            hint="please report it with the traceback",
        )
        defect.__cause__ = error
        self.fail(defect)
        raise defect from error

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
            self.opened.call(self.opened.source.run, self)
        except Interrupted:
            if self.producer.cancelled:
                return
        if self._end_input():
            self.post(InputEnded(self.participant))
        self.producer.wait_until(lambda: self._life.state is SourceState.FINISHED)

    def _end_input(self) -> bool:
        """Tell downstream that the input has ended, unless the source has returned because it had to."""
        with self.checkpoint_lock:
            if not self._life.may_emit:
                return False
            self._hand_on(END_OF_INPUT)
            self._life.happens(SourceEvent.END)
        return True

    # --- barriers -------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """See to it that all that was emitted is out, then let a barrier pass; holds the checkpoint lock.

        Held records are waited for without the lock: the position is after them already, so no
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
            try:
                fused.resume()
            except BaseException as error:
                self._break(error)
                raise
        self._let_pass()

    def perform_if_settled(self) -> int | None:
        """Perform a due barrier from the barrier thread, unless the source's own thread must."""
        with self._lock:
            if self.fused.suspended or not self._life.lets_barriers_pass:
                return None
            if self._time is not None and self._life.may_emit:
                self._tell(self._time.fall_idle())
            self._let_pass()
            return None if self._time is None else self._time.left_ms()

    def _let_pass(self) -> None:
        if not (self._barriers.is_due and self._life.lets_barriers_pass):  # the first as nearly never
            return
        barrier = self._barriers.take()
        if barrier is None:  # given up meanwhile
            return
        self._rows.pass_barrier()
        position = self.opened.source.snapshot_state()
        self.take_snapshot(barrier, {self.uid: position}, self._time_snapshot())
        faultpoint("P1")
        if barrier.kind is CheckpointKind.STOP:
            self._stop_reading()

    def _time_snapshot(self) -> list[OperatorSnapshot]:
        if self._time is None:
            return []
        return [OperatorSnapshot(self.uid, self.ctx.subtask, None, self._time.snapshot())]

    def _stop_reading(self) -> None:
        """Emit nothing after a STOP barrier: what follows belongs to the next run."""
        self._life.happens(SourceEvent.STOP)
        self.producer.wake()
        self._waits.cancel()
        self.opened.source.cancel()
