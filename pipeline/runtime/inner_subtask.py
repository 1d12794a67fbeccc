"""A vertex with inputs: takes batches from its channels in its own thread and aligns their barriers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from checkpoint.aligner import Aligned, Aligner, Ignored
from checkpoint.barrier import Barrier
from pipeline.core.elements import (
    END_OF_INPUT,
    EndOfInput,
    EndOfOneInput,
    Idle,
    TimeElement,
    Watermark,
)
from pipeline.core.errors import InternalError
from pipeline.reactive.channel import Channel
from pipeline.reactive.demand import UNBOUNDED
from pipeline.runtime.contexts import VertexContext
from pipeline.runtime.edge_buffer import EdgeBuffer
from pipeline.runtime.event_time import MergedTime
from pipeline.runtime.snapshot import Participant
from pipeline.runtime.statistics import InputStatistics
from pipeline.runtime.subtask import HostedOperator, Post, Store, Subtask

Input = Channel[Any] | EdgeBuffer
"""The queue from one upstream subtask: a plain hand-over, or a buffer with a strategy."""


@dataclass(frozen=True, slots=True)
class InputPlan:
    """A queue that a subtask reads from.

    Args:
        input_index: the input of the subtask's first operator that it belongs to.
        make: makes the queue around the condition that it is given.
        ended: whether the input had ended as of the checkpoint that the subtask continues from.
    """

    input_index: int
    make: Callable[[threading.Condition], Input]
    ended: bool = False


class InnerSubtask(Subtask):
    """Drains its channels round robin, as far as its own output is requested.

    A channel whose barrier has come is left alone until the barrier has come on all; then the
    subtask takes its snapshot. Control elements need no demand, records do.

    Args:
        inputs: the queues to read from.
    """

    def __init__(
        self,
        participant: Participant,
        ctx: VertexContext,
        operators: Sequence[HostedOperator],
        post: Post,
        store: Store,
        *,
        name: str,
        inputs: Sequence[InputPlan],
    ) -> None:
        super().__init__(participant, ctx, operators, post, store, f"{ctx.job_name}/{name}/{ctx.subtask}")
        self.channels = [each.make(self.producer.condition) for each in inputs]
        self._inputs = inputs
        self.buffers = [channel for channel in self.channels if isinstance(channel, EdgeBuffer)]
        self._aligner = Aligner(len(inputs))
        self._ended: set[int] = set()
        self._time = MergedTime(range(len(inputs)))
        self._next = 0
        self._ready: int | None = None
        self._resuming = False
        self._due_ms: int | None = None

    def abandon(self, checkpoint_id: int) -> None:
        with self.producer.condition:
            self._aligner.abandon(checkpoint_id)
            self._forget(checkpoint_id)
            self.producer.condition.notify_all()

    def start(self) -> None:
        for buffer in self.buffers:
            buffer.open()
        super().start()

    @property
    def state(self) -> str:
        if self.producer.cancelled:
            return "cancelled"
        return "ended" if len(self._ended) == len(self.channels) else "running"

    def inputs(self) -> tuple[InputStatistics, ...]:
        blocked = self._aligner.blocked
        return tuple(
            InputStatistics(
                channel.buffered,
                None if channel.capacity == UNBOUNDED else channel.capacity,
                index in blocked,
                channel.ended,
            )
            for index, channel in enumerate(self.channels)
        )

    def run(self) -> None:
        while self.producer.wait_until(self._something_to_do, self._wait):
            index = self._ready
            if self._resuming:
                self.fused.resume()
            elif self._due_ms is not None:
                self.fused.pass_time(self._due_ms)
            elif index is None:
                return  # every channel has ended
            elif self.channels[index].has_control:
                self._handle(index, self._take_control(self.channels[index]))
            else:
                self.fused.input_index = self._inputs[index].input_index
                self._pass_records(self.channels[index])

    def _something_to_do(self) -> bool:
        self._resuming = self.fused.suspended
        if self._resuming:
            return self.fused.resumable
        timer = self.fused.next_timer
        now = 0 if timer is None else self.ctx.clock.now_ms()
        self._due_ms = now if timer is not None and timer <= now else None
        if self._due_ms is not None:
            return True
        self._ready = self._ready_channel()
        return self._ready is not None or all(channel.ended for channel in self.channels)

    def _wait(self, condition: threading.Condition) -> None:
        """Wait until notified, or until an operator's timer is due."""
        timer = None if self.fused.suspended else self.fused.next_timer
        self.ctx.clock.wait(condition, None if timer is None else timer - self.ctx.clock.now_ms())

    def _ready_channel(self) -> int | None:
        """Find the next channel, round robin, that may be read now."""
        count = len(self.channels)
        demand = self.producer.requested
        blocked = self._aligner.blocked
        for offset in range(count):
            index = (self._next + offset) % count
            channel = self.channels[index]
            if index in blocked:
                continue
            if channel.has_control or (channel.has_records and demand):
                self._next = index + 1
                return index
        return None

    def _pass_records(self, channel: Input) -> None:
        with self.producer.condition:
            batch = channel.take_records(self.producer.requested)
        if len(batch):
            self.producer.next_batch(batch)
            channel.consumed(batch)

    def _take_control(self, channel: Input) -> object:
        with self.producer.condition:
            return channel.take_control()

    def _handle(self, index: int, element: object) -> None:
        if isinstance(element, Barrier):
            with self.producer.condition:
                outcome = self._aligner.on_barrier(index, element)
                if isinstance(outcome, Ignored):
                    self._forget(element.checkpoint_id)
            if isinstance(outcome, Aligned):
                self.take_snapshot(outcome.barrier, {})
        elif isinstance(element, EndOfInput):
            self._ended.add(index)
            self._tell(self._time.end(index))
            self._end_input(self._inputs[index])
            if len(self._ended) == len(self.channels):
                self.producer.control(END_OF_INPUT)
        elif isinstance(element, Watermark):
            self._tell(self._time.advance(index, element.timestamp))
        elif isinstance(element, Idle):
            self._tell(self._time.fall_idle(index))
        else:
            raise InternalError(f"unknown control element {element!r}")

    def _end_input(self, plan: InputPlan) -> None:
        """Tell the chain once all queues of one of several inputs have ended, unless it has been told."""
        own = [index for index, each in enumerate(self._inputs) if each.input_index == plan.input_index]
        if len(own) < len(self.channels) and self._ended.issuperset(own) and not plan.ended:
            self.producer.control(EndOfOneInput(plan.input_index))

    def _forget(self, checkpoint_id: int) -> None:
        for buffer in self.buffers:
            buffer.forget(checkpoint_id)

    def _tell(self, elements: Sequence[TimeElement]) -> None:
        for element in elements:
            self.producer.control(element)
