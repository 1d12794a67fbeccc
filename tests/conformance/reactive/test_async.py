"""What lives in an event loop, against the rules of publishers: read there, subscribed from elsewhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from pipeline.reactive import Flux, from_async_iterable, to_async_iterator
from pipeline.testing import TestPublisher
from pipeline.testing.assert_subscriber import LONG
from pipeline.testing.tck import PublisherVerification


class Numbers:
    def __init__(self, elements: int) -> None:
        self.elements = elements

    async def __aiter__(self) -> AsyncIterator[int]:
        number = 0
        while number < self.elements:
            number += 1
            yield number


class Broken:
    def __aiter__(self) -> AsyncIterator[int]:
        raise RuntimeError("of the test")


class TestAsyncIterables(PublisherVerification[int]):
    """Each test has an event loop in a thread, in which streams are subscribed."""

    QUIET = timedelta(milliseconds=10)

    def setup_method(self) -> None:
        super().setup_method()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop")
        self._thread.start()

    def teardown_method(self) -> None:
        super().teardown_method()
        asyncio.run_coroutine_threadsafe(_finish_tasks(), self._loop).result(LONG.total_seconds())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LONG.total_seconds())
        self._loop.close()

    def create_publisher(self, elements: int) -> Flux[int]:
        return self.in_loop(from_async_iterable(Numbers(elements)))

    def create_failed_publisher(self) -> Flux[int]:
        return self.in_loop(from_async_iterable(Broken()))

    def in_loop(self, flux: Flux[int]) -> Flux[int]:
        def connect(subscriber: Any) -> None:
            self._loop.call_soon_threadsafe(flux.connect, subscriber)

        return Flux(connect)


async def _finish_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*tasks, return_exceptions=True)


def test_an_async_iterator_asks_as_it_is_read() -> None:
    """Nothing before the first read, one more for each, and a cancel when it is closed."""
    publisher = TestPublisher[int].create_cold().emit(1, 2, 3)

    async def read() -> list[int]:
        values: list[int] = []
        async with aclosing(to_async_iterator(publisher)) as iterator:
            assert publisher.requests == []
            async for value in iterator:
                values.append(value)
                assert len(publisher.requests) == len(values)
                if value == 2:
                    break
        return values

    assert asyncio.run(read()) == [1, 2]
    publisher.assert_cancelled()
