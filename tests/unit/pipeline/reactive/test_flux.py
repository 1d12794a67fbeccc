"""Flux: an Rx Observable that keeps demand (the rules are those of reactive-streams 1.0.4)."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops

from pipeline.reactive import DemandLost, Flux, from_iterable
from pipeline.reactive import map as flux_map
from pipeline.reactive.demand import UNBOUNDED
from tests.unit.pipeline.reactive.conftest import FullProbe, Probe


class Source:
    """Stands in for the producer of a Flux, without a thread: the test decides when what is signalled."""

    def __init__(self) -> None:
        self.requests: list[int] = []
        self.cancels = 0
        self.subscriber: Any = None

    def connect(self, subscriber: Any) -> None:
        self.subscriber = subscriber
        subscriber.on_subscribe(self)

    @property
    def flux(self) -> Flux[Any]:
        return Flux(self.connect)

    def request(self, n: int) -> None:
        self.requests.append(n)

    def cancel(self) -> None:
        self.cancels += 1


@pytest.fixture
def source() -> Source:
    return Source()


class TestDemandOfTheSubscriber:
    def test_nothing_is_requested_for_a_subscriber_with_on_subscribe(self, source: Source) -> None:
        """Rule 1.1 leaves it to the subscriber, also if it takes single records only."""
        probe = Probe()
        source.flux.subscribe(probe)
        assert source.requests == []
        probe.subscription.request(3)
        probe.subscription.request(2)
        assert source.requests == [3, 2]

    def test_single_records_are_emitted_one_by_one(self, source: Source) -> None:
        probe = Probe(first=5)
        source.flux.subscribe(probe)
        source.subscriber.on_next_batch([1, 2, 3])
        assert probe.values == [1, 2, 3]

    def test_batches_go_to_those_that_take_batches(self, source: Source) -> None:
        probe = FullProbe(first=5)
        source.flux.subscribe(probe)
        batch = [1, 2, 3]
        source.subscriber.on_next_batch(batch)
        assert probe.batches[0] is batch

    def test_batches_without_control_elements_are_possible_too(self, source: Source) -> None:
        class BatchesOnly(Probe):
            def on_next_batch(self, values: Any) -> None:
                self.values.append(tuple(values))

        probe = BatchesOnly(first=5)
        source.flux.subscribe(probe)
        source.subscriber.on_next_batch([1, 2])
        source.subscriber.on_control("barrier")
        assert probe.values == [(1, 2)]

    def test_control_elements_reach_those_that_know_them(self, source: Source) -> None:
        """They need no demand, and stay where they are among the records."""
        full, simple = FullProbe(first=9), Probe(first=9)
        for probe in (full, simple):
            source.flux.subscribe(probe)
            source.subscriber.on_next_batch([1])
            source.subscriber.on_control("barrier")
            source.subscriber.on_next_batch([2])
        assert full.values == [1, "barrier", 2]
        assert simple.values == [1, 2]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget which plain operators have been warned of, since that is said once in a process."""
    monkeypatch.setattr("pipeline.reactive.flux._warned_of", set[str]())


@pytest.mark.usefixtures("forgetful")
class TestLostDemand:
    def test_a_plain_rx_operator_after_a_flux_warns_once_by_name(self, source: Source) -> None:
        with pytest.warns(DemandLost, match="reactivex's map downstream of a Flux requests everything"):
            source.flux.pipe(ops.map(lambda x: x)).subscribe()
        source.flux.pipe(ops.map(lambda x: x)).subscribe()
        with pytest.warns(DemandLost, match="reactivex's filter "):
            source.flux.pipe(ops.filter(bool)).subscribe()

    def test_it_points_at_the_line_that_subscribes(self, source: Source) -> None:
        with pytest.warns(DemandLost) as warned:
            source.flux.pipe(ops.map(lambda x: x), ops.filter(bool)).subscribe()
        assert [warning.filename for warning in warned] == [__file__]

    def test_awaiting_the_last_record_is_not_an_operator(self) -> None:
        async def last() -> int:
            return await from_iterable(range(3))

        assert asyncio.run(last()) == 2

    def test_neither_callbacks_nor_our_operators_lose_it(self, source: Source) -> None:
        """The warnings of this suite are errors."""
        source.flux.pipe(flux_map(str)).subscribe(print).dispose()
        source.flux.subscribe(Probe(first=1))


@pytest.mark.filterwarnings("ignore::pipeline.reactive.flux.DemandLost")
class TestPlainRx:
    def test_a_plain_operator_can_end_what_never_ends(self) -> None:
        """It disposes of its source in the midst of the source's emission."""
        heard: list[int] = []
        from_iterable(itertools.count()).pipe(ops.take(3)).subscribe(heard.append)
        assert heard == [0, 1, 2]

    @pytest.mark.parametrize("style", ["callbacks", "observer"])
    def test_a_plain_observer_is_taken_to_want_everything(self, source: Source, style: str) -> None:
        class Plain:
            def __init__(self) -> None:
                self.heard: list[Any] = []

            def on_next(self, value: Any) -> None:
                self.heard.append(value)

            def on_error(self, error: Exception) -> None:
                self.heard.append(error)

            def on_completed(self) -> None:
                self.heard.append("completed")

        plain = Plain()
        if style == "observer":
            source.flux.subscribe(plain)
        else:
            source.flux.subscribe(plain.on_next, plain.on_error, plain.on_completed)
        assert source.requests == [UNBOUNDED]
        source.subscriber.on_next_batch([1, 2])
        source.subscriber.on_control("barrier")
        source.subscriber.on_completed()
        assert plain.heard == [1, 2, "completed"]

    def test_it_is_an_observable_that_plain_operators_take(self, source: Source) -> None:
        heard: list[Any] = []
        flux = source.flux
        assert isinstance(flux, Observable)
        piped = flux.pipe(ops.map(lambda x: x * 10), ops.filter(lambda x: x != 20))
        piped.subscribe(heard.append, heard.append, lambda: heard.append("completed"))
        assert source.requests == [UNBOUNDED]
        source.subscriber.on_next_batch([1, 2, 3])
        source.subscriber.on_completed()
        assert heard == [10, 30, "completed"]

    def test_its_fluent_operators_work_too(self, source: Source) -> None:
        heard: list[Any] = []
        source.flux.map(str).subscribe(heard.append)
        source.subscriber.on_next_batch([1, 2])
        assert heard == ["1", "2"]

    def test_an_operator_that_has_had_enough_cancels(self, source: Source) -> None:
        """`take(2)` out of a batch of a thousand: two records, no third."""
        heard: list[Any] = []
        source.flux.pipe(ops.take(2)).subscribe(heard.append)
        source.subscriber.on_next_batch(range(1_000))
        assert heard == [0, 1]
        assert source.cancels == 1

    def test_an_error_without_a_handler_is_not_lost(self, source: Source) -> None:
        source.flux.subscribe(lambda _: None)
        with pytest.raises(ZeroDivisionError):
            source.subscriber.on_error(ZeroDivisionError())

    def test_missing_callbacks_are_fine(self, source: Source) -> None:
        source.flux.subscribe()
        source.subscriber.on_next_batch([1])
        source.subscriber.on_completed()

    @pytest.mark.parametrize("wrong", [7, "text", object()])
    def test_what_cannot_listen_is_refused(self, source: Source, wrong: Any) -> None:
        """Rule 1.9; nothing is subscribed."""
        with pytest.raises(TypeError, match=type(wrong).__name__):
            source.flux.subscribe(wrong)
        assert source.subscriber is None

    def test_a_subscriber_that_takes_no_records_is_refused(self, source: Source) -> None:
        class Deaf:
            def on_subscribe(self, subscription: Any) -> None: ...

        with pytest.raises(TypeError, match="Deaf"):
            source.flux.subscribe(Deaf())


END: list[Callable[[Source, Probe], None]] = [
    lambda source, probe: probe.subscription.cancel(),
    lambda source, probe: source.subscriber.on_completed(),
    lambda source, probe: source.subscriber.on_error(ValueError()),
]


@pytest.mark.parametrize("end", END, ids=["cancel", "completed", "error"])
class TestAfterTheEnd:
    def test_nothing_is_heard(self, source: Source, end: Callable[[Source, Probe], None]) -> None:
        """Rules 1.7 and 3.12: one end at most, and nothing after it."""
        probe = FullProbe(first=5)
        source.flux.subscribe(probe)
        end(source, probe)
        heard, ends = list(probe.values), probe.ends
        source.subscriber.on_next_batch([1])
        source.subscriber.on_control("barrier")
        source.subscriber.on_completed()
        source.subscriber.on_error(ValueError())
        assert probe.values == heard
        assert probe.ends == ends

    def test_the_subscription_does_nothing(
        self, source: Source, end: Callable[[Source, Probe], None]
    ) -> None:
        """Rules 3.6 and 3.7: request, even with n ≤ 0, and cancel do nothing."""
        probe = Probe(first=5)
        source.flux.subscribe(probe)
        end(source, probe)
        cancels = source.cancels
        probe.subscription.request(1)
        probe.subscription.request(0)
        probe.subscription.cancel()
        assert source.requests == [5]
        assert source.cancels == cancels

    @pytest.mark.parametrize("kind", [Probe, FullProbe])
    def test_the_subscriber_is_let_go_of(
        self, source: Source, end: Callable[[Source, Probe], None], kind: type[Probe]
    ) -> None:
        """Rule 3.13, even if the source and the disposable stay."""
        probe = kind(first=5)
        gone = weakref.ref(probe)
        disposable = source.flux.subscribe(probe)
        end(source, probe)
        del probe
        gc.collect()
        assert gone() is None
        assert source.subscriber is not None
        disposable.dispose()


class TestSubscribing:
    def test_disposing_cancels_once(self, source: Source) -> None:
        probe = Probe(first=5)
        disposable = source.flux.subscribe(probe)
        disposable.dispose()
        disposable.dispose()
        source.subscriber.on_next_batch([1])
        assert source.cancels == 1
        assert probe.values == []

    def test_callbacks_are_let_go_of_when_disposed(self, source: Source) -> None:
        probe = Probe()
        gone = weakref.ref(probe)
        source.flux.subscribe(probe.on_next).dispose()
        del probe
        gc.collect()
        assert gone() is None

    def test_a_second_subscription_is_refused(self, source: Source) -> None:
        """Rule 2.5: the new one is cancelled, the old one continues."""
        probe, other = Probe(first=5), Source()
        source.flux.subscribe(probe)
        source.subscriber.on_subscribe(other)
        assert (other.cancels, other.requests) == (1, [])
        probe.subscription.request(1)
        assert source.requests == [5, 1]
        assert source.cancels == 0

    def test_a_subscription_that_comes_after_the_cancel_is_cancelled(self, source: Source) -> None:
        subscribers: list[Any] = []
        probe = Probe(first=5)
        Flux(subscribers.append).subscribe(probe).dispose()
        subscribers[0].on_subscribe(source)
        assert (source.cancels, source.requests) == (1, [])
        assert probe.subscription is None

    def test_cancelling_within_a_batch_ends_it_there(self, source: Source) -> None:
        probe = Probe(first=9, then=lambda probe, value: value == 2 and probe.subscription.cancel())
        source.flux.subscribe(probe)
        source.subscriber.on_next_batch([1, 2, 3, 4])
        assert probe.values == [1, 2]

    def test_connect_puts_nothing_in_between(self, source: Source) -> None:
        probe = FullProbe()
        source.flux.connect(probe)
        assert source.subscriber is probe
        assert probe.subscription is source
