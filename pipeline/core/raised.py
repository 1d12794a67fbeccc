"""What a user's code has raised: told in one line, and made an error that a stream or a job can end with."""

from __future__ import annotations

import re
from typing import Final

from pipeline.core.errors import ConnectorError, Fault, PipelineError, UserFunctionError
from pipeline.core.functions import FunctionRef, ref_of_code

_ANOTHER_LOOP: Final = re.compile(
    "(bound|attached) to a different (event )?loop|should be used inside a task|Event loop is closed"
    "|event loop other than the current"
)
"""What asyncio says, and what libraries made on it say, of an object that belongs to another event loop."""


def advise(error: BaseException) -> str | None:
    """Say what to do about an object made on another event loop, or without one; None for other errors.

    Example:
        >>> advise(RuntimeError("no running event loop"))
        'make it in async code: in `async def open(self, ctx)` of an object that is the function'
    """
    message = describe(error)
    if _ANOTHER_LOOP.search(message):
        return (
            "what the function awaits belongs to another event loop, and each subtask has its own: make it "
            "in `async def open(self, ctx)` of an object, and close it in `async def close(self)`"
        )
    if "no running event loop" in message:
        return "make it in async code: in `async def open(self, ctx)` of an object that is the function"
    return None


def describe(error: BaseException) -> str:
    """Say what was raised, as `ValueError: bad`, even if it cannot say so itself.

    Example:
        >>> describe(ValueError("bad"))
        'ValueError: bad'
    """
    name = type(error).__name__
    try:
        message = str(error)
    except Exception as own:  # noqa: BLE001 - whatever the `__str__` of a user's exception raises
        return f"{name} (its message cannot be shown: {type(own).__name__})"
    return f"{name}: {message}" if message else name


def user_error(what: str, error: Exception, hint: str | None = None) -> UserFunctionError:
    """Build the error for what a user's function raised; raise it from that.

    An exception of ours knows itself whose fault it is and whether a retry helps.

    Example:
        >>> user_error("parse", ValueError("bad")).message
        'parse raised ValueError: bad'
    """
    failure = UserFunctionError(f"{what} raised {describe(error)}", hint=hint)
    if isinstance(error, PipelineError):
        failure.fault, failure.retryable = error.fault, error.retryable
    return failure


def connector_error(kind: type[ConnectorError], connector: object, error: Exception) -> ConnectorError:
    """Build the error for what a connector raised without saying what it means; raise it from that.

    Args:
        kind: `SourceError` or `SinkError`.
        connector: whose code it came from.
    """
    own = type(connector).__module__.partition(".")[0] == "connectors"
    name = type(error).__name__
    advice = f"raise {kind.__name__}(…, retryable=True) where a retry helps, or list {name} in retry_on="
    failure = kind(
        f"{type(connector).__name__} raised {describe(error)}",
        retryable=False,
        hint="please report it, with these lines" if own else f"{advice} of the restart strategy",
    )
    failure.fault = Fault.ENGINE if own else Fault.USER
    return failure


def as_exception(error: BaseException) -> Exception:
    """Return what stands for `error` where only an `Exception` can: that itself, or an error that names it.

    `SystemExit`, `KeyboardInterrupt` and `asyncio.CancelledError` are none. Raised by a user's code in a
    thread of the engine they would end nothing but that thread, unheard.

    Example:
        >>> as_exception(SystemExit(3)).message
        'the job raised SystemExit: 3'
    """
    if isinstance(error, Exception):
        return error
    function = _raising_function(error)
    name = "the job" if function is None else function.name
    failure = UserFunctionError(
        f"{name} raised {describe(error)}",
        hint="raise an ordinary exception: this one ends the job regardless of on_error",
    )
    failure.__cause__ = error
    return failure.located(function=None if function is None else str(function))


def _raising_function(error: BaseException) -> FunctionRef | None:
    entry = error.__traceback__
    if entry is None:
        return None
    while entry.tb_next is not None:
        entry = entry.tb_next
    return ref_of_code(entry.tb_frame.f_code)
