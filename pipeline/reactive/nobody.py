"""The subscriber that replaces one that was released."""

from __future__ import annotations

from typing import Any, Final

from pipeline.reactive import hooks
from pipeline.reactive.subscriber import Records, Subscription


class Nobody:
    """Stands in for a subscriber that has had its end or has cancelled: what still comes is reported."""

    def on_subscribe(self, subscription: Subscription) -> None:
        subscription.cancel()

    def on_next(self, value: Any) -> None:
        hooks.dropped(value)

    def on_next_batch(self, values: Records[Any]) -> None:
        for value in values:
            hooks.dropped(value)

    def on_control(self, element: object) -> None:
        """A control element is of no use without the records."""

    def on_error(self, error: Exception) -> None:
        hooks.dropped_error(error)

    def on_completed(self) -> None:
        """A second end says nothing new."""


NOBODY: Final = Nobody()

NO_EMISSION: Final = NOBODY.on_next
"""What a single record is handed to then: one object, so that it can be recognised."""
