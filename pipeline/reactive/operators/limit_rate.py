"""Ask upstream for a bounded number of records at a time, whatever downstream asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import Observable

from pipeline.reactive.demand import UNBOUNDED, low_tide
from pipeline.reactive.flux import Flux
from pipeline.reactive.intake import Bound, BufferOverflowStrategy, Keep, ignore
from pipeline.reactive.operators.absorbing import Absorbing
from pipeline.reactive.operators.base import lift
from pipeline.reactive.outbox import Outbox
from pipeline.reactive.subscriber import Subscriber


def limit_rate(high: int, low: int | None = None) -> Callable[[Observable[Any]], Flux[Any]]:
    """Ask upstream for `high` records, and for as many as were taken whenever `low` have been.

    Args:
        high: records; 2^63 - 1 asks for everything.
        low: records; None for three quarters of `high`, 0 for all of them.

    Raises:
        ValueError: `high` is not positive.
    """
    if high < 1:
        raise ValueError(f"limit_rate needs high > 0, not {high}")
    return lift("limit_rate", lambda downstream: _LimitRate(downstream, high, low_tide(high, low)))


class _LimitRate(Absorbing[Any]):
    def __init__(self, downstream: Subscriber[Any], high: int, low: int) -> None:
        self._high = high
        self._low = low
        intake = Keep[Any]() if high == UNBOUNDED else Bound[Any](high, ignore, BufferOverflowStrategy.ERROR)
        super().__init__(downstream, intake)

    def _outbox_for(self, downstream: Subscriber[Any]) -> Outbox[Any]:
        return _Replenished(downstream, self._cancel_upstream, self._low, self._ask)

    def _first_request(self) -> int:
        return self._high

    def _ask(self, n: int) -> None:
        if self._upstream is not None:
            self._upstream.request(n)


class _Replenished(Outbox[Any]):
    """Requests more once enough has been emitted."""

    def __init__(
        self,
        downstream: Subscriber[Any],
        on_cancel: Callable[[], object],
        low: int,
        ask: Callable[[int], object],
    ) -> None:
        super().__init__(downstream, on_cancel=on_cancel)
        self._low = low
        self._ask = ask
        self._taken = 0

    def _handed_on(self, records: int) -> None:
        self._taken += records
        if self._taken >= self._low and not self.closed:
            taken, self._taken = self._taken, 0
            self._ask(taken)
