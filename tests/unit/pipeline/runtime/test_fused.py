"""FusedChain: a chain in the stream, that neither loses demand nor exceeds it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from pipeline.compiler import StepStage, compile_chain
from pipeline.core.elements import END_OF_INPUT, IDLE, EndOfOneInput, Watermark
from pipeline.core.errors import InternalError
from pipeline.core.policy import SideTag
from pipeline.core.records import Batch, FailedRecord
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.map import Map
from pipeline.reactive.demand import MAX_BOUND, UNBOUNDED
from pipeline.reactive.producer import Interrupted
from pipeline.runtime.fanout import Fanout, Forward, Output, SideOutput
from tests.unit.pipeline.runtime.stage import Consumer, EagerRun, FakeChain, Head, LazyRun, SideConsumer

Built = tuple[Head, Consumer, FakeChain]


def even(value: int) -> Sequence[int]:
    return () if value % 2 else (value,)


def thrice(value: int) -> Sequence[int]:
    return (value,) * 3


def build(function: Any, *, expands: bool, refill: int = 0, **options: Any) -> Built:
    chain, consumer = FakeChain(function, expands=expands, **options), Consumer(refill)
    return Head(chain, consumer), consumer, chain


class TestDirect:
    """A chain that never emits more than it takes."""

    def test_passes_demand_through(self) -> None:
        head, consumer, _ = build(lambda x: [x * 10], expands=False)
        consumer.request(3)
        consumer.request(4)
        assert head.requests == [3, 4]
        head.feed([1, 2], [3, 4])
        head.run()
        assert consumer.heard == [10, 20, 30, 40]
        assert (head.requested, consumer.wanted) == (3, 3)

    def test_makes_up_for_what_it_filters_out(self) -> None:
        """Else the last of the demand would wait for ever."""
        head, consumer, _ = build(even, expands=False)
        head.feed(list(range(1, 100)))
        consumer.request(5)
        head.run()
        assert consumer.heard == [2, 4, 6, 8, 10]
        assert (head.requested, consumer.wanted) == (0, 0)

    def test_a_batch_of_which_nothing_is_left_goes_no_further(self) -> None:
        head, consumer, _ = build(lambda x: (), expands=False)
        consumer.request(5)
        head.feed([1, 2, 3])
        head.run()
        assert consumer.batches == []
        assert head.requested == 5

    def test_unbounded_demand_stays_unbounded(self) -> None:
        head, consumer, _ = build(even, expands=False)
        consumer.request(UNBOUNDED)
        head.feed(list(range(1_000)))
        head.run()
        assert len(consumer.heard) == 500
        assert head.requested == UNBOUNDED

    def test_control_elements_pass_in_their_place_without_demand(self) -> None:
        head, consumer, _ = build(even, expands=False)
        head.feed("a", [2], "b", [4], "c")
        head.run()
        assert consumer.heard == ["a"]
        consumer.request(1)
        head.run()
        assert consumer.heard == ["a", 2, "b"]
        consumer.request(1)
        head.run()
        assert consumer.heard == ["a", 2, "b", 4, "c"]

    def test_a_chain_that_expands_without_saying_so_is_found_out(self) -> None:
        """Rule 1.1: not one record too many goes downstream."""
        head, consumer, _ = build(thrice, expands=False)
        consumer.request(100)
        head.feed([1])
        with pytest.raises(InternalError, match="expands = True"):
            head.run()
        assert consumer.heard == []

    def test_is_never_suspended_by_records(self) -> None:
        head, consumer, _ = build(even, expands=False)
        consumer.request(1)
        head.feed([1, 2, 3, 4])
        head.run()
        assert not head.fused.suspended


@pytest.mark.parametrize("run", [LazyRun, EagerRun])
class TestExpanding:
    """A chain of which one record may become many."""

    def test_is_suspended_when_demand_is_used_up(self, run: Any) -> None:
        head, consumer, chain = build(thrice, expands=True, run=run)
        head.feed([1, 2])
        consumer.request(2)
        head.run()
        assert consumer.heard == [1, 1]
        assert head.fused.suspended
        assert not head.fused.resumable
        assert run is EagerRun or chain.given <= 3, "one record of look-ahead at the most"

    def test_continues_from_the_heads_thread(self, run: Any) -> None:
        """`request` only wakes: what runs the chain is `resume`."""
        head, consumer, _ = build(thrice, expands=True, run=run)
        head.feed([1, 2])
        consumer.request(2)
        head.run()
        wakes = head.wakes
        consumer.request(3)
        assert head.wakes == wakes + 1
        assert consumer.heard == [1, 1]
        assert head.fused.resumable
        head.run()
        assert consumer.heard == [1, 1, 1, 2, 2]

    def test_the_record_looked_at_is_emitted_with_those_after_it(self, run: Any) -> None:
        """Not as a batch of its own: to a sink each batch may be a round trip."""
        head, consumer, _ = build(lambda x: range(6), expands=True, run=run)
        head.feed([1])
        consumer.request(2)
        head.run()
        consumer.request(3)
        head.run()
        assert consumer.batches == [2, 3]
        assert consumer.heard == [0, 1, 2, 3, 4]

    def test_is_not_suspended_when_everything_is_out(self, run: Any) -> None:
        """A barrier need not wait for demand that nobody needs."""
        head, consumer, _ = build(thrice, expands=True, run=run)
        head.feed([1], "barrier")
        consumer.request(3)
        head.run()
        assert consumer.heard == [1, 1, 1, "barrier"]
        assert not head.fused.suspended

    def test_a_control_element_waits_for_the_records_before_it(self, run: Any) -> None:
        head, consumer, _ = build(thrice, expands=True, run=run)
        head.feed([1], "barrier")
        consumer.request(1)
        head.run()
        assert consumer.heard == [1]
        consumer.request(1)
        head.run()
        assert consumer.heard == [1, 1]
        consumer.request(1)
        head.run()
        assert consumer.heard == [1, 1, 1, "barrier"]

    def test_a_barrier_that_overtakes_is_refused(self, run: Any) -> None:
        head, consumer, _ = build(thrice, expands=True, run=run)
        head.feed([1])
        consumer.request(1)
        head.run()
        with pytest.raises(InternalError, match="overtook"):
            head.fused.on_control("barrier")

    @pytest.mark.parametrize("element", [Watermark(5), IDLE, END_OF_INPUT])
    def test_what_a_source_says_between_its_records_waits_for_its_turn(
        self, run: Any, element: object
    ) -> None:
        """It may emit, and say how far event time has come, several times before it leaves its lock."""
        head, consumer, chain = build(thrice, expands=True, run=run)
        consumer.request(4)
        head.fused.on_next_batch(Batch([1]))
        head.fused.on_next_batch(Batch([2]))
        head.fused.on_control(element)
        assert (consumer.heard, chain.finished) == ([1, 1, 1, 2], 0)
        consumer.request(2)
        head.run()
        assert consumer.heard == [1, 1, 1, 2, 2, 2, element]

    def test_batches_that_come_while_it_is_suspended_wait_in_order(self, run: Any) -> None:
        """A source may emit several times before it leaves its lock."""
        head, consumer, _ = build(thrice, expands=True, run=run)
        consumer.request(4)
        for batch in ([1], [2], [3]):
            head.fused.on_next_batch(Batch(batch))
        assert consumer.heard == [1, 1, 1, 2]
        consumer.request(10)
        head.run()
        assert consumer.heard == [1, 1, 1, 2, 2, 2, 3, 3, 3]
        assert not head.fused.suspended

    def test_asks_for_more_while_nothing_comes_out(self, run: Any) -> None:
        head, consumer, _ = build(lambda x: (x, x) if x == 99 else (), expands=True, run=run)
        head.feed(list(range(100)))
        consumer.request(2)
        head.run()
        assert consumer.heard == [99, 99]

    def test_asks_for_about_what_will_be_used(self, run: Any) -> None:
        """It learns how many outputs a record has."""
        head, consumer, _ = build(lambda x: (x,) * 100, expands=True, run=run)
        head.feed(list(range(10_000)))
        for _ in range(20):
            consumer.request(1_000)
            head.run()
        assert len(consumer.heard) == 20_000
        assert head.requests[0] == 1, "before it knows, it asks for one"
        assert max(head.requests[-5:]) <= 20

    def test_holds_little_more_than_is_wanted(self, run: Any) -> None:
        """A barrier waits for all outputs of what has been fed, so not much more is fed than is used."""
        head, consumer, _ = build(lambda x: (x,) * 1_000, expands=True, run=run)
        head.feed(list(range(1_000)))
        for _ in range(500):
            consumer.request(32)
            head.run()
            assert len(head.fed) * 1_000 <= len(consumer.heard) + 2_000

    def test_never_asks_for_more_than_the_largest_bound(self, run: Any) -> None:
        head, consumer, _ = build(lambda x: (), expands=True, run=run)
        head.feed(list(range(50_000)))
        consumer.request(UNBOUNDED)
        head.run()
        assert not head.inputs
        assert max(head.requests) == MAX_BOUND

    def test_a_consumer_that_asks_from_within_is_served_without_a_break(self, run: Any) -> None:
        """Rule 3.3: no recursion, however often."""
        head, consumer, _ = build(lambda x: (x,) * 5_000, expands=True, run=run, refill=1)
        head.feed([1, 2], "barrier")
        consumer.request(1)
        head.run()
        assert len(consumer.heard) == 10_001

    def test_a_cancel_ends_a_record_without_end(self, run: Any) -> None:
        """Demand does not run out where the consumer always asks for more: the chain itself must look."""

        class Leaving(Consumer):
            def on_next_batch(self, values: Any) -> None:
                super().on_next_batch(values)
                if len(self.heard) > 10_000:
                    self.subscription.cancel()

        chain, consumer = FakeChain(lambda x: (x,) * 50_000, expands=True, run=run), Leaving(2_000)
        head = Head(chain, consumer)
        head.feed([1])
        consumer.request(2_000)
        with pytest.raises(Interrupted):
            head.run()
        assert len(consumer.heard) <= 12_048
        assert head.cancels == 1

    def test_close_gives_up_what_is_held(self, run: Any) -> None:
        """The user's code suspended in it is closed, so that its `finally` runs."""
        head, consumer, chain = build(thrice, expands=True, run=run)
        head.feed([1])
        consumer.request(1)
        head.run()
        head.fused.close()
        assert [run.closed for run in chain.runs] == [True]
        assert not head.fused.suspended
        head.fused.close()


@pytest.mark.parametrize("expands", [False, True])
class TestEndOfInput:
    def test_what_was_held_back_comes_before_it_and_keeps_to_the_demand(self, expands: bool) -> None:
        head, consumer, chain = build(even, expands=expands, held_back=[7, 8, 9])
        head.feed([2], END_OF_INPUT, "barrier")
        consumer.request(2)
        head.run()
        assert consumer.heard == [2, 7]
        assert head.fused.suspended
        consumer.request(1)
        head.run()
        assert consumer.heard == [2, 7, 8]
        consumer.request(1)
        head.run()
        assert consumer.heard == [2, 7, 8, 9, END_OF_INPUT, "barrier"]
        assert chain.finished == 1

    def test_passes_without_demand_if_nothing_was_held_back(self, expands: bool) -> None:
        head, consumer, _ = build(even, expands=expands)
        head.feed(END_OF_INPUT, "barrier")
        head.run()
        assert consumer.heard == [END_OF_INPUT, "barrier"]

    def test_what_a_checkpoint_had_let_out_is_not_let_out_again(self, expands: bool) -> None:
        """Its operators were finished before the checkpoint, and their state says so."""
        chain, consumer = FakeChain(even, expands=expands, held_back=[7]), Consumer()
        head = Head(chain, consumer, finished=True)
        head.feed(END_OF_INPUT, "barrier")
        consumer.request(5)
        head.run()
        assert (consumer.heard, chain.finished) == ([END_OF_INPUT, "barrier"], 0)


def test_records_after_the_end_of_the_input_are_refused() -> None:
    head, consumer, _ = build(even, expands=False, held_back=[7])
    head.feed(END_OF_INPUT)
    head.run()
    consumer.wanted = 1
    with pytest.raises(InternalError, match="end of the input"):
        head.fused.on_next_batch(Batch([2]))
    assert consumer.heard == []


@pytest.mark.parametrize("expands", [False, True])
class TestSubscription:
    def test_a_request_that_is_not_positive_goes_to_the_head(self, expands: bool) -> None:
        """Rule 3.9: the head ends the stream; here nothing is added up."""
        head, consumer, _ = build(even, expands=expands)
        consumer.request(1)
        consumer.subscription.request(-1)
        consumer.subscription.request(0)
        assert head.requests == [1, -1, 0]
        head.feed([2, 4])
        head.run()
        assert consumer.heard == [2]

    def test_cancel_and_ends_go_through(self, expands: bool) -> None:
        head, consumer, _ = build(even, expands=expands)
        consumer.subscription.cancel()
        assert head.cancels == 1
        error = ValueError()
        head.fused.on_error(error)
        head.fused.on_completed()
        assert consumer.ends == [error, None]

    def test_a_batch_and_an_end_go_in_with_their_input(self, expands: bool) -> None:
        """The end of one input lets records out, and goes no further itself."""
        head, consumer, chain = build(even, expands=expands, fires=[7])
        consumer.request(10)
        head.fused.input_index = 1
        head.feed([2])
        head.run()
        head.fused.on_control(EndOfOneInput(1))
        head.fused.on_control(END_OF_INPUT)
        assert (chain.inputs, chain.ended, chain.finished) == ([1], [1], 1)
        assert consumer.heard == [2, 7, END_OF_INPUT]

    def test_nothing_works_before_it_is_subscribed(self, expands: bool) -> None:
        head, _, chain = build(even, expands=expands)
        fused = type(head.fused)(chain, Consumer())
        with pytest.raises(InternalError, match="before it was subscribed"):
            fused.request(1)


class TestSideOutputs:
    """What goes aside comes on top of the demand; while a side output has enough, the chain rests."""

    SIDE = SideOutput("map:parse", SideTag("rejected"))

    def build(self, *, expands: bool) -> tuple[Head, Consumer, Consumer]:
        """Odd numbers go aside."""

        def function(value: int) -> Sequence[int]:
            if value % 2:
                fanout.send_side(self.SIDE, [value])
                return ()
            return (value,)

        main, aside = Consumer(), SideConsumer()
        fanout = Fanout([Output([main], Forward()), Output([aside], Forward(), self.SIDE)])
        return Head(FakeChain(function, expands=expands), fanout), main, aside

    @pytest.mark.parametrize("expands", [False, True])
    def test_a_side_output_nobody_drains_holds_the_source_back(self, expands: bool) -> None:
        """If every record is rejected, main demand is never used up: without a rest the side output
        would take the whole input into memory."""
        head, main, aside = self.build(expands=expands)
        aside.subscription.request(10)
        main.request(100)
        head.feed([1] * 100_000)
        head.run()
        assert 10 <= len(aside.heard) <= 10 + 100
        assert head.fused.suspended
        assert not head.fused.resumable

    @pytest.mark.parametrize("expands", [False, True])
    def test_it_continues_when_the_side_output_wants_more(self, expands: bool) -> None:
        head, main, aside = self.build(expands=expands)
        aside.subscription.request(1)
        main.request(10)
        head.feed(list(range(1_000)), "barrier")
        for _ in range(2_000):
            head.run()
            wakes = head.wakes
            aside.subscription.request(1)
            if head.fused.resumable:
                assert head.wakes > wakes
            if not main.wanted:
                main.request(10)
        assert main.heard == [*range(0, 1_000, 2), "barrier"]
        assert aside.heard == [*range(1, 1_000, 2), "barrier"]

    @pytest.mark.parametrize("expands", [False, True])
    @pytest.mark.parametrize("last", ["barrier", END_OF_INPUT])
    def test_what_went_aside_is_before_the_control_element_after_it(
        self, expands: bool, last: object
    ) -> None:
        """It belongs to the same epoch, also if nothing of the batch is left for the main output, or
        demand ended within it."""
        head, main, aside = self.build(expands=expands)
        aside.subscription.request(100)
        main.request(2)
        head.feed([1, 0, 3, 0, 5, 7], last)
        head.run()
        main.request(1)
        head.run()
        assert main.heard == [0, 0, last]
        assert aside.heard == [1, 3, 5, 7, last]

    def test_a_side_output_without_records_does_not_make_batches_small(self) -> None:
        head, main, aside = self.build(expands=False)
        aside.subscription.request(1)
        main.request(1_000)
        head.feed([0] * 1_000)
        head.run()
        assert main.batches == [1_000]


class Vertex:
    """What a real chain needs of its vertex."""

    job_name = "test-job"

    def side_output(self, tag: Any, values: Any) -> None: ...
    def count_failed(self, records: int, samples: Sequence[FailedRecord] = ()) -> None: ...
    def pause(self, delay: timedelta) -> None: ...
    def run_async(self, coroutine: Any) -> Any: ...


@pytest.mark.parametrize("mode", ["generated", "interpreted"])
def test_compiled_chains_are_driven_the_same_way(mode: str) -> None:
    """Both implementations of a real chain, two records of demand at a time."""
    steps = [Filter(lambda x: x % 3), FlatMap(range), Map(lambda x: x + 1)]
    stages = [StepStage(f"step-{index}", step) for index, step in enumerate(steps)]
    chain = compile_chain(stages, Vertex(), mode=mode)
    consumer = Consumer()
    head = Head(chain, consumer)
    head.feed(list(range(20)), "barrier", [5], END_OF_INPUT)
    before = [y + 1 for x in range(20) if x % 3 for y in range(x)]
    while consumer.heard[-1:] != [END_OF_INPUT]:
        heard = len(consumer.heard)
        consumer.request(2)
        head.run()
        assert len(consumer.heard) > heard, "no progress in spite of demand"
    assert consumer.heard == [*before, "barrier", 1, 2, 3, 4, 5, END_OF_INPUT]
