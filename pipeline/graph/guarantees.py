"""What a job promises about its output, told from what its sources and sinks promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.graph.stream_graph import StreamGraph
from pipeline.spi.sink import SinkInfo
from pipeline.spi.source import SourceInfo

_WEAKEST_FIRST: Final = ("none", "at-least-once", "exactly-once")


def source_guarantee(info: SourceInfo) -> str:
    """Say what happens to a source's position when the job starts again."""
    if not info.resumable:
        if info.guarantee is not None:
            return info.guarantee  # the source's own words for it, with the reason
        said = "starts over: the job is one epoch, its output is committed once, at the end"
    elif not info.durable:
        said = "resumes within a run only: what it reads does not outlive the process"
    else:
        said = "resumes at the next unread record"
    return said if info.guarantee is None else f"{said}; {info.guarantee}"


def sink_guarantee(info: SinkInfo) -> str:
    """Say how often a record can be seen at a sink's target."""
    return "no guarantee" if info.guarantee == "none" else info.guarantee


def end_to_end(graph: StreamGraph, *, checkpoints: bool, losses: Sequence[str] = ()) -> str:
    """Say in one line what holds from the sources to the sinks.

    Args:
        graph: the job.
        checkpoints: whether it takes any.
        losses: what its buffers may lose, whether or not anything fails.
    """
    if not checkpoints:
        return "; ".join(["no checkpoints: a run that fails starts over from the beginning", *losses])
    return "; ".join([_of_sinks(graph), *losses, _of_restarts(graph), *_caveats(graph)])


def _of_sinks(graph: StreamGraph) -> str:
    promises = {node.uid: node.sink.info for node in graph.nodes if node.sink is not None}
    weakest = min(promises.values(), key=lambda info: _rank(info.guarantee))
    cause = [uid for uid, info in promises.items() if info.guarantee == weakest.guarantee]
    why = "" if len(cause) == len(promises) else f" (because of {', '.join(cause)})"
    return sink_guarantee(weakest) + why


def _of_restarts(graph: StreamGraph) -> str:
    once = [node.uid for node in graph.nodes if node.source is not None and not node.source.info.resumable]
    if once:
        return f"{', '.join(once)} cannot resume, so the job is one epoch, committed once, at the end"
    return "a restart continues from the last checkpoint"


def _caveats(graph: StreamGraph) -> list[str]:
    """Return what sources say of themselves, unless it is that they cannot resume: that has been said."""
    infos = [(node.uid, node.source.info) for node in graph.nodes if node.source is not None]
    return [
        f"{uid}: {info.guarantee}" for uid, info in infos if info.guarantee is not None and info.resumable
    ]


def _rank(guarantee: str) -> int:
    return _WEAKEST_FIRST.index(guarantee) if guarantee in _WEAKEST_FIRST else 0
