"""Fanout: each record to those it is for, and to nobody more than it asked for."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.core.errors import InternalError, StateError, UserFunctionError
from pipeline.core.policy import SideTag
from pipeline.core.records import Batch, Origin, OriginRange
from pipeline.runtime.fanout import Broadcast, ByKey, Fanout, Forward, Output, Rebalance, SideOutput
from state.keys import key_group, subtask_of
from tests.unit.pipeline.runtime.stage import Consumer, SideConsumer

GROUPS = 128


class Upstream:
    def __init__(self) -> None:
        self.requests: list[int] = []
        self.cancels = 0

    def request(self, n: int) -> None:
        self.requests.append(n)

    def cancel(self) -> None:
        self.cancels += 1


def subscribe(*outputs: Output) -> tuple[Fanout, Upstream]:
    fanout, upstream = Fanout(outputs), Upstream()
    fanout.on_subscribe(upstream)
    return fanout, upstream


def consumers(count: int) -> list[Consumer]:
    return [Consumer() for _ in range(count)]


class TestPartitioners:
    def test_forward_emits_everything_to_one(self) -> None:
        batch = Batch([1, 2])
        assert list(Forward().split(batch)) == [(0, batch)]

    def test_broadcast_emits_everything_to_each(self) -> None:
        batch = Batch([1, 2])
        assert list(Broadcast(3).split(batch)) == [(0, batch), (1, batch), (2, batch)]

    @pytest.mark.parametrize("sizes", [[1] * 20, [7, 2, 9, 0, 1, 5], [3, 3, 3], [1_000, 1]])
    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    def test_rebalance_sends_as_many_to_each(self, sizes: list[int], count: int) -> None:
        """Whatever the batches, no one is more than one record ahead; nothing is lost or repeated."""
        rebalance, totals, position = Rebalance(count), Counter[int](), 0
        for size in sizes:
            parts = list(rebalance.split(Batch(range(position, position + size), range(size))))
            position += size
            assert sorted(value for _, part in parts for value in part) == list(
                range(position - size, position)
            )
            for consumer, part in parts:
                assert len(part) > 0
                assert len(part.timestamps or ()) == len(part)
                totals[consumer] += len(part)
            given = [totals[consumer] for consumer in range(count)]
            assert max(given) - min(given) <= 1

    def test_by_key_follows_the_key_groups(self) -> None:
        """Records of a key go where its state is, in their order; nothing is lost or repeated."""
        keys = [f"user-{number % 50}" for number in range(500)]
        records = list(enumerate(keys))
        parts = dict(ByKey(3, GROUPS, lambda record: record[1], "key_by").split(Batch(records)))
        assert sorted(record for part in parts.values() for record in part) == records
        for consumer, part in parts.items():
            assert list(part) == sorted(part)
            assert {subtask_of(key_group(key, GROUPS), 3, GROUPS) for _, key in part} == {consumer}
        assert len(parts) == 3

    def test_by_key_takes_what_travels_with_the_records_along(self) -> None:
        batch = Batch(list(range(100)), range(1_000, 1_100), OriginRange("file", 500, 100))
        for _, part in ByKey(4, GROUPS, lambda x: x, "key_by").split(batch):
            assert part.timestamps is not None
            assert part.origins is not None
            assert list(part.timestamps) == [value + 1_000 for value in part]
            assert list(part.origins) == [Origin("file", value + 500) for value in part]

    def test_by_key_hands_a_batch_of_one_target_on_as_it_is(self) -> None:
        batch = Batch(["a"] * 10)
        ((consumer, part),) = ByKey(4, GROUPS, lambda x: x, "key_by").split(batch)
        assert part is batch
        assert consumer == subtask_of(key_group("a", GROUPS), 4, GROUPS)

    def test_by_key_with_one_consumer_asks_for_no_key(self) -> None:
        batch = Batch([1])
        assert list(ByKey(1, GROUPS, lambda x: 1 / 0, "key_by").split(batch)) == [(0, batch)]

    def test_a_key_function_that_raises_is_named_with_the_record(self) -> None:
        def by_user(record: dict[str, str]) -> str:
            return record["user"]

        batch = Batch([{"user": "a"}, {}, {"user": "b"}], None, OriginRange("events.jsonl", 70, 3))
        with pytest.raises(UserFunctionError, match="by_user raised KeyError") as raised:
            ByKey(2, GROUPS, by_user, "key_by:user").split(batch)
        error = raised.value
        assert isinstance(error.__cause__, KeyError)
        assert (error.operator, error.position) == ("key_by:user", "events.jsonl@71")
        assert error.function is not None
        assert "test_fanout.py" in error.function

    def test_what_cannot_be_a_key_is_refused(self) -> None:
        with pytest.raises(StateError, match="key"):
            ByKey(2, GROUPS, lambda x: 1.5, "key_by").split(Batch([1]))


class TestDemand:
    def test_upstream_is_asked_for_what_the_neediest_takes(self) -> None:
        a, b = consumers(2)
        fanout, upstream = subscribe(Output([a, b], Broadcast(2)))
        a.request(10)
        assert upstream.requests == []
        b.request(4)
        assert upstream.requests == [4]
        fanout.on_next_batch(Batch([1, 2, 3, 4]))
        assert upstream.requests == [4]
        b.request(3)
        assert upstream.requests == [4, 3]
        assert a.heard == b.heard == [1, 2, 3, 4]

    def test_demand_that_a_split_left_over_is_asked_for_again(self) -> None:
        """Else a consumer whose keys do not come would stop the others for ever."""
        a, b = consumers(2)
        fanout, upstream = subscribe(Output([a, b], Rebalance(2)))
        a.request(10)
        b.request(10)
        assert upstream.requests == [10]
        fanout.on_next_batch(Batch(range(10)))
        assert (a.wanted, b.wanted) == (5, 5)
        assert upstream.requests == [10, 5]

    def test_several_edges_share_the_demand(self) -> None:
        a, b, c = consumers(3)
        fanout, upstream = subscribe(Output([a], Forward()), Output([b, c], Rebalance(2)))
        for consumer, n in ((a, 6), (b, 9), (c, 8)):
            consumer.request(n)
        assert upstream.requests == [6]
        fanout.on_next_batch(Batch(range(6)))
        assert (len(a.heard), len(b.heard), len(c.heard)) == (6, 3, 3)
        assert upstream.requests == [6]

    def test_a_consumer_that_asks_from_within_gets_no_more_than_the_others_take(self) -> None:
        """A sink asks while the batch is still being handed out."""
        a, b = Consumer(refill=100), Consumer()
        fanout, upstream = subscribe(Output([a, b], Broadcast(2)))
        a.request(4)
        b.request(4)
        fanout.on_next_batch(Batch([1, 2, 3, 4]))
        assert upstream.requests == [4]
        b.request(2)
        assert upstream.requests == [4, 2]

    def test_a_request_that_is_not_positive_goes_to_the_producer(self) -> None:
        """Rule 3.9: the producer ends the stream; here nothing is added up."""
        a, b = consumers(2)
        _, upstream = subscribe(Output([a, b], Broadcast(2)))
        a.request(5)
        b.request(5)
        a.subscription.request(-3)
        assert upstream.requests == [5, -3]
        b.request(1)
        assert upstream.requests == [5, -3]

    def test_cancel_ends_the_stream_for_all(self) -> None:
        a, b = consumers(2)
        _, upstream = subscribe(Output([a, b], Broadcast(2)))
        b.subscription.cancel()
        assert upstream.cancels == 1


class TestSignals:
    def test_control_elements_and_ends_reach_everyone(self) -> None:
        """Side outputs too: their records belong to the same epoch."""
        a, b, c, side = consumers(4)
        fanout, _ = subscribe(
            Output([a], Forward()),
            Output([b, c], Rebalance(2)),
            Output([side], Forward(), SideOutput("map", SideTag("rejected"))),
        )
        error = ValueError()
        fanout.on_control("barrier")
        fanout.on_error(error)
        fanout.on_completed()
        for consumer in (a, b, c, side):
            assert consumer.heard == ["barrier"]
            assert consumer.ends == [error, None]


class TestSideOutputs:
    REJECTED, LATE = SideTag[int]("rejected"), SideTag[int]("late")

    def test_are_told_apart_by_writer_and_tag(self) -> None:
        """Two operators of a chain may write to tags of one name."""
        main = Consumer()
        sides = {
            (writer, tag.name): SideConsumer()
            for writer in ("map:a", "map:b")
            for tag in (self.REJECTED, self.LATE)
        }
        fanout, _ = subscribe(
            Output([main], Forward()),
            *(
                Output([consumer], Forward(), SideOutput(writer, SideTag(name)))
                for (writer, name), consumer in sides.items()
            ),
        )
        fanout.send_side(SideOutput("map:a", self.REJECTED), [1])
        fanout.send_side(SideOutput("map:b", self.REJECTED), [2])
        fanout.send_side(SideOutput("map:b", self.LATE), [3])
        fanout.flush_aside()
        assert {key: consumer.heard for key, consumer in sides.items()} == {
            ("map:a", "rejected"): [1],
            ("map:a", "late"): [],
            ("map:b", "rejected"): [2],
            ("map:b", "late"): [3],
        }
        assert main.heard == []

    def test_continue_together(self) -> None:
        """Dead letters come one at a time; as batches of one they would cost more than the records."""
        side, reader = SideOutput("map", self.REJECTED), SideConsumer()
        fanout, _ = subscribe(Output([Consumer()], Forward()), Output([reader], Forward(), side))
        for value in range(5):
            fanout.send_side(side, [value])
        assert reader.heard == []
        fanout.flush_aside()
        fanout.flush_aside()
        assert (reader.heard, reader.batches) == ([0, 1, 2, 3, 4], [5])

    def test_may_have_several_readers(self) -> None:
        side = SideOutput("map", self.REJECTED)
        readers = [SideConsumer() for _ in range(3)]
        fanout, _ = subscribe(
            Output([Consumer()], Forward()),
            Output(readers[:1], Forward(), side),
            Output(readers[1:], Rebalance(2), side),
        )
        fanout.send_side(side, [1, 2])
        fanout.flush_aside()
        assert [reader.heard for reader in readers] == [[1, 2], [1], [2]]

    def test_that_nobody_reads_lose_nothing_silently(self) -> None:
        fanout, _ = subscribe(Output([Consumer()], Forward()))
        with pytest.raises(InternalError, match=r"'late' of map:a has no reader"):
            fanout.send_side(SideOutput("map:a", self.LATE), [1])

    def test_do_not_bound_the_main_output(self) -> None:
        """A reader of dead letters asks for few records; batches of the main output stay large."""
        main, aside = Consumer(), SideConsumer()
        _, upstream = subscribe(
            Output([main], Forward()), Output([aside], Forward(), SideOutput("map", self.REJECTED))
        )
        main.request(8_000)
        assert upstream.requests == [8_000]

    def test_rest_once_one_reader_has_all_it_asked_for(self) -> None:
        side = SideOutput("map", self.REJECTED)
        one, other = SideConsumer(), SideConsumer()
        fanout, _ = subscribe(
            Output([Consumer()], Forward()), Output([one], Forward(), side), Output([other], Forward(), side)
        )
        assert fanout.sides.exhausted
        one.request(2)
        other.request(3)
        assert not fanout.sides.exhausted
        fanout.send_side(side, [1, 2])
        fanout.flush_aside()
        assert fanout.sides.exhausted
        one.request(1)
        assert not fanout.sides.exhausted
