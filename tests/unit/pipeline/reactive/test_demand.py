"""The arithmetic of demand: numbers that Reactor's `OperatorsTest` pins, and what the engine adds to them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reactive.demand import (
    FIRST_BOUND,
    MAX_BATCH,
    MAX_BOUND,
    UNBOUNDED,
    AdaptiveBound,
    BatchBound,
    Demand,
    Prefetch,
    SideDemand,
    add_cap,
    low_tide,
    produced,
    validate_request,
)


@pytest.mark.parametrize(
    ("requested", "n", "total"),
    [
        (0, 1, 1),
        (1, 2, 3),
        (UNBOUNDED - 1, 1, UNBOUNDED),
        (UNBOUNDED - 1, 2, UNBOUNDED),
        (UNBOUNDED, 1, UNBOUNDED),
        (UNBOUNDED, UNBOUNDED, UNBOUNDED),
        (0, 2**63, UNBOUNDED),
    ],
)
def test_demand_adds_up_and_saturates(requested: int, n: int, total: int) -> None:
    """Rule 3.17: 2^63 - 1 and everything above it means "without limit".

    Reactor: OperatorsTest.addCap
    """
    assert add_cap(requested, n) == total


def test_delivered_records_use_demand_up_unless_it_is_unbounded() -> None:
    assert produced(10, 4) == 6
    assert produced(UNBOUNDED, 4) == UNBOUNDED


@pytest.mark.parametrize("n", [0, -1, -(2**63)])
def test_a_request_must_be_positive(n: int) -> None:
    """Rule 3.9."""
    with pytest.raises(ValueError, match=r"3\.9"):
        validate_request(n)
    assert validate_request(1) == 1


@pytest.mark.parametrize(
    ("bound", "tide"),
    [(100, 75), (40, 30), (256, 192), (8, 6), (4, 3), (3, 3), (2, 2), (1, 1), (UNBOUNDED, UNBOUNDED)],
)
def test_more_is_asked_for_after_three_quarters(bound: int, tide: int) -> None:
    """Reactor: OperatorsTest.unboundedOrLimit, OperatorsTest.unboundedOrPrefetch"""
    assert low_tide(bound) == tide


@pytest.mark.parametrize(
    ("bound", "chosen", "tide"),
    [
        (100, 0, 100),
        (100, -1, 100),
        (100, 50, 50),
        (100, 100, 75),
        (100, 110, 75),
        (UNBOUNDED, 110, UNBOUNDED),
        (UNBOUNDED, 0, UNBOUNDED),
    ],
)
def test_a_chosen_tide_takes_the_place_of_three_quarters(bound: int, chosen: int, tide: int) -> None:
    """Reactor: OperatorsTest.unboundedOrLimitLowTide"""
    assert low_tide(bound, chosen) == tide


def test_the_demand_of_one_subscriber_adds_up_saturates_and_stays_without_limit() -> None:
    """Reactor: OperatorsTest.addAndGetAtomicField"""
    demand = Demand()
    demand.request(1)
    demand.request(2)
    assert demand.left == 3
    demand.produced(2)
    assert demand.left == 1
    demand.request(UNBOUNDED - 1)
    demand.produced(5)
    assert demand.left == UNBOUNDED


class TestPrefetch:
    @pytest.mark.parametrize(
        ("bound", "later"), [(40, [30] * 5), (256, [192] * 5), (4, [3] * 5), (3, [3] * 5), (1, [1] * 5)]
    )
    def test_requests_the_bound_then_three_quarters_at_a_time(self, bound: int, later: list[int]) -> None:
        """Records consumed one by one: [bound, 0.75 bound, 0.75 bound, …]."""
        prefetch = Prefetch()
        requests = [prefetch.first(bound)]
        for _ in range(sum(later)):
            requests.append(prefetch.consumed(1, bound))
        assert [n for n in requests if n] == [bound, *later]

    @given(
        st.lists(st.tuples(st.integers(1, 500), st.integers(1, 300)), max_size=60),
        st.integers(1, 300),
    )
    def test_keeps_the_bound_whatever_it_becomes(self, steps: list[tuple[int, int]], first: int) -> None:
        """Never more outstanding than the bound that was asked with; never a stall: someone who has
        consumed all of it has asked again."""
        prefetch = Prefetch()
        outstanding = prefetch.first(first)
        for arrived, bound in steps:
            records = min(arrived, outstanding)
            more = prefetch.consumed(records, bound)
            outstanding += more - records
            assert more == 0 or outstanding == bound
            assert outstanding > 0
            assert outstanding == prefetch.outstanding

    def test_records_on_top_of_the_demand_are_a_debt(self) -> None:
        """A side output may bring more than was asked for: the next request counts them all."""
        prefetch = Prefetch()
        assert prefetch.first(10) == 10
        assert prefetch.consumed(25, 10) == 25

    def test_unbounded_is_asked_for_once(self) -> None:
        prefetch = Prefetch()
        assert prefetch.first(UNBOUNDED) == UNBOUNDED
        assert prefetch.consumed(10**9, UNBOUNDED) == 0


class TestBatchBound:
    def test_it_begins_with_as_many_as_may_travel_together(self) -> None:
        assert BatchBound().value == MAX_BATCH

    @pytest.mark.parametrize(
        ("nanoseconds", "expected"), [(10, 2048), (244, 2048), (333, 1501), (450, 1111), (10_000, 1024)]
    )
    def test_it_is_what_takes_half_a_millisecond(self, nanoseconds: int, expected: int) -> None:
        """Of records that take that many nanoseconds each."""
        bound = BatchBound()
        bound.observe(2048, 2048 * nanoseconds / 1e9)
        assert bound.value == expected

    def test_few_records_say_nothing(self) -> None:
        """A quiet stream's wait for nothing, and a batch has its own price."""
        bound = BatchBound()
        bound.observe(1023, 1.0)
        assert bound.value == MAX_BATCH

    def test_it_follows(self) -> None:
        bound = BatchBound()
        for seconds, expected in [(1.0, 1024), (0.0, 2048), (1.0, 1024)]:
            bound.observe(1024, seconds)
            assert bound.value == expected


class TestAdaptiveBound:
    def test_starts_small_and_at_most_doubles(self) -> None:
        bound = AdaptiveBound()
        values = [bound.value]
        for _ in range(12):
            bound.observe(1_000, 0.0001)
            values.append(bound.value)
        assert values[0] == FIRST_BOUND
        assert all(later <= 2 * earlier for earlier, later in pairwise(values))
        assert values[-1] == MAX_BOUND

    @pytest.mark.parametrize("rate", [1, 7, 100, 5_000])
    def test_a_consumer_gets_about_a_second_of_its_rate(self, rate: int) -> None:
        """So that the records before a barrier are processed in about a second."""
        bound = AdaptiveBound()
        for _ in range(2_000):
            records = min(bound.value, 50)
            bound.observe(records, records / rate)
        assert rate * 0.9 - 1 <= bound.value <= rate * 1.1

    def test_a_consumer_slower_than_one_a_second_still_gets_one(self) -> None:
        bound = AdaptiveBound()
        bound.observe(1, 60.0)
        assert bound.value == 1

    def test_a_buffering_consumer_is_as_slow_as_its_writes(self) -> None:
        """Nine batches into a buffer at once, the tenth writes for ten seconds: 100 a second."""
        bound = AdaptiveBound()
        seen: list[int] = []
        for batch in range(200):
            bound.observe(100, 10.0 if batch % 10 == 9 else 0.0001)
            if batch > 20:
                seen.append(bound.value)
        assert max(seen) <= 200

    def test_recovers_from_a_hiccup(self) -> None:
        """One pause of ten seconds does not slow a fast consumer for long."""
        bound = AdaptiveBound()
        for _ in range(100):
            bound.observe(bound.value, bound.value / 1e6)
        bound.observe(bound.value, 10.0)
        slow, batches = bound.value, 0
        while bound.value < MAX_BOUND:
            bound.observe(bound.value, bound.value / 1e6)
            batches += 1
        assert slow < MAX_BOUND
        assert batches < 150

    def test_an_observation_of_nothing_teaches_nothing(self) -> None:
        bound = AdaptiveBound()
        bound.observe(0, 100.0)
        assert bound.value == FIRST_BOUND

    def test_is_also_bounded_from_outside(self) -> None:
        bound = AdaptiveBound(maximum=100)
        assert bound.value == FIRST_BOUND
        bound.limit(5)
        assert bound.value == 5
        bound.limit(0)
        assert bound.value == 1
        for _ in range(20):
            bound.observe(1_000, 0.001)
        assert bound.value == 100


class TestSideDemand:
    def test_rests_until_every_consumer_wants_more(self) -> None:
        demand = SideDemand(2)
        refilled: list[bool] = []
        demand.on_refilled = lambda: refilled.append(demand.exhausted)
        assert demand.exhausted
        demand.request(0, 3)
        assert demand.exhausted
        assert refilled == []
        demand.request(1, 3)
        assert refilled == [False]
        demand.delivered(0, 3)
        assert demand.exhausted

    def test_what_came_on_top_is_worked_off_first(self) -> None:
        demand = SideDemand(1)
        demand.request(0, 10)
        demand.delivered(0, 15)
        demand.request(0, 5)
        assert demand.exhausted
        demand.request(0, 1)
        assert not demand.exhausted

    def test_without_consumers_it_never_rests(self) -> None:
        assert not SideDemand(0).exhausted

    def test_unbounded_demand_is_never_used_up(self) -> None:
        demand = SideDemand(1)
        demand.request(0, UNBOUNDED)
        demand.delivered(0, 10**9)
        assert not demand.exhausted
