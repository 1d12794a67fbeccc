"""backpressure: a buffer with a strategy, wherever the user wants one in a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipeline.operators.base import BUFFER_KIND, BufferSpec, Chaining, Function, OperatorSpec


@dataclass(frozen=True, slots=True)
class Backpressure(BufferSpec, OperatorSpec):
    """What happens between its two neighbours while the one downstream is the slower.

    It starts a chain: the buffer is what its vertex reads from, so that its readers get records out of
    the buffer itself, not out of a queue that was filled from it a while ago.
    """

    kind: ClassVar[str] = BUFFER_KIND
    keeps_records: ClassVar[bool] = True
    chaining: ClassVar[Chaining] = Chaining.HEAD

    @property
    def functions(self) -> Sequence[Function]:
        return ()  # on_drop only watches: it neither names the operator nor makes it nameless

    @property
    def label(self) -> str:
        return self.strategy.value

    @property
    def keeps_state(self) -> bool:
        return True  # a barrier overtakes what it holds

    @property
    def buffer(self) -> BufferSpec:
        return self
