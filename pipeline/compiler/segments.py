"""The parts of a chain that hand whole batches to one another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pipeline.compiler.attempts import attempting, persist
from pipeline.compiler.plan import calling_of
from pipeline.compiler.runs import CutRun, HeldRun, Run
from pipeline.compiler.stages import ChainContext, OperatorStage, StepStage
from pipeline.core.elements import TimeElement
from pipeline.core.errors import PipelineError
from pipeline.core.records import Batch
from pipeline.spi.operator import TimeOperator


class Segment(ABC):
    """One part of a chain.

    Attributes:
        expands: whether one record in can give several out.
        source: its generated code, None where there is none.
    """

    expands: bool = False
    source: str | None = None

    @abstractmethod
    def process(self, batch: Batch[Any], input_index: int = 0) -> Batch[Any]:
        """Turn a batch, which is not empty, into all of its outputs.

        Args:
            input_index: which input of an operator it came from; other segments have one only.
        """

    def iterate(self, batch: Batch[Any], input_index: int = 0) -> Run:
        """Turn a batch into its outputs as they are asked for."""
        process = partial(self.process, input_index=input_index) if input_index else self.process
        return HeldRun(process, batch) if self.expands else CutRun(process, batch)

    def watermark(self, timestamp: int) -> Batch[Any] | None:
        """Return what fires at `timestamp` (milliseconds UTC)."""
        return None

    def next_timer(self) -> int | None:
        """Return the wall time at which `process_timer` is wanted; None for never."""
        return None

    def process_timer(self, now_ms: int) -> Batch[Any] | None:
        """Return what fires at the wall time `now_ms`."""
        return None

    def end_input(self, input_index: int) -> Batch[Any] | None:
        """Return what the end of one input lets out."""
        return None

    def finish(self) -> Batch[Any] | None:
        """Return what was held back until the end of all inputs."""
        return None


class IdentitySegment(Segment):
    """The whole of a chain without stages."""

    def __init__(self, *, carry_origins: bool) -> None:
        self._carry_origins = carry_origins

    def process(self, batch: Batch[Any], input_index: int = 0) -> Batch[Any]:
        return batch if self._carry_origins else batch.without_origins()


class OperatorSegment(Segment):
    """A running operator; an error that passes through it is located there."""

    def __init__(self, stage: OperatorStage, ctx: ChainContext, *, carry_origins: bool) -> None:
        self.expands = stage.operator.expands
        self._operator = stage.operator
        self._timers = stage.timers
        self._uid = stage.uid
        self._ctx = ctx
        self._carry_origins = carry_origins

    def process(self, batch: Batch[Any], input_index: int = 0) -> Batch[Any]:
        return self._call(self._operator.process_batch, batch, input_index)

    def watermark(self, timestamp: int) -> Batch[Any] | None:
        return self._call(self._pass_watermark, timestamp)

    def next_timer(self) -> int | None:
        return self._timers.wall.next

    def process_timer(self, now_ms: int) -> Batch[Any] | None:
        return self._call(lambda: Batch.concat(self._timers.wall.fire(now_ms, self._operator.process_timers)))

    def end_input(self, input_index: int) -> Batch[Any] | None:
        return self._call(self._operator.end_input, input_index)

    def finish(self) -> Batch[Any] | None:
        return self._call(self._finish)

    def _pass_watermark(self, timestamp: int) -> Batch[Any] | None:
        fired = self._timers.event.fire(timestamp, self._operator.process_timers)
        own = self._operator.process_watermark(timestamp)
        return own if not fired else Batch.concat([*fired, *([] if own is None else [own])])

    def _finish(self) -> Batch[Any]:
        fired = self._timers.finish(self._operator.process_timers)
        own = self._operator.finish()
        return Batch.concat([*fired, *([] if own is None else [own])])

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            out = function(*arguments)
        except PipelineError as error:
            error.located(job=self._ctx.job_name, operator=self._uid)
            raise
        return out if self._carry_origins or out is None else out.without_origins()


class TimeSegment(OperatorSegment):
    """A running operator whose output restarts event time."""

    def __init__(self, stage: OperatorStage, operator: TimeOperator, ctx: ChainContext) -> None:
        super().__init__(stage, ctx, carry_origins=True)
        self._assigner = operator

    def process_timed(self, batch: Batch[Any]) -> list[Batch[Any] | TimeElement]:
        """Return the records, and after each piece of them how far event time has come."""
        return self._call(lambda: list(self._assigner.process_timed(batch)))

    def take_time(self) -> Sequence[TimeElement]:
        """Return what a timer has found out about event time, once."""
        return self._assigner.take_time()


class WholeBatchSegment(Segment):
    """A step that is called once for a whole batch, with a list of its own."""

    expands = True

    def __init__(self, stage: StepStage, ctx: ChainContext, *, carry_origins: bool) -> None:
        call = stage.step.call
        calling = calling_of(call, stage.step.yields)
        self._failures = stage.failures(ctx)
        self._attempt = attempting(lambda values: call(list(values)), _as_list, calling, ctx)
        self._carry_origins = carry_origins

    def process(self, batch: Batch[Any], input_index: int = 0) -> Batch[Any]:
        outcome = persist(self._attempt, batch.values, self._failures)
        if outcome.error is not None:
            self._failures.give_up(outcome.error, batch.values, batch.origins)
            return Batch(())
        if len(outcome.value) != len(batch):  # which result came from which record is not known
            return Batch(outcome.value)
        return Batch(outcome.value, batch.timestamps, batch.origins if self._carry_origins else None)


def _as_list(results: Any) -> list[Any]:
    # A copy, since the function may continue to use a list that downstream already holds.
    if isinstance(results, Sequence) and not isinstance(results, (str, bytes)):
        return list(results)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise TypeError(f"map_batches expects a list of results, not {type(results).__name__}")
