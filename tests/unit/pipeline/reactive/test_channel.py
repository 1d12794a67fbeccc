"""Channel: a bounded hand-over that asks for more in time."""

from __future__ import annotations

import random
import threading
import weakref
from itertools import pairwise
from typing import Any

import pytest

from pipeline.core.records import Batch
from pipeline.reactive.channel import Channel
from pipeline.reactive.channel_bound import MAX_BYTES, SAMPLED_EVERY
from pipeline.reactive.demand import FIRST_BOUND, MAX_BATCH, MAX_BOUND
from pipeline.reactive.producer import ThreadProducer
from tests.racing import switching_often
from tests.unit.pipeline.reactive.conftest import LONG, Produce


class Upstream:
    def __init__(self) -> None:
        self.requests: list[int] = []

    def request(self, n: int) -> None:
        self.requests.append(n)

    def cancel(self) -> None: ...

    @property
    def outstanding(self) -> int:
        return sum(self.requests)


class Time:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def time() -> Time:
    return Time()


def open_channel(upstream: Upstream, size: int | None = None, now: Any = None) -> Channel[Any]:
    channel = Channel[Any](threading.Condition(), size, **({} if now is None else {"now": now}))
    channel.on_subscribe(upstream)
    return channel


class TestRequests:
    @pytest.mark.parametrize(
        ("size", "expected"),
        [(100, [100, 75, 75]), (256, [256, 192, 192]), (40, [40, 30, 30]), (4, [4, 3, 3]), (1, [1, 1, 1])],
    )
    def test_follow_the_75_percent_rule(self, upstream: Upstream, size: int, expected: list[int]) -> None:
        channel = open_channel(upstream, size)
        for record in range(sum(expected)):
            channel.on_next_batch([record])
            channel.consumed(channel.take_records(1))
            if upstream.requests == expected:
                break
        assert upstream.requests == expected

    def test_nothing_is_requested_for_records_that_are_not_dealt_with(self, upstream: Upstream) -> None:
        """Taken is not consumed: what the consumer holds is counted in the bound."""
        channel = open_channel(upstream, 4)
        channel.on_next_batch([1, 2, 3, 4])
        taken = channel.take_records(4)
        assert upstream.requests == [4]
        channel.consumed(taken)
        assert upstream.requests == [4, 4]

    def test_nothing_is_requested_before_the_subscription(self) -> None:
        assert Channel[int](threading.Condition(), 7).capacity == 7


class TestOrder:
    def test_records_are_cut_to_what_is_wanted(self, upstream: Upstream) -> None:
        channel = open_channel(upstream, 100)
        channel.on_next_batch([1, 2, 3, 4, 5])
        channel.on_next_batch([6])
        assert channel.buffered == 6
        taken = [channel.take_records(limit) for limit in (2, 1, 9, 9)]
        assert taken == [[1, 2], [3], [4, 5], [6]]
        assert channel.buffered == 0
        assert not channel.has_records

    def test_a_whole_batch_is_emitted_as_it_is(self, upstream: Upstream) -> None:
        channel = open_channel(upstream, 100)
        batch = Batch([1, 2, 3], [10, 20, 30])
        channel.on_next_batch(batch)
        assert channel.take_records(3) is batch

    def test_what_travels_with_the_records_is_cut_with_them(self, upstream: Upstream) -> None:
        channel = open_channel(upstream, 100)
        channel.on_next_batch(Batch([1, 2, 3], [10, 20, 30]))
        channel.take_records(1)
        rest = channel.take_records(5)
        assert (rest.values, rest.timestamps) == ([2, 3], [20, 30])

    def test_control_elements_need_no_demand_and_wait_for_the_records_before_them(
        self, upstream: Upstream
    ) -> None:
        """They come even where nothing was requested or the queue is full; they overtake nothing."""
        channel = open_channel(upstream, 2)
        channel.on_control("first")
        channel.on_next_batch([1, 2])
        channel.on_control("second")
        channel.on_control("third")
        assert (channel.has_control, channel.has_records) == (True, False)
        assert channel.take_control() == "first"
        assert (channel.has_control, channel.has_records) == (False, True)
        channel.take_records(1)
        assert (channel.has_control, channel.has_records) == (False, True)
        channel.take_records(1)
        assert [channel.take_control(), channel.take_control()] == ["second", "third"]
        assert (channel.has_control, channel.has_records) == (False, False)
        assert upstream.requests == [2]

    @pytest.mark.parametrize("failed", [False, True])
    def test_ends_once_everything_is_taken(self, upstream: Upstream, failed: bool) -> None:
        channel = open_channel(upstream, 10)
        channel.on_next_batch([1])
        assert not channel.ended
        if failed:
            channel.on_error(ValueError())
        else:
            channel.on_completed()
        assert not channel.ended
        channel.take_records(1)
        assert channel.ended


@pytest.mark.parametrize(
    "signal",
    [
        lambda channel: channel.on_next_batch([1]),
        lambda channel: channel.on_control("barrier"),
        lambda channel: channel.on_completed(),
        lambda channel: channel.on_error(ValueError()),
    ],
    ids=["records", "control", "completion", "error"],
)
def test_whatever_arrives_wakes_the_consumer(produce: Produce, upstream: Upstream, signal: Any) -> None:
    waiting = threading.Event()

    def something_came() -> bool:
        waiting.set()  # holding the condition: the signal below comes once the consumer waits
        return channel.has_records or channel.has_control or channel.ended

    consumer = produce(lambda producer: producer.wait_until(something_came))
    consumer.flux.subscribe(lambda _: None)
    channel = Channel[Any](consumer.condition, 10)
    channel.on_subscribe(upstream)
    consumer.start()
    assert waiting.wait(LONG.total_seconds())
    signal(channel)
    assert consumer.join(LONG)


class TestAdaptation:
    def feed(self, channel: Channel[Any], upstream: Upstream, record: Any = 0) -> None:
        """Deliver everything that has been asked for."""
        channel.on_next_batch([record] * upstream.outstanding)
        upstream.requests.clear()

    def test_a_fast_consumer_is_handed_thousands(self, upstream: Upstream, time: Time) -> None:
        channel = open_channel(upstream, now=time)
        capacities = [channel.capacity]
        for _ in range(20):
            self.feed(channel, upstream)
            batch = channel.take_records(MAX_BOUND)
            time.seconds += len(batch) / 1e6
            channel.consumed(batch)
            capacities.append(channel.capacity)
        assert capacities[0] == FIRST_BOUND
        assert capacities[-1] == MAX_BOUND
        assert all(later <= 2 * earlier for earlier, later in pairwise(capacities))

    def test_a_slow_consumer_has_about_a_second_in_front_of_it(self, upstream: Upstream, time: Time) -> None:
        channel = open_channel(upstream, now=time)
        for _ in range(200):
            self.feed(channel, upstream)
            while channel.has_records:
                batch = channel.take_records(20)
                time.seconds += len(batch) / 100
                channel.consumed(batch)
        assert 80 <= channel.capacity <= 120

    def test_waiting_for_the_consumers_own_output_counts(self, upstream: Upstream, time: Time) -> None:
        """A quick function upstream of a sink that takes 100 a second: a barrier after all that is
        queued must still get through in about a second."""
        channel = open_channel(upstream, now=time)
        for _ in range(200):
            self.feed(channel, upstream)
            while channel.has_records:
                time.seconds += 0.2  # until the sink wants twenty more
                batch = channel.take_records(20)
                time.seconds += 0.00001
                channel.consumed(batch)
        assert 80 <= channel.capacity <= 120

    def test_what_arrives_in_the_midst_of_a_batch_hides_none_of_its_time(
        self, upstream: Upstream, time: Time
    ) -> None:
        """Eight records take a second, and the next ones come shortly before it is over: the bound stays at
        what can be dealt with in a second, not in the time since they came."""
        channel = open_channel(upstream, now=time)
        channel.on_next_batch([0] * 8)
        for _ in range(50):
            batch = channel.take_records(8)
            time.seconds += 0.95
            channel.on_next_batch([0] * 8)
            time.seconds += 0.05
            channel.consumed(batch)
        assert channel.capacity == 8

    def test_what_arrives_while_others_wait_hides_none_of_their_time(
        self, upstream: Upstream, time: Time
    ) -> None:
        """Four records wait for a second, until the consumer's own output is wanted; four more come late."""
        channel = open_channel(upstream, now=time)
        for _ in range(50):
            channel.on_next_batch([0] * 4)
            time.seconds += 0.95
            channel.on_next_batch([0] * 4)
            time.seconds += 0.05
            channel.consumed([*channel.take_records(4), *channel.take_records(4)])
        assert channel.capacity == 8

    def test_waiting_for_input_does_not_count(self, upstream: Upstream, time: Time) -> None:
        """A consumer is not slow because little comes."""
        channel = open_channel(upstream, now=time)
        for _ in range(50):
            time.seconds += 60.0
            channel.on_next_batch([1])
            batch = channel.take_records(10)
            time.seconds += 0.00001
            channel.consumed(batch)
        assert channel.capacity == MAX_BOUND

    def test_large_records_are_bounded_by_their_bytes(self, upstream: Upstream, time: Time) -> None:
        channel = open_channel(upstream, now=time)
        record = "x" * (MAX_BYTES // 16)
        for _ in range(20):
            self.feed(channel, upstream, record)
            batch = channel.take_records(MAX_BOUND)
            time.seconds += len(batch) / 1e6
            channel.consumed(batch)
        assert 8 <= channel.capacity <= 16

    def test_a_record_larger_than_the_bound_still_passes(self, upstream: Upstream, time: Time) -> None:
        channel = open_channel(upstream, now=time)
        self.feed(channel, upstream, b"x" * (MAX_BYTES + 1))
        time.seconds += 0.001
        channel.consumed(channel.take_records(FIRST_BOUND))
        assert channel.capacity == 1
        assert upstream.requests == [1]

    def test_records_that_become_large_are_noticed(self, upstream: Upstream, time: Time) -> None:
        channel = open_channel(upstream, now=time)
        for record in ("small", "x" * (MAX_BYTES // 16)):
            seen = 0
            while seen <= SAMPLED_EVERY + MAX_BOUND:
                self.feed(channel, upstream, record)
                batch = channel.take_records(MAX_BOUND)
                seen += len(batch)
                time.seconds += len(batch) / 1e6
                channel.consumed(batch)
            if record == "small":
                assert channel.capacity == MAX_BOUND
        assert channel.capacity <= 16

    def test_a_fast_hand_over_measures_few_records(
        self, upstream: Upstream, time: Time, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One in each five milliseconds, however many batches pass meanwhile."""
        measured: list[Any] = []
        monkeypatch.setattr(
            "pipeline.reactive.channel_bound.footprint", lambda record: measured.append(record) or 64
        )
        channel = open_channel(upstream, now=time)
        for _ in range(100):
            self.feed(channel, upstream)
            batch = channel.take_records(MAX_BOUND)
            time.seconds += 0.001
            channel.consumed(batch)
        assert 10 <= len(measured) <= 20

    def test_a_given_size_is_kept(self, upstream: Upstream, time: Time) -> None:
        channel = open_channel(upstream, 50, now=time)
        self.feed(channel, upstream)
        time.seconds += 100.0
        channel.consumed(channel.take_records(50))
        assert channel.capacity == 50


@pytest.mark.parametrize("size", [64, 1_000, None])
@switching_often()
def test_two_threads_racing_lose_nothing(produce: Produce, size: int | None) -> None:
    """200,000 records arrive once each, in order, control elements in their places, and the buffer
    never holds more than the bound that was asked with."""
    count, every = 200_000, 10_000
    chance = random.Random(7)
    too_many: list[tuple[int, int]] = []

    def emit(producer: ThreadProducer[int]) -> None:
        position = 0
        while position < count and (demand := producer.wait_demand()):
            end = min(
                position + min(demand, chance.randint(1, 700)), count, position - position % every + every
            )
            producer.next_batch(list(range(position, end)))
            position = end
            if position % every == 0:
                producer.control(position)

    emitting = produce(emit, "emitting")
    heard: list[int] = []
    controls: list[tuple[int, object]] = []

    def consume(producer: ThreadProducer[int]) -> None:
        largest = 0
        while producer.wait_until(lambda: channel.has_records or channel.has_control or channel.ended):
            if channel.ended:
                return
            if channel.has_control:
                with producer.condition:
                    controls.append((len(heard), channel.take_control()))
                continue
            largest = max(largest, channel.capacity)
            with producer.condition:
                if channel.buffered > largest:
                    too_many.append((channel.buffered, largest))
                batch = channel.take_records(chance_of_consumer.randint(1, 500))
            heard.extend(batch)
            channel.consumed(batch)

    chance_of_consumer = random.Random(8)
    consuming = produce(consume, "consuming")
    channel = Channel[int](consuming.condition, size)
    emitting.connect(channel)
    consuming.flux.subscribe(lambda _: None)
    consuming.start()
    emitting.start()
    assert consuming.join(LONG)
    assert emitting.join(LONG)
    assert heard == list(range(count))
    assert controls == [(position, position) for position in range(every, count + 1, every)]
    assert too_many == []


class TestWaitingTogether:
    """Records that came one by one, or in lists that may be joined."""

    def test_lists_that_wait_are_taken_as_one(self) -> None:
        channel = Channel[int](None, 100)
        sent = [1, 2]
        channel.extend(sent)
        channel.on_next(3)
        channel.extend([4, 5])
        assert channel.take_records(100) == [1, 2, 3, 4, 5]
        assert sent == [1, 2]

    def test_they_are_joined_up_to_a_batch(self) -> None:
        channel = Channel[int](None, 2 * MAX_BATCH)
        for _ in range(2):
            channel.extend([0] * (MAX_BATCH - 1))
        assert [channel.next_records, len(channel.take_records(2 * MAX_BATCH))] == [MAX_BATCH - 1] * 2
        assert channel.buffered == MAX_BATCH - 1

    def test_one_of_another_kind_and_what_comes_after_it_keep_their_places(self) -> None:
        channel = Channel[int](None, 100)
        channel.extend([1])
        channel.on_next_batch((2, 3))
        channel.extend([4])
        assert [channel.take_records(100) for _ in range(3)] == [[1], (2, 3), [4]]

    def test_what_has_been_taken_is_not_kept_though_some_always_wait(self, upstream: Upstream) -> None:
        class Record:
            pass

        channel = open_channel(upstream, 4)
        channel.on_next(Record())
        taken: list[weakref.ref[Record]] = []
        values: list[Record] = []
        for _ in range(100):
            channel.on_next(Record())
            values = channel.take_records(1)
            taken += map(weakref.ref, values)
            channel.consumed(values)
        values.clear()
        assert sum(record() is not None for record in taken) <= 4
