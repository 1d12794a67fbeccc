"""The end of a stream: passes records to a sink, requests as many as it can write in about a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, cast

from checkpoint.barrier import Barrier
from checkpoint.manifest import Part
from checkpoint.two_phase import TwoPhaseDriver
from pipeline.core.elements import EndOfInput
from pipeline.core.errors import CheckpointError, PipelineError, SinkError
from pipeline.core.faults import faultpoint
from pipeline.core.functions import function_ref
from pipeline.core.raised import connector_error
from pipeline.reactive.producer import Interrupted
from pipeline.reactive.subscriber import Subscription
from pipeline.runtime.contexts import RunningSinkContext
from pipeline.runtime.events import SinkFull, TaskEvent
from pipeline.runtime.sink_demand import SinkDemand
from pipeline.runtime.snapshot import SinkSnapshot
from pipeline.spi.sink import AnySink, TwoPhaseCommitSink


class SinkTail:
    """Subscriber that ends in a sink, and the sink's side of checkpoints.

    Args:
        sink: this attempt's copy of the user's sink.
        ctx: what the sink gets at `open`.
        max_batch: the most records handed over at once; None adapts alone.
        post: sends an event to the job's thread.
    """

    def __init__(
        self,
        sink: AnySink[Any],
        ctx: RunningSinkContext,
        max_batch: int | None,
        post: Callable[[TaskEvent], None],
    ) -> None:
        self._sink = sink
        self._ctx = ctx
        self._demand = SinkDemand(max_batch, lambda: sink.wants_more, lambda: post(SinkFull(ctx.uid)))
        self._two_phase: TwoPhaseDriver[Any] | None = None
        self._invoke: Callable[..., None] = cast("Any", sink).invoke_batch
        self._open = False
        self.records = 0
        if isinstance(sink, TwoPhaseCommitSink):
            self._two_phase = TwoPhaseDriver(cast("TwoPhaseCommitSink[Any, Any]", sink), ctx.uid)

    # --- lifecycle: the job's thread -----------------------------------------------------------

    @property
    def uid(self) -> str:
        return self._ctx.uid

    @property
    def subtask(self) -> int:
        return self._ctx.subtask

    def open(self) -> None:
        """Open the sink."""
        self._open = True
        self._call(self._sink.open, self._ctx)

    def recover(self, checkpoint_id: int, handles: list[Any], logs: Sequence[Part]) -> None:
        """Take over what a manifest decided before this attempt started; `commit` then commits it."""
        self._ctx.logs.recover(checkpoint_id, logs)
        if self._two_phase is not None:
            self._two_phase.recover(checkpoint_id, handles)

    def restore(self, state: Any) -> None:
        """Go back to a snapshot."""
        self._call(self._sink.restore_state, state)

    def give_up(self, states: Sequence[Any]) -> None:
        """Tell the sink of the subtasks of a run that is not continued: its share of them."""
        for number, state in enumerate(states):
            if state is not None and number % self._ctx.parallelism == self._ctx.subtask:
                self._call(self._sink.give_up, state)

    @property
    def remarks(self) -> Sequence[str]:
        """Notes on the target, for people."""
        return self._sink.remarks

    def begin(self, keep: list[Any]) -> None:
        """Remove what earlier attempts left behind, except what `keep` needs, and begin an epoch."""
        if self._two_phase is not None:
            self._call(self._two_phase.begin, keep)

    def commit(self, checkpoint_id: int) -> bool:
        """Make the epochs up to this checkpoint visible; False if a passing fault asks for another try."""
        if self._two_phase is None:
            return True
        if self._call(self._two_phase.commit, checkpoint_id):
            return False
        self._ctx.logs.forget(checkpoint_id)
        self._demand.look_again()
        return True

    @property
    def commit_timeout(self) -> timedelta:
        """How long commits are tried."""
        sink = self._sink
        return sink.commit_timeout if isinstance(sink, TwoPhaseCommitSink) else timedelta()

    def cancel(self) -> None:
        """End whatever the sink waits for; any thread."""
        self._sink.cancel()

    def close(self, undecided_from: int) -> None:
        """Abort what no manifest from `undecided_from` on can name, and close the sink."""
        if not self._open:
            return
        self._open = False
        try:
            if self._two_phase is not None:
                self._call(self._two_phase.close, undecided_from)
        finally:
            self._call(self._sink.close)

    # --- the stream: the vertex's thread ----------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        self._demand.subscribe(subscription)

    def on_next_batch(self, values: Any) -> None:
        if not self._open:
            raise Interrupted  # a thread that was left behind has come back
        records = values.values
        count = len(records)
        started = time.perf_counter()
        if self._two_phase is not None:
            self._call(self._invoke, self._two_phase.current, records, self._ctx)
        else:
            self._call(self._invoke, records, self._ctx)
        self.records += count
        self._demand.consumed(count, time.perf_counter() - started)

    def on_control(self, element: object) -> None:
        """The end of the input is for the sink; barriers reach it by `snapshot`."""
        if isinstance(element, EndOfInput):
            self._call(self._sink.finish)

    def on_error(self, error: Exception) -> None:
        """The failed side reports its own error; nothing more will come."""

    def on_completed(self) -> None:
        """The sink is closed by the job, whatever ended the stream."""

    def snapshot(self, barrier: Barrier) -> SinkSnapshot | CheckpointError:
        """Pre-commit the epoch; return why the sink cannot take part in the checkpoint if it continues."""
        self._call(self._sink.flush)
        handles: list[Any] = []
        if self._two_phase is not None:
            self._ctx.logs.at_barrier(barrier.checkpoint_id)
            try:
                handles = self._call(self._two_phase.pre_commit, barrier.checkpoint_id)
            except CheckpointError as error:
                if not error.retryable:
                    raise
                return error
            faultpoint("P4")
        state = self._call(self._sink.snapshot_state)
        logs = self._ctx.logs.needed()
        self._demand.look_again()
        return SinkSnapshot(self.uid, self.subtask, state, handles, logs)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except PipelineError as error:
            error.located(job=self._ctx.job_name, operator=self.uid)
            raise
        except Exception as error:
            raise connector_error(SinkError, self._sink, error).located(
                job=self._ctx.job_name, operator=self.uid, function=str(function_ref(function))
            ) from error
