"""The event loop of a subtask: what its functions await runs here, on its thread, and ends with the job."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from pipeline.reactive.producer import Interrupted

R = TypeVar("R")


class SubtaskLoop:
    """Runs coroutines one after the other; the loop is made for the first one.

    Attributes:
        cancelled: whether nothing more is run, except to its end.
    """

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._awaits = False
        self.cancelled = False

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine until it is done, on the subtask's thread.

        Raises:
            Interrupted: `cancel` has ended it.
        """
        runner = self._made()
        # Looked at once the runner is set, as `cancel` looks for the runner once this is.
        if self.cancelled:
            coroutine.close()
            raise Interrupted
        self._awaits = True
        try:
            return runner.run(coroutine)
        except asyncio.CancelledError:
            if self.cancelled:
                raise Interrupted from None
            raise  # the user's own
        finally:
            self._awaits = False

    def run_to_end(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine whether or not the job is cancelled: it releases what was acquired."""
        return self._made().run(coroutine)

    def cancel(self) -> None:
        """End what is awaited, now or later; any thread."""
        self.cancelled = True
        runner = self._runner
        if runner is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed: the thread has ended
                runner.get_loop().call_soon_threadsafe(self._end_awaits)

    def close(self) -> None:
        """Close the loop; called on the subtask's thread, at its end."""
        runner, self._runner = self._runner, None
        if runner is not None:
            with contextlib.suppress(RuntimeError):  # a loop that a cancel left running
                runner.close()

    def _made(self) -> asyncio.Runner:
        runner = self._runner
        if runner is None:
            runner = asyncio.Runner()
            runner.get_loop()  # made here, not by the thread that cancels
            self._runner = runner
        return runner

    def _end_awaits(self) -> None:
        if self._awaits:  # else nothing is awaited, or what closes: that ends by itself
            for task in asyncio.all_tasks():
                task.cancel()
