"""The keys of a batch of records, with a policy for records that have none."""

from __future__ import annotations

from functools import partial
from typing import Any

from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch
from pipeline.operators.base import Function
from pipeline.operators.failure import DROPPED, FailureContext, Failures, Survivors


class KeySelection:
    """Calls the selector of a `key_by` for the operators behind it.

    Args:
        selector: the key of a record.
        policy: for the calls that raise.
        uid: of the operator.
    """

    def __init__(self, selector: Function, policy: ErrorPolicy, uid: str, ctx: FailureContext) -> None:
        self._selector = selector
        self._failures = Failures(selector, policy, uid, ctx)

    def select(self, batch: Batch[Any]) -> tuple[Batch[Any], list[Any]]:
        """Return the records that have a key, and the keys."""
        selector, survivors = self._selector, Survivors(batch)
        keys: list[Any] = []
        for value in batch.values:
            try:
                keys.append(selector(value))  # Python has an instruction for this form
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises
                key = survivors.recover(self._failures, error, partial(selector, value), keys)
                if key is not DROPPED:
                    keys.append(key)
        return survivors.records(), keys
