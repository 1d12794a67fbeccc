"""Functions that are objects with `open` and `close`: each subtask's own, closed whatever failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.core.errors import UserFunctionError
from pipeline.operators.map import Map
from pipeline.reactive.producer import Interrupted
from pipeline.runtime.contexts import Identity, VertexContext
from pipeline.runtime.opened import OpenedFunctions
from pipeline.spi.function import FunctionContext
from pipeline.testing import ManualClock


class Recorded:
    """A function that records what is done with it, and fails where it is asked to."""

    def __init__(
        self, name: str, events: list[Any], fails: str = "", error: BaseException | None = None
    ) -> None:
        self._name = name
        self._events = events
        self._fails = fails
        self._error = error or ValueError("broken")

    def open(self, ctx: FunctionContext) -> None:
        self.ctx = ctx
        self._do("open")

    def __call__(self, value: Any) -> Any:
        return value

    def close(self) -> None:
        self._do("close")

    def _do(self, what: str) -> None:
        self._events.append(f"{what} {self._name}")
        if what == self._fails:
            raise self._error


class Awaited(Recorded):
    async def open(self, ctx: FunctionContext) -> None:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        self.loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        super().open(ctx)

    async def close(self) -> None:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        assert asyncio.get_running_loop() is self.loop
        await asyncio.sleep(0)
        super().close()


@pytest.fixture
def ctx() -> Iterator[VertexContext]:
    context = VertexContext(Identity("job", "line", 1), 2, 4, ManualClock())
    yield context
    context.loop.close()


@pytest.fixture
def events() -> list[Any]:
    return []


@pytest.fixture(params=[Recorded, Awaited])
def kind(request: pytest.FixtureRequest) -> type[Recorded]:
    return request.param


Adopt = Callable[..., OpenedFunctions]


@pytest.fixture
def adopt(ctx: VertexContext) -> Adopt:
    """Make the functions those of the subtask."""

    def adopt(*functions: Any) -> OpenedFunctions:
        opened = OpenedFunctions(ctx)
        for number, function in enumerate(functions):
            opened.adopt(f"map:{number}", Map(function))
        return opened

    return adopt


def test_each_subtask_has_a_copy(kind: type[Recorded], ctx: VertexContext, events: list[Any]) -> None:
    """What `open` makes is not there for another subtask, the user's object is not touched."""
    given = kind("a", events)
    opened = OpenedFunctions(ctx)
    own: Any = opened.adopt("map:a", Map(given)).function
    opened.open()
    assert own is not given
    assert own.ctx == FunctionContext("job", "map:a", subtask=2, parallelism=4)
    assert not hasattr(given, "ctx")
    opened.close(None)


@pytest.mark.parametrize("function", [len, str, lambda value: value, Recorded])
def test_a_plain_function_stays_as_it_is(function: Any, ctx: VertexContext) -> None:
    """So does a class, which is called to make its objects."""
    opened = OpenedFunctions(ctx)
    step = Map(function)
    assert opened.adopt("map:plain", step) is step
    opened.open()
    opened.close(None)


def test_opened_in_order_and_closed_in_reverse(kind: type[Recorded], adopt: Adopt, events: list[Any]) -> None:
    opened = adopt(kind("a", events), kind("b", events))
    opened.open()
    opened.close(None)
    opened.close(None)
    assert events == ["open a", "open b", "close b", "close a"]


def test_a_function_need_not_have_a_close(adopt: Adopt) -> None:
    class Opened:
        def open(self, ctx: FunctionContext) -> None:
            self.ctx = ctx

        def __call__(self, value: Any) -> Any:
            return value

    opened = adopt(Opened())
    opened.open()
    opened.close(None)


def test_what_raised_in_open_is_closed_and_what_was_not_opened_is_not(
    kind: type[Recorded], adopt: Adopt, events: list[Any]
) -> None:
    """The error names the method, its line and the operator."""
    opened = adopt(kind("a", events), kind("b", events, fails="open"), kind("c", events))
    with pytest.raises(UserFunctionError, match=rf"{kind.__name__}.open raised ValueError: broken") as raised:
        opened.open()
    assert (raised.value.job, raised.value.operator) == ("job", "map:1")
    assert raised.value.function is not None
    assert "test_opened.py:" in raised.value.function
    assert isinstance(raised.value.__cause__, ValueError)
    opened.close(raised.value)
    assert events == ["open a", "open b", "close b", "close a"]


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3), asyncio.CancelledError()])
def test_one_that_cannot_be_closed_keeps_no_other_open(
    kind: type[Recorded], adopt: Adopt, events: list[Any], error: BaseException
) -> None:
    """The first failure is raised, those after it are notes on it."""
    opened = adopt(kind("a", events, fails="close"), kind("b", events), kind("c", events, "close", error))
    opened.open()
    with pytest.raises(
        UserFunctionError, match=rf"{kind.__name__}.close raised {type(error).__name__}"
    ) as raised:
        opened.close(None)
    assert events[3:] == ["close c", "close b", "close a"]
    (note,) = raised.value.__notes__
    assert note.startswith(
        f"while closing: {kind.__name__}.close raised ValueError: broken [job job, operator map:0"
    )


def test_a_failure_to_close_does_not_hide_what_ended_the_subtask(
    kind: type[Recorded], adopt: Adopt, events: list[Any]
) -> None:
    opened = adopt(kind("a", events, fails="close"))
    opened.open()
    cause = RuntimeError("first")
    opened.close(cause)
    assert "raised ValueError: broken" in cause.__notes__[0]


def test_a_cancelled_subtask_closes_too(
    kind: type[Recorded],
    adopt: Adopt,
    ctx: VertexContext,
    events: list[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Coroutines as well, although nothing else is awaited any more; what fails is logged."""
    opened = adopt(kind("a", events), kind("b", events, fails="close"))
    opened.open()
    ctx.cancel()
    with caplog.at_level(logging.WARNING):
        opened.close(Interrupted())
    assert events[2:] == ["close b", "close a"]
    assert ["raised ValueError: broken" in message for message in caplog.messages] == [True]


def test_a_cancel_ends_an_open_that_waits(adopt: Adopt, ctx: VertexContext, events: list[Any]) -> None:
    """And what it had acquired is closed."""
    cancel = ctx.cancel

    class Waits(Awaited):
        async def open(self, ctx: FunctionContext) -> None:
            self.loop = asyncio.get_running_loop()
            cancel()
            await asyncio.Event().wait()

    opened = adopt(Waits("a", events))
    with pytest.raises(Interrupted):
        opened.open()
    opened.close(Interrupted())
    assert events == ["close a"]
