"""The stored part: what it says of itself, and how a part of it goes to another subtask."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest

from pipeline.core.errors import CheckpointCorrupted, EncodingError, StateError
from state.encoding import Codec
from state.encoding.binary import pack
from state.keys import encode_keys, key_group
from state.snapshot import (
    FORMAT,
    VERSION,
    Columns,
    EncodedSnapshot,
    Section,
    narrowed,
    read_part,
    read_section,
    write_section,
)

ALL = range(128)
CODEC = Codec("state 'x' of operator sum")
KEYS: list[Any] = ["a", 1, True, ("b", 2)]
COLUMNS = Columns(KEYS, [10, 20, 30, 40], [1, 2, 3, 4])


def written(uid: str, max_parallelism: int, sections: list[Section]) -> bytes:
    part = io.BytesIO()
    EncodedSnapshot(uid, max_parallelism, sections).write(part)
    return part.getvalue()


def section(columns: Columns = COLUMNS, groups: range = ALL) -> Section:
    return write_section("x", "value", groups, columns, CODEC)


def test_a_part_comes_back_whole() -> None:
    stored = section()
    part = read_part(written("sum", 128, [stored]), "sum", 128)
    assert (part.uid, part.max_parallelism, part.sections) == ("sum", 128, [stored])
    assert (stored.name, stored.kind, stored.value_type) == ("x", "value", "any")
    assert read_section(part.sections[0], CODEC, 128) == COLUMNS


def test_without_ttl_there_are_no_times() -> None:
    columns = Columns(["a"], [1])
    assert section(columns).written == b""
    assert read_section(section(columns), CODEC, 128) == columns


def test_the_bytes_say_what_they_are() -> None:
    """Format and version come first; bytes as the first version wrote them can still be read."""
    stored = section(Columns(["a"], [1]))
    data = written("sum", 128, [stored])
    assert data[:5] == b"PKST\x01"
    first: dict[str, Any] = {
        "uid": "sum",
        "max_parallelism": 128,
        "sections": [
            {
                "name": "x",
                "kind": "value",
                "value_type": "any",
                "first_group": 0,
                "end_group": 128,
                "keys": b"\x91\xa1a",
                "values": b"\xc1\x01\x01\x91\x01",
                "written": b"",
                "mixed": False,
            }
        ],
    }
    assert msgspec.msgpack.decode(data[5:]) == first
    del first["sections"][0]["written"], first["sections"][0]["mixed"]  # added fields have defaults
    assert read_part(b"PKST\x01" + pack(first), "sum", 128).sections == [stored]


# --- what one subtask takes over of another's ---


@pytest.mark.parametrize("groups", [range(64), range(64, 128), range(36, 37), range(37, 48), ALL])
def test_of_a_section_only_the_own_groups_count(groups: range) -> None:
    taken = narrowed(section(), groups)
    assert taken is not None
    found = read_section(taken, CODEC, 128)
    expected = [i for i, key in enumerate(KEYS) if key_group(key, 128) in groups]
    assert list(map(repr, found.keys)) == [repr(KEYS[i]) for i in expected]
    assert found.values == [COLUMNS.values[i] for i in expected]
    assert found.written == [i + 1 for i in expected]


def test_nothing_is_taken_of_other_groups() -> None:
    stored = section(groups=range(32, 64))
    assert narrowed(stored, range(32)) is None
    assert narrowed(stored, range(64, 128)) is None
    assert narrowed(stored, range(63, 65)) is not None


def test_what_is_owned_whole_is_read_without_a_look_at_each_key() -> None:
    stored = section(groups=range(32, 64))
    assert narrowed(stored, range(32, 64)) is stored
    assert narrowed(stored, ALL) is stored
    assert not stored.mixed


def test_a_narrowed_section_stays_narrow() -> None:
    """Back in the hands of one subtask that owns all, it does not get back what others took over."""
    half = narrowed(section(), range(64))
    assert half is not None
    again = narrowed(half, ALL)
    assert again is not None
    assert {key_group(key, 128) for key in read_section(again, CODEC, 128).keys} <= set(range(64))


# --- what is refused ---


@pytest.mark.parametrize("data", [b"", b"PKS", b"PKST", b"\x00" * 20, b"PKTS\x01\x80"], ids=repr)
def test_other_bytes_are_no_snapshot(data: bytes) -> None:
    with pytest.raises(
        CheckpointCorrupted, match="operator sum: these bytes are not a snapshot of keyed state"
    ):
        read_part(data, "sum", 128)


def test_cut_anywhere_it_is_refused() -> None:
    data = written("sum", 128, [section()])
    for end in range(len(data)):
        with pytest.raises(CheckpointCorrupted, match="operator sum: "):
            read_part(data[:end], "sum", 128)
    with pytest.raises(CheckpointCorrupted, match="cannot be read"):
        read_part(data + b"\x00", "sum", 128)


def test_a_newer_version_is_refused_before_it_is_read() -> None:
    with pytest.raises(StateError, match="stored in format 2, this version reads up to 1") as refused:
        read_part(FORMAT + bytes((VERSION + 1,)) + b"whatever", "sum", 128)
    assert refused.value.hint == "upgrade to the version that wrote the checkpoint"


def test_another_number_of_key_groups_is_refused() -> None:
    """The groups of all keys would be others."""
    with pytest.raises(StateError, match="max_parallelism 128, the job has 256") as refused:
        read_part(written("sum", 128, []), "sum", 256)
    assert "set max_parallelism=128" in str(refused.value.hint)


@pytest.mark.parametrize(
    "columns", [Columns(["a"], []), Columns(["a"], [1, 2]), Columns(["a"], [1], [1, 2]), Columns([], [], [1])]
)
def test_columns_that_do_not_fit_are_refused(columns: Columns) -> None:
    with pytest.raises(CheckpointCorrupted, match="state 'x' holds"):
        read_section(section(columns), CODEC, 128)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("keys", "keys: stored bytes cannot be read|state 'x' holds 1 keys but 4 values"),
        ("values", "state 'x' of operator sum: "),
        ("written", "state 'x': its times of writing cannot be read"),
    ],
)
@pytest.mark.parametrize("data", [b"\xc1", b"\x91", b"\x81\xa1a\x01"], ids=repr)
def test_damaged_columns_are_refused(column: str, message: str, data: bytes) -> None:
    damaged = msgspec.structs.replace(section(), **{column: data})
    with pytest.raises((EncodingError, CheckpointCorrupted), match=message):
        read_section(damaged, CODEC, 128)


def test_a_value_that_cannot_be_stored_is_refused_with_the_state() -> None:
    with pytest.raises(
        EncodingError, match=r"state 'x' of operator sum: a builtins\.object cannot be stored"
    ):
        section(Columns(["a"], [object()]))


def test_keys_are_stored_in_the_order_of_their_values() -> None:
    assert section().keys == encode_keys(KEYS)
