"""The table of standard-library types that are stored as a tag and a payload of simpler values."""

from __future__ import annotations

import ipaddress
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pipeline.core.errors import EncodingError

Moment = TypeVar("Moment", datetime, time)


class Tag(NamedTuple):
    """What precedes a payload.

    Args:
        name: its name in JSON: `{"$decimal": "1.20"}`.
        code: its msgpack extension code, 0 to 127; one that was ever released is never reused.
    """

    name: str
    code: int


class TaggedType(NamedTuple):
    """How one type is stored.

    Args:
        tag: marks it in what is stored.
        python_type: exactly this type, no subclass.
        take_apart: returns the payload: values that are encoded recursively.
        build: makes an equal value from the payload.
    """

    tag: Tag
    python_type: type
    take_apart: Callable[[Any], Any]
    build: Callable[[Any], Any]


def _take_moment_apart(value: datetime | time) -> Any:
    """Return ISO 8601 where it says all; [text, zone, fold] with a fold or a zone that has a name."""
    zone = value.tzinfo
    if not value.fold and (zone is None or zone is UTC or _is_plain_offset(zone)):
        return value.isoformat()
    return [value.replace(tzinfo=None).isoformat(), zone, value.fold]


def _moment_builder(parse: Callable[[str], Moment]) -> Callable[[Any], Moment]:
    def build(payload: Any) -> Moment:
        if isinstance(payload, str):
            return parse(payload)
        text, zone, fold = payload
        return parse(text).replace(tzinfo=zone, fold=fold)

    return build


def _is_plain_offset(zone: tzinfo) -> bool:
    if type(zone) is not timezone:
        return False
    offset = zone.utcoffset(None)
    # Python 3.11 reads an offset of less than a second as UTC
    return not offset.microseconds and zone.tzname(None) == timezone(offset).tzname(None)


def _take_offset_apart(zone: timezone) -> list[Any]:
    return [zone.utcoffset(None), zone.tzname(None)]


def _build_offset(payload: list[Any]) -> timezone:
    offset, name = payload
    unnamed = timezone(offset)
    return unnamed if unnamed.tzname(None) == name else timezone(offset, name)


def _zone_key(zone: ZoneInfo) -> str:
    if not zone.key:
        raise EncodingError("a ZoneInfo without a key cannot be stored", hint="create it by its key")
    return zone.key


def _pairs(value: dict[Any, Any]) -> list[list[Any]]:
    return [[key, item] for key, item in value.items()]


def _from_hex(text: str) -> int:
    return int(text, 16)


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _from_bytes(payload: bytes) -> str:
    return payload.decode("utf-8", "surrogatepass")


def _to_base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _from_base64(text: str) -> bytes:
    return b64decode(text, validate=True)


def _to_bytearray(payload: bytes) -> bytearray:
    return bytearray(memoryview(payload))  # a number would make as many zeros


def _to_parts(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _from_parts(payload: list[int]) -> timedelta:
    return timedelta(*payload)


_TABLE: Final[tuple[TaggedType, ...]] = (
    # Stored plainly where the form can; these rows serve the values for which it cannot.
    TaggedType(Tag("int", 1), int, hex, _from_hex),  # hex, since decimal digits are limited to 4,300
    TaggedType(Tag("str", 2), str, _to_bytes, _from_bytes),  # with lone surrogates, as in file names
    TaggedType(Tag("float", 3), float, repr, float),
    TaggedType(Tag("bytes", 4), bytes, _to_base64, _from_base64),
    TaggedType(Tag("dict", 5), dict, _pairs, dict),
    # Never plain.
    TaggedType(Tag("bytearray", 6), bytearray, bytes, _to_bytearray),
    TaggedType(Tag("tuple", 7), tuple, list, tuple),
    TaggedType(Tag("set", 8), set, list, set),
    TaggedType(Tag("frozenset", 9), frozenset, list, frozenset),
    TaggedType(Tag("datetime", 10), datetime, _take_moment_apart, _moment_builder(datetime.fromisoformat)),
    TaggedType(Tag("date", 11), date, date.isoformat, date.fromisoformat),
    TaggedType(Tag("time", 12), time, _take_moment_apart, _moment_builder(time.fromisoformat)),
    TaggedType(Tag("timedelta", 13), timedelta, _to_parts, _from_parts),
    TaggedType(Tag("decimal", 14), Decimal, str, Decimal),
    TaggedType(Tag("uuid", 15), UUID, str, UUID),
    TaggedType(Tag("ipv4address", 16), ipaddress.IPv4Address, str, ipaddress.IPv4Address),
    TaggedType(Tag("ipv6address", 17), ipaddress.IPv6Address, str, ipaddress.IPv6Address),
    TaggedType(Tag("ipv4network", 18), ipaddress.IPv4Network, str, ipaddress.IPv4Network),
    TaggedType(Tag("ipv6network", 19), ipaddress.IPv6Network, str, ipaddress.IPv6Network),
    TaggedType(Tag("ipv4interface", 20), ipaddress.IPv4Interface, str, ipaddress.IPv4Interface),
    TaggedType(Tag("ipv6interface", 21), ipaddress.IPv6Interface, str, ipaddress.IPv6Interface),
    TaggedType(Tag("timezone", 23), timezone, _take_offset_apart, _build_offset),
    TaggedType(Tag("zoneinfo", 24), ZoneInfo, _zone_key, ZoneInfo),
)

DECLARED: Final = Tag("declared", 22)
"""The tag of an instance of a class of the user's; `state.encoding.declared` builds those."""

BY_TYPE: Final[Mapping[type, TaggedType]] = {row.python_type: row for row in _TABLE}
BY_NAME: Final[Mapping[str, TaggedType]] = {row.tag.name: row for row in _TABLE}
BY_CODE: Final[Mapping[int, TaggedType]] = {row.tag.code: row for row in _TABLE}
