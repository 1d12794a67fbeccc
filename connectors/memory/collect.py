"""A sink that collects records in a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pipeline.spi.connector_config import ConnectorConfig
from pipeline.spi.sink import Sink, SinkContext, SinkInfo
from pipeline.spi.source import JsonLike

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    T = TypeVarWithDefault("T", default=Any)
else:  # only a checker asks what `CollectSink()` takes; Python 3.11's own TypeVar has no default
    T = TypeVar("T")


class _Collected(Generic[T]):
    """What all attempts share: the list, and how many records went into that of a process now gone."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self.before = 0

    @property
    def records(self) -> int:
        return self.before + len(self.values)

    def go_back(self, records: int) -> None:
        """Continue after the first `records` records of the job."""
        kept = min(len(self.values), max(0, records - self.before))
        del self.values[kept:]
        self.before = records - kept


class CollectSink(Sink[T], Generic[T]):
    """Appends each record to `values`, a list that all attempts share.

    A restart removes what arrived after its checkpoint, so that `values` has every record
    once when the job is done. While it runs, records are visible before their checkpoint is complete:
    hence at-least-once. In a job continued by another process it has only the records since then.

    Example:
        >>> CollectSink[int]().values
        []
    """

    def __init__(self) -> None:
        self._collected = _Collected[T]()
        self._go_back_to: int | None = None

    @property
    def values(self) -> list[T]:
        """The records of the latest run so far; the same list object for the life of the sink."""
        return self._collected.values

    @property
    def info(self) -> SinkInfo:
        return SinkInfo("collect", "memory", "at-least-once")

    def to_config(self) -> ConnectorConfig:
        return ConnectorConfig.of("collect", {})

    def open(self, ctx: SinkContext) -> None:
        self._go_back_to = 0

    def restore_state(self, state: JsonLike) -> None:
        self._go_back_to = cast("int", state)

    def invoke_batch(self, values: Sequence[T], ctx: SinkContext) -> None:
        self._settle()
        self._collected.values.extend(values)

    def flush(self) -> None:
        self._settle()

    def finish(self) -> None:
        self._settle()

    def snapshot_state(self) -> JsonLike:
        self._settle()
        return self._collected.records

    def _settle(self) -> None:
        """Drop what this attempt does not continue: not before it is known whether it is restored."""
        if self._go_back_to is not None:
            self._collected.go_back(self._go_back_to)
            self._go_back_to = None
