"""The part that a keyed state backend stores at a checkpoint, whatever the backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pipeline.core.errors import CheckpointCorrupted, StateError
from state.backend import Key, Writable
from state.encoding import Codec
from state.encoding.binary import pack
from state.encoding.lowering import naming
from state.keys import decode_keys, encode_keys, key_group

FORMAT: Final = b"PKST"
VERSION: Final = 1


class Section(msgspec.Struct, frozen=True):
    """One state.

    Args:
        name, kind, value_type: as declared when it was stored.
        first_group, end_group: the half-open range of key groups whose entries count.
        keys, values: columns of equal length, encoded.
        written: when each was written, ms UTC; empty for a state without TTL.
        mixed: whether the columns hold entries of other key groups too.

    Entries are not sorted by key group: a group follows from its key, so only a restore at another
    parallelism has to compute it, and a snapshot, which is taken far more often, need not.
    """

    name: str
    kind: str
    value_type: str
    first_group: int
    end_group: int
    keys: bytes
    values: bytes
    written: bytes = b""
    mixed: bool = False


class Part(msgspec.Struct, frozen=True):
    """All states of one subtask of one operator."""

    uid: str
    max_parallelism: int
    sections: list[Section]


@dataclass(frozen=True, slots=True)
class Columns:
    """The entries of a section, decoded; `written` is None for a state without TTL."""

    keys: list[Key]
    values: list[Any]
    written: list[int] | None = None

    def select(self, groups: range, max_parallelism: int) -> Columns:
        """Keep the entries whose key is in one of `groups`."""
        kept = [i for i, key in enumerate(self.keys) if key_group(key, max_parallelism) in groups]
        written = None if self.written is None else [self.written[i] for i in kept]
        return Columns([self.keys[i] for i in kept], [self.values[i] for i in kept], written)


def write_section(name: str, kind: str, groups: range, columns: Columns, codec: Codec) -> Section:
    """Encode one state.

    Raises:
        EncodingError: a value cannot be stored.
    """
    return Section(
        name=name,
        kind=kind,
        value_type=codec.type_tag,
        first_group=groups.start,
        end_group=groups.stop,
        keys=encode_keys(columns.keys),
        values=codec.encode(columns.values),
        written=b"" if columns.written is None else pack(columns.written),
    )


def read_section(section: Section, codec: Codec, max_parallelism: int) -> Columns:
    """Decode the entries of one state.

    Raises:
        CheckpointCorrupted: the columns do not fit each other.
        EncodingError: a value cannot be read, such as one of a class that is not declared.
    """
    keys = decode_keys(section.keys)
    values = codec.decode(section.values)
    with naming(f"state {section.name!r}", "its times of writing cannot be read"):
        written = msgspec.msgpack.decode(section.written, type=list[int]) if section.written else None
    if len(keys) != len(values) or (written is not None and len(written) != len(keys)):
        raise CheckpointCorrupted(f"state {section.name!r} holds {len(keys)} keys but {len(values)} values")
    columns = Columns(keys, values, written)
    if not section.mixed:
        return columns
    return columns.select(range(section.first_group, section.end_group), max_parallelism)


def narrowed(section: Section, groups: range) -> Section | None:
    """Return what a subtask that owns `groups` takes over of a section; None if nothing.

    The columns stay as they are: only who names the state can decode them. Their other entries no
    longer count, so that a copy which is stored again never competes with what their owner has.
    """
    first, end = max(groups.start, section.first_group), min(groups.stop, section.end_group)
    if first >= end:
        return None
    if (first, end) == (section.first_group, section.end_group):
        return section
    return msgspec.structs.replace(section, first_group=first, end_group=end, mixed=True)


@dataclass(frozen=True, slots=True)
class EncodedSnapshot:
    """A `StateSnapshot` whose values are encoded: what follows can no longer change them.

    Args:
        uid: the operator.
        sections: its states.
    """

    uid: str
    max_parallelism: int
    sections: list[Section]

    def write(self, part: Writable) -> None:
        """Write format and version, then the sections."""
        part.write(FORMAT + bytes((VERSION,)))
        part.write(pack(Part(self.uid, self.max_parallelism, self.sections)))

    def release(self) -> None:
        """Drop the encoded values."""
        self.sections.clear()


def read_part(data: bytes, uid: str, max_parallelism: int) -> Part:
    """Read what an `EncodedSnapshot` wrote.

    Args:
        uid: the operator that restores, for error messages.

    Raises:
        CheckpointCorrupted: it is not such a part.
        StateError: a newer version wrote it, or the job's `max_parallelism` has been changed.
    """
    if len(data) <= len(FORMAT) or not data.startswith(FORMAT):
        raise CheckpointCorrupted(f"operator {uid}: these bytes are not a snapshot of keyed state")
    version = data[len(FORMAT)]
    if version > VERSION:
        raise StateError(
            f"operator {uid}: its state was stored in format {version}, this version reads up to {VERSION}",
            hint="upgrade to the version that wrote the checkpoint",
        )
    try:
        part = msgspec.msgpack.decode(memoryview(data)[len(FORMAT) + 1 :], type=Part)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CheckpointCorrupted(f"operator {uid}: its stored state cannot be read: {error}") from error
    if part.max_parallelism != max_parallelism:
        raise StateError(
            f"operator {uid}: its state was stored with max_parallelism {part.max_parallelism}, "
            f"the job has {max_parallelism}",
            hint=f"set max_parallelism={part.max_parallelism}; it is fixed for the life of a job's state",
        )
    return part
