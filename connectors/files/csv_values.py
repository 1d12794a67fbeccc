"""Which text a value is in a csv file: one that other programs read, not Python's own for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, Final, TypeAlias, cast
from uuid import UUID

import msgspec

Rows: TypeAlias = Sequence[Sequence[Any]]
_Write: TypeAlias = Callable[[Any], Any]
"""From a value to a text, or to another that `csv.writer` writes as it should."""


class CsvValues:
    """Replaces values that `csv.writer` would write as Python shows them.

    It goes by the columns of a batch: most hold one type, which one call for the column finds out.

    Args:
        null: the text of None; None for an empty field.
    """

    def __init__(self, null: str | None) -> None:
        self._null = null
        self._plain = _PLAIN if null is None else _PLAIN - {NoneType}
        self._writes: dict[type, _Write] = dict(_WRITES)
        if null is not None:
            self._writes[NoneType] = lambda _: null

    def of(self, rows: Iterable[Sequence[Any]], fields: Sequence[Any]) -> Rows:
        """Return rows of which `csv.writer` writes each value as it should.

        Args:
            rows: at least one, all as long as `fields`.
            fields: their names, for messages.

        Raises:
            ValueError: a value has no text; the message names its field.
        """
        columns = map(self._column, zip(*rows, strict=True), fields)
        return list(zip(*columns, strict=True))

    def _column(self, values: Sequence[Any], field: Any) -> Sequence[Any]:
        whole = _WHOLE.get(cast("type[Any]", type(values[0])))
        if whole is not None and self._null is None:
            with suppress(TypeError):  # they are not all of the type of the first
                return whole(values)
        kinds = set(map(type, values))
        if str in kinds and self._null is not None and self._null in values:
            raise ValueError(f"{field} is the text {self._null!r}, which stands for None")
        if self._plain.issuperset(kinds):
            return values
        writes = {kind: self._write(kind, field) for kind in kinds}
        return [writes[type(value)](value) for value in values]

    def _write(self, kind: type, field: Any) -> _Write:
        known = self._writes.get(kind)
        if known is None:
            known = _find(kind)
            if known is None:
                raise ValueError(f"{field} is of type {kind.__name__}, which has no text of its own")
            self._writes[kind] = known
        return known


# --- one value -----------------------------------------------------------------------------------------


def _same(value: Any) -> Any:
    return value


def _plain_decimal(value: Decimal) -> str:
    text = str(value)
    return format(value, "f") if "E" in text else text


def _duration(value: timedelta) -> str:
    """Return it as ISO 8601 writes it, each part with its sign: so PostgreSQL reads it, and most do."""
    sign, size = ("-", -value) if value < timedelta() else ("", value)
    seconds = f"{size.seconds % 60}.{size.microseconds:06d}".rstrip("0").rstrip(".")
    days, hours, minutes = size.days, size.seconds // 3600, size.seconds // 60 % 60
    date_part = f"{sign}{days}D" if days else ""
    time_part = "".join(
        f"{sign}{number}{unit}"
        for number, unit in ((str(hours), "H"), (str(minutes), "M"), (seconds, "S"))
        if number != "0"
    )
    if not time_part:
        return f"P{date_part}" if date_part else "PT0S"
    return f"P{date_part}T{time_part}"


def _hex(value: bytes | bytearray | memoryview) -> str:
    return f"\\x{value.hex()}"


def _json(value: Any) -> str:
    data = _JSON.encode(value)
    if b"NaN" in data or b"Infinity" in data:  # a text, or a Decimal that would make it no JSON
        msgspec.json.decode(data)
    return data.decode()


def _enum(value: Enum) -> Any:
    held = cast("object", value.value)
    write = _find(type(held))
    if write is None:
        raise ValueError(f"{value!r} has no text of its own")
    return write(held)


def _for_json(value: Any) -> Any:
    """Return what msgspec can encode for what it cannot."""
    if type(value) in _NEVER_KEYS:
        raise NotImplementedError(f"{type(value).__name__} cannot be a key in JSON")
    if isinstance(value, Mapping):
        return dict(cast("Mapping[Any, Any]", value))
    if isinstance(value, Sequence | Set):
        return list(cast("Sequence[Any]", value))
    raise NotImplementedError(f"{type(value).__name__} has no form in JSON")


_NEVER_KEYS: Final = frozenset({tuple, frozenset})
"""What is encoded as a value is asked about as a key only."""

_JSON: Final = msgspec.json.Encoder(enc_hook=_for_json, decimal_format="number")


def _find(kind: type) -> _Write | None:
    """Return how values of a type are written; None if they have no text of their own."""
    found = next((write for base, write in _BY_BASE if issubclass(kind, base)), None)
    if found is not None:
        return found
    if dataclasses.is_dataclass(kind):
        return _json
    # Without a `__str__` of its own a value shows where in memory it is, or how Python would write it.
    return None if cast("Any", kind).__str__ is object.__str__ else _same


_BY_BASE: Final[Sequence[tuple[Any, _Write]]] = (
    (Enum, _enum),
    ((str, int, float, NoneType), _same),
    (Decimal, _plain_decimal),
    (datetime, datetime.isoformat),
    (timedelta, _duration),
    ((bytes, bytearray, memoryview), _hex),
    ((Mapping, Sequence, Set, msgspec.Struct), _json),
)

_PLAIN: Final[frozenset[type]] = frozenset({str, int, float, bool, NoneType, date, time, UUID})
"""Types of which `csv.writer` writes every value as it should."""

_WRITES: Final[Mapping[type, _Write]] = dict.fromkeys(_PLAIN, _same)


# --- a column of one type ------------------------------------------------------------------------------


def _all_texts(values: Sequence[Any]) -> Sequence[str]:
    "".join(values)
    return values


def _all_decimals(values: Sequence[Any]) -> Sequence[str]:
    texts = list(map(Decimal.__str__, values))
    return list(map(_plain_decimal, values)) if "E" in "".join(texts) else texts


def _all_instants(values: Sequence[Any]) -> Sequence[str]:
    return list(map(datetime.isoformat, values))


_WHOLE: Final[Mapping[type, Callable[[Sequence[Any]], Sequence[Any]]]] = {
    str: _all_texts,
    Decimal: _all_decimals,
    datetime: _all_instants,
}
"""What writes a column in one call; it raises TypeError unless all values are of that type."""
