"""The last word of an operator's error policy: fail the job, skip the record or dead-letter it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.compiler.stages import ChainContext, StepStage
from pipeline.core.errors import UserFunctionError
from pipeline.core.functions import function_ref
from pipeline.core.policy import DEAD_LETTERS
from pipeline.core.records import DeadLetter, Origin


class Failures:
    """What becomes of the calls of one operator's function that raised.

    Args:
        stage: the operator, with its policy.
        ctx: where failed records are counted and dead letters go.
    """

    def __init__(self, stage: StepStage, ctx: ChainContext) -> None:
        self._uid = stage.uid
        self._policy = stage.step.on_error
        self._function = function_ref(stage.step.function)
        self._ctx = ctx

    @property
    def repetitions(self) -> int:
        """How often a call that raised may be made again."""
        return self._policy.attempts

    def pause(self) -> None:
        """Wait as long as the policy says before the call is made again."""
        self._ctx.pause(self._policy.delay)

    def give_up(self, error: Exception, values: Sequence[Any], origins: Sequence[Origin] | None) -> None:
        """Do with the arguments of the call that raised what the policy says in the end.

        Raises:
            UserFunctionError: the policy is to fail.
        """
        match self._policy.kind:
            case "skip":
                self._ctx.count_failed(len(values))
            case "dead_letter":
                self._dead_letter(error, values, origins)
            case _:
                raise self.error(error, origins) from error

    def error(self, error: Exception, origins: Sequence[Origin] | None) -> UserFunctionError:
        """Return what fails the job because of `error`; raise it from that."""
        return UserFunctionError(
            f"{self._function.name} raised {_describe(error)}",
            hint="mend the function, or give the operator another on_error: skip, retry or dead-letter",
        ).located(
            job=self._ctx.job_name,
            operator=self._uid,
            function=str(self._function),
            position=_describe_origins(origins),
        )

    def _dead_letter(self, error: Exception, values: Sequence[Any], origins: Sequence[Origin] | None) -> None:
        text, function = _describe(error), str(self._function)
        letters = [
            DeadLetter(value, text, self._uid, function, None if origins is None else origins[index])
            for index, value in enumerate(values)
        ]
        self._ctx.side_output(self._policy.tag or DEAD_LETTERS, letters)
        self._ctx.count_failed(len(values))


def _describe(error: Exception) -> str:
    message = str(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _describe_origins(origins: Sequence[Origin] | None) -> str | None:
    if not origins:
        return None
    return str(origins[0]) if len(origins) == 1 else f"{origins[0]} to {origins[-1]}"
