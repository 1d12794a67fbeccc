"""A chain: the fused operators of one vertex as one object that the vertex's thread drives."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from pipeline.compiler.generated import GeneratedLoop
from pipeline.compiler.interpreted import InterpretedLoop
from pipeline.compiler.plan import Loop, PlannedSegment, WholeBatch, plan
from pipeline.compiler.runs import PipedRun, Run
from pipeline.compiler.segments import IdentitySegment, OperatorSegment, Segment, WholeBatchSegment
from pipeline.compiler.stages import ChainContext, Stage
from pipeline.core.errors import ConfigError
from pipeline.core.records import Batch

_LOOPS: Final = {"generated": GeneratedLoop, "interpreted": InterpretedLoop}

MODE_VARIABLE: Final = "PIPELINE_CHAINS"
"""The environment variable that chooses the implementation where the caller does not."""


class Chain(Protocol):
    """The fused operators of one vertex. All calls come from one thread at a time.

    Attributes:
        expands: one record in may give several out; then `iterate` bounds what is there at once.
        source: the generated code, for explain and debugging; None where nothing is generated.
    """

    expands: bool
    source: str | None

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
        stages: in the order of the stream; none for a chain that hands on what it gets.
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
    return _SegmentedChain(segments or [IdentitySegment(carry_origins=carry_origins)])


def _segment(part: PlannedSegment, ctx: ChainContext, mode: str, *, carry_origins: bool) -> Segment:
    match part:
        case Loop(steps):
            return _LOOPS[mode](steps, ctx, carry_origins=carry_origins)
        case WholeBatch(stage):
            return WholeBatchSegment(stage, ctx, carry_origins=carry_origins)
        case operator:
            return OperatorSegment(operator, ctx, carry_origins=carry_origins)


class _SegmentedChain:
    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = segments
        self._first, *self._others = segments
        self.expands = any(segment.expands for segment in segments)
        self.source = "\n".join(filter(None, (segment.source for segment in segments))) or None

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
