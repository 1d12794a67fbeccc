"""A chain: the fused operators of one vertex as one object that the vertex's thread drives."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from pipeline.compiler.generated import GeneratedLoop
from pipeline.compiler.interpreted import InterpretedLoop
from pipeline.compiler.plan import Loop, PlannedSegment, WholeBatch, plan
from pipeline.compiler.runs import HeldRun, PipedRun, Run
from pipeline.compiler.segments import (
    IdentitySegment,
    OperatorSegment,
    Segment,
    TimeSegment,
    WholeBatchSegment,
)
from pipeline.compiler.stages import ChainContext, OperatorStage, Stage
from pipeline.core.elements import Idle, TimeElement, Watermark
from pipeline.core.errors import ConfigError
from pipeline.core.records import Batch
from pipeline.spi.operator import TimeOperator

_LOOPS: Final = {"generated": GeneratedLoop, "interpreted": InterpretedLoop}

MODE_VARIABLE: Final = "PIPELINE_CHAINS"
"""The environment variable that chooses the implementation where the caller does not."""


class Chain(Protocol):
    """The fused operators of one vertex. All calls come from one thread at a time.

    Attributes:
        expands: one record in may give several out; then `iterate` bounds what is there at once.
        assigns_time: event time restarts inside: watermarks go in and end there, and `take_time` returns
            those that come out.
        source: the generated code, for explain and debugging; None where nothing is generated.
    """

    expands: bool
    assigns_time: bool
    source: str | None

    def take_time(self) -> Sequence[TimeElement]:
        """Return, once, what must follow the output so far, where the chain assigns time."""
        ...

    def process(self, batch: Batch[Any], input_index: int = 0) -> Batch[Any]:
        """Turn a batch into all of its outputs.

        Args:
            batch: what the vertex was fed.
            input_index: which input of the chain's first operator it came from.

        Raises:
            UserFunctionError: a user's function raised, and its operator's policy is to fail.
        """
        ...

    def iterate(self, batch: Batch[Any], input_index: int = 0) -> Run:
        """Turn a batch into its outputs as they are asked for; nothing is called before they are."""
        ...

    def watermark(self, timestamp: int) -> Batch[Any]:
        """Return what fires at `timestamp` (milliseconds UTC).

        Stage by stage: what an earlier one fires passes through it before it sees the watermark.
        """
        ...

    def next_timer(self) -> int | None:
        """Return the earliest wall time at which `process_timer` is wanted; None for never."""
        ...

    def process_timer(self, now_ms: int) -> Batch[Any]:
        """Return what fires at the wall time `now_ms`, in the same order of events."""
        ...

    def end_input(self, input_index: int) -> Batch[Any]:
        """Return what the end of one input of the chain's first operator lets out."""
        ...

    def finish(self) -> Batch[Any]:
        """Return what was held back until the end of all inputs, in the same order of events."""
        ...


def compile_chain(
    stages: Sequence[Stage], ctx: ChainContext, *, mode: str | None = None, carry_origins: bool = False
) -> Chain:
    """Build the chain of `stages`.

    Args:
        stages: in the order of the stream; none for a chain that forwards its input.
        ctx: what the chain needs of its vertex.
        mode: `generated` or `interpreted`; None for what PIPELINE_CHAINS says, else `generated`.
        carry_origins: whether outputs keep their origins; needed only where a later vertex dead-letters.

    Raises:
        ConfigError: there is no such mode.
    """
    mode = mode or os.environ.get(MODE_VARIABLE, "generated")
    if mode not in _LOOPS:
        raise ConfigError(f"chains are generated or interpreted, not {mode!r}", hint=f"see {MODE_VARIABLE}")
    planned = plan(stages)
    segments = [
        # Inside the chain origins travel as far as they can, so that the errors of later segments have them.
        _segment(part, ctx, mode, carry_origins=carry_origins or part is not planned[-1])
        for part in planned
    ]
    if any(isinstance(segment, TimeSegment) for segment in segments):
        return TimedChain(segments, carry_origins=carry_origins)
    return SegmentedChain(segments or [IdentitySegment(carry_origins=carry_origins)])


def _segment(part: PlannedSegment, ctx: ChainContext, mode: str, *, carry_origins: bool) -> Segment:
    match part:
        case Loop(steps):
            return _LOOPS[mode](steps, ctx, carry_origins=carry_origins)
        case WholeBatch(stage):
            return WholeBatchSegment(stage, ctx, carry_origins=carry_origins)
        case OperatorStage(operator=TimeOperator() as assigner) as stage:
            return TimeSegment(stage, assigner, ctx)
        case operator:
            return OperatorSegment(operator, ctx, carry_origins=carry_origins)


class SegmentedChain:
    """Hands batches from segment to segment."""

    assigns_time = False

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = segments
        self._first, *self._others = segments
        self.expands = any(segment.expands for segment in segments)
        self.source = "\n".join(filter(None, (segment.source for segment in segments))) or None

    def take_time(self) -> Sequence[TimeElement]:
        return ()

    def process(self, batch: Batch[Any], input_index: int = 0) -> Batch[Any]:
        if batch.values:
            batch = self._first.process(batch, input_index)
        return self._passed_on(batch)

    def iterate(self, batch: Batch[Any], input_index: int = 0) -> Run:
        run = self._first.iterate(batch, input_index)
        for segment in self._others:
            run = PipedRun(run, segment.iterate)
        return run

    def watermark(self, timestamp: int) -> Batch[Any]:
        return self._fire(lambda segment: segment.watermark(timestamp))

    def next_timer(self) -> int | None:
        return min((at for each in self._segments if (at := each.next_timer()) is not None), default=None)

    def process_timer(self, now_ms: int) -> Batch[Any]:
        return self._fire(lambda segment: segment.process_timer(now_ms))

    def end_input(self, input_index: int) -> Batch[Any]:
        out = self._first.end_input(input_index)
        return Batch[Any](()) if out is None else self._passed_on(out)

    def finish(self) -> Batch[Any]:
        return self._fire(lambda segment: segment.finish())

    def _passed_on(self, batch: Batch[Any]) -> Batch[Any]:
        """Return what becomes of the first segment's output."""
        for segment in self._others:
            if not batch.values:
                break
            batch = segment.process(batch)
        return batch

    def _fire(self, event: Callable[[Segment], Batch[Any] | None]) -> Batch[Any]:
        fired = Batch[Any](())
        for segment in self._segments:
            passed = segment.process(fired) if len(fired) else fired
            own = event(segment)
            fired = passed if own is None else Batch.concat([passed, own])
        return fired


Element = Batch[Any] | TimeElement
"""What passes from segment to segment where watermarks are placed between the records."""


class TimedChain(SegmentedChain):
    """Hands records and watermarks from segment to segment, in the order in which they are placed.

    Steps before the first assigner are resumed after any output; what the rest makes of a chunk is
    held until it is asked for.
    """

    assigns_time = True

    def __init__(self, segments: Sequence[Segment], *, carry_origins: bool) -> None:
        super().__init__(segments)
        self._carry_origins = carry_origins
        self._first_assigner = next(i for i, each in enumerate(segments) if isinstance(each, TimeSegment))
        self._time: list[TimeElement] = []

    def take_time(self) -> Sequence[TimeElement]:
        time, self._time = self._time, []
        return time

    def process(self, batch: Batch[Any], input_index: int = 0) -> Batch[Any]:
        elements: list[Element] = [batch] if len(batch) else []
        return self._out(self._passed(elements, self._segments, input_index))

    def iterate(self, batch: Batch[Any], input_index: int = 0) -> Run:
        before = self._segments[: self._first_assigner]
        if not before:
            return HeldRun(partial(self.process, input_index=input_index), batch)
        run = before[0].iterate(batch, input_index)
        for segment in before[1:]:
            run = PipedRun(run, segment.iterate)
        return PipedRun(run, lambda chunk: HeldRun(self._process_rest, chunk))

    def watermark(self, timestamp: int) -> Batch[Any]:
        return self._out(self._passed([Watermark(timestamp)], self._segments))

    def end_input(self, input_index: int) -> Batch[Any]:
        out = self._first.end_input(input_index)
        return self._out(self._passed([] if out is None else [out], self._others))

    def _process_rest(self, chunk: Batch[Any]) -> Batch[Any]:
        return self._out(self._passed([chunk], self._segments[self._first_assigner :]))

    def _fire(self, event: Callable[[Segment], Batch[Any] | None]) -> Batch[Any]:
        elements: list[Element] = []
        for segment in self._segments:
            elements = self._passed(elements, [segment])
            own = event(segment)
            if own is not None and len(own):
                elements.append(own)
            if isinstance(segment, TimeSegment):
                elements += segment.take_time()
        return self._out(elements)

    def _passed(
        self, elements: list[Element], segments: Sequence[Segment], input_index: int = 0
    ) -> list[Element]:
        """Return what comes out of `segments` for what goes in."""
        for segment in segments:
            elements = [out for each in elements for out in _through(segment, each, input_index)]
            input_index = 0
        return elements

    def _out(self, elements: Sequence[Element]) -> Batch[Any]:
        """Return the records and keep what follows them."""
        records: list[Batch[Any]] = []
        for element in elements:
            if isinstance(element, Batch):
                records.append(element)
            else:
                self._time.append(element)
        out = Batch[Any].concat(records)
        return out if self._carry_origins else out.without_origins()


def _through(segment: Segment, element: Element, input_index: int) -> Sequence[Element]:
    assigner = segment if isinstance(segment, TimeSegment) else None
    if isinstance(element, Batch):
        if assigner is not None:
            return assigner.process_timed(element)
        out = segment.process(element, input_index)
        return (out,) if len(out) else ()
    if assigner is not None:
        return ()  # the event time of upstream ends here
    fired = None if isinstance(element, Idle) else segment.watermark(element.timestamp)
    return (element,) if fired is None or not len(fired) else (fired, element)
