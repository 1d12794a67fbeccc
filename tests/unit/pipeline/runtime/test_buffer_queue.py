"""What a buffer holds: the order of its elements, and barriers that overtake them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from checkpoint.barrier import Barrier, CheckpointKind
from pipeline.core.elements import END_OF_INPUT, IDLE
from pipeline.core.elements import Watermark as Mark
from pipeline.core.records import Batch
from pipeline.runtime.buffer_queue import BufferQueue


def barrier(number: int) -> Barrier:
    return Barrier(number, CheckpointKind.PERIODIC)


def queue(*elements: Any) -> BufferQueue:
    """A list is a batch, a number the barrier of a checkpoint, all else a control element."""
    made = BufferQueue()
    for element in elements:
        if isinstance(element, list):
            made.append(Batch(element))
        elif isinstance(element, int):
            made.cut(barrier(element), dropped=0)
        else:
            made.append_control(element)
    return made


def plain(elements: Any) -> list[Any]:
    """The elements as `queue` takes them."""
    return [list(element.values) if isinstance(element, Batch) else element for element in elements]


def overtaken(of: BufferQueue, number: int) -> tuple[list[Any], int] | None:
    found = of.overtaken_by(barrier(number))
    return None if found is None else (plain(found[0]), found[1])


class TestOrder:
    def test_records_are_taken_together_as_far_as_is_asked(self) -> None:
        held = queue([1, 2], [3], [4, 5])
        assert list(held.take(4)) == [1, 2, 3, 4]
        assert held.records == 1
        assert list(held.take(4)) == [5]
        assert held.is_empty

    def test_records_are_not_taken_across_a_control_element(self) -> None:
        held = queue([1], Mark(1), [2])
        assert list(held.take(9)) == [1]
        assert (held.has_records, held.has_control) == (False, True)
        assert held.take_control() == Mark(1)
        assert list(held.take(9)) == [2]

    def test_a_later_watermark_replaces_one_right_before_it(self) -> None:
        """Or a source that is ahead for hours would fill the buffer with watermarks."""
        held = queue([1], Mark(1), Mark(2), IDLE, IDLE)
        held.take(1)
        assert [held.take_control() for _ in range(2)] == [Mark(2), IDLE]
        assert held.is_empty

    def test_a_watermark_ends_idleness(self) -> None:
        held = queue(Mark(1), IDLE, Mark(2))
        assert held.take_control() == Mark(2)
        assert held.is_empty

    def test_watermarks_of_replaced_records_do_not_pile_up(self) -> None:
        held = queue([1])
        for time in range(100):
            held.append_control(Mark(time))
            held.discard_records()
            held.append(Batch([time]))
        assert held.take_control() == Mark(99)
        assert list(held.take(9)) == [99]
        assert held.is_empty


class TestBarriers:
    def test_a_barrier_overtakes_everything(self) -> None:
        held = queue([1, 2], Mark(1), [3], 7, [4])
        assert held.has_control
        assert held.take_control() == barrier(7)
        assert overtaken(held, 7) == ([[1, 2], Mark(1), [3]], 0)

    def test_what_was_taken_before_it_came_is_no_more_overtaken(self) -> None:
        held = queue([1, 2])
        held.take(1)
        held.cut(barrier(7), 0)
        assert overtaken(held, 7) == ([[2]], 0)

    def test_nothing_is_taken_across_a_barrier_that_waits(self) -> None:
        """It belongs to the next epoch, or, before the barrier, to the snapshot."""
        held = queue([1], 7, [2])
        assert len(held.take(9)) == 0
        held.take_control()
        assert list(held.take(9)) == [1, 2]

    def test_the_end_of_the_input_is_not_saved(self) -> None:
        """The source that is restored at its end says it again."""
        assert overtaken(queue([1], END_OF_INPUT, 7), 7) == ([[1]], 0)

    def test_a_barrier_that_came_in_turn_has_overtaken_nothing(self) -> None:
        assert overtaken(queue([1]), 7) is None

    def test_of_two_barriers_each_has_overtaken_what_was_before_it(self) -> None:
        held = queue([1], 7, [2], 8, [3])
        assert overtaken(held, 7) == ([[1]], 0)
        assert overtaken(held, 8) == ([[1], [2]], 0)
        assert [held.take_control(), held.take_control()] == [barrier(7), barrier(8)]

    def test_the_place_of_a_barrier_is_forgotten(self) -> None:
        held = queue(7)
        assert not held.is_empty
        held.take_control()
        assert held.is_empty
        held.forget(7)
        assert overtaken(held, 7) is None

    def test_one_that_waits_to_be_taken_is_not(self) -> None:
        held = queue([1], 7)
        held.forget(7)
        assert held.take_control() == barrier(7)
        assert overtaken(held, 7) == ([[1]], 0)

    def test_what_is_replaced_after_a_barrier_counts_as_dropped_before_it(self) -> None:
        """The snapshot does not hold it, so its count must."""
        held = BufferQueue()
        held.append(Batch([1]))
        held.cut(barrier(7), dropped=5)
        assert plain(held.discard_records()) == [[1]]
        held.append(Batch([2]))
        held.take_control()
        assert overtaken(held, 7) == ([], 6)
        assert list(held.take(9)) == [2]


@given(st.lists(st.one_of(st.integers(1, 5), st.just("take"), st.just("barrier")), max_size=30))
def test_each_barrier_divides_the_records_cleanly(steps: list[Any]) -> None:
    """What was taken before a barrier and what it has overtaken are all the records before it."""
    held, given_, taken = BufferQueue(), 0, list[int]()
    number = 0
    for step in steps:
        if isinstance(step, int):
            held.append(Batch(list(range(given_, given_ + step))))
            given_ += step
        elif step == "take":
            taken += held.take(3)
        else:
            number += 1
            held.cut(barrier(number), 0)
            assert held.take_control() == barrier(number)
            found = overtaken(held, number)
            assert found is not None
            assert taken + [value for part in found[0] for value in part] == list(range(given_))
            held.forget(number)
