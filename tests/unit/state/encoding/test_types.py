"""The table of tagged types: what each is stored as, for ever, and that nothing of it is lost."""

from __future__ import annotations

import ipaddress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from pipeline.core.errors import EncodingError
from state.encoding import Codec, from_json, to_json
from state.encoding.types import BY_CODE, BY_NAME, BY_TYPE, DECLARED
from tests.unit.state.values import picture

codec = Codec("x")
DAY = datetime(2020, 1, 1)  # noqa: DTZ001 - a naive one
BERLIN = ZoneInfo("Europe/Berlin")
CET = timezone(timedelta(hours=1), "CET")

STORED: list[tuple[Any, bytes, Any]] = [
    (2**64, b"\xc7\x14\x01\xb30x10000000000000000", {"$int": "0x10000000000000000"}),
    ("\ud800", b"\xc7\x05\x02\xc4\x03\xed\xa0\x80", {"$str": {"$bytes": "7aCA"}}),
    ({(1,): 2}, b"\xc7\x07\x05\x91\x92\xd5\x07\x91\x01\x02", {"$dict": [[{"$tuple": [1]}, 2]]}),
    (bytearray(b"a"), b"\xc7\x03\x06\xc4\x01a", {"$bytearray": {"$bytes": "YQ=="}}),
    ((1, 2), b"\xc7\x03\x07\x92\x01\x02", {"$tuple": [1, 2]}),
    ({1}, b"\xd5\x08\x91\x01", {"$set": [1]}),
    (frozenset([1]), b"\xd5\t\x91\x01", {"$frozenset": [1]}),
    (DAY, b"\xc7\x14\n\xb32020-01-01T00:00:00", {"$datetime": "2020-01-01T00:00:00"}),
    (
        DAY.replace(tzinfo=UTC),
        b"\xc7\x1a\n\xb92020-01-01T00:00:00+00:00",
        {"$datetime": "2020-01-01T00:00:00+00:00"},
    ),
    (
        DAY.replace(tzinfo=ZoneInfo("UTC"), fold=1),
        b"\xc7\x1c\n\x93\xb32020-01-01T00:00:00\xd6\x18\xa3UTC\x01",
        {"$datetime": ["2020-01-01T00:00:00", {"$zoneinfo": "UTC"}, 1]},
    ),
    (
        DAY.replace(tzinfo=CET),
        b"\xc7'\n\x93\xb32020-01-01T00:00:00\xc7\x0e\x17\x92\xc7\x06\r\x93\x00\xcd\x0e\x10\x00\xa3CET\x00",
        {"$datetime": ["2020-01-01T00:00:00", {"$timezone": [{"$timedelta": [0, 3600, 0]}, "CET"]}, 0]},
    ),
    (date(2020, 1, 1), b"\xc7\x0b\x0b\xaa2020-01-01", {"$date": "2020-01-01"}),
    (time(1), b"\xc7\t\x0c\xa801:00:00", {"$time": "01:00:00"}),
    (timedelta(1, 2, 3), b"\xd6\r\x93\x01\x02\x03", {"$timedelta": [1, 2, 3]}),
    (Decimal("1.5"), b"\xd6\x0e\xa31.5", {"$decimal": "1.5"}),
    (
        UUID(int=1),
        b"\xc7&\x0f\xd9$00000000-0000-0000-0000-000000000001",
        {"$uuid": "00000000-0000-0000-0000-000000000001"},
    ),
    (ipaddress.ip_address("1.2.3.4"), b"\xd7\x10\xa71.2.3.4", {"$ipv4address": "1.2.3.4"}),
    (ipaddress.ip_address("::1"), b"\xd6\x11\xa3::1", {"$ipv6address": "::1"}),
    (ipaddress.ip_network("1.0.0.0/8"), b"\xc7\n\x12\xa91.0.0.0/8", {"$ipv4network": "1.0.0.0/8"}),
    (ipaddress.ip_network("::/8"), b"\xc7\x05\x13\xa4::/8", {"$ipv6network": "::/8"}),
    (ipaddress.ip_interface("1.2.3.4/8"), b"\xc7\n\x14\xa91.2.3.4/8", {"$ipv4interface": "1.2.3.4/8"}),
    (ipaddress.ip_interface("::1/8"), b"\xc7\x06\x15\xa5::1/8", {"$ipv6interface": "::1/8"}),
    (BERLIN, b"\xc7\x0e\x18\xadEurope/Berlin", {"$zoneinfo": "Europe/Berlin"}),
]
"""Values as the first version stored them: kept here so that no change of the code loses them."""


@pytest.mark.parametrize(("value", "data", "json"), STORED, ids=[repr(row[0]) for row in STORED])
def test_what_was_stored_once_can_be_read(value: Any, data: bytes, json: Any) -> None:
    assert codec.encode(value)[3:] == data
    assert picture(codec.decode(codec.encode(None)[:3] + data)) == picture(value)
    assert to_json(value) == json
    assert picture(from_json(json)) == picture(value)


def test_every_type_of_the_table_is_held_to_what_was_stored() -> None:
    """Floats and bytes are tagged in JSON only, a zone with an offset is part of a datetime."""
    shown = {type(row[0]) for row in STORED}
    assert set(BY_TYPE) - shown == {float, bytes, timezone}


def test_no_tag_is_used_twice() -> None:
    codes = [*BY_CODE, DECLARED.code]
    names = [*BY_NAME, DECLARED.name]
    assert len(codes) == len(set(codes)) == len(names) == len(set(names)) == len(BY_TYPE) + 1
    assert all(0 <= code <= 127 for code in codes)


def test_a_zone_keeps_its_name() -> None:
    """`datetime.now().astimezone()` has one: text made with %Z stays what it was."""
    moment = codec.decode(codec.encode(DAY.replace(tzinfo=CET)))
    assert moment.strftime("%Z") == "CET"


def test_utc_stays_the_one_there_is() -> None:
    """So that `tzinfo is UTC` stays true."""
    for value in (DAY.replace(tzinfo=UTC), DAY.replace(tzinfo=UTC, fold=1)):
        assert codec.decode(codec.encode(value)).tzinfo is UTC


@pytest.mark.parametrize("microseconds", [1, -1, 999_999, -999_999, 1_000_001])
def test_an_offset_of_microseconds_is_not_taken_for_utc(microseconds: int) -> None:
    zone = timezone(timedelta(microseconds=microseconds))
    for value in (DAY.replace(tzinfo=zone), time(1, tzinfo=zone)):
        assert picture(codec.decode(codec.encode(value))) == picture(value)


def test_both_hours_of_the_night_when_clocks_go_back() -> None:
    """The fold tells them apart; a copy names the same instant."""
    first = datetime(2023, 10, 29, 2, 30, tzinfo=BERLIN)
    second = first.replace(fold=1)
    for value in (first, second):
        copy = codec.decode(codec.encode(value))
        assert (copy.astimezone(UTC), copy.fold) == (value.astimezone(UTC), value.fold)
        assert copy.tzinfo is BERLIN


def test_a_zone_without_a_key_is_refused() -> None:
    """It was read from a file that another machine need not have."""
    import tzdata

    with (Path(tzdata.__path__[0]) / "zoneinfo/Europe/Berlin").open("rb") as file:
        zone = ZoneInfo.from_file(file)
    with pytest.raises(EncodingError, match="a ZoneInfo without a key cannot be stored") as refused:
        codec.encode(DAY.replace(tzinfo=zone))
    assert refused.value.hint == "create it by its key"


def test_a_zone_that_this_machine_does_not_know_is_named() -> None:
    with pytest.raises(EncodingError, match="Mars/Olympus"):
        from_json({"$zoneinfo": "Mars/Olympus"})


@pytest.mark.parametrize(
    "json",
    [
        {"$int": "ten"},
        {"$decimal": "1,5"},
        {"$uuid": "x"},
        {"$datetime": "yesterday"},
        {"$datetime": ["2020-01-01"]},
        {"$timedelta": ["a"]},
        {"$dict": [[1]]},
        {"$dict": [[[1], 2]]},
        {"$set": [[1]]},
        {"$bytes": "*"},
        {"$bytearray": 3},
        {"$ipv4address": "1.2.3.4.5"},
        {"$timezone": [1, "x"]},
        {"$zoneinfo": "../../etc/passwd"},
    ],
    ids=str,
)
def test_a_payload_that_is_none_is_refused(json: Any) -> None:
    """Nothing is made up from damaged bytes, and nothing but an `EncodingError` comes out."""
    with pytest.raises(EncodingError, match="stored JSON cannot be read"):
        from_json(json)
