"""from_observable: a plain Observable, which has no demand, with a strategy."""

from __future__ import annotations

import pytest
import reactivex
from reactivex.subject import Subject

from pipeline.core.errors import BackpressureOverflow, ConfigError
from pipeline.reactive import from_iterable, from_observable, take
from pipeline.reactive import map as flux_map
from pipeline.reactive.demand import UNBOUNDED
from pipeline.testing import AssertSubscriber


def test_the_default_keeps_everything() -> None:
    subscriber = AssertSubscriber[int](2)
    from_observable(reactivex.range(0, 5)).subscribe(subscriber)
    subscriber.assert_values(0, 1).assert_not_terminated()
    subscriber.request(3).assert_values(*range(5)).assert_complete()


@pytest.mark.parametrize(("overflow", "then"), [("DROP", []), ("LATEST", [4])])
def test_the_strategy_decides_on_the_rest(overflow: str, then: list[int]) -> None:
    subscriber = AssertSubscriber[int](2)
    from_observable(reactivex.range(0, 5), overflow=overflow).subscribe(subscriber)
    subscriber.request(5).assert_values(0, 1, *then).assert_complete()


def test_with_error_it_ends_and_the_observable_is_disposed_of() -> None:
    subject = Subject[int]()
    subscriber = AssertSubscriber[int](1)
    from_observable(subject, overflow="ERROR").subscribe(subscriber)
    subject.on_next(1)
    subject.on_next(2)
    subscriber.assert_values(1).assert_error(BackpressureOverflow)
    assert not subject.observers


def test_an_error_passes() -> None:
    subscriber = AssertSubscriber[int](1)
    from_observable(reactivex.throw(OSError("lost"))).subscribe(subscriber)
    subscriber.assert_error(OSError, "lost")


def test_a_cancel_disposes_of_it() -> None:
    subject = Subject[int]()
    subscriber = AssertSubscriber[int](1)
    from_observable(subject).subscribe(subscriber)
    assert subject.observers
    subscriber.cancel()
    assert not subject.observers


def test_a_cancel_stops_one_that_emits_for_ever_while_it_is_subscribed() -> None:
    subscriber = AssertSubscriber[int](UNBOUNDED)
    from_observable(reactivex.repeat_value(7)).pipe(take(3)).subscribe(subscriber)
    subscriber.assert_values(7, 7, 7).assert_complete()


def test_a_flux_is_left_as_it_is() -> None:
    flux = from_iterable([1])
    assert from_observable(flux) is flux


def test_a_strategy_is_one_of_five() -> None:
    with pytest.raises(ValueError, match="one of BUFFER, DROP, LATEST, ERROR, IGNORE, not 'PERHAPS'"):
        from_observable(reactivex.range(0, 5), overflow="PERHAPS")


def test_the_other_operators_refuse_a_plain_observable_and_say_what_helps() -> None:
    with pytest.raises(ConfigError, match=r"map needs a Flux, found Observable.*from_observable"):
        reactivex.range(0, 5).pipe(flux_map(str))
