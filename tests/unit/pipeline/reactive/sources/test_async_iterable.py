"""Async iterables as streams, and streams as async iterables: each asks as it is read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any

import pytest
import reactivex

from pipeline.core.errors import ConfigError
from pipeline.reactive import Flux, create, from_async_iterable, from_iterable, to_async_iterator
from pipeline.testing import AssertSubscriber, TestPublisher
from tests.unit.pipeline.reactive.conftest import Lost, Requests


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


class Numbers:
    """Counts, and remembers how far and how it ended."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self._count = count
        self._error = error
        self.read = 0
        self.closed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[int]:
        try:
            for number in range(self._count):
                await asyncio.sleep(0)
                self.read += 1
                yield number
            if self._error is not None:
                raise self._error
        finally:
            self.closed.set()


async def turns(count: int = 20) -> None:
    """Let everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


class TestFromAsyncIterable:
    def test_it_is_read_only_as_far_as_it_is_wanted(self) -> None:
        async def work() -> None:
            numbers = Numbers(10)
            subscriber = AssertSubscriber[int](0)
            from_async_iterable(numbers).subscribe(subscriber)
            await turns()
            assert numbers.read == 0
            subscriber.request(3)
            await turns()
            subscriber.assert_values(0, 1, 2)
            assert numbers.read == 3
            subscriber.request(10)
            await numbers.closed.wait()
            await turns()
            subscriber.assert_values(*range(10)).assert_complete()

        run(work())

    def test_what_it_raises_ends_the_stream(self) -> None:
        async def work() -> None:
            numbers = Numbers(1, OSError("broken"))
            subscriber = AssertSubscriber[int](5)
            from_async_iterable(numbers).subscribe(subscriber)
            await numbers.closed.wait()
            await turns()
            subscriber.assert_values(0).assert_error(OSError, "broken")

        run(work())

    @pytest.mark.parametrize("wanted", [0, 2, 100])
    def test_a_cancel_closes_it_whatever_it_waits_for(self, wanted: int) -> None:
        async def work() -> None:
            numbers = Numbers(1_000_000)
            subscriber = AssertSubscriber[int](wanted)
            from_async_iterable(numbers).subscribe(subscriber)
            await turns()
            subscriber.cancel()
            await turns()
            if wanted:
                await numbers.closed.wait()
            assert len(asyncio.all_tasks()) == before

        before = 2  # this coroutine and the one that waits for it
        run(work())

    def test_requests_may_come_from_another_thread(self) -> None:
        async def work() -> None:
            numbers = Numbers(200)
            subscriber = AssertSubscriber[int](0)
            from_async_iterable(numbers).subscribe(subscriber)
            ask = lambda: [subscriber.request(7) for _ in range(30)]  # noqa: E731
            asker = threading.Thread(target=ask, name="test-asker")
            asker.start()
            await numbers.closed.wait()
            await turns()
            asker.join(10)
            subscriber.assert_values(*range(200)).assert_complete().assert_protocol()

        run(work())

    def test_one_that_cannot_even_begin_is_an_error(self) -> None:
        class Closed:
            def __aiter__(self) -> AsyncIterator[int]:
                raise OSError("closed")

        async def work() -> None:
            subscriber = AssertSubscriber[int](0)
            from_async_iterable(Closed()).subscribe(subscriber)
            subscriber.assert_no_values().assert_error(OSError, "closed")

        run(work())

    def test_outside_an_event_loop_it_says_what_it_needs(self) -> None:
        subscriber = AssertSubscriber[int](1)
        from_async_iterable(Numbers(1)).subscribe(subscriber)
        subscriber.assert_error(ConfigError, "outside an event loop")


class TestToAsyncIterator:
    @pytest.mark.parametrize("prefetch", [1, 3, 100])
    def test_each_record_is_read_in_order(self, prefetch: int) -> None:
        async def work() -> None:
            read = [number async for number in to_async_iterator(from_iterable(range(10)), prefetch)]
            assert read == list(range(10))

        run(work())

    def test_nothing_is_asked_for_before_it_is_read(self) -> None:
        async def work() -> None:
            requests = Requests(from_iterable(range(10)))
            reading = to_async_iterator(requests)
            await turns()
            assert requests.made == []
            assert await anext(reading) == 0
            await turns()
            assert requests.made == [1]
            assert await anext(reading) == 1
            assert requests.made == [1, 1]
            await reading.aclose()

        run(work())

    def test_closing_it_cancels(self) -> None:
        async def work() -> None:
            publisher = TestPublisher[int]()
            async with aclosing(to_async_iterator(publisher)) as reading:
                reader = asyncio.ensure_future(anext(reading))
                await turns()
                publisher.next(1)
                assert await reader == 1
                publisher.assert_not_cancelled()
            publisher.assert_cancelled(1)

        run(work())

    def test_closing_it_gives_up_what_was_not_read(self, lost: Lost) -> None:
        async def work() -> None:
            async with aclosing(to_async_iterator(from_iterable(range(9)), 4)) as reading:
                assert await anext(reading) == 0
            assert lost.discarded == [1, 2, 3]

        run(work())

    def test_an_error_is_raised_after_what_came_before(self) -> None:
        async def work() -> None:
            def emitter(sink: Any) -> None:
                sink.next(1).error(OSError("broken"))

            reading = to_async_iterator(create(emitter))
            assert await anext(reading) == 1
            with pytest.raises(OSError, match="broken"):
                await anext(reading)

        run(work())

    def test_the_stream_may_emit_in_another_thread(self) -> None:
        async def work() -> None:
            sinks: list[Any] = []
            flux: Flux[int] = create(sinks.append)
            reading = to_async_iterator(flux, 16)
            first = asyncio.ensure_future(anext(reading))
            await turns()

            def produce() -> None:
                for number in range(1_000):
                    sinks[0].next(number)
                sinks[0].complete()

            producer = threading.Thread(target=produce, name="test-producer")
            producer.start()
            read = [await first, *[number async for number in reading]]
            producer.join(10)
            assert read == list(range(1_000))

        run(work())

    def test_there_and_back_again(self) -> None:
        async def work() -> None:
            back = to_async_iterator(from_async_iterable(Numbers(20)), 4)
            assert [number async for number in back] == list(range(20))

        run(work())

    def test_a_plain_observable_is_refused(self) -> None:
        async def work() -> None:
            with pytest.raises(ConfigError, match="to_async_iterator needs a Flux"):
                await anext(to_async_iterator(reactivex.range(0, 3)))

        run(work())
