"""The most common mistake in a chain: calling a method too early or too late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.core.errors import GraphError


class NoSuchMethod(GraphError, AttributeError):
    """A part of a job has no such method, but another part has one; the hint names what is missing."""


def no_such_method(part: object, name: str) -> AttributeError:
    """Return what to raise for a name that a part of a job does not have."""
    kind, home = type(part).__name__, _home(name)
    if home is None or kind not in _HINTS:
        return AttributeError(f"{kind!r} object has no attribute {name!r}", name=name, obj=part)
    hints = _HINTS[kind]
    hint = hints.get(name) or hints[home]
    return NoSuchMethod(f"{kind} has no method {name}", hint=hint.format(name=name))


def _home(name: str) -> str | None:
    """Return the first class in the order of a chain that has the method; None if none has."""
    from pipeline.api.job import StreamJob  # these classes know this module
    from pipeline.api.keyed_stream import KeyedStream, WindowedStream
    from pipeline.api.stream import SinkHandle, Stream

    if name.startswith("_"):
        return None
    classes = (Stream, KeyedStream, WindowedStream, SinkHandle, StreamJob)
    return next((each.__name__ for each in classes if name in dir(each)), None)


_ONE_SOURCE: Final = (
    "a chain has one source: for several, write job = StreamJob(…) and job.source(…) for each"
)
_ON_A_STREAM: Final = "call it on a stream: job.source(…).{name}(…)"
_NO_SOURCE: Final = "begin with .source(…)"
_NO_SINK: Final = "the chain has no sink: end it with .sink(…).build()"
_UNBUILT: Final = "call .build() first: it returns the job"
_ENDED: Final = (
    ".sink(…) ends the chain: call {name} before it; for a second branch give the stream a name, as in "
    "stream = job.source(…), and call stream.sink(…) for each"
)
_NO_FOLD: Final = (
    "fold the records of each key first, with .reduce(…), .aggregate(…) or .window(…); {name} comes after "
    "that, or before .key_by(…)"
)
_NO_WINDOW_FOLD: Final = "fold each window first, with .reduce(…) or .aggregate(…); {name} comes after that"

_HINTS: Final[Mapping[str, Mapping[str, str]]] = {
    "StreamJob": {
        "build": "a StreamJob needs no build(): call execute() or explain()",
        "Stream": _ON_A_STREAM,
        "KeyedStream": _ON_A_STREAM,
        "WindowedStream": _ON_A_STREAM,
    },
    "JobBuilder": {
        "Stream": _NO_SOURCE,
        "KeyedStream": _NO_SOURCE,
        "WindowedStream": _NO_SOURCE,
        "SinkHandle": "begin with .source(…) and end with .sink(…).build()",
        "StreamJob": "begin with .source(…) and end with .sink(…).build()",
    },
    "Stream": {
        "source": _ONE_SOURCE,
        "KeyedStream": "{name} needs a key: call .key_by(…) before it",
        "WindowedStream": "{name} needs windows: call .key_by(…).window(…) before it",
        "SinkHandle": _NO_SINK,
        "StreamJob": _NO_SINK,
    },
    "KeyedStream": {
        "source": _ONE_SOURCE,
        "Stream": _NO_FOLD,
        "WindowedStream": "{name} needs windows: call .window(…) before it",
        "SinkHandle": _NO_FOLD,
        "StreamJob": _NO_FOLD,
    },
    "WindowedStream": {
        "source": _ONE_SOURCE,
        "Stream": _NO_WINDOW_FOLD,
        "KeyedStream": _NO_WINDOW_FOLD,
        "SinkHandle": _NO_WINDOW_FOLD,
        "StreamJob": _NO_WINDOW_FOLD,
    },
    "SinkHandle": {
        "source": _ONE_SOURCE,
        "Stream": _ENDED,
        "KeyedStream": _ENDED,
        "WindowedStream": _ENDED,
        "StreamJob": _UNBUILT,
    },
}
"""For each part, by the name of a method or of the class that has it."""
