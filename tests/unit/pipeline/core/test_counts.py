"""Counters add up by name, wherever they are counted."""

from __future__ import annotations

from pipeline.core.counts import FAILED, LATE, WRITTEN, Counts


def test_counts_add_up_by_name() -> None:
    """A name that only one of the two has counts as well."""
    total = Counts({LATE: 1}) + Counts({LATE: 2, FAILED: 5})
    assert (total[LATE], total[FAILED], total["duplicates"]) == (3, 5, 0)


def test_each_operator_may_have_a_counter_for_itself() -> None:
    """A uid may hold a colon; a longer name is another counter."""
    counts = Counts(
        {"written:kafka:alerts": 2, "written:file:out": 3, "written": 9, "written_bytes:file:out": 7}
    )
    assert counts.each(WRITTEN) == {"kafka:alerts": 2, "file:out": 3}
