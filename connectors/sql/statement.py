"""The texts sent for a user's query: unchanged, in the order of its key, and from a key onwards."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pipeline.core.errors import ConfigError

Parameters = Sequence[Any] | Mapping[str, Any]

WRAPPER_LINES: Final = 1
"""Lines before the user's query in every text sent, to be subtracted from PostgreSQL's line numbers."""

_TOKEN: Final = re.compile(
    r"""
      (?P<blank> \s+ | --[^\n]* )
    | (?P<comment> /\* )
    | (?P<end> ; )
    | [eE]'(?: [^'\\] | \\. | '' )*'
    | '(?: [^'] | '' )*'
    | "(?: [^"] | "" )*"
    | (?P<dollar> \$ (?: [^\W\d]\w* )? \$ ) .*? (?P=dollar)
    | [\w$]+
    | .
    """,
    re.DOTALL | re.VERBOSE,
)
_QUERY: Final = re.compile(r"\(|(?:SELECT|VALUES|TABLE|WITH)\b", re.IGNORECASE)
"""How a statement begins that can be in a FROM clause."""

_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")


class Query(NamedTuple):
    """What one execution sends: a text with psycopg's placeholders, and the values for them."""

    text: str
    parameters: Parameters


class KeyColumn(NamedTuple):
    """A column of the key, and the PostgreSQL type to cast a value to for comparing it."""

    name: str
    type: str


def bare(sql: str) -> str:
    """Return `sql` without a closing `;` and the comments at its end, so that it can be put in parentheses.

    Raises:
        ConfigError: it is empty, holds more than one statement, or one that is not a query.

    Example:
        >>> bare("SELECT ';' AS x; -- all of them")
        "SELECT ';' AS x"
    """
    start, begin, end, ended = 0, 0, 0, False
    while token := _TOKEN.match(sql, start):
        start = token.end()
        if token["comment"]:
            start = _comment_end(sql, start)
        elif token["end"]:
            ended = True
        elif not token["blank"]:
            if ended:
                raise ConfigError(f"the query holds more than one statement: {sql[token.start() :][:40]!r}…")
            begin = begin if end else token.start()
            end = start
    if end == 0:
        raise ConfigError("the query is empty")
    if not _QUERY.match(sql, begin):
        word = sql[begin:end].split(maxsplit=1)[0]
        raise ConfigError(f"the query begins with {word[:40]}, expected SELECT, VALUES, TABLE or WITH")
    return sql[:end]


def _comment_end(sql: str, start: int) -> int:
    """Return where the comment opened just before `start` ends; in PostgreSQL they nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)


@dataclass(frozen=True, slots=True)
class Statement:
    """A user's query and the forms in which it is sent.

    Args:
        sql: one SELECT, VALUES, TABLE or WITH, as `bare` returns it.
        parameters: values of its placeholders; None if it has none, and then a `%` in it is only a `%`.
    """

    sql: str
    parameters: Parameters | None = None

    def all_rows(self) -> Query:
        """Request the rows in the user's order, if any."""
        return Query("\n" + self._text(), self._values())

    def no_rows(self) -> Query:
        """Ask for the columns only."""
        return self._query("LIMIT 0")

    def plan(self) -> Query:
        """Ask the planner what it expects, without running anything."""
        query = self._query("")
        return Query(f"EXPLAIN (FORMAT JSON) {query.text}", query.parameters)

    def in_key_order(self, key: Sequence[KeyColumn]) -> Query:
        return self._query(f"ORDER BY {_columns(key)}")

    def from_key(self, key: Sequence[KeyColumn], values: Sequence[Any], *, inclusive: bool) -> Query:
        """Ask for the rows after those with the key `values`, and if `inclusive` for these as well."""
        names = [f"key_{number}" for number in range(len(key))]
        named = isinstance(self.parameters, Mapping)
        marks = [f"%({_PREFIX}{name})s" if named else "%s" for name in names]
        bounds = ", ".join(
            f"{mark}::{_escaped(column.type)}" for mark, column in zip(marks, key, strict=True)
        )
        comparison = ">=" if inclusive else ">"
        query = self._query(f"WHERE ({_columns(key)}) {comparison} ({bounds}) ORDER BY {_columns(key)}")
        if isinstance(query.parameters, Mapping):
            last = {_PREFIX + name: value for name, value in zip(names, values, strict=True)}
            return Query(query.text, {**query.parameters, **last})
        return Query(query.text, [*query.parameters, *values])

    def null_keys(self, key: Sequence[KeyColumn]) -> Query:
        """Ask for one row whose key is NULL somewhere: no comparison of keys would ever find it."""
        return self._query(f"WHERE {' OR '.join(f'{_column(k)} IS NULL' for k in key)} LIMIT 1")

    def collation(self, column: KeyColumn) -> Query:
        """Ask whether the collation of a column tells all texts apart, without running anything.

        It belongs to the expression, so it is asked of that: no table knows it of a computed column.
        """
        query = self._query("LIMIT 0", _column(column))
        is_deterministic = "SELECT collisdeterministic FROM pg_catalog.pg_collation WHERE oid"
        return Query(f"{is_deterministic} = pg_collation_for(({query.text}))::regcollation", query.parameters)

    def _query(self, clause: str, columns: str = "*") -> Query:
        # What is put together is the user's own query and quoted names; values go as parameters.
        return Query(f"SELECT {columns} FROM (\n{self._text()}\n) AS q {clause}", self._values())  # noqa: S608

    def _text(self) -> str:
        return _escaped(self.sql) if self.parameters is None else self.sql

    def _values(self) -> Parameters:
        return () if self.parameters is None else self.parameters


_PREFIX: Final = "pipeline_"
"""Keeps the names of our own placeholders apart from the user's."""


def _columns(key: Sequence[KeyColumn]) -> str:
    return ", ".join(map(_column, key))


def _column(column: KeyColumn) -> str:
    quoted = column.name.replace('"', '""')
    return _escaped(f'q."{quoted}"')


def _escaped(text: str) -> str:
    """Double each `%`, which psycopg would take for a placeholder."""
    return text.replace("%", "%%")
