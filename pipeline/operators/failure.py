"""What becomes of a record that an operator's function cannot handle, decided in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol

from pipeline.core.errors import UserFunctionError
from pipeline.core.functions import function_ref
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy, SideTag
from pipeline.core.raised import advise, describe, user_error
from pipeline.core.records import FAILED_RECORDS_KEPT, Batch, DeadLetter, FailedRecord, Origin

DROPPED: Final[Any] = object()
"""Stands for the result of a call that was given up."""


class FailureContext(Protocol):
    """Where it is made known what became of records; a chain's context is one, and an operator's."""

    @property
    def job_name(self) -> str: ...

    def side_output(self, tag: SideTag, values: Sequence[Any]) -> None: ...
    def count_failed(self, records: int, samples: Sequence[FailedRecord] = ()) -> None: ...
    def pause(self, delay: timedelta) -> None: ...


class Failures:
    """Applies an error policy to the calls of one function that raise.

    Args:
        function: the user's function, named in errors and dead letters.
        policy: what to do.
        uid: of its operator.
        ctx: where failed records are counted, dead letters go and pauses are spent.
    """

    def __init__(
        self, function: Callable[..., Any], policy: ErrorPolicy, uid: str, ctx: FailureContext
    ) -> None:
        self._function = function_ref(function)
        self._policy = policy
        self._uid = uid
        self._ctx = ctx
        self._samples_left = FAILED_RECORDS_KEPT

    @property
    def repetitions(self) -> int:
        """How often a call that raised may be made again."""
        return self._policy.attempts

    def pause(self) -> None:
        """Wait as long as the policy says before the call is made again."""
        self._ctx.pause(self._policy.delay)

    def recover(self, error: Exception, again: Callable[[], Any], value: Any, origin: Origin | None) -> Any:
        """Repeat a call as often as the policy allows; return its result, or `DROPPED` for a lost record.

        Args:
            error: what the call raised.
            again: makes the same call.
            value: the record the call was made for.
            origin: where that was read.

        Raises:
            UserFunctionError: the policy is to fail.
        """
        for _ in range(self.repetitions):
            self.pause()
            try:
                return again()
            except Exception as latest:  # noqa: BLE001 - whatever the user's function raises
                error = latest
        self.give_up(error, [value], None if origin is None else [origin])
        return DROPPED

    def give_up(self, error: Exception, values: Sequence[Any], origins: Sequence[Origin] | None) -> None:
        """Do with the arguments of the call that raised what the policy says in the end.

        Raises:
            UserFunctionError: the policy is to fail.
        """
        match self._policy.kind:
            case "skip":
                sampled = values[: self._samples_left]
                self._count(len(values), self._letters(error, sampled, origins))
            case "dead_letter":
                letters = self._letters(error, values, origins)
                self._ctx.side_output(self._policy.tag or DEAD_LETTERS, letters)
                self._count(len(values), letters)
            case _:
                raise self.error(error, origins) from error

    def error(self, error: Exception, origins: Sequence[Origin] | None) -> UserFunctionError:
        """Return what fails the job because of `error`; raise it from that."""
        hint = advise(error) or "fix the function, or choose another on_error: skip, retry or dead_letter"
        return user_error(self._function.name, error, hint).located(
            job=self._ctx.job_name,
            operator=self._uid,
            function=str(self._function),
            position=_describe_origins(origins),
        )

    def _letters(
        self, error: Exception, values: Sequence[Any], origins: Sequence[Origin] | None
    ) -> list[DeadLetter]:
        if not values:
            return []
        text = " — ".join(filter(None, (describe(error), advise(error))))
        function = str(self._function)
        return [
            DeadLetter(value, text, self._uid, function, None if origins is None else origins[index])
            for index, value in enumerate(values)
        ]

    def _count(self, records: int, letters: Sequence[DeadLetter]) -> None:
        samples = [FailedRecord.of(letter) for letter in letters[: self._samples_left]]
        self._samples_left -= len(samples)
        self._ctx.count_failed(records, samples)


class Survivors:
    """Keeps timestamps and origins aligned while records of a batch are dropped.

    Records are dealt with in their order, so the next one's index follows from how many results
    there are and how many records were dropped: the loop over the batch need not count.

    Args:
        batch: the records, one result for each that is not dropped.
    """

    def __init__(self, batch: Batch[Any]) -> None:
        self._batch = batch
        self._dropped: list[int] = []

    def recover(
        self, failures: Failures, error: Exception, again: Callable[[], Any], results: Sequence[Any]
    ) -> Any:
        """Do as `Failures.recover` does for the record after those that produced `results`."""
        index = len(results) + len(self._dropped)
        outcome = failures.recover(error, again, self._batch.values[index], self.origin(results))
        if outcome is DROPPED:
            self._dropped.append(index)
        return outcome

    def origin(self, results: Sequence[Any]) -> Origin | None:
        """Return where the record after those that produced `results` was read."""
        origins = self._batch.origins
        return None if origins is None else origins[len(results) + len(self._dropped)]

    def batch_of(self, results: Sequence[Any]) -> Batch[Any]:
        """Return the results as a batch, with the timestamps and origins of their records."""
        batch = self._batch
        if not self._dropped:
            return Batch(results, batch.timestamps, batch.origins)
        return Batch(results, self._left(batch.timestamps), self._left(batch.origins))

    def records(self) -> Batch[Any]:
        """Return the records that were not dropped."""
        return self.batch_of(self._left(self._batch.values))

    def _left(self, items: Any) -> Any:
        if items is None or not self._dropped:
            return items
        dropped = set(self._dropped)
        return [item for index, item in enumerate(items) if index not in dropped]


def _describe_origins(origins: Sequence[Origin] | None) -> str | None:
    if not origins:
        return None
    return str(origins[0]) if len(origins) == 1 else f"{origins[0]} to {origins[-1]}"
