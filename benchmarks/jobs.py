"""What the jobs that are measured have in common: a sink that costs next to nothing, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from pipeline.api.job import StreamJob
from pipeline.core.job import JobStatus
from pipeline.runtime import job as _engine  # noqa: F401 - imported now, so that no run pays for it  # pyright: ignore[reportUnusedImport]
from pipeline.spi.sink import Sink, SinkContext, SinkInfo

T = TypeVar("T")


class SummingSink(Sink[T], Generic[T]):
    """Counts and adds up what it is given.

    Args:
        amount: what a batch counts for.
    """

    def __init__(self, amount: Callable[[Sequence[T]], int]) -> None:
        self._amount = amount
        self._sums: list[int] = []  # shared, as the next, by the copies of this sink that attempts run
        self._sizes: list[int] = []

    @property
    def info(self) -> SinkInfo:
        return SinkInfo("sum", "benchmark", "none")

    @property
    def total(self) -> int:
        return sum(self._sums)

    @property
    def records(self) -> int:
        return sum(self._sizes)

    def invoke_batch(self, values: Sequence[T], ctx: SinkContext) -> None:
        self._sums.append(self._amount(values))
        self._sizes.append(len(values))


def run(job: StreamJob) -> None:
    """Run a job to its end, start-up and all."""
    result = job.execute()
    if result.status is not JobStatus.COMPLETED:
        raise RuntimeError(f"the job {job.name} ended as {result.status}")
