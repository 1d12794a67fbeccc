"""Records on their way to Kafka: in columns, with everything fixed that a second writing must repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final, NamedTuple, cast

import msgspec

OVERHEAD_BYTES: Final = 100
"""What a broker counts beside key, value and headers of a lone record: the batch around it."""

Headers = Sequence[tuple[str, bytes | None]]


class Outgoing(NamedTuple):
    """Records in their order. A column is one value where all records have the same.

    Args:
        topics: where they go.
        partitions: chosen here, not by the client, so that a second writing goes to the same ones.
        keys, values: as bytes; None for null.
        headers: None where no record has any.
        timestamps: milliseconds UTC.
    """

    topics: str | list[str]
    partitions: int | list[int]
    keys: list[bytes | None] | None
    values: list[bytes | None]
    headers: list[Headers | None] | None
    timestamps: int | list[int]

    def arguments(self) -> Iterator[tuple[Any, ...]]:
        """Yield what `Producer.produce` takes for each record, by position."""
        nothing = repeat(None)
        return zip(
            _each(self.topics),
            self.values,
            nothing if self.keys is None else self.keys,
            _each(self.partitions),
            nothing,  # no callback: what is not delivered fails the whole transaction
            nothing,
            _each(self.timestamps),
            nothing if self.headers is None else self.headers,
            strict=False,  # some of them never end
        )

    def each_topic(self) -> Iterable[str]:
        """Return the topic of each record; without an end where all have the same."""
        return _each(self.topics)

    def each_key_and_time(self) -> Iterable[tuple[bytes | None, int]]:
        """Return the key and the time of each record; without an end where all have the same."""
        return zip(repeat(None) if self.keys is None else self.keys, _each(self.timestamps), strict=False)

    def sizes(self) -> list[int]:
        """Return how many bytes a broker counts for each record by itself."""
        values = [OVERHEAD_BYTES + len(value or b"") for value in self.values]
        if self.keys is not None:
            values = [size + len(key or b"") for size, key in zip(values, self.keys, strict=True)]
        if self.headers is not None:
            values = [
                size + sum(len(name) + len(value or b"") + 10 for name, value in headers or ())
                for size, headers in zip(values, self.headers, strict=True)
            ]
        return values

    def to_bytes(self) -> bytes:
        """Encode them for the epoch log."""
        return _encode(self)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Outgoing:
        """Read what `to_bytes` returned."""
        return _decode(payload)


def _each(column: Any) -> Iterable[Any]:
    return cast("list[Any]", column) if isinstance(column, list) else repeat(column)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Outgoing).decode
