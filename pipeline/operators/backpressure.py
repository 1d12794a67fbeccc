"""backpressure: a buffer with a strategy, wherever the user wants one in a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.core.config import BackpressureStrategy
from pipeline.operators.base import Chaining, Function, OperatorSpec


@dataclass(frozen=True, slots=True)
class Backpressure(OperatorSpec):
    """What happens between the vertices before and behind it while the one behind is the slower.

    It starts a chain: the buffer is what its vertex reads from, so that whoever is behind it gets
    records out of the buffer itself, not out of a queue that was filled from it a while ago.

    Args:
        strategy: what happens when the buffer is full.
        size: records it may hold; None for any number. LATEST holds one.
        on_drop: called with each record that is dropped, in the thread before the buffer.
        value_type: declares classes of the user's that occur in records, so that they can be stored.
        accept_loss: whether the job may lose records here and still promise exactly-once for the rest.
    """

    kind: ClassVar[str] = "backpressure"
    keeps_records: ClassVar[bool] = True
    chaining: ClassVar[Chaining] = Chaining.HEAD

    strategy: BackpressureStrategy
    size: int | None
    on_drop: Function | None = None
    value_type: Any = None
    accept_loss: bool = False

    @property
    def functions(self) -> Sequence[Function]:
        return ()  # on_drop only watches: it neither names the operator nor makes it nameless

    @property
    def label(self) -> str:
        return self.strategy.value

    @property
    def keeps_state(self) -> bool:
        return True  # a barrier overtakes what it holds
