"""explain as text for a terminal: plain characters, columns that line up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.core.functions import FunctionRef
from pipeline.graph.explain import Explanation, NodeFacts
from pipeline.graph.job_graph import JobGraph, JobVertex
from pipeline.graph.stream_graph import StreamEdge, StreamGraph


def explain_text(facts: Explanation) -> str:
    """Lay out the facts in sections, the most important first."""
    graph, stream = facts.graph, facts.graph.stream
    sections = [
        [f"{stream.job} · {stream.mode}", f"  end to end: {facts.guarantee}"],
        [
            _counts(
                "stream graph", (len(stream.nodes), "node", "nodes"), (len(stream.edges), "edge", "edges")
            ),
            *_table([_node_row(stream, node) for node in facts.nodes]),
        ],
        [
            _counts(
                "job graph",
                (len(graph.vertices), "vertex", "vertices"),
                (len(graph.edges), "transfer", "transfers"),
            ),
            *[f"  {line}" for line in outline(graph)],
            *_parallel_vertices(graph),
        ],
        _broken_chains(facts),
        ["configuration", *_table([(s.name, s.value, s.provenance) for s in facts.settings])],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def outline(graph: JobGraph) -> list[str]:
    """Draw the vertices: one line if the job is a line, else a line for each transfer.

    Example: `[Source+Map+Filter] → KeyBy → [Window+Reduce+Sink]`.
    """
    straight = all(
        len(graph.inputs(vertex.id)) <= 1 and len(graph.outputs(vertex.id)) <= 1 for vertex in graph.vertices
    )
    if straight and len(graph.edges) == len(graph.vertices) - 1:
        return [" → ".join(_box(vertex) for vertex in graph.vertices)]
    labels = {vertex.id: f"{_box(vertex)} {vertex.nodes[0].uid}" for vertex in graph.vertices}
    joined = {end for edge in graph.edges for end in (edge.source, edge.target)}
    alone = [label for vertex_id, label in labels.items() if vertex_id not in joined]
    return alone + [
        f"{labels[edge.source]} → {labels[edge.target]}{_side_output(edge.stream_edge)}"
        for edge in graph.edges
    ]


def place(function: FunctionRef) -> str:
    """Say where a function is written, from the working directory if it lies below."""
    if function.file is None:
        return "built in"
    return _short(f"{function.file}:{function.line}")


def _short(path: str) -> str:
    absolute, here = Path(path), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else path


def _node_row(stream: StreamGraph, facts: NodeFacts) -> tuple[str, ...]:
    node = facts.node
    details = list(facts.details)
    if facts.on_error is not None:
        details.append(f"on error: {facts.on_error}")
    inputs = stream.inputs(node.id)
    if inputs and [(edge.source, edge.side_tag) for edge in inputs] != [(node.id - 1, None)]:
        uids = (f"{stream.nodes[edge.source].uid}{_side_output(edge)}" for edge in inputs)
        details.append(f"reads {', '.join(uids)}")
    if node.parallelism is not None:
        details.append(f"parallelism {node.parallelism}")
    function = facts.function
    if function is None:
        return node.name, node.uid, "", _short(node.written_at or ""), " · ".join(details)
    return node.name, node.uid, function.name, place(function), " · ".join(details)


def _side_output(edge: StreamEdge) -> str:
    return "" if edge.side_tag is None else f" (side output {edge.side_tag.name!r})"


def _box(vertex: JobVertex) -> str:
    return vertex.name if vertex.is_exchange else f"[{vertex.name}]"


def _parallel_vertices(graph: JobGraph) -> list[str]:
    return [
        f"  {_box(vertex)} {vertex.nodes[0].uid}: parallelism {vertex.parallelism}"
        for vertex in graph.vertices
        if vertex.parallelism > 1 and not vertex.is_exchange
    ]


def _broken_chains(facts: Explanation) -> list[str]:
    nodes = facts.graph.stream.nodes
    rows = [
        (
            f"{nodes[edge.stream_edge.source].uid} → {nodes[edge.stream_edge.target].uid}",
            str(edge.partitioning),
            edge.reason,
        )
        for edge in facts.graph.edges
    ]
    return ["where chains break", *_table(rows)] if rows else []


def _counts(what: str, *counts: tuple[int, str, str]) -> str:
    return f"{what}: " + ", ".join(f"{number} {one if number == 1 else many}" for number, one, many in counts)


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    kept = [index for index, width in enumerate(widths) if width]
    return [("  " + "  ".join(row[index].ljust(widths[index]) for index in kept)).rstrip() for row in rows]
