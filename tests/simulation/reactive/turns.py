"""An event loop whose every turn is an action of a scheduler, so that a schedule says when it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from reactivex import abc


class Turns(asyncio.AbstractEventLoop):
    """As much of an event loop as coroutines need that wait for each other only, in one thread.

    Args:
        scheduler: runs each callback, at its present time.
    """

    def __init__(self, scheduler: abc.SchedulerBase) -> None:
        self._scheduler = scheduler

    def run_within(self, callback: Callable[[], Any]) -> None:
        """Call something that asks for the running loop."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            callback()
        finally:
            asyncio._set_running_loop(before)

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._scheduler.schedule(lambda *_: None if handle.cancelled() else self.run_within(handle._run))
        return handle

    call_soon_threadsafe = call_soon

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **_: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self)

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise AssertionError(context["message"]) from context.get("exception")
