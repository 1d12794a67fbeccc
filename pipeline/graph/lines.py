"""Which chains run as one although a key_by is between them: where it has nothing to exchange.

With one subtask on either side, every key goes to the same place. A queue and a second
thread would then only cost: under the interpreter's lock the two run alternately, and each change is a
switch of threads.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.graph.job_graph import JobGraph, JobVertex
from pipeline.operators.base import Chaining


def lines(job_graph: JobGraph) -> Mapping[int, int]:
    """Return for each vertex the one whose chain it runs in: itself, or the first of its line."""
    first: dict[int, int] = {}
    for vertex in job_graph.vertices:
        first[vertex.id] = vertex.id
        key_by = None if vertex.is_exchange else _key_by_before(job_graph, vertex)
        if key_by is not None:
            head = first[job_graph.inputs(key_by.id)[0].source]
            if _is_a_line(job_graph, key_by, vertex) and not _clock_meets_source(job_graph, head, vertex):
                first[key_by.id] = first[vertex.id] = head
    return first


def _key_by_before(job_graph: JobGraph, vertex: JobVertex) -> JobVertex | None:
    """Return the key_by that is all the input of a vertex."""
    inputs = job_graph.inputs(vertex.id)
    before = job_graph.vertex(inputs[0].source) if len(inputs) == 1 else None
    return before if before is not None and before.is_exchange else None


def _is_a_line(job_graph: JobGraph, key_by: JobVertex, behind: JobVertex) -> bool:
    """Whether all output of one subtask goes to one other, and no queue or thread in between is requested."""
    (into,), out = job_graph.inputs(key_by.id), job_graph.outputs(key_by.id)
    before = job_graph.vertex(into.source)
    beside = [edge for edge in job_graph.outputs(before.id) if edge.stream_edge.side_tag is None]
    return (
        len(out) == len(beside) == before.parallelism == behind.parallelism == 1
        and not before.is_exchange
        and into.stream_edge.side_tag is None
        and into.buffer is None
        and out[0].buffer is None
        and before.nodes[-1].chaining is not Chaining.NEVER
        and behind.nodes[0].chaining is Chaining.ALWAYS
    )


def _clock_meets_source(job_graph: JobGraph, head: int, behind: JobVertex) -> bool:
    """Whether a source would share its thread with an operator that time reaches while the source reads."""
    needs_clock = any(job_graph.stream.needs_clock(node.id) for node in behind.nodes)
    return needs_clock and job_graph.vertex(head).nodes[0].source is not None
