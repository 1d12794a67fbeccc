"""Calling a user's function and seeing how it went, without an exception on the way.

The interpreted chain and `map_batches` call functions through this module. Since only the user's own
code is inside the `try`, an error of the engine (a cancelled wait, say) is never taken for the user's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pipeline.compiler.plan import Calling
from pipeline.compiler.stages import ChainContext
from pipeline.operators.failure import Failures


class Outcome(NamedTuple):
    """The outcome of a call: a value, or an error if that is not None."""

    value: Any = None
    error: Exception | None = None


Attempt = Callable[[Any], Outcome]


def attempting(
    function: Callable[[Any], Any], finish: Callable[[Any], Any], calling: Calling, ctx: ChainContext
) -> Attempt:
    """Make an attempt at `finish(function(value))`; both count as the user's code.

    A coroutine is run to its end on the vertex's event loop before `finish` sees its result.
    """

    def attempt(value: Any) -> Outcome:
        try:
            return Outcome(finish(function(value)))
        except Exception as error:  # noqa: BLE001 - whatever the user's function raises
            return Outcome(error=error)

    async def attempt_async(value: Any) -> Outcome:
        try:
            return Outcome(finish(await function(value)))
        except Exception as error:  # noqa: BLE001 - whatever the user's function raises
            return Outcome(error=error)

    if calling is Calling.COROUTINE:
        return lambda value: ctx.run_async(attempt_async(value))
    return attempt


def persist(attempt: Attempt, value: Any, failures: Failures) -> Outcome:
    """Repeat the attempt as often as the policy allows; return the last outcome."""
    outcome = attempt(value)
    for _ in range(failures.repetitions):
        if outcome.error is None:
            break
        failures.pause()
        outcome = attempt(value)
    return outcome
