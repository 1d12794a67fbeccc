"""Errors: whose fault, whether a retry helps, where it happened; and nothing of it is lost on the way."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from importlib.metadata import requires
from typing import Any

import pytest

from pipeline.core import errors
from pipeline.core.errors import (
    BackpressureOverflow,
    CheckpointCorrupted,
    CheckpointError,
    ConfigError,
    EncodingError,
    Fault,
    Fenced,
    GraphError,
    InternalError,
    JobAlreadyRunning,
    MissingExtra,
    PipelineError,
    SinkError,
    SourceError,
    StateError,
    UserFunctionError,
)


def subclasses(cls: type[PipelineError]) -> Iterator[type[PipelineError]]:
    for each in cls.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from subclasses(each)


EVERY = [PipelineError, *subclasses(PipelineError)]


def make(cls: type[PipelineError]) -> PipelineError:
    if cls is MissingExtra:
        return MissingExtra("psycopg", "postgres")
    return cls("it broke", hint="fix it")


def pickled(error: PipelineError) -> PipelineError:
    return pickle.loads(pickle.dumps(error))


@pytest.mark.parametrize("copied", [pickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("cls", EVERY)
def test_a_copy_knows_all_that_the_error_knew(
    cls: type[PipelineError], copied: Callable[[PipelineError], PipelineError]
) -> None:
    """Whatever arguments its class takes: places, hint, retryable against the default, result, notes."""
    error = make(cls).located(job="totals", operator="map:parse", function="parse (j.py:3)", position="f@7")
    error.retryable = not error.retryable
    error.result = {"processed": 7}
    error.add_note("while closing: that broke too")
    other = copied(error)
    assert type(other) is cls
    assert str(other) == str(error)
    assert (other.args, vars(other)) == (error.args, vars(error))
    assert other.fault is error.fault
    assert vars(other) is not vars(error)


@pytest.mark.parametrize(
    ("cls", "fault", "retryable"),
    [
        (ConfigError, Fault.CONFIG, False),
        (GraphError, Fault.CONFIG, False),
        (JobAlreadyRunning, Fault.CONFIG, False),
        (UserFunctionError, Fault.USER, False),
        (StateError, Fault.USER, False),
        (EncodingError, Fault.USER, False),
        (SourceError, Fault.ENVIRONMENT, True),
        (SinkError, Fault.ENVIRONMENT, True),
        (BackpressureOverflow, Fault.ENVIRONMENT, True),
        (CheckpointError, Fault.ENVIRONMENT, True),
        (CheckpointCorrupted, Fault.ENVIRONMENT, False),
        (Fenced, Fault.ENVIRONMENT, False),
        (InternalError, Fault.ENGINE, False),
    ],
)
def test_each_says_who_can_fix_it_and_whether_a_retry_helps(
    cls: type[PipelineError], fault: Fault, retryable: bool
) -> None:
    """A fenced job must never restart, a lost connection may: restarts hang on this."""
    error = cls("it broke")
    assert (error.fault, error.retryable) == (fault, retryable)
    assert cls("it broke", retryable=not retryable).retryable is not retryable


@pytest.mark.parametrize("place", ["job", "operator", "function", "position"])
def test_the_inner_place_is_kept(place: str) -> None:
    """Who raised knows best where; who passes it on fills the gaps only."""
    outer = {"job": "totals", "operator": "sum", "function": "add (j.py:9)", "position": "f@7"}
    error = StateError("no key").located(**{place: "inner"})
    assert error.located(**outer) is error
    assert {name: getattr(error, name) for name in outer} == {**outer, place: "inner"}
    assert error.located().located(**{place: "again"}) is error
    assert getattr(error, place) == "inner"


@pytest.mark.parametrize(
    ("places", "hint", "text"),
    [
        ({}, None, "it broke"),
        ({}, "fix it", "it broke — fix it"),
        ({"position": "f@7"}, None, "it broke [record f@7]"),
        (
            {"job": "totals", "operator": "map:parse", "function": "parse (j.py:3)", "position": "f@7"},
            "fix it",
            "it broke [job totals, operator map:parse, function parse (j.py:3), record f@7] — fix it",
        ),
    ],
)
def test_the_text_names_what_is_known(places: dict[str, Any], hint: str | None, text: str) -> None:
    """Message, then where, then what to do; nothing is said of what is not known."""
    error = UserFunctionError("it broke", hint=hint).located(**places)
    assert str(error) == text
    assert error.message == "it broke"


def test_locating_keeps_the_cause() -> None:
    cause = ValueError("bad 2")
    with pytest.raises(UserFunctionError) as raised:
        raise UserFunctionError("it broke").located(job="totals") from cause
    assert raised.value.located(operator="map:parse").__cause__ is cause


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    """What it names can be installed whether the project came as a wheel or as a checkout."""
    (required,) = [
        line.partition(";")[0] for line in requires("pipeline-framework") or () if '"postgres"' in line
    ]
    error = MissingExtra("psycopg", "postgres")
    assert str(error) == f"psycopg is not installed — install it with: pip install '{required}'"


def test_an_extra_nobody_knows_is_installed_by_the_package() -> None:
    assert MissingExtra("pigeon", "post").hint == "install it with: pip install 'pigeon'"


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Who reads the overview finds every error, and no other."""
    assert errors.__doc__ is not None
    drawn = [line.split("── ")[1].split()[0] for line in errors.__doc__.splitlines() if "── " in line]
    assert drawn == [cls.__name__ for cls in subclasses(PipelineError)]
