"""A running part of a job: one thread, one chain, the operators in it and a sink at its end, if any."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from checkpoint.barrier import Barrier
from pipeline.core.counts import PROCESSED, WRITTEN, Counts
from pipeline.core.errors import CheckpointError, PipelineError
from pipeline.core.raised import as_exception
from pipeline.reactive.producer import Interrupted, ThreadProducer
from pipeline.runtime.contexts import RunningOperatorContext, VertexContext
from pipeline.runtime.edge_buffer import EdgeBuffer
from pipeline.runtime.events import Declined, SubtaskFailed, SubtaskLeft, TaskEvent
from pipeline.runtime.fused import FusedChain
from pipeline.runtime.opened import OpenedFunctions
from pipeline.runtime.sink_tail import SinkTail
from pipeline.runtime.snapshot import OperatorSnapshot, Participant, SubtaskSnapshot
from pipeline.runtime.statistics import InputStatistics, SubtaskStatistics
from pipeline.spi.operator import StreamOperator
from state.backend import KeyedStateBackend, Readable

Post = Callable[[TaskEvent], None]
Store = Callable[[int, SubtaskSnapshot], None]


@dataclass(slots=True)
class HostedOperator:
    """A stateful operator of a chain with what belongs to it.

    Args:
        stored: whether anybody keeps its snapshots; without checkpoints its state is encoded for nobody.
    """

    ctx: RunningOperatorContext
    operator: StreamOperator[Any, Any]
    backend: KeyedStateBackend | None
    stored: bool = True
    is_open: bool = False

    @property
    def uid(self) -> str:
        return self.ctx.uid

    def open(self) -> None:
        """Open the operator."""
        self.is_open = True
        if self.operator.keyed_timers:
            self.ctx.timers.keep_in(self.ctx.keyed_state)
        self.operator.open(self.ctx)

    def restore(self, keyed: Sequence[Readable], states: Sequence[Any]) -> None:
        """Take over snapshots: keyed state of any subtasks, operator state of this one.

        Args:
            keyed: where the keyed state of all subtasks that there were is read from.
            states: their operator state, in the order of the subtasks.
        """
        if keyed and self.backend is not None:
            self.backend.restore(keyed)
            self.ctx.timers.restored()
        own = states[self.ctx.subtask : self.ctx.subtask + 1]
        if not own and self.operator.same_in_all_subtasks:
            own = states[:1]
        for state in own:
            if state is not None:
                self.operator.initialize_state(state)

    def snapshot(self) -> OperatorSnapshot:
        """Take what the operator must remember, here and now."""
        if not self.stored:
            return OperatorSnapshot(self.uid, self.ctx.subtask, None, None)
        keyed = None if self.backend is None else self.backend.snapshot()
        return OperatorSnapshot(self.uid, self.ctx.subtask, keyed, self.operator.snapshot_state())

    def close(self) -> None:
        """Close the operator and its state."""
        if not self.is_open:
            return
        self.is_open = False
        try:
            self.operator.close()
        finally:
            if self.backend is not None:
                self.backend.close()


class Subtask(ABC):
    """What source subtasks and inner subtasks share; the runtime wires one per vertex and subtask.

    Args:
        participant: its name to the coordinator.
        ctx: serves its chain and operators.
        operators: its stateful operators, in the order of the chain.
        sink: its sink, None where it only feeds other vertices.
        post: sends an event to the job's thread.
        store: stores the state in a snapshot of a checkpoint, then acknowledges.
        thread_name: names its thread.

    Attributes:
        fused: its chain; there from `wire` on.
        functions: those of its chain that are opened and closed.
    """

    fused: FusedChain

    def __init__(
        self,
        participant: Participant,
        ctx: VertexContext,
        operators: Sequence[HostedOperator],
        post: Post,
        store: Store,
        thread_name: str,
    ) -> None:
        self.participant = participant
        self.ctx = ctx
        self.operators = operators
        self.sink: SinkTail | None = None
        self.post = post
        self.store = store
        self.buffers: Sequence[EdgeBuffer] = ()
        self.producer: ThreadProducer[Any] = ThreadProducer(self._thread, thread_name)
        self.functions = OpenedFunctions(ctx)

    # --- the job's thread -----------------------------------------------------------------------

    def wire(self, fused: FusedChain) -> None:
        """Put the chain downstream of the head."""
        self.fused = fused
        self.producer.connect(fused)

    def start(self) -> None:
        """Start the thread."""
        self.producer.start()

    def join(self, timeout: timedelta) -> bool:
        """Wait for the thread to end; False if it does not within `timeout`."""
        return self.producer.join(timeout)

    def cancel(self) -> None:
        """End the thread wherever it waits."""
        self.fused.cancel()
        self.ctx.cancel()
        if self.sink is not None:
            self.sink.cancel()

    @abstractmethod
    def abandon(self, checkpoint_id: int) -> None:
        """A checkpoint was given up."""

    @property
    def processed(self) -> int:
        """Records its source has emitted in this attempt; 0 for an inner vertex."""
        return 0

    @property
    def input_ended(self) -> bool:
        """Whether its source has read its last record; False for an inner vertex."""
        return False

    @property
    def counts(self) -> Counts:
        """What it has counted in this attempt; any thread."""
        counts = Counts({**self.ctx.counters, PROCESSED: self.processed})
        return (
            counts
            if self.sink is None
            else counts + Counts({f"{WRITTEN}:{self.sink.uid}": self.sink.records})
        )

    @property
    @abstractmethod
    def state(self) -> str:
        """Where it is, in one word."""

    def inputs(self) -> tuple[InputStatistics, ...]:
        """How its inputs are; a source has none."""
        return ()

    def statistics(self) -> SubtaskStatistics:
        """How it is; any thread."""
        return SubtaskStatistics(
            str(self.participant),
            self.producer.thread_name,
            self.state,
            self.producer.requested,
            self.processed,
            0 if self.sink is None else self.sink.records,
            self.fused.suspended,
            self.inputs(),
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.participant}: {self.state}, demand {self.producer.requested}>"

    # --- its own thread ---------------------------------------------------------------------------

    @abstractmethod
    def run(self) -> None:
        """Feed the chain until the stream ends or is cancelled."""

    def _thread(self, _: ThreadProducer[Any]) -> None:
        try:
            self._run_opened()
        except Interrupted:
            raise
        except BaseException as error:
            self.fail(error)
            raise
        if not self.producer.cancelled:
            self.post(SubtaskLeft(self.participant))

    def _run_opened(self) -> None:
        """Run with the functions open; they, and the event loop, are closed whatever ends it."""
        cause: BaseException | None = None
        try:
            self.open_functions()
            self.run()
        except BaseException as error:
            cause = error
            raise
        finally:
            try:
                self.functions.close(cause)
            finally:
                self.ctx.loop.close()

    def open_functions(self) -> None:
        """Open the functions, before anything is fed to the chain."""
        self.functions.open()

    def fail(self, error: BaseException) -> None:
        """Report an error, once the job is named in it; errors after a cancel are its consequence."""
        if self.producer.cancelled:
            return
        failure = as_exception(error)
        if isinstance(failure, PipelineError):
            failure.located(job=self.ctx.job_name, operator=self.participant.vertex)
        self.post(SubtaskFailed(self.participant, failure))

    # --- snapshots: the thread of the head -----------------------------------------------------------

    def take_snapshot(
        self, barrier: Barrier, sources: dict[str, Any], beside: Sequence[OperatorSnapshot] = ()
    ) -> None:
        """Take what each part must remember, pass the barrier on, and have it stored.

        Args:
            sources: positions by uid.
            beside: what the engine must remember of the sources beside their positions.
        """
        taken = SubtaskSnapshot(
            self.participant, sources, list(beside), counts=self.counts, input_ended=self.input_ended
        )
        taken.operators.extend(buffer.snapshot(barrier) for buffer in self.buffers)
        taken.operators.extend(operator.snapshot() for operator in self.operators)
        self.producer.control(barrier)
        if self.sink is not None:
            answer = self.sink.snapshot(barrier)
            if isinstance(answer, CheckpointError):
                self.post(Declined(barrier.checkpoint_id, self.participant, answer))
                return
            taken.sinks.append(answer)
        self.store(barrier.checkpoint_id, taken)
