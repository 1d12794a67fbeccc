"""Facts about a user's function: its name, where it is written, whether it is async."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any, cast

LAMBDA = "<lambda>"


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """Where a function is defined in the user's code.

    Args:
        name: its qualified name without `<locals>`; `<lambda>` for a lambda.
        file: path of its source file, None for a builtin.
        line: 1-based first line, None for a builtin.
    """

    name: str
    file: str | None
    line: int | None

    @property
    def is_lambda(self) -> bool:
        return self.name.endswith(LAMBDA)

    def __str__(self) -> str:
        return self.name if self.file is None else f"{self.name} ({self.file}:{self.line})"


def function_ref(fn: Callable[..., Any]) -> FunctionRef:
    """Say where `fn` is written, looking through `partial`, wrappers and callable objects.

    Example:
        >>> function_ref(len)
        FunctionRef(name='len', file=None, line=None)
    """
    inner: Any = fn
    while True:
        if isinstance(inner, functools.partial):
            inner = inner.func  # pyright: ignore[reportUnknownMemberType]
        elif hasattr(inner, "__wrapped__"):
            inner = inner.__wrapped__
        else:
            break
    if not hasattr(inner, "__code__") and hasattr(inner, "__func__"):
        inner = inner.__func__
    subject: Any = inner
    if not hasattr(inner, "__code__") and not inspect.isroutine(inner) and not inspect.isclass(inner):
        subject = cast("Any", type(inner))
        inner = subject.__call__
    code: Any = getattr(inner, "__code__", None)
    name = _short(str(getattr(subject, "__qualname__", type(subject).__name__)))
    if code is None:
        return FunctionRef(name, None, None)
    return FunctionRef(name, code.co_filename, code.co_firstlineno)


def ref_of_code(code: CodeType) -> FunctionRef:
    """Say where a function is written of which only the code is at hand, as in a traceback."""
    return FunctionRef(_short(code.co_qualname), code.co_filename, code.co_firstlineno)


def _short(qualified: str) -> str:
    return qualified.rsplit("<locals>.", 1)[-1]


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling `fn` returns a coroutine, looking through `partial` and callable objects."""
    return _is(inspect.iscoroutinefunction, fn)


def is_async_generator(fn: Callable[..., Any]) -> bool:
    """Whether calling `fn` returns an async generator, looking through `partial` and callable objects."""
    return _is(inspect.isasyncgenfunction, fn)


def is_opened(fn: object) -> bool:
    """Whether `fn` is an object with a method `open`, so that each subtask opens a copy of its own."""
    return not inspect.isclass(fn) and callable(getattr(fn, "open", None))


def _is(kind: Callable[[object], bool], fn: Callable[..., Any]) -> bool:
    while isinstance(fn, functools.partial):
        fn = fn.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return kind(fn) or (callable(fn) and kind(type(fn).__call__))
