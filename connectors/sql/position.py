"""The position of a query: the last key emitted, and which of the rows that share it were emitted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Final, Self

from connectors.sql.identity import changed, check_unchanged
from connectors.sql.rows import Row
from pipeline.core.errors import Fault, SourceError

SOURCE_TYPE: Final = "jdbc_query"

MAX_TIED_ROWS: Final = 100_000
"""Rows that may share one key; the position holds 16 characters for each of the last key's."""

Key = tuple[Any, ...]


def digest(row: Row) -> str:
    """Return 64 bits in hexadecimal that tell one row from another, the same in every process.

    `repr` shows value and type of everything psycopg returns; `hash` differs from run to run.
    """
    return hashlib.blake2b(repr(row).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Position:
    """The next row not yet emitted: the first in the order of the key that is not counted here.

    Args:
        processed_rows: rows emitted since the job's beginning.
        last_key: key of the last of them, None before the first or where the query has no key.
        key_complete: whether all rows that had this key are emitted: so it always is where keys are unique.
        tied_rows: if not, digests of those that are.
        result_set_position: rows taken from the result set that is open now; a resumed run opens a new one.
    """

    processed_rows: int = 0
    last_key: Key | None = None
    key_complete: bool = False
    tied_rows: tuple[str, ...] = ()
    result_set_position: int = 0

    def advanced(
        self, rows: Sequence[Row], key_of: Callable[[Row], Key] | None, following: Row | None
    ) -> Self:
        """Return the position after `rows`, which follow this one; not empty.

        A digest tells a row from others only as long as nobody changes it, and as its values are the
        same when they are computed again. So it is taken only where it must be: in the midst of
        rows that share a key.

        Args:
            following: the row after these, None at the end of the result.

        Raises:
            SourceError: more rows share one key than a position can hold.
        """
        moved = replace(
            self,
            processed_rows=self.processed_rows + len(rows),
            result_set_position=self.result_set_position + len(rows),
        )
        if key_of is None:
            return moved
        last = key_of(rows[-1])
        if following is None or key_of(following) != last:
            return replace(moved, last_key=last, key_complete=True, tied_rows=())
        start = len(rows) - 1
        while start and key_of(rows[start - 1]) == last:
            start -= 1
        tied = tuple(map(digest, rows[start:]))
        if start == 0 and self.last_key == last:
            tied = self.tied_rows + tied
        if len(tied) > MAX_TIED_ROWS:
            raise _unusable(
                f"more than {MAX_TIED_ROWS:,} rows share the key {_shown(last)}: not a usable key",
                "add a column to key= that tells rows apart, such as the primary key",
            )
        return replace(moved, last_key=last, key_complete=False, tied_rows=tied)

    def remaining(self, rows: Iterator[Row], key_of: Callable[[Row], Key]) -> Iterator[Row]:
        """Return `rows`, which begin at the last key, without those that are already emitted."""
        done = Counter(self.tied_rows)
        for row in rows:
            if key_of(row) != self.last_key:
                yield row
                break
            found = digest(row)
            if done[found]:
                done[found] -= 1
            else:
                yield row
        yield from rows

    def to_state(self, identity: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a checkpoint keeps; `identity` is what must be the same when it is read again."""
        return {
            "source_type": SOURCE_TYPE,
            **identity,
            "processed_rows": self.processed_rows,
            "last_processed_id": _unwrapped(self.last_key),
            "result_set_position": self.result_set_position,
            "key_complete": self.key_complete,
            "tied_rows": list(self.tied_rows),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], identity: Mapping[str, Any]) -> Self:
        """Return the position that `to_state` wrote, after which a new result set is opened.

        Raises:
            SourceError: it is of another source, another query, or the columns are others now.
        """
        if state.get("source_type") != SOURCE_TYPE:
            raise changed(
                f"the checkpoint is of a source {state.get('source_type')!r}, expected {SOURCE_TYPE!r}"
            )
        check_unchanged(state, identity)
        if not identity["key"]:
            raise changed(
                "a query without a key cannot continue after a row, expected no position",
                "start over with --fresh, or give the source a key=",
            )
        last = state["last_processed_id"]
        several = len(identity["key"]) > 1
        key = None if last is None else tuple(last) if several else (last,)
        # Checkpoints of older releases do not say that a key is complete: their digests do.
        complete = state.get("key_complete", False)
        return cls(state["processed_rows"], key, complete, tuple(state["tied_rows"]))


def key_getter(indexes: Sequence[int]) -> Callable[[Row], Key]:
    """Return the function that picks the key's values, always as a tuple, out of a row."""
    if len(indexes) > 1:
        return itemgetter(*indexes)
    index = indexes[0]
    return lambda row: (row[index],)


def check_keys(rows: Sequence[Row], indexes: Sequence[int], names: Sequence[str], first_row: int) -> None:
    """Raise for NULL and NaN in a key: neither can be compared, so rows after them could be lost.

    Both sort after everything else, so the last row shows them for the first column of a key; the
    other columns are sorted within each value of it.

    Args:
        rows: a page in the order of the key, not empty.
        indexes, names: the key's columns.
        first_row: number of the first row of the page, for the message.

    Raises:
        SourceError: found one; the message says in which row.
    """
    suspects: list[Sequence[Any]] = [(rows[-1][indexes[0]],)]
    suspects += [[row[index] for row in rows] for index in indexes[1:]]
    if not any(None in values or any(value != value for value in values) for values in suspects):  # noqa: PLR0124
        return
    for number, row in enumerate(rows, first_row):
        for index, name in zip(indexes, names, strict=True):
            value = row[index]
            if value is None or value != value:  # noqa: PLR0124
                raise null_key(f"row {number:,} has {name} = {'NULL' if value is None else value}")


def null_key(found: str) -> SourceError:
    """Build the error for a key with a NULL or NaN in it."""
    return _unusable(
        f"{found}, which cannot be a key",
        "leave such rows out in the query (WHERE … IS NOT NULL), or choose another key=",
    )


def _unusable(message: str, hint: str) -> SourceError:
    """Return the error for rows that do not have the configured key."""
    error = SourceError(message, retryable=False, hint=hint)
    error.fault = Fault.USER
    return error


def _unwrapped(key: Key | None) -> Any:
    return key[0] if key is not None and len(key) == 1 else key


def _shown(key: Key) -> str:
    return repr(_unwrapped(key))
