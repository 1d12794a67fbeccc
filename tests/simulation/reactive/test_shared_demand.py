"""SharedDemand under any schedule: nobody gets more than it asked for, nobody waits without a reason."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reactive.demand import UNBOUNDED, SharedDemand, add_cap, produced
from tests.racing import switching_often

SEEDS = 5


class Stream:
    """A stream with several consumers, whose records may go to any of them."""

    def __init__(self, consumers: int) -> None:
        self.wanted = [0] * consumers
        self.outstanding = 0
        self.demand = SharedDemand(consumers, self.ask)

    def ask(self, n: int) -> None:
        assert n > 0
        self.outstanding = add_cap(self.outstanding, n)
        assert self.outstanding <= min(self.wanted), "more is asked for than one of them could take"

    def request(self, consumer: int, n: int) -> None:
        self.wanted[consumer] = add_cap(self.wanted[consumer], n)
        self.demand.request(consumer, n)

    def emit(self, records: int, parts: dict[int, int], meanwhile: list[tuple[int, int]]) -> None:
        """Bring records; `meanwhile` are requests that come while they are handed out."""
        requests = iter(meanwhile)
        self.outstanding = produced(self.outstanding, records)
        for consumer, count in parts.items():
            self.demand.delivered(consumer, count)
            self.wanted[consumer] = produced(self.wanted[consumer], count)
            assert self.wanted[consumer] >= 0, "more than it asked for"
            for requesting, n in requests:
                self.request(requesting, n)
                break
        self.demand.arrived(records)


@given(st.data(), st.integers(1, 4))
def test_what_is_asked_for_is_exactly_what_the_neediest_still_takes(
    data: st.DataObject, consumers: int
) -> None:
    """Never more, or someone would get too much; never less, or the stream would stop."""
    stream = Stream(consumers)
    amounts = st.one_of(st.integers(1, 40), st.sampled_from([2**62, UNBOUNDED, 2**70]))
    requests = st.tuples(st.integers(0, consumers - 1), amounts)
    for _ in range(data.draw(st.integers(1, 40), label="steps")):
        if stream.outstanding and data.draw(st.booleans(), label="emit"):
            records = data.draw(st.integers(1, min(stream.outstanding, 50)), label="records")
            if data.draw(st.booleans(), label="to all"):
                parts = dict.fromkeys(range(consumers), records)
            else:
                split = random.Random(data.draw(st.integers(0, 1_000), label="split"))
                parts = dict(Counter(split.choices(range(consumers), k=records)))
            stream.emit(records, parts, data.draw(st.lists(requests, max_size=2), label="meanwhile"))
        else:
            stream.request(*data.draw(requests, label="request"))
        assert stream.outstanding == min(stream.wanted)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=200), st.integers(1, 30))
def test_no_split_stops_the_stream_while_all_continue_asking(targets: list[int], bound: int) -> None:
    """Even if all records are for one of them: it asks again, so upstream is asked again."""
    stream = Stream(3)
    for consumer in range(3):
        stream.request(consumer, bound)
    for target in targets:
        assert stream.outstanding > 0
        stream.emit(1, {target: 1}, [])
        if stream.wanted[target] <= bound // 4:
            stream.request(target, bound - stream.wanted[target])


@pytest.mark.parametrize("seed", range(SEEDS))
@switching_often()
def test_threads_that_ask_while_records_are_handed_out_never_get_too_much(seed: int) -> None:
    """Consumers ask from their own threads; whatever the interleaving, the sums are right."""
    chance = random.Random(seed)
    consumers, rounds = 3, 2_000
    condition = threading.Condition()
    requested = [0] * consumers
    delivered = [0] * consumers
    outstanding = 0

    def ask(n: int) -> None:
        nonlocal outstanding
        with condition:
            outstanding += n
            condition.notify_all()

    def take() -> int:
        nonlocal outstanding
        with condition:
            assert condition.wait_for(lambda: outstanding > 0, timeout=10), "the stream stopped"
            count = min(outstanding, chance.randint(1, 10))
            outstanding -= count
        return count

    demand = SharedDemand(consumers, ask)
    steps = [[chance.randint(1, 5) for _ in range(rounds)] for _ in range(consumers)]

    def consume(consumer: int) -> None:
        for n in steps[consumer]:
            requested[consumer] += n
            demand.request(consumer, n)

    threads = [
        threading.Thread(target=consume, args=(consumer,), name=f"consumer-{consumer}")
        for consumer in range(consumers)
    ]
    for thread in threads:
        thread.start()
    least = min(map(sum, steps))
    arrived = 0
    while arrived < least:  # broadcast, so that exactly the least demand can be satisfied
        count = take()
        for consumer in range(consumers):
            delivered[consumer] += count
            assert delivered[consumer] <= requested[consumer], "more than it asked for"
            demand.delivered(consumer, count)
        demand.arrived(count)
        arrived += count
    for thread in threads:
        thread.join()
    assert arrived == least
    assert outstanding == 0
