"""What a sink asks of its stream: about a second of records, and none while its epoch is full."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pipeline.reactive.demand import MAX_BOUND, AdaptiveBound, Prefetch
from pipeline.reactive.subscriber import Subscription


class SinkDemand:
    """Requests for one sink; demand that comes while the sink wants no more waits for its next epoch.

    Args:
        max_batch: the most records that the sink is handed at once; None adapts alone.
        wants_more: whether the sink has an epoch with room.
        filled: called when it has not, once until it has again.
    """

    def __init__(
        self, max_batch: int | None, wants_more: Callable[[], bool], filled: Callable[[], None]
    ) -> None:
        self._bound = AdaptiveBound(min(max_batch or MAX_BOUND, MAX_BOUND))
        self._prefetch = Prefetch()
        self._wants_more = wants_more
        self._filled = filled
        self._subscription: Subscription | None = None
        self._held_back = 0
        self._full = False
        self._lock = threading.Lock()  # of the two above

    def subscribe(self, subscription: Subscription) -> None:
        """Ask for the first records."""
        self._subscription = subscription
        subscription.request(self._prefetch.first(self._bound.value))

    def consumed(self, records: int, seconds: float) -> None:
        """Learn from a batch that took so long, and ask for more when it is time."""
        self._bound.observe(records, seconds)
        more = self._prefetch.consumed(records, self._bound.value)
        if more:
            self._ask(more)

    def look_again(self) -> None:
        """Request what was held back if the sink has room now; any thread."""
        self._ask(0)

    def _ask(self, more: int) -> None:
        with self._lock:
            self._held_back += more
            full, was_full = not self._wants_more(), self._full
            self._full = full
            asked = 0 if full else self._held_back
            self._held_back -= asked
        if full and not was_full:
            self._filled()
        if asked and self._subscription is not None:
            self._subscription.request(asked)
