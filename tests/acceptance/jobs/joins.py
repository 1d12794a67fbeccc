"""An operator of two inputs that the engine has never heard of: pairs of the records of one key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.api.stream import Stream
from pipeline.core.records import Batch
from pipeline.operators.base import Function, OperatorFactory
from pipeline.spi.operator import OperatorContext, StreamOperator
from state.descriptors import ListStateDescriptor


@dataclass(frozen=True, slots=True)
class Join(OperatorFactory):
    """Pair each record of either input with all of the other input that have its key.

    Args:
        selector: the key of a record, of either input.
    """

    kind: ClassVar[str] = "join"

    selector: Function

    @property
    def functions(self) -> Sequence[Function]:
        return ()

    @property
    def keeps_state(self) -> bool:
        return True

    def create_operator(self) -> StreamOperator[Any, Any]:
        return JoinOperator(self.selector)


class JoinOperator(StreamOperator[Any, Any]):
    """Emits `(left, right)`, and at the end of an input `(which input, None)`."""

    expands = True

    def __init__(self, selector: Function) -> None:
        self._selector = selector
        self.watermarks: list[int] = []

    def open(self, ctx: OperatorContext) -> None:
        names = ("left", "right")
        self._sides = [ctx.keyed_state.table(ListStateDescriptor(name=name)) for name in names]

    def process_batch(self, batch: Batch[Any], input_index: int) -> Batch[Any]:
        keys = [self._selector(value) for value in batch.values]
        own, other = (self._sides[index].batch(keys) for index in (input_index, 1 - input_index))
        pairs: list[Any] = []
        for key, value in zip(keys, batch.values, strict=True):
            own[key] = [*own.get(key, ()), value]
            pairs += [(each, value) if input_index else (value, each) for each in other.get(key, ())]
        return Batch(pairs)

    def process_watermark(self, timestamp: int) -> None:
        self.watermarks.append(timestamp)

    def end_input(self, input_index: int) -> Batch[Any]:
        return Batch([(input_index, None)])


def join(left: Stream[Any], right: Stream[Any], selector: Function) -> Stream[Any]:
    """Join two streams."""
    inputs = [left.key_by(selector).output, right.key_by(selector).output]
    return Stream(left.job, left.job.graph.add_operator(Join(selector), inputs))
