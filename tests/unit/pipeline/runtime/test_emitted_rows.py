"""EmittedRows: a checkpoint is due once after that many records, counted from the last barrier."""

from __future__ import annotations

from pipeline.runtime.emitted_rows import EmittedRows


def test_a_checkpoint_is_due_once_until_the_next_barrier() -> None:
    rows = EmittedRows(10)
    assert [rows.add(n) for n in (9, 1, 50)] == [False, True, False]
    rows.pass_barrier()
    assert [rows.add(n) for n in (9, 1)] == [False, True]
    assert rows.total == 70


def test_a_batch_may_go_beyond_it() -> None:
    assert EmittedRows(10).add(1_000)


def test_records_before_the_barrier_do_not_count() -> None:
    """Whether or not they had made one due."""
    rows = EmittedRows(10)
    rows.add(9)
    rows.pass_barrier()
    assert not rows.add(9)


def test_without_a_number_none_is_due() -> None:
    rows = EmittedRows(None)
    assert not rows.add(10**9)
    assert rows.total == 10**9
