"""Public docstrings: a sentence for the caller, every argument, what is returned and raised, an example."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from enum import Enum
from types import ModuleType
from typing import Any, Protocol

import pytest

import connectors
import pipeline
from pipeline.api.handle import Handle, JobPart
from pipeline.api.job import JobBuilder
from pipeline.api.stream import SinkHandle

CHAIN = {
    pipeline.StreamJob,
    JobBuilder,
    JobPart,
    Handle,
    pipeline.Stream,
    pipeline.KeyedStream,
    pipeline.WindowedStream,
    SinkHandle,
}
"""The classes that users call methods of: all of these methods are documented in full."""

BUILDERS = {
    pipeline.ErrorPolicy,
    pipeline.RestartStrategy,
    pipeline.WatermarkStrategy,
    pipeline.TumblingTimeWindows,
    pipeline.SlidingTimeWindows,
}
"""The classes whose class methods are documented in full."""

OF_THE_ENGINE = {
    "decider",
    "helps",
    "describe",
    "watch",
    "assign",
    "starting_at",
    "panes",
    "add",
    "get_result",
}
"""Methods that the engine calls, or that users implement."""

SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example):\n((?:    .*\n|\n)*)", re.MULTILINE)


def classes(*modules: ModuleType) -> list[type]:
    named = [getattr(module, name) for module in modules for name in module.__all__]
    return sorted({each for each in named if isinstance(each, type)} | CHAIN, key=lambda each: each.__name__)


def methods(owner: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public methods that a class itself defines."""
    for name, value in vars(owner).items():
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if not name.startswith("_") and inspect.isfunction(function):
            yield name, function


def documented(function: Callable[..., Any]) -> dict[str, str]:
    return dict(SECTION.findall(f"{inspect.getdoc(function) or ''}\n"))


def names(section: str) -> set[str]:
    """Return the arguments that a section describes."""
    listed = re.findall(r"^    (\w+(?:, \w+)*): ", section, re.MULTILINE)
    return {name.strip() for line in listed for name in line.split(",")}


def parameters(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self", "cls"}


@pytest.mark.parametrize("owner", classes(pipeline, connectors), ids=lambda owner: owner.__name__)
def test_a_class_describes_itself_and_its_arguments(owner: type) -> None:
    """The first line is a sentence; each argument of the constructor is described, and no other."""
    docstring = inspect.getdoc(owner) or ""
    assert docstring.splitlines()[0][-1:] == "."
    assert owner.__doc__, "the docstring is inherited"
    sections = documented(owner)
    described = names(sections.get("Args", "")) | names(sections.get("Attributes", ""))
    built_otherwise = owner in (CHAIN | BUILDERS) - {pipeline.StreamJob, pipeline.ErrorPolicy}
    if "__init__" in vars(owner) and not built_otherwise and not issubclass(owner, (Enum, Protocol)):
        assert parameters(owner.__init__) <= described


@pytest.mark.parametrize(
    "owner",
    [each for each in classes(pipeline) if each is not pipeline.AggregateFunction],
    ids=lambda owner: owner.__name__,
)
def test_a_method_describes_its_arguments_and_its_result(owner: type) -> None:
    for name, function in methods(owner):
        if name in OF_THE_ENGINE or owner is pipeline.AggregateFunction:
            continue
        sections = documented(function)
        assert names(sections.get("Args", "")) == parameters(function), name
        returned = inspect.signature(function).return_annotation
        assert returned == "None" or "Returns" in sections, name


def fully_documented() -> dict[str, Callable[..., Any]]:
    found = {f"{owner.__name__}.{name}": function for owner in CHAIN for name, function in methods(owner)}
    for owner in BUILDERS:
        for name, value in vars(owner).items():
            if isinstance(value, classmethod):
                found[f"{owner.__name__}.{name}"] = value.__func__
    return found


WITHOUT_EXAMPLE = {"set_name", "set_config", "resolve", "stream_graph", "job_graph"}
"""Methods of a `StreamJob` that the chain and the command call; users write `name` and `config`."""


@pytest.mark.parametrize("name", sorted(fully_documented()))
def test_what_users_call_has_an_example(name: str) -> None:
    assert "Example" in documented(fully_documented()[name]) or name.partition(".")[2] in WITHOUT_EXAMPLE


def test_a_missing_argument_would_be_found() -> None:
    """The check reads what it is meant to read."""

    def function(first: int, second: int) -> int:
        """Do something.

        Args:
            first: described.

        Returns:
            A number.
        """
        return first + second

    assert names(documented(function)["Args"]) == {"first"}
    assert parameters(function) == {"first", "second"}
