"""key_by: records of one key go to one place, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipeline.operators.base import Chaining, Exchange, Function, OperatorSpec, Partitioning


@dataclass(frozen=True, slots=True)
class KeyBy(OperatorSpec):
    """Partition by what `selector` returns: str, int, bytes, bool or tuples of them.

    It is a vertex of the plan and breaks the chain; at run time it is the exchange between the
    vertices upstream and downstream of it.
    """

    kind: ClassVar[str] = "key_by"
    keeps_records: ClassVar[bool] = True
    chaining: ClassVar[Chaining] = Chaining.NEVER

    selector: Function

    @property
    def functions(self) -> Sequence[Function]:
        return (self.selector,)

    @property
    def exchange(self) -> Exchange:
        return Exchange(Partitioning.HASH, self.selector)
