"""A method called where a chain does not have it: the error says what is missing, not only that it is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pipeline import GraphError, StreamJob, TumblingTimeWindows
from pipeline.api.missing import NoSuchMethod

from .conftest import FakeSink, FakeSource

PARTS: dict[str, Callable[[], Any]] = {
    "StreamJob": lambda: StreamJob("totals"),
    "JobBuilder": StreamJob.builder,
    "Stream": lambda: StreamJob("totals").source(FakeSource()),
    "KeyedStream": lambda: StreamJob("totals").source(FakeSource()).key_by(str),
    "WindowedStream": lambda: (
        StreamJob("totals")
        .source(FakeSource())
        .key_by(str)
        .window(TumblingTimeWindows.of(timedelta(seconds=1)))
    ),
    "SinkHandle": lambda: StreamJob("totals").source(FakeSource()).sink(FakeSink()),
}


@pytest.mark.parametrize(
    ("part", "method", "hint"),
    [
        ("Stream", "build", "the chain has no sink: end it with .sink(…).build()"),
        ("Stream", "execute", "the chain has no sink: end it with .sink(…).build()"),
        ("Stream", "reduce", "reduce needs a key: call .key_by(…) before it"),
        ("Stream", "window", "window needs a key: call .key_by(…) before it"),
        ("Stream", "allowed_lateness", "allowed_lateness needs windows: call .key_by(…).window(…) before it"),
        ("Stream", "source", "a chain has one source: for several, write job = StreamJob(…)"),
        ("SinkHandle", "sink", ".sink(…) ends the chain: call sink before it; for a second branch"),
        ("SinkHandle", "map", ".sink(…) ends the chain: call map before it"),
        ("SinkHandle", "execute", "call .build() first: it returns the job"),
        (
            "KeyedStream",
            "map",
            "fold the records of each key first, with .reduce(…), .aggregate(…) or .window(…)",
        ),
        ("KeyedStream", "sink", "fold the records of each key first"),
        ("KeyedStream", "allowed_lateness", "allowed_lateness needs windows: call .window(…) before it"),
        (
            "WindowedStream",
            "map",
            "fold each window first, with .reduce(…) or .aggregate(…); map comes after",
        ),
        ("WindowedStream", "build", "fold each window first"),
        ("JobBuilder", "map", "begin with .source(…)"),
        ("JobBuilder", "build", "begin with .source(…) and end with .sink(…).build()"),
        ("StreamJob", "map", "call it on a stream: job.source(…).map(…)"),
        ("StreamJob", "build", "a StreamJob needs no build(): call execute() or explain()"),
    ],
)
def test_the_hint_says_what_is_missing(part: str, method: str, hint: str) -> None:
    with pytest.raises(NoSuchMethod) as raised:
        getattr(PARTS[part](), method)
    assert raised.value.message == f"{part} has no method {method}"
    assert raised.value.hint is not None
    assert raised.value.hint.startswith(hint)


def methods(part: str) -> set[str]:
    return {name for name in dir(type(PARTS[part]())) if name[0] != "_"}


@pytest.mark.parametrize("part", PARTS)
def test_every_method_of_another_part_is_explained(part: str) -> None:
    """Also one that is added later, to whichever class."""
    for name in set().union(*map(methods, PARTS)) - methods(part) - {"job", "output"}:
        with pytest.raises(NoSuchMethod, match=name):
            getattr(PARTS[part](), name)


@pytest.mark.parametrize("part", PARTS)
def test_any_other_name_is_a_plain_attribute_error(part: str) -> None:
    """With Python's own suggestion, as of any object."""
    with pytest.raises(AttributeError, match=f"'{part}' object has no attribute 'mpa'") as raised:
        _ = PARTS[part]().mpa
    assert not isinstance(raised.value, GraphError)
    assert raised.value.name == "mpa"


def test_it_is_an_attribute_error_too() -> None:
    """`hasattr` answers, and so does what looks for the protocols of an object."""
    stream = PARTS["Stream"]()
    assert not hasattr(stream, "build")
    assert getattr(stream, "reduce", None) is None
    assert copy.copy(stream).output == stream.output
