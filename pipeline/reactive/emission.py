"""The upstream end of one subscriber: gathers its requests and emits in turns."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

from pipeline.reactive.demand import Demand
from pipeline.reactive.drain import Drain
from pipeline.reactive.nobody import NOBODY
from pipeline.reactive.subscriber import Subscriber

T = TypeVar("T")


class Emission(Generic[T]):
    """A subscription that emits in a drain loop, for whatever has a demand of its own to keep.

    A request, a cancel and an arrival each enter the loop. Being one at a
    time and without recursion, it may call downstream as it likes.

    Args:
        downstream: whom it emits to; `NOBODY` once that has had its end or has cancelled.
    """

    def __init__(self, downstream: Subscriber[T]) -> None:
        self._downstream: Subscriber[T] = downstream
        self._demand = Demand()
        self._drain = Drain(self._turn)

    @property
    def done(self) -> bool:
        """Whether the end or a cancel has come."""
        return self._downstream is NOBODY

    # --- the subscription: any thread -------------------------------------------------------------

    def request(self, n: int) -> None:
        if not self.done:
            self._demand.request(n)
            self._drain()

    def cancel(self) -> None:
        if self._end() is not NOBODY:
            self._cancelled()
            self._drain()  # what is held is let go of in a turn, when nobody looks at it

    # --- for what emits -----------------------------------------------------------------------------

    def _emit(self, downstream: Subscriber[T]) -> None:
        """Emit what is there and wanted; stop as soon as `done`. What it raises ends the stream."""
        raise NotImplementedError

    def _clear(self) -> None:
        """Let go of what is held; called in a turn once the stream is done."""

    def _cancelled(self) -> None:
        """Stop the producer: the subscriber cancelled, or broke rule 3.9."""

    def _end(self) -> Subscriber[T]:
        """Let go of the subscriber and return it, for its last signal."""
        downstream, self._downstream = self._downstream, cast("Subscriber[T]", NOBODY)
        return downstream

    def _turn(self) -> None:
        violation = self._demand.violation
        try:
            if violation is not None and not self.done:
                self._fail(violation)
            if not self.done:
                self._emit(self._downstream)
        except Exception as error:
            if self.done:
                raise  # by a subscriber that had cancelled: an observer that has no use for errors
            self._fail(error)
        finally:
            if self.done:
                self._clear()

    def _fail(self, error: Exception) -> None:
        """Stop the producer and end with `error`: an error of the subscriber also comes back to it (2.13)."""
        downstream = self._end()
        self._cancelled()
        downstream.on_error(error)

    def _end_with(self, error: Exception | None) -> None:
        """End as the upstream has ended: with `error`, or completed."""
        downstream = self._end()
        if error is None:
            downstream.on_completed()
        else:
            downstream.on_error(error)
