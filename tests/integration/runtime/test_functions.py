"""Functions with `open` and `close` in running jobs: one for each subtask, on its thread and event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import CollectionSource, CollectSink
from pipeline import (
    DEAD_LETTERS,
    DeadLetter,
    ErrorPolicy,
    FunctionContext,
    JobConfig,
    JobControl,
    JobStatus,
    RestartStrategy,
    SourceError,
    StreamJob,
    UserFunctionError,
)

pytestmark = pytest.mark.usefixtures("nothing_left")

CHAINS = pytest.mark.parametrize("chains", ["generated", "interpreted"])


class Session:
    """What may be used by the thread, and in the event loop, that made it, and must be closed there."""

    open_ones: set[Session] = set()  # noqa: RUF012 - all there are
    made: list[Session] = []  # noqa: RUF012

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._at_home = (threading.get_ident(), loop)
        self.open_ones.add(self)
        self.made.append(self)

    def use(self, loop: asyncio.AbstractEventLoop | None) -> None:
        assert self in self.open_ones
        assert (threading.get_ident(), loop) == self._at_home

    def close(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.use(loop)
        self.open_ones.remove(self)


@pytest.fixture(autouse=True)
def sessions() -> Iterator[list[Session]]:
    """All that were made; none is open in the end."""
    Session.made.clear()
    yield Session.made
    assert Session.open_ones == set()


class Plain:
    def open(self, ctx: FunctionContext) -> None:
        self.session = Session(None)

    def close(self) -> None:
        self.session.close(None)

    def used(self) -> None:
        self.session.use(None)


class Async:
    async def open(self, ctx: FunctionContext) -> None:
        await asyncio.sleep(0)
        self.session = Session(asyncio.get_running_loop())

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.session.close(asyncio.get_running_loop())

    async def used(self) -> None:
        await asyncio.sleep(0)
        self.session.use(asyncio.get_running_loop())


class PlainMap(Plain):
    def __call__(self, n: int) -> int:
        self.used()
        return n + 1


class AsyncMap(Async):
    async def __call__(self, n: int) -> int:
        await self.used()
        return n + 1


class PlainFilter(Plain):
    def __call__(self, n: int) -> bool:
        self.used()
        return n % 2 == 0


class AsyncFilter(Async):
    async def __call__(self, n: int) -> bool:
        await self.used()
        return n % 2 == 0


class PlainFlatMap(Plain):
    def __call__(self, n: int) -> Iterator[int]:
        for _ in range(2):
            self.used()
            yield n


class AsyncFlatMap(Async):
    async def __call__(self, n: int) -> AsyncIterator[int]:
        for _ in range(2):
            await self.used()
            yield n


class PlainBatches(Plain):
    def __call__(self, numbers: list[int]) -> list[int]:
        self.used()
        return [n * 10 for n in numbers]


class AsyncBatches(Async):
    async def __call__(self, numbers: list[int]) -> list[int]:
        await self.used()
        return [n * 10 for n in numbers]


@CHAINS
@pytest.mark.parametrize(
    "functions",
    [
        (PlainMap(), PlainFilter(), PlainFlatMap(), PlainBatches()),
        (AsyncMap(), AsyncFilter(), AsyncFlatMap(), AsyncBatches()),
        (AsyncMap(), PlainFilter(), PlainFlatMap(), AsyncBatches()),
    ],
    ids=["plain", "async", "mixed"],
)
@pytest.mark.parametrize("parallelism", [1, 4])
def test_each_operator_opens_its_function(
    functions: Any, parallelism: int, chains: Any, sessions: list[Session]
) -> None:
    """In the thread and loop of each subtask, before its first record, and closes it after its last."""
    plus_one, even, twice, tens = functions
    sink = CollectSink[int]()
    job = StreamJob("opened", JobConfig(parallelism=parallelism, chains=chains))
    stream = job.source(CollectionSource(range(1000))).with_parallelism(1)
    stream.map(plus_one).filter(even).flat_map(twice).map_batches(tens).sink(sink)
    assert job.execute().status is JobStatus.COMPLETED
    assert sorted(sink.values) == sorted(n * 10 for n in range(1, 1001) if n % 2 == 0 for _ in range(2))
    assert len(sessions) == 4 * parallelism


def test_the_same_function_twice_is_two(sessions: list[Session]) -> None:
    plus_one = PlainMap()
    sink = CollectSink[int]()
    job = StreamJob("twice")
    job.source(CollectionSource(range(10))).map(plus_one, uid="a").map(plus_one, uid="b").sink(sink)
    job.execute()
    assert sink.values == list(range(2, 12))
    assert len(sessions) == 2


BASES = pytest.mark.parametrize("base", [PlainMap, AsyncMap])


@BASES
def test_each_attempt_opens_its_own(
    base: type[Any], numbers: Any, checkpoints: Path, sessions: list[Session]
) -> None:
    """A restart closes what was open, and opens it again."""
    failures = [SourceError("cut off")]

    def before(n: int) -> None:
        if n >= 500 and failures:
            raise failures.pop()

    sink = CollectSink[int]()
    restart = RestartStrategy.fixed_delay(2, timedelta(milliseconds=1))
    job = StreamJob("again", JobConfig(checkpoint_dir=checkpoints, restart=restart))
    job.source(numbers(1000, before)).map(base()).sink(sink)
    assert job.execute().restarts == 1
    assert sink.values == list(range(1, 1001))
    assert len(sessions) == 2


@BASES
@pytest.mark.parametrize("at_once", [False, True])
def test_a_stopped_job_closes_them(
    base: type[Any], at_once: bool, numbers: Any, checkpoints: Path, sessions: list[Session]
) -> None:
    control = JobControl()

    def before(n: int) -> None:
        if n >= 500:
            control.abort() if at_once else control.stop()

    job = StreamJob("stopped", JobConfig(checkpoint_dir=checkpoints))
    job.source(numbers(10**9, before)).map(base()).sink(CollectSink())
    assert job.execute(control=control).status is JobStatus.CANCELLED
    assert len(sessions) == 1


@BASES
def test_a_failure_elsewhere_closes_them(base: type[Any], sessions: list[Session]) -> None:
    """Of another operator in the same chain, and of another vertex."""

    def fails(n: int) -> int:
        raise ValueError(n)

    for parallelism in (1, 3):
        job = StreamJob("elsewhere", JobConfig(parallelism=parallelism))
        stream = job.source(CollectionSource(range(100))).with_parallelism(1).map(base())
        stream.map(fails, uid="fails").sink(CollectSink())
        with pytest.raises(UserFunctionError, match="fails raised ValueError"):
            job.execute()
    assert len(sessions) == 4


@BASES
def test_a_function_that_cannot_be_opened_fails_the_job(base: type[Any], sessions: list[Session]) -> None:
    """By name, without a record; those that were opened before are closed."""

    class Refused(base):
        def open(self, ctx: FunctionContext) -> None:
            raise ConnectionError("refused")

        def close(self) -> None:
            pass

    sink = CollectSink[int]()
    job = StreamJob("refused")
    job.source(CollectionSource(range(100))).map(base()).map(Refused(), uid="second").sink(sink)
    with pytest.raises(UserFunctionError, match=r"Refused.open raised ConnectionError: refused") as raised:
        job.execute()
    assert raised.value.operator == "second"
    assert sink.values == []
    assert len(sessions) == 1


@BASES
def test_a_function_that_cannot_be_closed_fails_the_job(base: type[Any]) -> None:
    """The records are out, yet something was left open: that is said."""

    class Stuck(base):
        def close(self) -> None:
            Session.open_ones.clear()
            raise ConnectionError("stuck")

    sink = CollectSink[int]()
    job = StreamJob("stuck")
    job.source(CollectionSource(range(100))).map(Stuck()).sink(sink)
    with pytest.raises(UserFunctionError, match=r"Stuck.close raised ConnectionError: stuck"):
        job.execute()
    assert sink.values == list(range(1, 101))


class TestAnotherLoop:
    """What is shared by the subtasks belongs to the event loop of one of them."""

    ADVICE = "each subtask has its own: make it in `async def open(self, ctx)`"

    @pytest.fixture
    def shared(self) -> Any:
        homes: list[asyncio.AbstractEventLoop] = []

        async def wait(n: int) -> int:
            """Wait for an answer of what the first subtask has made."""
            homes.append(asyncio.get_running_loop())
            answer = homes[0].create_future()
            if homes[0] is homes[-1]:
                answer.set_result(None)
            await answer
            return n

        return wait

    def test_the_error_says_what_to_do(self, shared: Any) -> None:
        job = StreamJob("shared", JobConfig(parallelism=4))
        job.source(CollectionSource(range(100))).with_parallelism(1).map(shared).sink(CollectSink())
        with pytest.raises(UserFunctionError, match="attached to a different loop") as raised:
            job.execute()
        assert raised.value.hint is not None
        assert self.ADVICE in raised.value.hint

    def test_so_does_each_dead_letter(self, shared: Any) -> None:
        dead = CollectSink[DeadLetter]()
        job = StreamJob("shared", JobConfig(parallelism=4))
        stream = job.source(CollectionSource(range(100))).with_parallelism(1)
        stream = stream.map(shared, on_error=ErrorPolicy.dead_letter())
        stream.sink(CollectSink())
        stream.side_output(DEAD_LETTERS).sink(dead, uid="dead")
        job.execute()
        assert len(dead.values) == 75
        assert all(self.ADVICE in letter.error for letter in dead.values)
