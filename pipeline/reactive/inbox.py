"""One input of an operator that accepts more than it can emit at once: bounded and prefetched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import hooks
from pipeline.reactive.channel import Channel
from pipeline.reactive.demand import MAX_BATCH, validate_request
from pipeline.reactive.subscriber import (
    Records,
    Subscriber,
    Subscription,
    refuse_null,
)

T = TypeVar("T")

SMALL_PREFETCH: Final = 32
"""Records asked for ahead of each of several inputs: Reactor's `Queues.XS_BUFFER_SIZE`."""

PREFETCH: Final = 256
"""Records asked for ahead of a single input: Reactor's `Queues.SMALL_BUFFER_SIZE`."""


class Inbox(Generic[T]):
    """A subscriber that keeps records until its operator takes them, in a turn of the operator's drain loop.

    What an upstream sends beyond the prefetch is an overflow: the input ends with an error after what it
    holds, since memory must stay bounded even if a publisher breaks rule 1.1.

    Args:
        prefetch: records that may wait here.
        arrived: called with each signal, in upstream's thread: there is work.

    Attributes:
        error: what ended the input.
    """

    def __init__(self, prefetch: int, arrived: Callable[[], None]) -> None:
        self._channel = Channel[T](None, prefetch)
        self._prefetch = prefetch
        self._arrived = arrived
        self._subscription: Subscription | None = None
        self._closed = False
        self._cancelled = False
        self.error: Exception | None = None

    # --- upstream's thread: a subscriber ------------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        refuse_null(subscription, "on_subscribe")
        if self._subscription is not None:  # rule 2.5
            subscription.cancel()
            return
        self._subscription = subscription
        if self._cancelled:  # read after the subscription is set: see `cancel`
            subscription.cancel()
        else:
            self._channel.on_subscribe(subscription)

    def on_next(self, value: T, /) -> None:
        refuse_null(value, "on_next")
        if self._closed:
            hooks.dropped(value)
        elif self._channel.buffered >= self._prefetch:
            self._overflow([value])
        else:
            self._channel.on_next(value)
            self._arrived()

    def on_next_batch(self, values: Records[T]) -> None:
        if self._closed:
            for value in values:
                hooks.dropped(value)
        elif self._channel.buffered + len(values) > self._prefetch:
            self._overflow(values)
        else:
            if isinstance(values, list):
                self._channel.extend(values)
            else:
                self._channel.on_next_batch(values)  # of a kind of its own, which may know more
            self._arrived()

    def on_control(self, element: object) -> None:
        if not self._closed:
            self._channel.on_control(element)
            self._arrived()

    def on_error(self, error: Exception) -> None:
        refuse_null(error, "on_error")
        if self._closed:
            hooks.dropped_error(error)
            return
        self.error = error
        self.on_completed()

    def on_completed(self) -> None:
        if not self._closed:
            self._closed = True
            self._channel.on_completed()
            self._arrived()

    def _overflow(self, values: Records[T]) -> None:
        hooks.discarded(*values)
        if self._subscription is not None:
            self._subscription.cancel()
        self.on_error(
            BackpressureOverflow(
                f"rule 1.1: an upstream sent more than the {self._prefetch} records it was asked for",
                hint="fix the publisher, or add on_backpressure_buffer() downstream of it",
            )
        )

    # --- the operator, in its turn ------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether nothing is left and nothing will come."""
        return self._channel.ended

    @property
    def buffered(self) -> int:
        """Records that wait."""
        return self._channel.buffered

    @property
    def next_records(self) -> int:
        """Records that can be taken together; control elements before them have no use here and go."""
        with self._channel.guard:
            while self._channel.has_control:
                self._channel.take_control()
            return self._channel.next_records

    def take(self, limit: int) -> Any:
        """Take at most `limit` records that come next, in a batch; None if there are none."""
        with self._channel.guard:
            return self._channel.take_records(limit) if self._channel.has_records else None

    def consumed(self, values: Records[T]) -> None:
        """Say that the records last taken are dealt with; asks for more when it is time."""
        self._channel.consumed(values)

    def hand_on(self, downstream: Subscriber[T], limit: int) -> int:
        """Emit what comes next, a control element or up to `limit` records; return how many records."""
        element, values, channel = None, None, self._channel
        with channel.guard:
            if channel.has_control:
                element = channel.take_control()
            elif limit > 0 and channel.has_records:
                values = channel.take_records(min(limit, MAX_BATCH))
        if element is not None:
            downstream.on_control(element)
            return self.hand_on(downstream, limit)
        if values is None:
            return 0
        if len(values) == 1:
            for value in values:
                downstream.on_next(value)
        else:
            downstream.on_next_batch(values)
        self.consumed(values)
        return len(values)

    def clear(self) -> None:
        """Let go of what waits."""
        while (values := self.take(MAX_BATCH)) is not None:
            hooks.discarded(*values)

    # --- any thread -----------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Want nothing more. Whichever of this and `on_subscribe` is later sees the other's mark."""
        ended, self._closed = self._closed, True
        self._cancelled = True
        if self._subscription is not None and not ended:  # rule 2.3
            self._subscription.cancel()


def validate_prefetch(name: str, n: int) -> int:
    """Return `n`, or raise ValueError that names the argument if it is not positive."""
    try:
        return validate_request(n)
    except ValueError:
        raise ValueError(f"{name} must be at least 1, not {n}") from None
