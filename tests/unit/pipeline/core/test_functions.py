"""What is said of a user's function: its name, where it is written, whether it is async."""

from __future__ import annotations

import functools
import operator
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pipeline.core.functions import FunctionRef, function_ref, is_async, is_async_generator


def plain(value: Any) -> Any:
    return value


async def later(value: Any) -> Any:
    return value


def line_of(fn: Callable[..., Any]) -> int:
    return fn.__code__.co_firstlineno


def wrapping(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def wrapper(*args: Any) -> Any:
        return fn(*args)

    return wrapper


async def several(value: Any) -> AsyncIterator[Any]:
    yield value


class Splitter:
    async def __call__(self, value: Any) -> AsyncIterator[Any]:
        yield value


class Parser:
    def __call__(self, value: Any) -> Any:
        return value

    def method(self, value: Any) -> Any:
        return value

    @classmethod
    def of_class(cls, value: Any) -> Any:
        return value

    @staticmethod
    def static(value: Any) -> Any:
        return value


class AsyncParser:
    async def __call__(self, value: Any) -> Any:
        return value


@pytest.mark.parametrize(
    ("fn", "name", "line"),
    [
        (plain, "plain", line_of(plain)),
        (later, "later", line_of(later)),
        (wrapping(wrapping(plain)), "plain", line_of(plain)),
        (functools.partial(functools.partial(plain)), "plain", line_of(plain)),
        (functools.partial(wrapping(plain), 1), "plain", line_of(plain)),
        (functools.lru_cache(plain), "plain", line_of(plain)),
        (Parser(), "Parser", line_of(Parser.__call__)),
        (functools.partial(Parser()), "Parser", line_of(Parser.__call__)),
        (Parser().method, "Parser.method", line_of(Parser.method)),
        (Parser.of_class, "Parser.of_class", line_of(Parser.of_class.__func__)),  # pyright: ignore[reportFunctionMemberAccess]
        (Parser.static, "Parser.static", line_of(Parser.static)),
    ],
)
def test_the_users_own_code_is_named(fn: Callable[..., Any], name: str, line: int) -> None:
    """Whatever is wrapped around it: errors and `explain` lead to the line the user wrote."""
    assert function_ref(fn) == FunctionRef(name, __file__, line)
    assert str(function_ref(fn)) == f"{name} ({__file__}:{line})"


@pytest.mark.parametrize(
    ("fn", "name"),
    [
        (len, "len"),
        (int, "int"),
        (Parser, "Parser"),
        (str.upper, "str.upper"),
        (" ".join, "str.join"),
        ([].__len__, "list.__len__"),
        (operator.add, "add"),
        (operator.itemgetter(1), "itemgetter"),
        (functools.partial(str.strip), "str.strip"),
    ],
)
def test_what_has_no_source_has_a_name(fn: Callable[..., Any], name: str) -> None:
    """The name is part of the default uid, so it must tell `str.upper` from `str.lower`."""
    assert function_ref(fn) == FunctionRef(name, None, None)
    assert str(function_ref(fn)) == name


def test_where_a_function_was_defined_inside_is_left_out() -> None:
    def inner(value: Any) -> Any:
        return value

    class Local:
        def __call__(self, value: Any) -> Any:
            return value

    assert function_ref(inner).name == "inner"
    assert function_ref(Local()).name == "Local"


def test_a_lambda_is_nameless_wherever_it_stands() -> None:
    refs = [function_ref(fn) for fn in (lambda value: value, functools.partial(lambda value: value))]
    assert all(ref.is_lambda and ref.name == "<lambda>" and ref.file == __file__ for ref in refs)
    assert not function_ref(plain).is_lambda


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (plain, False),
        (later, True),
        (functools.partial(functools.partial(later)), True),
        (functools.partial(plain), False),
        (Parser(), False),
        (AsyncParser(), True),
        (functools.partial(AsyncParser()), True),
        (AsyncParser().__call__, True),
        (len, False),
        (AsyncParser, False),
        (5, False),
    ],
)
def test_async_is_seen_through_partial_and_callable_objects(fn: Any, expected: bool) -> None:
    """A coroutine taken for a result would be a record that nobody awaits."""
    assert is_async(fn) is expected


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (several, True),
        (functools.partial(several), True),
        (Splitter(), True),
        (functools.partial(Splitter()), True),
        (later, False),
        (plain, False),
        (5, False),
    ],
)
def test_so_is_an_async_generator(fn: Any, expected: bool) -> None:
    """It is not a coroutine: its result is iterated, not awaited."""
    assert is_async_generator(fn) is expected
    assert not (expected and is_async(fn))
