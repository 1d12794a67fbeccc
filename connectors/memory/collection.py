"""A source that reads any Python iterable."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar, cast

from pipeline.core.errors import ConfigError, SourceError
from pipeline.core.job import JobMode
from pipeline.core.records import OriginRange
from pipeline.spi.connector_config import ConnectorConfig
from pipeline.spi.source import JsonLike, Polled, PollingSource, SourceInfo

T = TypeVar("T")

SPLIT = "collection"


class _Replay(Generic[T]):
    """Remembers what a one-shot iterator yielded, so that a later attempt can start again.

    An iterator that has raised is exhausted and would look like the end of the input to the next
    attempt; so its error is remembered too.
    """

    def __init__(self, values: Iterable[T]) -> None:
        self._source: Iterator[T] = iter(values)
        self._read: list[T] = []
        self._error: Exception | None = None

    def __getitem__(self, cut: slice) -> Sequence[T]:
        missing = cut.stop - len(self._read)
        if missing > 0 and self._error is None:
            try:
                self._read.extend(islice(self._source, missing))
            except Exception as error:  # noqa: BLE001 -- whatever the user's iterator raises; raised below
                self._error = error
        found = self._read[cut]
        if self._error is not None and not found:
            raise SourceError(
                f"the iterable of a CollectionSource raised {type(self._error).__name__} "
                f"at record {len(self._read)}: {self._error}",
                retryable=False,
            ) from self._error
        return found


class CollectionSource(PollingSource[T]):
    """Reads an iterable from its beginning to its end.

    A list, a tuple or a range is read in place. Anything else is iterated as records are asked
    for and remembered, so that an attempt after a failure can start again: give a large one-shot
    iterator to a job only if its records fit into memory.

    Args:
        values: the records, in their order.

    Raises:
        SourceError: the iterable raised, or is shorter than the position to continue from.

    Example:
        >>> CollectionSource([1, 2, 3]).estimated_records()
        3
    """

    def __init__(self, values: Iterable[T]) -> None:
        in_place = isinstance(values, (list, tuple, range))
        self._values = cast("Sequence[T]", values) if in_place else _Replay(values)
        self._size = len(cast("Sequence[T]", values)) if hasattr(values, "__len__") else None
        self._next = 0

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("collection", "memory", JobMode.BATCH_ROLLER, durable=False)

    def to_config(self) -> ConnectorConfig:
        if isinstance(self._values, _Replay):
            raise _no_data("an iterator can be read once only", "give it a list")
        values = list(self._values)
        if not _is_json(values):
            raise _no_data("a record comes back from JSON as another one", "read the records from a file")
        return ConnectorConfig("collection", {"values": values}, {}, {})

    def seek(self, position: JsonLike) -> None:
        self._next = cast("int | None", position) or 0
        if self._size is not None and self._next > self._size:
            raise SourceError(
                f"cannot continue with record {self._next}: the collection has {self._size} records",
                retryable=False,
                hint="give the job the collection it was checkpointed with, or start over",
            )

    def poll(self, demand: int) -> Polled[T] | None:
        first = self._next
        values: Any = self._values[first : first + demand]
        if not values:
            return None
        self._next = first + len(values)
        return Polled(values, self._next, origins=OriginRange(SPLIT, first, len(values)))

    def estimated_records(self) -> int | None:
        return self._size


def _no_data(why: str, hint: str) -> ConfigError:
    message = f"values of a collection connector cannot be expressed as data: {why}"
    return ConfigError(message, hint=f"{hint}, or keep this job in Python")


def _is_json(values: list[Any]) -> bool:
    """Whether values come back from JSON as they are, and no key of them is taken for a reference."""
    dollars: list[str] = []

    def looked_at(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        dollars.extend(key for key, _ in pairs if key.startswith("$"))
        return dict(pairs)

    try:
        same = json.loads(json.dumps(values, allow_nan=False), object_pairs_hook=looked_at) == values
    except (TypeError, ValueError, RecursionError):
        return False
    return same and not dollars
