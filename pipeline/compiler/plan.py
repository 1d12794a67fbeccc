"""How a chain's stages are grouped into segments, and what must be known of a step to run it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pipeline.compiler.stages import OperatorStage, Stage, StepStage
from pipeline.core.functions import is_async, is_async_generator
from pipeline.operators.base import Function, Yields

MAX_FLAT_MAPS: Final = 4
"""In one loop: each takes up to three of the 20 blocks that Python allows in each other."""


class Calling(StrEnum):
    """How a function returns its result."""

    PLAIN = "plain"
    COROUTINE = "coroutine"  # must be awaited
    ASYNC_GENERATOR = "async generator"  # of a step that yields many: iterated with `async for`


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a loop, what the loop calls for it, and how."""

    stage: StepStage
    call: Function
    calling: Calling

    @classmethod
    def of(cls, stage: StepStage) -> PlannedStep:
        call = stage.step.call
        return cls(stage, call, calling_of(call, stage.step.yields))

    @property
    def yields(self) -> Yields:
        return self.stage.step.yields

    @property
    def expands(self) -> bool:
        return self.yields is Yields.MANY

    @property
    def is_async(self) -> bool:
        return self.calling is not Calling.PLAIN

    @property
    def is_guarded(self) -> bool:
        """Whether the loop must continue after a call that raised."""
        policy = self.stage.step.on_error
        return policy.kind != "fail" or policy.attempts > 0

    @property
    def keeps_every_record(self) -> bool:
        """Whether each record in is exactly one record out, or the job fails."""
        return self.yields is Yields.ONE and self.stage.step.on_error.kind == "fail"


def calling_of(call: Function, yields: Yields) -> Calling:
    """Return how the callable of a step returns its result."""
    if yields is Yields.MANY and is_async_generator(call):
        return Calling.ASYNC_GENERATOR
    return Calling.COROUTINE if is_async(call) else Calling.PLAIN


@dataclass(frozen=True, slots=True)
class Loop:
    """Neighbouring steps that treat one record at a time: they become one loop."""

    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True, slots=True)
class WholeBatch:
    """A step that is called once with all available records."""

    stage: StepStage


PlannedSegment = Loop | WholeBatch | OperatorStage


def plan(stages: Sequence[Stage]) -> list[PlannedSegment]:
    """Group `stages` into segments, each of which hands whole batches to the next."""
    return list(_segments(stages))


def _segments(stages: Sequence[Stage]) -> Iterator[PlannedSegment]:
    steps: list[PlannedStep] = []
    for stage in stages:
        step = _loop_step(stage)
        if steps and (step is None or _is_full(steps, step)):
            yield Loop(tuple(steps))
            steps = []
        if step is not None:
            steps.append(step)
        elif isinstance(stage, StepStage):
            yield WholeBatch(stage)
        else:
            yield stage
    if steps:
        yield Loop(tuple(steps))


def _loop_step(stage: Stage) -> PlannedStep | None:
    if isinstance(stage, OperatorStage) or stage.step.yields is Yields.BATCH:
        return None
    return PlannedStep.of(stage)


def _is_full(steps: Sequence[PlannedStep], following: PlannedStep) -> bool:
    return following.expands and sum(step.expands for step in steps) == MAX_FLAT_MAPS
