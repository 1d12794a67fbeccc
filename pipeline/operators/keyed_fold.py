"""What the running reduce and aggregate share: keys, state by batch, errors, alignment."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import Any, Final

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

State = MutableMapping[Any, Any]

ABSENT: Final[Any] = object()
"""What a key that has no state yet is known by."""


class KeyedFold(StreamOperator[Any, Any]):
    """Folds each record into the state of its key and emits the result so far for every record.

    Mostly all keys are of one type and one mapping holds them all: then a record's key is found out
    where it is used, in one loop. Otherwise the keys of a batch are found out first, and the
    state is asked for them.

    Args:
        selector: the key of a record.
        policy: for the calls that raise. What a function changed in place before it raised stays.
        descriptor: the one state.
    """

    def __init__(self, selector: Function, policy: ErrorPolicy, descriptor: StateDescriptor) -> None:
        self._selector = selector
        self._policy = policy
        self._descriptor = descriptor
        self._kind: type | None = str

    def open(self, ctx: OperatorContext) -> None:
        self._uid = ctx.uid
        self._table: StateTable[Any] = ctx.keyed_state.table(self._descriptor)
        self._keys = KeySelection(self._selector, self._policy, ctx.uid, ctx)

    def process_batch(self, batch: Batch[Any], input_index: int) -> Batch[Any]:
        key_of, state = self._selector, None if self._kind is None else self._table.all_of(self._kind)
        if state is None:
            batch, keys = self._keys.select(batch)
            key_of = partial(next, iter(keys))  # called as next(keys, value), and never beyond the last key
            state = self._state_of(keys)
            self._kind = type(keys[0]) if keys else None
        survivors = Survivors(batch)
        results: list[Any] = []
        try:
            self._kind = self._fold(key_of, self._kind, state, batch.values, results, survivors)
        except StateError as error:  # a key that is none, or a result that cannot be stored
            origin = survivors.origin(results)
            error.located(operator=self._uid, position=None if origin is None else str(origin))
            raise
        return survivors.batch_of(results)

    @abstractmethod
    def _fold(
        self,
        key_of: Callable[[Any], Any],
        kind: type | None,
        state: State,
        values: Sequence[Any],
        results: list[Any],
        survivors: Survivors,
    ) -> type | None:
        """Take each value into the state of its key and append the result so far to `results`.

        Args:
            key_of: the key of a value.
            kind: the type of the keys whose place is `state`; for one of another, ask `_state_for`.

        Returns:
            What the last key was of, likewise.
        """

    def _state_for(self, key: object) -> tuple[type | None, State]:
        """Return where a key has its place, and the type of all those that have theirs there too, if any."""
        state = self._table.all_of(type(key))
        return (type(key), state) if state is not None else (None, self._state_of((key,)))

    def _state_of(self, keys: Sequence[Any]) -> State:
        try:
            return self._table.batch(keys)
        except StateError as error:  # what the selector returned cannot be a key
            error.located(operator=self._uid, function=str(function_ref(self._selector)))
            raise
