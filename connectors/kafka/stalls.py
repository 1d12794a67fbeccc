"""Tell a client that waits in vain from brokers that do not answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from pipeline.core.clock import Clock
from pipeline.core.errors import SinkError

_log = logging.getLogger(__name__)

_OVERDUE_MS: Final = 4_000
"""Without progress for this long a client is suspected."""

_GRACE_MS: Final = 4_000
"""What a suspected client has left once the brokers answer another one."""

_PAUSE_MS: Final = 1_000
"""Between two questions to brokers that do not answer."""


class StallWatch:
    """Watches one call that waits for brokers; `look` is called between its slices.

    librdkafka sometimes waits for an answer on a connection, or from a coordinator, that it should have
    given up: after a broker stood still, or left the cluster (its issues 3041, 5456, 5511). From one client
    alone this looks like an outage. So another client asks the same brokers: when they answer it twice, and
    the call has still not moved, the client is at fault.

    Args:
        doing: what the call does, as in `cannot {doing}`.
        ask: returns whether the brokers that the call waits for answer a new client; may raise what
            makes waiting pointless.
        clock: measures the waiting.
    """

    def __init__(self, doing: str, ask: Callable[[], bool], clock: Clock) -> None:
        self._doing = doing
        self._ask = ask
        self._clock = clock
        self._said = False
        self.progressed()

    def progressed(self) -> None:
        """Start over: the call has moved."""
        self._answered = False
        self._ask_at = self._clock.monotonic_ms() + _OVERDUE_MS

    def look(self) -> None:
        """Ask, if it is time to.

        Raises:
            SinkError: the call waits in vain; retryable, with a new client.
        """
        if self._clock.monotonic_ms() < self._ask_at:
            return
        answered_before, self._answered = self._answered, self._ask()
        if answered_before and self._answered:
            raise SinkError(
                f"cannot {self._doing}: the client hangs, though the brokers answer another one",
                retryable=True,
                hint="a broker has stood still or left the cluster; the job recovers with a new client",
            )
        if not (self._answered or self._said):
            self._said = True  # once for a call, however long the outage is
            _log.warning("waiting to %s: the brokers do not answer another client either", self._doing)
        self._ask_at = self._clock.monotonic_ms() + (_GRACE_MS if self._answered else _PAUSE_MS)
