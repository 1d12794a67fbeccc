"""Streams of async iterables, and streams as async iterables: both sides ask as they are read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Generic, TypeVar

from reactivex import Observable

from pipeline.core.errors import ConfigError
from pipeline.reactive import hooks
from pipeline.reactive.demand import Prefetch
from pipeline.reactive.flux import Flux
from pipeline.reactive.operators.base import flux_of
from pipeline.reactive.sources.create import FluxSink, create
from pipeline.reactive.subscriber import Subscription

T = TypeVar("T")


def from_async_iterable(iterable: AsyncIterable[T]) -> Flux[T]:
    """Make a stream of an async iterable, read in the event loop that subscribes.

    It is read only when a record is wanted. A cancel cancels the reading and closes the iterator.
    """
    return create(lambda sink: _Reading(iterable, sink).begin())


class _Reading(Generic[T]):
    def __init__(self, iterable: AsyncIterable[T], sink: FluxSink[T]) -> None:
        self._iterable = iterable
        self._sink = sink
        self._wanted = asyncio.Event()

    def begin(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            raise ConfigError(
                "from_async_iterable is subscribed outside an event loop",
                hint="subscribe in a coroutine, such as one started with asyncio.run()",
            ) from error
        task = loop.create_task(self._read(aiter(self._iterable)))

        def cancel() -> None:
            with suppress(RuntimeError):  # the loop is closed, and the task with it
                loop.call_soon_threadsafe(task.cancel)

        self._sink.on_dispose(cancel)
        self._sink.on_request(lambda _: loop.call_soon_threadsafe(self._wanted.set))

    async def _read(self, iterator: AsyncIterator[T]) -> None:
        try:
            # An iterator that never waits keeps the loop, and with it the task's cancel, from running.
            while not self._sink.is_cancelled:
                await self._demand()
                self._sink.next(await anext(iterator))
        except StopAsyncIteration:
            self._sink.complete()
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            self._sink.error(error)
        finally:
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()

    async def _demand(self) -> None:
        while self._sink.requested_from_downstream <= 0:
            self._wanted.clear()
            await self._wanted.wait()


async def to_async_iterator(source: Observable[T], prefetch: int = 1) -> AsyncGenerator[T]:
    """Read a stream in an event loop; what has not been read is not asked for, but for the prefetch.

    The stream may emit in any thread. A reader that stops early closes the iterator (`contextlib.aclosing`),
    which cancels.

    Args:
        source: a Flux.
        prefetch: records asked for at a time, the first at the first read.
    """
    reader = _Reader[T](asyncio.get_running_loop(), prefetch)
    flux_of("to_async_iterator", source).subscribe(reader)
    try:
        while (await reader.arrival()) and reader.arrived:
            yield reader.arrived.popleft()
            reader.consumed()
    finally:
        reader.cancel()


class _Reader(Generic[T]):
    def __init__(self, loop: asyncio.AbstractEventLoop, bound: int) -> None:
        self._loop = loop
        self._bound = bound
        self._prefetch = Prefetch()
        self._news = asyncio.Event()
        self._subscription: Subscription | None = None
        self._ended = False
        self._error: Exception | None = None
        self.arrived: deque[T] = deque()

    # --- the stream: any thread -----------------------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        self._subscription = subscription
        subscription.request(self._prefetch.first(self._bound))

    def on_next(self, value: T) -> None:
        self.arrived.append(value)
        self._tell()

    def on_error(self, error: Exception) -> None:
        self._error = error
        self.on_completed()

    def on_completed(self) -> None:
        self._ended = True
        self._tell()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(self._news.set)

    # --- the reader ------------------------------------------------------------------------------------

    async def arrival(self) -> bool:
        """Wait for a record; False at the end."""
        while not self.arrived:
            self._news.clear()
            if not self.arrived and not self._ended:
                await self._news.wait()
            elif self._ended and not self.arrived:
                if self._error is not None:
                    raise self._error
                return False
        return True

    def consumed(self) -> None:
        """Say that the record was read and another one is."""
        more = self._prefetch.consumed(1, self._bound)
        if more and self._subscription is not None:
            self._subscription.request(more)

    def cancel(self) -> None:
        """Want nothing more, and give up what was not read."""
        if self._subscription is not None:
            self._subscription.cancel()
        while self.arrived:
            hooks.discarded(self.arrived.popleft())
