"""What the running reduce and aggregate share: keys, state by batch, errors, alignment."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import MutableMapping, Sequence
from typing import Any

from pipeline.core.errors import StateError
from pipeline.core.functions import function_ref
from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch
from pipeline.operators.base import Function
from pipeline.operators.failure import Survivors
from pipeline.operators.key_selection import KeySelection
from pipeline.spi.operator import OperatorContext, StreamOperator
from state.backend import StateTable
from state.descriptors import StateDescriptor


class KeyedFold(StreamOperator[Any, Any]):
    """Takes each record into the state of its key and gives the result so far for every record.

    Args:
        selector: the key of a record.
        policy: for the calls that raise. What a function changed in place before it raised stays.
        descriptor: the one state.
    """

    def __init__(self, selector: Function, policy: ErrorPolicy, descriptor: StateDescriptor) -> None:
        self._selector = selector
        self._policy = policy
        self._descriptor = descriptor

    def open(self, ctx: OperatorContext) -> None:
        self._uid = ctx.uid
        self._table: StateTable[Any] = ctx.keyed_state.table(self._descriptor)
        self._keys = KeySelection(self._selector, self._policy, ctx.uid, ctx)

    def process_batch(self, batch: Batch[Any]) -> Batch[Any]:
        batch, keys = self._keys.select(batch)
        survivors = Survivors(batch)
        results: list[Any] = []
        state = self._state_of(keys)
        try:
            self._fold(state, keys, batch.values, results, survivors)
        except StateError as error:  # a result that cannot be stored
            origin = survivors.origin(results)
            error.located(operator=self._uid, position=None if origin is None else str(origin))
            raise
        return survivors.batch_of(results)

    @abstractmethod
    def _fold(
        self,
        state: MutableMapping[Any, Any],
        keys: Sequence[Any],
        values: Sequence[Any],
        results: list[Any],
        survivors: Survivors,
    ) -> None:
        """Take each value into the state of its key and append the result so far to `results`."""

    def _state_of(self, keys: Sequence[Any]) -> MutableMapping[Any, Any]:
        try:
            return self._table.batch(keys)
        except StateError as error:  # what the selector returned cannot be a key
            error.located(operator=self._uid, function=str(function_ref(self._selector)))
            raise
