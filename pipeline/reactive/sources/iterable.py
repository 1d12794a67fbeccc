"""A stream of an iterable, read as far as requested."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import length_hint
from typing import Any, TypeVar, cast

from pipeline.reactive.emission import Emission
from pipeline.reactive.flux import Flux
from pipeline.reactive.subscriber import Subscriber

T = TypeVar("T")


def from_iterable(iterable: Iterable[T], *, batch_size: int = 1) -> IterableFlux[T]:
    """Make a stream of an iterable; each subscriber has its own iterator.

    An iterator is read only when a record is wanted. So the end of one that does not know its length
    shows with the request after the last record; a sequence ends with its last record.

    Args:
        iterable: what it raises ends the stream, and so does None in it.
        batch_size: records that are emitted together, as far as they are requested.

    Example:
        >>> from_iterable([1, 2]).subscribe(print).dispose()
        1
        2
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    return IterableFlux(iterable, batch_size)


class IterableFlux(Flux[T]):
    """A stream that only wraps an iterable: an operator may read that itself.

    Args:
        iterable: of the records.
        batch_size: how many travel together.
    """

    def __init__(self, iterable: Iterable[T], batch_size: int) -> None:
        super().__init__(self._begin)
        self.iterable = iterable
        self._batch_size = batch_size

    def _begin(self, subscriber: Subscriber[T]) -> None:
        iterable, size = self.iterable, self._batch_size
        if size == 1:
            _Iteration[T](subscriber).begin(iterable)
        elif type(iterable) in (list, tuple, range):
            _Slices[T](subscriber, size, cast("Sequence[T]", iterable)).begin(iterable)
        else:
            _Batches[T](subscriber, size).begin(iterable)


class _Iteration(Emission[T]):
    def __init__(self, downstream: Subscriber[T]) -> None:
        super().__init__(downstream)
        self._iterator: Iterator[T] = iter(())

    def begin(self, iterable: Iterable[T]) -> None:
        try:
            self._iterator = iter(iterable)
            broken = None
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            broken = error
            self._iterator = _broken(error)  # a request may come before the end is emitted
        self._downstream.on_subscribe(self)
        if self.done:
            return
        if broken is not None:
            self._end().on_error(broken)
        elif length_hint(self._iterator, 1) == 0:
            self._end().on_completed()

    def _emit(self, downstream: Subscriber[T]) -> None:
        demand, iterator = self._demand, self._iterator
        while (left := demand.left) > 0 and self._emit_some(downstream, iterator, left):
            pass

    def _emit_some(self, downstream: Subscriber[T], iterator: Iterator[T], left: int) -> bool:
        """Emit up to `left` records; return False once there are no more, or none are wanted."""
        emit, produced = downstream.on_next, 0
        try:
            for value in islice(iterator, min(left, sys.maxsize)):
                if value is None:
                    raise TypeError("rule 2.13: the iterable returned None")
                produced += 1
                emit(value)
                if self._downstream is not downstream:
                    return False
        finally:
            self._demand.produced(produced)
        if produced < left or length_hint(iterator, 1) == 0:
            self._end().on_completed()
            return False
        return True

    def _clear(self) -> None:
        self._iterator = iter(())


class _Batches(_Iteration[T]):
    def __init__(self, downstream: Subscriber[T], batch_size: int) -> None:
        super().__init__(downstream)
        self._batch_size = batch_size

    def _emit_some(self, downstream: Subscriber[T], iterator: Iterator[T], left: int) -> bool:
        values: list[T] = []
        failure: Exception | None = None
        wanted = min(left, self._batch_size)
        try:
            values.extend(islice(iterator, wanted))
        except Exception as error:  # noqa: BLE001 - ends the stream after the records before it
            failure = error
        if values:
            self._demand.produced(len(values))
            downstream.on_next_batch(values)
        if failure is not None:
            self._end().on_error(failure)
        elif len(values) < wanted or length_hint(iterator, 1) == 0:
            self._end().on_completed()
        return not self.done


class _Slices(_Iteration[T]):
    """Batches of what can be cut into pieces, twice as fast as it can be read."""

    def __init__(self, downstream: Subscriber[T], batch_size: int, values: Sequence[T]) -> None:
        super().__init__(downstream)
        self._batch_size = batch_size
        self._values = values
        self._position = 0

    def _emit_some(self, downstream: Subscriber[T], iterator: Iterator[T], left: int) -> bool:
        start, end = self._position, self._position + min(left, self._batch_size)
        values = [*self._values[start:end]]
        self._position = end
        if values:  # a list may have become shorter meanwhile
            self._demand.produced(len(values))
            downstream.on_next_batch(values)
        if end >= len(self._values):
            self._end().on_completed()
        return not self.done

    def _clear(self) -> None:
        self._values = ()


def _broken(error: Exception) -> Iterator[Any]:
    """Stand in for the iterator that could not be made."""
    raise error
    yield
