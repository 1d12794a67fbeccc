"""Position: a restart between any two rows neither loses nor repeats one, whatever keys they share."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples

from connectors.sql import position as position_module
from connectors.sql.position import Position, check_keys, digest, key_getter
from connectors.sql.rows import Row
from pipeline.core.errors import Fault, SourceError
from state.encoding import from_json, to_json

by_first = key_getter([0])
by_both = key_getter([0, 1])
IDENTITY = {
    "sql": "SELECT 1",
    "key": ["id"],
    "parameters": None,
    "columns": [["id", "bigint"]],
    "time_zone": "UTC",
}
rows_with_ties = lists(tuples(integers(0, 3), sampled_from("ab")), max_size=30).map(sorted)


def stored(position: Position, key: int) -> Position:
    """Send a position through a checkpoint."""
    identity = {**IDENTITY, "key": ["a", "b"][:key]}
    text = json.dumps(to_json(position.to_state(identity)))
    return Position.from_state(from_json(json.loads(text)), identity)


@given(
    rows=rows_with_ties,
    stops=lists(integers(1, 12), max_size=8),
    page=integers(1, 5),
    key=sampled_from((1, 2)),
)
def test_any_number_of_restarts_reads_each_row_once(
    rows: list[Row], stops: list[int], page: int, key: int
) -> None:
    """Read some rows in pages, stop, restore from the checkpoint; what the server sends again is dropped.

    Rows that share a key that is complete are not sent again.
    """
    key_of = by_first if key == 1 else by_both
    emitted: list[Row] = []
    position = Position()
    for stop in [*stops, len(rows) + 1]:
        last = position.last_key
        if last is None or position.key_complete:
            fresh = [row for row in rows if last is None or key_of(row) > last]
        else:
            fresh = list(position.remaining(iter([row for row in rows if key_of(row) >= last]), key_of))
        for start in range(0, min(stop, len(fresh)), page):
            end = min(start + page, stop, len(fresh))
            position = position.advanced(fresh[start:end], key_of, fresh[end] if end < len(fresh) else None)
            emitted += fresh[start:end]
        position = stored(position, key) if position.last_key is not None else position
    assert sorted(emitted) == rows
    assert position.processed_rows == len(rows)


def test_equal_rows_are_counted_not_only_recognised() -> None:
    """Of three rows alike of which two are emitted, one is still to come."""
    row = (1, "same")
    position = Position().advanced([row, row], by_first, row)
    assert list(position.remaining(iter([row, row, row, (2, "next")]), by_first)) == [row, (2, "next")]


def test_ties_are_remembered_across_pages() -> None:
    """The run of equal keys may be longer than a page."""
    position = Position().advanced([(1, "a"), (2, "b")], by_first, (2, "c"))
    position = position.advanced([(2, "c"), (2, "d")], by_first, (2, "e"))
    assert position.tied_rows == tuple(digest(row) for row in [(2, "b"), (2, "c"), (2, "d")])
    assert not position.key_complete
    position = position.advanced([(2, "e")], by_first, (3, "f"))
    assert (position.key_complete, position.tied_rows) == (True, ())


@pytest.mark.parametrize("following", [(1000,), None])
def test_unique_keys_cost_no_digest(following: Row | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a row have to be the same when it is read again: nobody asks what it was."""
    counted: list[Row] = []
    monkeypatch.setattr(position_module, "digest", lambda row: counted.append(row) or "")
    position = Position().advanced([(number,) for number in range(1000)], by_first, following)
    assert (counted, position.key_complete, position.last_key) == ([], True, (999,))


def test_a_key_that_hardly_distinguishes_is_refused() -> None:
    """A position that grows without bound would end the job later, at a worse moment."""
    position = Position().advanced([(1, number) for number in range(100_000)], by_first, (1, 100_000))
    with pytest.raises(SourceError, match="more than 100,000 rows share the key 1") as caught:
        position.advanced([(1, 100_000)], by_first, (1, 100_001))
    assert not caught.value.retryable
    assert "add a column to key=" in str(caught.value)


@pytest.mark.parametrize(
    "value", [Decimal("1.50"), UUID(int=7), datetime(2013, 1, 1, tzinfo=UTC), b"\x00", "a'b"]
)
def test_keys_of_every_type_come_back_equal(value: Any) -> None:
    position = Position().advanced([(value, 1)], by_first, None)
    state = from_json(json.loads(json.dumps(to_json(position.to_state(IDENTITY)))))
    assert state["last_processed_id"] == value
    assert type(state["last_processed_id"]) is type(value)
    assert Position.from_state(state, IDENTITY).last_key == (value,)


def test_the_position_is_laid_out_as_documented() -> None:
    state = Position().advanced([(7, "x")], by_first, None).to_state(IDENTITY)
    assert {name: state[name] for name in ("source_type", "sql", "processed_rows", "last_processed_id")} == {
        "source_type": "jdbc_query",
        "sql": "SELECT 1",
        "processed_rows": 1,
        "last_processed_id": 7,
    }
    assert state["result_set_position"] == 1


def test_a_checkpoint_of_an_older_release_tells_rows_apart_by_digests() -> None:
    """It does not know whether the last key was complete."""
    state = Position().advanced([(7, "x")], by_first, (7, "y")).to_state(IDENTITY)
    del state["key_complete"]
    position = Position.from_state(state, IDENTITY)
    assert list(position.remaining(iter([(7, "x"), (7, "y"), (8, "z")]), by_first)) == [(7, "y"), (8, "z")]


def test_a_resumed_run_counts_its_own_result_set() -> None:
    resumed = stored(Position().advanced([(7, "x")], by_first, None), 1)
    assert (resumed.processed_rows, resumed.result_set_position) == (1, 0)


@pytest.mark.parametrize(
    ("name", "now", "message"),
    [
        ("sql", "SELECT 2", "the text of the query changed since the checkpoint: it was 'SELECT 1'"),
        ("parameters", "00ff", "a parameter of the query changed"),
        ("columns", [["id", "text"]], "the columns of the query's result changed"),
        ("key", ["other"], "the key of the query changed"),
        ("time_zone", "Asia/Tokyo", "the time zone of the database session changed"),
    ],
)
def test_a_query_that_changed_is_not_continued(name: str, now: Any, message: str) -> None:
    """A position means a row only in the result it comes from."""
    state = Position().advanced([(7, "x")], by_first, None).to_state(IDENTITY)
    with pytest.raises(SourceError, match=message) as caught:
        Position.from_state(state, {**IDENTITY, name: now})
    assert not caught.value.retryable
    assert caught.value.fault is Fault.CONFIG
    assert "--fresh" in str(caught.value)


def test_the_position_of_another_source_is_refused() -> None:
    with pytest.raises(SourceError, match="is of a source 'kafka', expected 'jdbc_query'"):
        Position.from_state({"source_type": "kafka"}, IDENTITY)


def test_a_query_without_a_key_is_never_continued() -> None:
    """It would emit from the beginning what is already emitted."""
    state = Position().advanced([(7, "x")], None, None).to_state({**IDENTITY, "key": []})
    with pytest.raises(SourceError, match="without a key cannot continue"):
        Position.from_state(state, {**IDENTITY, "key": []})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(1, 1), (2, 1), (None, 1)], "row 13 has a = NULL"),
        ([(1, 1), (None, 1), (None, 2)], "row 12 has a = NULL"),
        ([(1, 1), (1, None), (2, 1)], "row 12 has b = NULL"),
        ([(1.0, 1), (float("nan"), 1)], "row 12 has a = nan"),
        ([(1, 1), (1, Decimal("NaN")), (2, 1)], "row 12 has b = NaN"),
    ],
)
def test_null_and_nan_in_a_key_are_refused_with_their_row(rows: list[Row], message: str) -> None:
    """No comparison finds them again: a resumed run would silently lose them."""
    with pytest.raises(SourceError, match=message) as caught:
        check_keys(rows, [0, 1], ["a", "b"], 11)
    assert not caught.value.retryable
    assert caught.value.fault is Fault.USER
    assert "IS NOT NULL" in str(caught.value)


def test_null_outside_the_key_is_welcome() -> None:
    check_keys([(1, None), (2, None)], [0], ["a"], 1)
