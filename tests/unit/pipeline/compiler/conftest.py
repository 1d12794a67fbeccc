"""A vertex that writes down what its chain does, and chains of both implementations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from pipeline.compiler import Chain, OperatorStage, Stage, StepStage, compile_chain
from pipeline.core.policy import SideTag
from pipeline.core.records import FailedRecord
from pipeline.operators.base import Step
from pipeline.spi.operator import StreamOperator

R = TypeVar("R")


class RecordingContext:
    """Keeps side outputs, failed counts and pauses; runs coroutines on a loop of its own."""

    job_name = "test-job"

    def __init__(self) -> None:
        self.side_outputs: dict[SideTag, list[Any]] = {}
        self.failed = 0
        self.pauses: list[timedelta] = []
        self.cancelled: Exception | None = None
        self.loop_runs = 0
        self.loop = asyncio.new_event_loop()

    def side_output(self, tag: SideTag, values: Sequence[Any]) -> None:
        self.side_outputs.setdefault(tag, []).extend(values)

    def count_failed(self, records: int, samples: Sequence[FailedRecord] = ()) -> None:
        self.failed += records

    def pause(self, delay: timedelta) -> None:
        self.pauses.append(delay)
        if self.cancelled is not None:
            raise self.cancelled

    def run_async(self, coroutine: Coroutine[Any, Any, R]) -> R:
        self.loop_runs += 1
        return self.loop.run_until_complete(coroutine)


@pytest.fixture
def ctx() -> Iterator[RecordingContext]:
    context = RecordingContext()
    yield context
    context.loop.run_until_complete(context.loop.shutdown_asyncgens())
    context.loop.close()


@pytest.fixture(params=["generated", "interpreted"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


Build = Callable[..., Chain]


@pytest.fixture
def build(ctx: RecordingContext, mode: str) -> Build:
    """Build a chain of steps and operators; the uid of the stage at index i is `si`."""

    def build(*parts: Step | StreamOperator[Any, Any], carry_origins: bool = False) -> Chain:
        stages: list[Stage] = [
            StepStage(f"s{index}", part) if isinstance(part, Step) else OperatorStage(f"s{index}", part)
            for index, part in enumerate(parts)
        ]
        return compile_chain(stages, ctx, mode=mode, carry_origins=carry_origins)

    return build
