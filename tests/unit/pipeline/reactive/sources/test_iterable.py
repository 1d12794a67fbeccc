"""from_iterable: read as far as it is asked for."""

from __future__ import annotations

import gc
import itertools
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.reactive import Flux, from_iterable
from pipeline.reactive.demand import UNBOUNDED
from pipeline.testing import AssertSubscriber
from pipeline.testing.assert_subscriber import AssertBatchSubscriber
from tests.unit.pipeline.reactive.conftest import Lost


def subscribed(flux: Flux[Any], n: int = 0) -> AssertSubscriber[Any]:
    subscriber = AssertSubscriber[Any](n)
    flux.subscribe(subscriber)
    return subscriber


BATCHES = pytest.mark.parametrize("batch_size", [1, 3])


@BATCHES
class TestReading:
    def test_each_request_reads_as_much(self, batch_size: int) -> None:
        read: list[int] = []
        numbers = (read.append(n) or n for n in range(10))
        subscriber = subscribed(from_iterable(numbers, batch_size=batch_size))
        assert read == []
        subscriber.request(4).assert_values(0, 1, 2, 3)
        assert read == [0, 1, 2, 3]
        subscriber.request(7).assert_values(*range(10)).assert_complete()

    @pytest.mark.parametrize("iterable", [[1, 2], (1, 2), range(1, 3), {1: 0, 2: 0}])
    def test_a_sequence_ends_with_its_last_record(self, batch_size: int, iterable: Any) -> None:
        subscribed(from_iterable(iterable, batch_size=batch_size), 2).assert_values(1, 2).assert_complete()

    def test_an_iterator_is_not_read_ahead_to_see_its_end(self, batch_size: int) -> None:
        numbers = (n for n in (1, 2))
        subscriber = subscribed(from_iterable(numbers, batch_size=batch_size), 2)
        subscriber.assert_values(1, 2).assert_not_terminated()
        subscriber.request(1).assert_values(1, 2).assert_complete()

    def test_an_empty_one_needs_no_demand(self, batch_size: int) -> None:
        subscribed(from_iterable([], batch_size=batch_size)).assert_no_values().assert_complete()

    def test_each_subscriber_begins_again(self, batch_size: int) -> None:
        flux = from_iterable([1, 2], batch_size=batch_size)
        subscribed(flux, 5).assert_values(1, 2)
        subscribed(flux, 5).assert_values(1, 2)

    def test_what_it_raises_comes_after_what_it_emitted(self, batch_size: int) -> None:
        def broken() -> Iterator[int]:
            yield 1
            yield 2
            raise OSError("broken")

        flux = from_iterable(broken(), batch_size=batch_size)
        subscribed(flux, 5).assert_values(1, 2).assert_error(OSError, "broken")

    def test_what_it_raises_once_the_subscriber_has_left_is_reported(
        self, batch_size: int, lost: Lost
    ) -> None:
        """Read ahead for a batch, it has failed before the subscriber leaves within that batch."""

        def broken() -> Iterator[int]:
            yield 1
            raise OSError("broken")

        subscriber = AssertBatchSubscriber[int](5, lambda it, _: it.cancel())
        from_iterable(broken(), batch_size=batch_size).connect(subscriber)
        subscriber.assert_values(1).assert_not_terminated()
        assert [str(error) for error in lost.errors] == ([] if batch_size == 1 else ["broken"])

    def test_one_that_cannot_even_begin_is_an_error(self, batch_size: int) -> None:
        class Closed:
            def __iter__(self) -> Iterator[int]:
                raise OSError("closed")

        subscribed(from_iterable(Closed(), batch_size=batch_size)).assert_error(OSError, "closed")

    def test_a_cancel_ends_the_reading(self, batch_size: int) -> None:
        read: list[int] = []
        numbers = (read.append(n) or n for n in itertools.count())
        subscriber = AssertSubscriber[int](UNBOUNDED, lambda probe, value: value == 4 and probe.cancel())
        from_iterable(numbers, batch_size=batch_size).subscribe(subscriber)
        subscriber.assert_values(0, 1, 2, 3, 4)
        assert len(read) <= 6

    def test_a_cancel_of_another_thread_ends_an_endless_one(self, batch_size: int) -> None:
        """Rule 3.12."""
        begun = threading.Event()
        subscriber = AssertSubscriber[int](0, lambda *_: begun.set())
        from_iterable(itertools.repeat(1), batch_size=batch_size).subscribe(subscriber)
        reader = threading.Thread(target=subscriber.subscription.request, args=(UNBOUNDED,))
        reader.start()
        assert begun.wait(10)
        subscriber.subscription.cancel()
        reader.join(10)
        assert not reader.is_alive()

    @pytest.mark.parametrize("n", [0, -1])
    def test_a_request_for_nothing_ends_the_stream(self, batch_size: int, n: int) -> None:
        """Rule 3.9."""
        subscriber = subscribed(from_iterable(range(5), batch_size=batch_size), 1)
        subscriber.request(n).assert_values(0).assert_error(ValueError, "3.9")

    def test_a_cancelled_subscriber_and_the_iterator_are_let_go_of(self, batch_size: int) -> None:
        """Rule 3.13, though somebody keeps the subscription."""

        def records() -> Iterator[int]:
            yield 1

        iterator = records()
        gone = weakref.ref(iterator)
        subscriber = AssertSubscriber[int](0)
        flux = from_iterable(_Once([iterator]), batch_size=batch_size)
        del iterator
        flux.subscribe(subscriber)
        subscription, left = subscriber.subscription, weakref.ref(subscriber)
        subscription.cancel()
        del subscriber
        gc.collect()
        assert gone() is None
        assert left() is None


class _Once:
    """Returns the one iterator that it has."""

    def __init__(self, iterators: list[Iterator[int]]) -> None:
        self._iterators = iterators

    def __iter__(self) -> Iterator[int]:
        return self._iterators.pop()


def test_none_in_it_ends_the_stream() -> None:
    """Rule 2.13."""
    subscribed(from_iterable([1, None, 2]), 5).assert_values(1).assert_error(TypeError, "2.13")


def test_requests_in_on_next_do_not_recurse() -> None:
    """Rule 3.3, a million deep."""

    class Greedy:
        heard = depth = deepest = 0
        completed = False

        def on_subscribe(self, subscription: Any) -> None:
            self.subscription = subscription
            subscription.request(1)

        def on_next(self, value: int) -> None:
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)
            self.heard += 1
            self.subscription.request(1)
            self.depth -= 1

        def on_error(self, error: Exception) -> None:
            raise error

        def on_completed(self) -> None:
            self.completed = True

    greedy = Greedy()
    from_iterable(range(1_000_000)).subscribe(greedy)
    assert (greedy.heard, greedy.deepest, greedy.completed) == (1_000_000, 1, True)


def test_batches_are_as_large_as_wanted() -> None:
    class Batches(AssertSubscriber[int]):
        def __init__(self) -> None:
            super().__init__(5)
            self.sizes: list[int] = []

        def on_next_batch(self, values: Any) -> None:
            self.sizes.append(len(values))
            for value in values:
                self.on_next(value)

    batches = Batches()
    from_iterable(range(10), batch_size=4).subscribe(batches)
    assert batches.sizes == [4, 1]
    batches.request(5).assert_values(*range(10)).assert_complete()
    assert batches.sizes == [4, 1, 4, 1]


def test_what_an_observer_without_on_error_raises_reaches_the_one_that_subscribed() -> None:
    def refuse(value: int) -> None:
        raise OSError(f"no {value}")

    with pytest.raises(OSError, match="no 1"):
        from_iterable([1, 2]).subscribe(refuse)


def test_the_batch_size_is_positive() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        from_iterable([], batch_size=0)
