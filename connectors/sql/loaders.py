"""What PostgreSQL's values become in Python: an equal value, PostgreSQL's own text, or an error."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from struct import Struct
from typing import Any, Final

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.rows import TupleRow
from psycopg.types.datetime import IntervalLoader
from psycopg.types.json import set_json_loads
from psycopg.types.string import TextLoader

_AS_TEXT: Final = (
    *("inet", "cidr", "record"),
    *("int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"),
    *("int4multirange", "int8multirange", "nummultirange"),
    *("datemultirange", "tsmultirange", "tstzmultirange"),
)
"""Types of which psycopg would make objects that no sink writes and no state keeps."""

_TEXTS: Final = (*("text", "varchar", "bpchar", "name", '"char"'), 0)
"""Types that are text; 0 stands for all those that psycopg does not know."""

_BINARY_INTERVAL: Final = Struct("!qii")  # microseconds, days, months


def register_loaders(connection: psycopg.Connection[TupleRow]) -> None:
    """Have a connection load no value as another one; what has no equal in Python raises at its first use."""
    adapters = connection.adapters
    adapters.register_loader("interval", _FixedIntervalLoader)
    adapters.register_loader("interval", _FixedIntervalBinaryLoader)
    set_json_loads(_exact_json, connection)
    undecoded = connection.info.encoding == "ascii"
    for name in _AS_TEXT:
        adapters.register_loader(name, _Utf8Loader if undecoded else TextLoader)
    if undecoded:
        for name in _TEXTS:
            adapters.register_loader(name, _Utf8Loader)
            adapters.register_loader(name, _Utf8BinaryLoader)


class _Utf8Loader(Loader):
    """Decodes texts of a database that has no encoding, which psycopg would return as bytes."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


class _Utf8BinaryLoader(_Utf8Loader):
    format = Format.BINARY


class _FixedIntervalLoader(IntervalLoader):
    """Loads intervals of a fixed length, in the style `postgres`; months and years have none."""

    def load(self, data: Buffer) -> timedelta:
        text = bytes(data)
        if b"mon" in text or b"year" in text or b"infinity" in text:
            raise _no_fixed_length(text.decode())
        return super().load(text)


class _FixedIntervalBinaryLoader(Loader):
    """The same for binary transfer, in which an infinite interval is one of very many months."""

    format = Format.BINARY

    def load(self, data: Buffer) -> timedelta:
        micros, days, months = _BINARY_INTERVAL.unpack(data)
        if months:
            raise _no_fixed_length(f"{months} months")
        return timedelta(days=days, microseconds=micros)


def _no_fixed_length(interval: str) -> psycopg.DataError:
    return psycopg.DataError(f"an interval with months, years or infinity has no fixed length: {interval!r}")


def _exact_json(data: str | bytes) -> Any:
    return json.loads(data, parse_float=_exact_number)


def _exact_number(text: str) -> float | Decimal:
    """Return the float that a JSON number is, or a Decimal where a float would be another number."""
    number = float(text)
    shortest = repr(number)
    if shortest == text:
        return number
    exact = Decimal(text)
    return number if Decimal(shortest) == exact else exact
