"""The keys of a batch of records, with a policy for records that have none."""

from __future__ import annotations

from functools import partial
from operator import length_hint
from typing import Any

from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch
from pipeline.operators.base import Function
from pipeline.operators.failure import DROPPED, FailureContext, Failures, Survivors


class KeySelection:
    """Calls the selector of a `key_by` for the operators downstream of it.

    Args:
        selector: the key of a record.
        policy: for the calls that raise.
        uid: of the operator.

    Attributes:
        failures: what to do about a call of the selector that raised.
    """

    def __init__(self, selector: Function, policy: ErrorPolicy, uid: str, ctx: FailureContext) -> None:
        self._selector = selector
        self.failures = Failures(selector, policy, uid, ctx)

    def select(self, batch: Batch[Any]) -> tuple[Batch[Any], list[Any]]:
        """Return the records that have a key, and the keys."""
        selector, survivors = self._selector, Survivors(batch)
        left = iter(batch.values)
        keys: list[Any] = []
        while True:
            try:
                keys.extend(map(selector, left))  # keeps what it has when a call raises
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises
                again = partial(selector, batch.values[len(batch) - length_hint(left) - 1])
                key = survivors.recover(self.failures, error, again, keys)
                if key is not DROPPED:
                    keys.append(key)
            else:
                return survivors.records(), keys
