"""What must be as it was for a position to mean the same row: query, columns, database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pipeline.core.errors import Fault, SourceError


class DatabaseName(NamedTuple):
    """Which database a session reads, the same for all replicas of a server and through any pooler.

    Args:
        system: the identifier that the cluster got from PostgreSQL when it was created; None where the
            user may not read it.
        oid: of the database in that cluster; a database that is dropped and recreated has another.
        name: of the database.
        schemas: in which unqualified names are looked up.
    """

    system: str | None
    oid: int
    name: str
    schemas: list[str]


_NAMES: Final = {
    "sql": "the text of the query",
    "parameters": "a parameter of the query",
    "key": "the key of the query",
    "columns": "the columns of the query's result",
    "time_zone": "the time zone of the database session",
    "database": "the database",
}
"""How a message calls each part of an identity."""

_START_OVER: Final = "start over with --fresh, or restore what it was"


def check_unchanged(stored: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compare what a checkpoint says of its query with what the source has before it.

    Raises:
        SourceError: the query, its result or the database is another one.
    """
    for name, value in now.items():
        was = stored.get(name)
        if name == "database":
            _check_database(was, value)
        elif was != value and not (name == "time_zone" and was is None):
            raise changed(f"{_NAMES[name]} changed since the checkpoint: it was {was!r}, now it is {value!r}")


def _check_database(was: Any, now: Any) -> None:
    """Compare two databases by what is known of both; an older checkpoint knows none."""
    if was is None:
        return
    old, new = DatabaseName(**was), DatabaseName(**now)
    if old.system is None or new.system is None:
        old, new = old._replace(system=None), new._replace(system=None)
    if old == new:
        return
    if old._replace(schemas=[]) == new._replace(schemas=[]):
        raise changed(
            "the schemas in which the query's tables are looked up changed since the checkpoint: they were "
            f"{', '.join(old.schemas)}, now they are {', '.join(new.schemas)}",
            "restore search_path in the DSN, or start over with --fresh",
        )
    raise changed(
        f"the database is not the one the checkpoint was taken of: it was {_described(old)}, "
        f"now it is {_described(new)}",
        "name the database it was in the DSN, or start over with --fresh",
    )


def _described(database: DatabaseName) -> str:
    system = "" if database.system is None else f" of system {database.system}"
    return f"{database.name!r} (oid {database.oid}){system}"


def changed(message: str, hint: str = _START_OVER) -> SourceError:
    """Build the error for a source that is not the one a checkpoint was taken of."""
    error = SourceError(message, retryable=False, hint=hint)
    error.fault = Fault.CONFIG
    return error
