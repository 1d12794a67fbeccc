"""What becomes of records that nobody wants yet: the strategies of `create` and of `on_backpressure_…`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, Generic, Protocol, TypeVar

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import hooks
from pipeline.reactive.demand import UNBOUNDED
from pipeline.reactive.outbox import Outbox
from pipeline.reactive.subscriber import Records

T = TypeVar("T")

OnRecord = Callable[[Any], object]


def ignore(_: Any) -> None:
    """The default callback: does nothing."""


class _Strategy(StrEnum):
    @classmethod
    def _missing_(cls, value: object) -> None:
        raise ValueError(f"{cls.__name__} is one of {', '.join(cls)}, not {value!r}")


class OverflowStrategy(_Strategy):
    """What `create`, `push` and `from_observable` do with records beyond demand."""

    BUFFER = "BUFFER"  # keep them all
    DROP = "DROP"  # drop them
    LATEST = "LATEST"  # keep the newest
    ERROR = "ERROR"  # end with BackpressureOverflow
    IGNORE = "IGNORE"  # hand them on all the same; the subscriber must cope


class BufferOverflowStrategy(_Strategy):
    """What `on_backpressure_buffer` does when its buffer is full."""

    DROP_OLDEST = "DROP_OLDEST"
    DROP_LATEST = "DROP_LATEST"
    ERROR = "ERROR"


class Intake(Protocol[T]):
    """Puts records into an outbox, or decides against it.

    An exception from it ends the stream, after the waiting records.
    """

    def take(self, outbox: Outbox[T], value: T) -> None: ...
    def take_all(self, outbox: Outbox[T], values: Records[T]) -> None: ...


class Keep(Generic[T]):
    """Keeps everything."""

    def take(self, outbox: Outbox[T], value: T) -> None:
        outbox.put(value)

    def take_all(self, outbox: Outbox[T], values: Records[T]) -> None:
        outbox.offer_all(values, UNBOUNDED)


class Drop(Generic[T]):
    """Drops what is not wanted now.

    Args:
        on_drop: called with each dropped record.
    """

    def __init__(self, on_drop: OnRecord = ignore) -> None:
        self._on_drop = on_drop

    def take(self, outbox: Outbox[T], value: T) -> None:
        if not outbox.offer(value):
            give_up(value, self._on_drop)

    def take_all(self, outbox: Outbox[T], values: Records[T]) -> None:
        for value in values[outbox.offer_all(values) :]:
            give_up(value, self._on_drop)


class Fail(Generic[T]):
    """Ends the stream at the first record that is not wanted now."""

    def take(self, outbox: Outbox[T], value: T) -> None:
        if not outbox.offer(value):
            give_up(value)
            raise overflow("a record came that was not asked for")

    def take_all(self, outbox: Outbox[T], values: Records[T]) -> None:
        taken = outbox.offer_all(values)
        if taken < len(values):
            hooks.discarded(*values[taken:])
            raise overflow("a record came that was not asked for")


class Latest(Generic[T]):
    """Keeps the newest of what is not wanted now."""

    def take(self, outbox: Outbox[T], value: T) -> None:
        hooks.discarded(*outbox.push_out(value))

    def take_all(self, outbox: Outbox[T], values: Records[T]) -> None:
        rest = values[outbox.offer_all(values) :]
        hooks.discarded(*rest[:-1])
        for newest in rest[-1:]:
            self.take(outbox, newest)


class Bound(Generic[T]):
    """Keeps up to `size` records beyond what is wanted now.

    Args:
        size: records.
        on_overflow: called with each record that finds no room, or is replaced.
        strategy: which one that is; ERROR also ends the stream.
    """

    def __init__(self, size: int, on_overflow: OnRecord, strategy: BufferOverflowStrategy) -> None:
        self._size = size
        self._on_overflow = on_overflow
        self._strategy = strategy

    def take(self, outbox: Outbox[T], value: T) -> None:
        if self._strategy is BufferOverflowStrategy.DROP_OLDEST:
            for oldest in outbox.push_out(value, self._size):
                give_up(oldest, self._on_overflow)
        elif not outbox.offer(value, self._size):
            give_up(value, self._on_overflow)
            if self._strategy is BufferOverflowStrategy.ERROR:
                raise overflow(f"the buffer of {self._size} records is full")

    def take_all(self, outbox: Outbox[T], values: Records[T]) -> None:
        rest = values[outbox.offer_all(values, self._size) :]
        for index, value in enumerate(rest):
            try:
                self.take(outbox, value)
            except Exception:
                hooks.discarded(*rest[index + 1 :])
                raise


INTAKES: Final[dict[OverflowStrategy, Callable[[], Intake[Any]]]] = {
    OverflowStrategy.BUFFER: Keep,
    OverflowStrategy.DROP: Drop,
    OverflowStrategy.LATEST: Latest,
    OverflowStrategy.ERROR: Fail,
    OverflowStrategy.IGNORE: Keep,  # into an outbox that does not keep demand
}


def give_up(value: Any, on_overflow: OnRecord = ignore) -> None:
    """Tell who wants to know that `value` is lost."""
    try:
        on_overflow(value)
    finally:
        hooks.discarded(value)


def overflow(what: str) -> BackpressureOverflow:
    """Return the error that says what was too much."""
    return BackpressureOverflow(
        f"{what}: the subscriber is slower than the source",
        hint="ask for more, or choose another strategy",
    )
