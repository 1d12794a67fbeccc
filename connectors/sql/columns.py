"""What the types of a result's columns allow: binary transfer, being a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from connectors.sql.statement import KeyColumn
from pipeline.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result.

    Args:
        name: as the query names it.
        type: name of its type as PostgreSQL's `format_type` writes it, without length or precision.
        length: declared length of a `character(n)`, None without one.
        is_enum: whether the type is an enum.
    """

    name: str
    type: str
    length: int | None = None
    is_enum: bool = False


_KEY_TYPES: Final = frozenset(
    {
        "smallint",
        "integer",
        "bigint",
        "oid",
        "numeric",
        "real",
        "double precision",
        "text",
        "character varying",
        "character",
        "name",
        "bytea",
        "uuid",
        "boolean",
        "date",
        "time without time zone",
        "time with time zone",
        "timestamp without time zone",
        "timestamp with time zone",
    }
)
"""Types whose values keep their place in the order after a round trip through Python, to resume there.

Not `interval`: to PostgreSQL a year is 360 days when it compares, to psycopg it is 365.
"""

_BINARY_TYPES: Final = (_KEY_TYPES - {"real"}) | {"interval", "json", "jsonb"}
"""Types that binary and text transfer give back as the same Python value.

Not `real`, whose binary form is the nearest double instead of the shortest decimal; not enums,
composites and extensions' types, which arrive as bytes.
"""

_OTHER_KEY: Final = "choose another key=, or cast it in the query, for example to text"
_OTHER_KEYS: Final = {
    "interval": "choose another key=, or give its length: extract(epoch FROM …) AS seconds",
}


def binary_is_faithful(columns: Sequence[Column]) -> bool:
    """Whether a result of these columns may be transferred in binary, which is faster."""
    return all(column.type.removesuffix("[]") in _BINARY_TYPES for column in columns)


def has_collation(column: KeyColumn) -> bool:
    """Whether it depends on a collation which values of the type are equal."""
    return column.type in ("text", "character varying", "bpchar", "name")


def nondeterministic(column: KeyColumn) -> ConfigError:
    """Build the error for a key whose collation calls different texts equal, as Python never does."""
    return ConfigError(
        f"the key column {column.name!r} has a collation that treats different texts as equal: "
        "it cannot be determined here which rows share a key",
        hint='choose another key=, or another collation in the query: … COLLATE "C"',
    )


def key_columns(key: Sequence[str], columns: Sequence[Column]) -> list[KeyColumn]:
    """Return the columns that `key` names.

    Raises:
        ConfigError: one is not in the result, is there twice, or is of a type that cannot be a key.
    """
    return [_key_column(name, columns) for name in key]


def _key_column(name: str, columns: Sequence[Column]) -> KeyColumn:
    names = [column.name for column in columns]
    found = [column for column in columns if column.name == name]
    if not found:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(names)}"
        raise ConfigError(f"the key column {name!r} is not in the query's result", hint=hint)
    if len(found) > 1:
        raise ConfigError(
            f"{len(found)} columns of the query have the name of the key {name!r}",
            hint="give them different names with AS",
        )
    column = found[0]
    if not _compares_like_python(column):
        raise ConfigError(
            f"the key column {name!r} is of type {column.type}, by which a query cannot be continued: "
            "its values do not compare here as they do in PostgreSQL",
            hint=_OTHER_KEYS.get(column.type, _OTHER_KEY),
        )
    # As a cast, `character` would mean `character(1)`.
    return KeyColumn(name, "bpchar" if column.type == "character" else column.type)


def _compares_like_python(column: Column) -> bool:
    # Trailing blanks do not count in `character`; with a length all values have the same number.
    unpadded = column.type == "character" and column.length is None
    return not unpadded and (column.is_enum or column.type in _KEY_TYPES)
