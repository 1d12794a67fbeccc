"""Which text a value is in a csv file: one that other programs read, not Python's own for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, Final, TypeAlias, cast
from uuid import UUID

import msgspec

_Write: TypeAlias = Callable[[Any], str]


class CsvValues:
    """Turns values into the texts of csv fields.

    It goes by the columns of a batch: most hold one type, which one call for the column finds out.

    Args:
        null: the text of None; None for an empty field.
    """

    def __init__(self, null: str | None) -> None:
        self._null = null
        self._none = null or ""
        self._writes: dict[type, _Write] = dict(_WRITES)

    def columns(self, rows: Iterable[Sequence[Any]], fields: Sequence[Any]) -> Sequence[Sequence[str]]:
        """Return the texts of each column.

        Args:
            rows: at least one, all as long as `fields`.
            fields: their names, for messages.

        Raises:
            ValueError: a value has no text; the message names its field.
        """
        return list(map(self._column, zip(*rows, strict=True), fields))

    def _column(self, values: Sequence[Any], field: Any) -> Sequence[str]:
        kinds = set(map(type, values))
        writes = {kind: self._write(kind, field) for kind in kinds - {NoneType}}
        texts = self._texts(values, writes, nullable=NoneType in kinds)
        null = self._null
        if null is not None and texts.count(null) > list(map(type, values)).count(NoneType):
            raise ValueError(f"{field} is the text {null!r}, which stands for None")
        return texts

    def _texts(
        self, values: Sequence[Any], writes: Mapping[type, _Write], *, nullable: bool
    ) -> Sequence[str]:
        none = self._none
        match list(writes):
            case []:
                return [none] * len(values)
            case [kind] if nullable and kind is str:
                return [none if value is None else value for value in values]
            case [kind] if nullable:
                write = writes[kind]
                return [none if value is None else write(value) for value in values]
            case [kind]:
                return _WHOLE[kind](values) if kind in _WHOLE else list(map(writes[kind], values))
            case _:
                return [none if value is None else writes[type(value)](value) for value in values]

    def _write(self, kind: type, field: Any) -> _Write:
        known = self._writes.get(kind)
        if known is None:
            known = _find(kind)
            if known is None:
                raise ValueError(f"{field} is of type {kind.__name__}, which has no text form")
            self._writes[kind] = known
        return known


# --- one value -----------------------------------------------------------------------------------------


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


def _enum(value: Enum) -> str:
    held = cast("object", value.value)
    write = _find(type(held))
    if write is None:
        raise ValueError(f"{value!r} has no text form")
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
    return None if cast("Any", kind).__str__ is object.__str__ else str


_BY_BASE: Final[Sequence[tuple[Any, _Write]]] = (
    (Enum, _enum),
    (str, str.__str__),
    ((int, float), str),
    (NoneType, lambda _: ""),
    (Decimal, _plain_decimal),
    (datetime, datetime.isoformat),
    (timedelta, _duration),
    ((bytes, bytearray, memoryview), _hex),
    ((Mapping, Sequence, Set, msgspec.Struct), _json),
)

_WRITES: Final[Mapping[type, _Write]] = {
    str: str.__str__,
    **dict.fromkeys((int, float, bool), repr),  # the same as `str`, in half the time
    **dict.fromkeys((date, time, UUID), str),
}


# --- a column of one type ------------------------------------------------------------------------------


def _all_decimals(values: Sequence[Decimal]) -> Sequence[str]:
    texts = list(map(Decimal.__str__, values))
    return list(map(_plain_decimal, values)) if "E" in "".join(texts) else texts


_WHOLE: Final[Mapping[type, Callable[[Sequence[Any]], Sequence[str]]]] = {
    str: lambda values: values,
    Decimal: _all_decimals,
}
"""What writes a column of one type without a call for each value."""
