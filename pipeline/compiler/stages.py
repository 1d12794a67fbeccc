"""What a chain consists of, and what it gets from its vertex."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from pipeline.core.policy import SideTag
from pipeline.core.records import FailedRecord
from pipeline.operators.base import Step
from pipeline.operators.failure import Failures
from pipeline.operators.timers import OperatorTimers
from pipeline.spi.operator import StreamOperator

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class StepStage:
    """A stateless operator of the chain: `Map`, `Filter`, `FlatMap` or `MapBatches`.

    Args:
        uid: the operator's uid, for errors and dead letters.
        step: its function and error policy.
    """

    uid: str
    step: Step

    def failures(self, ctx: ChainContext) -> Failures:
        """Return what becomes of the calls of its function that raise."""
        return Failures(self.step.function, self.step.on_error, self.uid, ctx)


@dataclass(frozen=True, slots=True)
class OperatorStage:
    """A running operator of the chain; its creator opens, restores, snapshots and closes it.

    Args:
        uid: the operator's uid, for errors.
        operator: opened before the first batch.
        timers: those that it sets.
    """

    uid: str
    operator: StreamOperator[Any, Any]
    timers: OperatorTimers = field(default_factory=OperatorTimers)


Stage = StepStage | OperatorStage


class ChainContext(Protocol):
    """What a chain gets from its vertex; called from whichever thread drives the chain."""

    @property
    def job_name(self) -> str: ...

    def side_output(self, tag: SideTag, values: Sequence[Any]) -> None:
        """Send records to a side output, in the epoch of the batch being processed."""
        ...

    def count_failed(self, records: int, samples: Sequence[FailedRecord] = ()) -> None:
        """Add to the job's count of failed records, with some of them as a sample."""
        ...

    def pause(self, delay: timedelta) -> None:
        """Wait before a call is repeated; raises when the job is being cancelled."""
        ...

    def run_async(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run on the vertex's own event loop, until done."""
        ...
