"""What was raised, told in one line and made an error that can end a stream."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.core.errors import Fault, UserFunctionError
from pipeline.core.functions import function_ref
from pipeline.core.raised import advise, as_exception, describe


class Mute(Exception):
    """Cannot say what is wrong."""

    def __str__(self) -> str:
        raise LookupError("no words")


def leave() -> None:
    raise asyncio.CancelledError("enough")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("bad"), "ValueError: bad"),
        (ValueError(), "ValueError"),
        (SystemExit(3), "SystemExit: 3"),
        (Mute(), "Mute (its message cannot be shown: LookupError)"),
    ],
)
def test_an_error_is_described_in_one_line(error: BaseException, text: str) -> None:
    """Also one that cannot describe itself: its own message must not hide it."""
    assert describe(error) == text


def test_an_exception_stays_what_it_is() -> None:
    error = Mute()
    assert as_exception(error) is error


def test_what_is_not_an_exception_becomes_the_users_error() -> None:
    """It names the function that raised, is its cause, and no restart is tried."""
    with pytest.raises(asyncio.CancelledError) as caught:
        leave()
    error = as_exception(caught.value)
    assert isinstance(error, UserFunctionError)
    assert error.message == "leave raised CancelledError: enough"
    assert error.function == str(function_ref(leave))
    assert (error.fault, error.retryable, error.__cause__) == (Fault.USER, False, caught.value)


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("Task <…> got Future <Future pending> attached to a different loop", "each subtask has its own"),
        ("<asyncio.locks.Lock object> is bound to a different event loop", "each subtask has its own"),
        ("Timeout context manager should be used inside a task", "each subtask has its own"),
        ("Event loop is closed", "each subtask has its own"),
        ("no running event loop", "make it in async code"),
    ],
)
def test_an_object_of_another_event_loop_is_explained(message: str, advice: str) -> None:
    """It was made when the job was built, or by another subtask."""
    advised = advise(RuntimeError(message))
    assert advised is not None
    assert advice in advised


def test_nothing_is_advised_about_other_errors() -> None:
    assert advise(RuntimeError("a different problem")) is None
