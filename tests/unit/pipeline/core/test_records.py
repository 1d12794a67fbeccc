"""Batches and origins: cutting them keeps values, timestamps and origins side by side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import (
    FAILED_RECORDS_KEPT,
    Batch,
    DeadLetter,
    FailedRecord,
    Origin,
    OriginRange,
    sampled,
)

bounds = st.none() | st.integers(-12, 12)
slices = st.builds(slice, bounds, bounds, st.sampled_from([None, 1, 2, 3, -1, -2]))


@given(st.integers(0, 10), slices)
def test_a_range_of_origins_is_cut_like_a_list(count: int, cut: slice) -> None:
    """Positions follow the records, however often and wherever a batch is cut."""
    origins = OriginRange("f", 5, count)
    listed = [Origin("f", 5 + index) for index in range(count)]
    assert list(origins) == listed
    assert list(origins[cut]) == listed[cut]
    assert len(origins[cut]) == len(listed[cut])
    assert list(origins[cut][1:]) == listed[cut][1:]


@given(st.integers(0, 5), st.integers(-8, 8))
def test_an_origin_is_found_like_in_a_list(count: int, index: int) -> None:
    origins = OriginRange("f", 100, count)
    if -count <= index < count:
        assert origins[index] == Origin("f", range(100, 100 + count)[index])
    else:
        with pytest.raises(IndexError):
            origins[index]


def test_a_contiguous_cut_costs_nothing_per_record() -> None:
    cut = OriginRange("f", 0, 10**9)[10**6 : 10**6 + 10**8]
    assert isinstance(cut, OriginRange)
    assert (len(cut), cut[0]) == (10**8, Origin("f", 10**6))


def test_an_origin_reads_as_split_and_position() -> None:
    assert str(Origin("orders.csv", 12)) == "orders.csv@12"


@given(st.integers(0, 8), slices)
def test_a_cut_batch_stays_aligned(count: int, cut: slice) -> None:
    """A record keeps its own timestamp and origin."""
    batch = Batch(range(count), [10 * n for n in range(count)], OriginRange("f", 0, count))[cut]
    assert len(batch) == len(range(count)[cut])
    assert batch.timestamps == [10 * n for n in batch]
    assert batch.origins is not None
    assert list(batch.origins) == [Origin("f", n) for n in batch]


def test_a_batch_without_timestamps_and_origins_has_none_after_a_cut() -> None:
    batch = Batch("abc")[1:]
    assert (list(batch), batch.timestamps, batch.origins) == (["b", "c"], None, None)
    assert repr(batch) == "Batch(2 records)"


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"id": 7}, "{'id': 7}"),
        ("x" * 1000, "'" + "x" * 198 + "…"),
        ("x" * 198, "'" + "x" * 198 + "'"),
        (Unprintable(), "<Unprintable, whose repr raises RuntimeError>"),
    ],
)
def test_a_failed_record_is_described_in_a_line(value: object, text: str) -> None:
    letter = DeadLetter(value, "ValueError: bad", "map:f", "f (job.py:3)", Origin("in.csv", 12))
    assert FailedRecord.of(letter) == FailedRecord(
        text, "ValueError: bad", "map:f", "f (job.py:3)", "in.csv@12"
    )


def test_a_sample_has_the_first_different_records_of_each_operator() -> None:
    """A restart repeats records: they are the same failures, not more of them."""
    first = [FailedRecord(str(n), "e", "a", "f") for n in range(7)]
    other = [FailedRecord(str(n), "e", "b", "f") for n in range(2)]
    assert sampled([*first, *other, *first]) == (*first[:FAILED_RECORDS_KEPT], *other)
    assert sampled([first[0], first[0], first[1]]) == tuple(first[:2])
