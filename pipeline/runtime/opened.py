"""The functions of a subtask that are objects with `open` and `close`: a session for each subtask, say."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from pipeline.core.errors import UserFunctionError
from pipeline.core.functions import function_ref, is_opened
from pipeline.core.raised import advise, describe
from pipeline.operators.base import Step
from pipeline.runtime.contexts import VertexContext
from pipeline.spi.function import FunctionContext

_log: Final = logging.getLogger(__name__)


class OpenedFunctions:
    """Opens the functions of one subtask and closes them, both on its thread, coroutines on its event loop.

    Args:
        ctx: of the subtask.
    """

    def __init__(self, ctx: VertexContext) -> None:
        self._ctx = ctx
        self._functions: list[tuple[str, Any]] = []
        self._opened: list[tuple[str, Any]] = []

    def adopt(self, uid: str, step: Step) -> Step:
        """Return the step with a copy of its function that is this subtask's own, if it is to be opened."""
        if not is_opened(step.function):
            return step
        function = copy.copy(step.function)
        self._functions.append((uid, function))
        return replace(step, function=function)

    def open(self) -> None:
        """Open them in their order.

        Raises:
            UserFunctionError: an `open` raised.
            Interrupted: the job was cancelled.
        """
        ctx = self._ctx
        for uid, function in self._functions:
            self._opened.append((uid, function))  # closed even if it raises
            try:
                _called(
                    ctx.loop.run,
                    function.open,
                    FunctionContext(ctx.job_name, uid, ctx.subtask, ctx.parallelism),
                )
            except Exception as error:
                raise self._error(uid, function.open, error) from error

    def close(self, cause: BaseException | None) -> None:
        """Close in reverse what was opened, whatever of it fails.

        Args:
            cause: what ended the subtask; a failure to close is a note on it, and is raised without one.
                That of a cancelled subtask, of which nobody reads what it raises, is logged.

        Raises:
            UserFunctionError: a `close` raised, and nothing else has ended the subtask.
        """
        failures: list[UserFunctionError] = []
        while self._opened:
            uid, function = self._opened.pop()
            if not hasattr(function, "close"):
                continue
            try:
                _called(self._ctx.loop.run_to_end, function.close)
            except BaseException as error:  # noqa: BLE001 - everything must be closed
                failures.append(self._error(uid, function.close, error))
        if self._ctx.loop.cancelled:
            for failure in failures:
                _log.warning("while closing: %s", failure)
        elif failures:
            first = failures.pop(0) if cause is None else cause
            for failure in failures:
                first.add_note(f"while closing: {failure}")
            if cause is None:
                raise first

    def _error(self, uid: str, method: Callable[..., Any], error: BaseException) -> UserFunctionError:
        function = function_ref(method)
        failure = UserFunctionError(f"{function.name} raised {describe(error)}", hint=advise(error))
        failure.__cause__ = error
        return failure.located(job=self._ctx.job_name, operator=uid, function=str(function))


def _called(
    run: Callable[[Coroutine[Any, Any, Any]], Any], method: Callable[..., Any], *arguments: Any
) -> None:
    """Call a method, and run what it returns if that is a coroutine."""
    result = method(*arguments)
    if inspect.iscoroutine(result):
        run(result)
