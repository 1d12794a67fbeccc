"""A vertex's waits and its event loop: both end when the job is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import timedelta
from typing import Any

import pytest

from pipeline.reactive.producer import Interrupted
from pipeline.runtime.contexts import Identity, VertexContext
from pipeline.testing import ManualClock


@pytest.fixture
def ctx() -> Iterator[VertexContext]:
    context = VertexContext(Identity("job", "line", 1), 0, 1, ManualClock())
    yield context
    context.loop.close()


async def one() -> int:
    return 1


def cancelled_within(ctx: VertexContext) -> Coroutine[Any, Any, None]:
    """Wait for ever; another thread cancels meanwhile."""

    async def wait() -> None:
        threading.Thread(target=ctx.cancel, name="canceller").start()
        await asyncio.Event().wait()

    return wait()


def test_a_cancel_ends_a_pause(ctx: VertexContext) -> None:
    """Through user code that catches every Exception."""
    outcome: list[str] = []

    def pause() -> None:
        try:
            ctx.pause(timedelta(hours=1))
        except Interrupted:
            outcome.append("interrupted")

    waiting = threading.Thread(target=pause, name="waiting")
    waiting.start()
    clock = ctx.clock
    assert isinstance(clock, ManualClock)
    clock.await_waiters()
    ctx.cancel()
    waiting.join()
    assert outcome == ["interrupted"]
    assert not issubclass(Interrupted, Exception)


def test_coroutines_run_one_after_the_other(ctx: VertexContext) -> None:
    assert [ctx.run_async(one()), ctx.run_async(one())] == [1, 1]


def test_a_cancel_ends_what_is_awaited(ctx: VertexContext) -> None:
    with pytest.raises(Interrupted):
        ctx.run_async(cancelled_within(ctx))


@pytest.mark.parametrize("used", [False, True])
def test_a_cancel_in_between_lets_nothing_begin(ctx: VertexContext, used: bool) -> None:
    """Whether or not there is a loop already."""
    if used:
        ctx.run_async(one())
    ctx.cancel()
    with pytest.raises(Interrupted):
        ctx.run_async(one())


def test_a_cancel_of_the_users_own_is_an_error(ctx: VertexContext) -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError("mine")

    with pytest.raises(asyncio.CancelledError, match="mine"):
        ctx.run_async(give_up())


def test_what_the_user_left_suspended_is_closed(ctx: VertexContext) -> None:
    """By the loop's end, which a cancel that came in between does not disturb."""
    closed: list[bool] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    suspended = numbers()

    async def first() -> int:
        return await anext(suspended)

    assert ctx.run_async(first()) == 1
    ctx.cancel()
    ctx.loop.close()
    assert closed == [True]
    ctx.cancel()
