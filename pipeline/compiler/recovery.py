"""What a generated loop calls once a guarded step has raised; the happy path never comes here."""

from __future__ import annotations

from typing import Any

from pipeline.compiler.feed import Feed
from pipeline.compiler.plan import PlannedStep
from pipeline.compiler.stages import ChainContext
from pipeline.operators.base import Yields
from pipeline.operators.failure import DROPPED


class Recovery:
    """Repeats one step's call as its policy allows, then does what the policy says."""

    def __init__(self, step: PlannedStep, ctx: ChainContext) -> None:
        self._failures = step.stage.failures(ctx)
        self._function = step.call
        # The truth of a filter's result may be what raises, so that it belongs to the call.
        self._finish = bool if step.yields is Yields.FILTER else _itself

    def recover(self, error: Exception, value: Any, feed: Feed) -> Any:
        """Repeat the call of a map or filter; return its result, or `DROPPED`."""
        for _ in range(self._failures.repetitions):
            self._failures.pause()
            try:
                return self._finish(self._function(value))
            except Exception as again:  # noqa: BLE001 - whatever the user's function raises
                error = again
        return self._drop(error, value, feed)

    async def recover_async(self, error: Exception, value: Any, feed: Feed) -> Any:
        """Do as `recover` does, for a function that must be awaited."""
        for _ in range(self._failures.repetitions):
            self._failures.pause()
            try:
                return self._finish(await self._function(value))
            except Exception as again:  # noqa: BLE001 - whatever the user's function raises
                error = again
        return self._drop(error, value, feed)

    def repeats(self, error: Exception, value: Any, feed: Feed, attempts: int, given: bool) -> bool:
        """Say whether the loop shall call a flat_map again that raised for the `attempts`th time.

        What has been given cannot be taken back, so that a call with results is not repeated.
        """
        if given or attempts > self._failures.repetitions:
            self._drop(error, value, feed)
            return False
        self._failures.pause()
        return True

    def _drop(self, error: Exception, value: Any, feed: Feed) -> Any:
        self._failures.give_up(error, [value], feed.origin())
        return DROPPED


def _itself(value: Any) -> Any:
    return value
