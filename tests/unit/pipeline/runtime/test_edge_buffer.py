"""What each strategy does with a batch, asks for and leaves in a snapshot."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest

from checkpoint.barrier import Barrier, CheckpointKind
from pipeline.core.config import BackpressureStrategy
from pipeline.core.elements import END_OF_INPUT, IDLE, Watermark
from pipeline.core.errors import BackpressureOverflow, EncodingError, UserFunctionError
from pipeline.core.records import Batch, Origin
from pipeline.graph.buffers import Buffer
from pipeline.reactive.demand import MAX_BATCH, UNBOUNDED
from pipeline.runtime.edge_buffer import ACTIVE_FOR_S, EdgeBuffer
from pipeline.runtime.snapshot import OperatorSnapshot

S = BackpressureStrategy
BARRIER = Barrier(7, CheckpointKind.PERIODIC)


def stored(snapshot: OperatorSnapshot) -> io.BytesIO:
    """What a later attempt reads of it."""
    assert snapshot.keyed is not None
    part = io.BytesIO()
    snapshot.keyed.write(part)
    part.seek(0)
    return part


class Requests:
    """The subscription to what is before a buffer."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def request(self, n: int) -> None:
        self.asked.append(n)

    def cancel(self) -> None:
        raise AssertionError("nobody cancels")


class Bench:
    """A buffer, what it requested, and a clock that does not advance."""

    def __init__(self, strategy: S, size: int | None, *, stored: bool = True, **buffer: Any) -> None:
        self.now = 100.0
        self.upstream = Requests()
        self.buffer = EdgeBuffer(
            threading.Condition(),
            Buffer("backpressure:x", strategy, size, **buffer),
            0,
            stored=stored,
            now=lambda: self.now,
        )
        self.buffer.on_subscribe(self.upstream)

    def give(self, *values: Any) -> None:
        self.buffer.on_next_batch(Batch(values))

    def take(self, limit: int = 99) -> list[Any]:
        taken = self.buffer.take_records(limit)
        self.buffer.consumed(taken)
        return list(taken)

    def cut(self, barrier: Barrier = BARRIER) -> Any:
        self.buffer.on_control(barrier)
        assert self.buffer.take_control() == barrier
        return self.buffer.snapshot(barrier)


class TestStrategies:
    def test_drop_keeps_the_oldest(self) -> None:
        bench = Bench(S.DROP, 3)
        bench.give(1, 2)
        bench.give(3, 4, 5)
        bench.give(6)
        assert (bench.buffer.dropped, bench.buffer.buffered) == (3, 3)
        assert bench.take() == [1, 2, 3]

    def test_latest_keeps_the_newest(self) -> None:
        bench = Bench(S.LATEST, 1)
        bench.give(1, 2)
        bench.give(3, 4)
        assert (bench.buffer.dropped, bench.take()) == (3, [4])

    def test_error_fails_the_job_and_may_be_tried_again(self) -> None:
        bench = Bench(S.ERROR, 3)
        bench.give(1, 2, 3)
        with pytest.raises(
            BackpressureOverflow, match="3 records are waiting in a buffer of 3 and 2 more"
        ) as raised:
            bench.give(4, 5)
        assert (raised.value.retryable, raised.value.operator) == (True, "backpressure:x")
        assert bench.take() == [1, 2, 3]

    def test_buffer_takes_all_it_asked_for(self) -> None:
        bench = Bench(S.BUFFER, 3)
        bench.give(1, 2, 3)
        assert (bench.buffer.dropped, bench.take()) == (0, [1, 2, 3])

    def test_the_dropped_are_shown(self) -> None:
        dropped: list[int] = []
        bench = Bench(S.DROP, 1, on_drop=dropped.append)
        bench.give(1, 2, 3)
        latest = Bench(S.LATEST, 1, on_drop=dropped.append)
        latest.give(4)
        latest.give(5, 6)
        assert dropped == [2, 3, 4, 5]

    def test_a_callback_that_raises_fails_the_job_by_name(self) -> None:
        def tell(value: int) -> None:
            raise ValueError(value)

        bench = Bench(S.DROP, 1, on_drop=tell)
        with pytest.raises(UserFunctionError, match=r"tell raised ValueError: 2.*operator backpressure:x"):
            bench.give(1, 2)


class TestDemand:
    @pytest.mark.parametrize(
        ("strategy", "size"), [(S.DROP, 3), (S.LATEST, 1), (S.ERROR, 3), (S.BUFFER, None)]
    )
    def test_everything_is_asked_for_once(self, strategy: S, size: int | None) -> None:
        bench = Bench(strategy, size)
        assert bench.upstream.asked == []  # not before it is known what is restored
        bench.buffer.open()
        bench.give(1)
        bench.take()
        assert bench.upstream.asked == [UNBOUNDED]
        assert bench.buffer.request_rate is None

    def test_a_bounded_buffer_asks_by_the_three_quarters(self) -> None:
        bench = Bench(S.BUFFER, 4)
        bench.buffer.open()
        bench.give(1, 2, 3, 4)
        bench.take(2)
        assert bench.upstream.asked == [4]
        bench.take(1)
        assert bench.upstream.asked == [4, 3]
        rate = bench.buffer.request_rate
        assert rate is not None
        assert rate > 0

    @pytest.mark.parametrize(("held", "asked"), [(1, [3]), (4, []), (6, [])])
    def test_what_was_restored_counts(self, held: int, asked: list[int]) -> None:
        """Or each crash would add a buffer to the buffer."""
        before = Bench(S.BUFFER, held)
        before.give(*range(held))
        snapshot = before.cut()
        bench = Bench(S.BUFFER, 4)
        bench.buffer.restore(stored(snapshot), 0)
        bench.buffer.open()
        assert bench.upstream.asked == asked
        assert bench.take() == list(range(held))
        assert 3 <= sum(bench.upstream.asked) <= 4

    def test_no_more_is_taken_than_travels_together(self) -> None:
        bench = Bench(S.BUFFER, None)
        bench.give(*range(MAX_BATCH + 1))
        assert len(bench.take(UNBOUNDED)) == MAX_BATCH


class TestSnapshots:
    def test_what_a_barrier_overtook_comes_back(self) -> None:
        bench = Bench(S.DROP, 3)
        bench.buffer.on_next_batch(
            Batch([1, "2", (3,), 4], [10, 20, 30, 40], [Origin("s", n) for n in range(4)])
        )
        snapshot = bench.cut()
        assert (snapshot.uid, snapshot.state) == ("backpressure:x", {"dropped": 1})
        again = Bench(S.DROP, 3)
        again.buffer.restore(stored(snapshot), snapshot.state["dropped"])
        batch = again.buffer.take_records(9)
        assert (batch.values, batch.timestamps) == ([1, "2", (3,)], [10, 20, 30])
        assert batch.origins == [Origin("s", 0), Origin("s", 1), Origin("s", 2)]
        assert again.buffer.dropped == 1

    def test_event_time_comes_back_in_its_place(self) -> None:
        bench = Bench(S.BUFFER, 9)
        bench.give(1)
        bench.buffer.on_control(Watermark(5))
        bench.buffer.on_control(IDLE)
        bench.give(2)
        again = Bench(S.BUFFER, 9)
        again.buffer.restore(stored(bench.cut()), 0)
        assert again.take() == [1]
        assert [again.buffer.take_control(), again.buffer.take_control()] == [Watermark(5), IDLE]
        assert again.take() == [2]

    def test_drops_after_the_barrier_are_not_counted_before_it(self) -> None:
        bench = Bench(S.DROP, 1)
        bench.give(1, 2)
        bench.buffer.on_control(BARRIER)
        bench.give(3)
        bench.buffer.take_control()
        assert bench.buffer.snapshot(BARRIER).state == {"dropped": 1}
        assert bench.buffer.dropped == 2

    def test_an_empty_buffer_stores_no_part(self) -> None:
        assert Bench(S.BUFFER, 3).cut().keyed is None

    def test_the_last_barrier_of_a_job_waits_its_turn(self) -> None:
        """Nobody would work off what it had overtaken."""
        bench = Bench(S.BUFFER, 3)
        bench.give(1)
        bench.buffer.on_control(END_OF_INPUT)
        final = Barrier(8, CheckpointKind.FINAL)
        bench.buffer.on_control(final)
        assert not bench.buffer.has_control
        assert bench.take() == [1]
        assert [bench.buffer.take_control(), bench.buffer.take_control()] == [END_OF_INPUT, final]
        assert bench.buffer.snapshot(final).keyed is None

    def test_a_record_that_cannot_be_stored_is_refused_at_once(self) -> None:
        with pytest.raises(EncodingError, match="backpressure:x"):
            Bench(S.BUFFER, 3).give(object())

    def test_not_in_a_job_without_checkpoints(self) -> None:
        bench = Bench(S.BUFFER, 3, stored=False)
        thing = object()
        bench.give(thing)
        assert bench.take() == [thing]


class TestMetrics:
    def test_a_full_buffer_is_backpressure(self) -> None:
        bench = Bench(S.BUFFER, 2)
        bench.give(1)
        assert not bench.buffer.active
        bench.give(2)
        assert bench.buffer.active
        bench.take(1)
        assert not bench.buffer.active

    def test_a_drop_is_backpressure_for_a_while(self) -> None:
        bench = Bench(S.LATEST, 1)
        bench.give(1)
        assert not bench.buffer.active  # it holds its one record, and nothing is lost
        bench.give(2)
        bench.take()
        assert bench.buffer.active
        bench.now += ACTIVE_FOR_S
        assert not bench.buffer.active
