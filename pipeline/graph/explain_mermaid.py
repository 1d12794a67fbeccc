"""explain as a Mermaid flowchart: a box for each vertex, a thick arrow for each transfer."""

from __future__ import annotations

from pipeline.graph.explain import Explanation, NodeFacts
from pipeline.graph.explain_text import place
from pipeline.graph.job_graph import JobVertex
from pipeline.graph.stream_graph import StreamEdge


def explain_mermaid(facts: Explanation) -> str:
    """Lay out the graphs as the text of a flowchart."""
    lines = ["flowchart LR"]
    for vertex in facts.graph.vertices:
        lines += _vertex(facts, vertex)
    lines += [f"  {_arrow(facts, edge)}" for edge in facts.graph.stream.edges]
    return "\n".join(lines) + "\n"


def _vertex(facts: Explanation, vertex: JobVertex) -> list[str]:
    nodes = [f"n{node.id}[{_label(*_node_lines(facts.nodes[node.id]))}]" for node in vertex.nodes]
    return [f"  subgraph v{vertex.id}[{_label(vertex.name)}]", *(f"    {node}" for node in nodes), "  end"]


def _node_lines(facts: NodeFacts) -> list[str]:
    function = facts.function
    return [facts.node.uid] if function is None else [facts.node.uid, place(function)]


def _arrow(facts: Explanation, edge: StreamEdge) -> str:
    transfer = facts.transfer(edge)
    if transfer is None:
        return f"n{edge.source} --> n{edge.target}"
    side_output = "" if edge.side_tag is None else f", {edge.side_tag.name}"
    strategy = "" if transfer.buffer is None else f", {transfer.buffer.describe()}"
    says = f"{transfer.partitioning}{side_output}{strategy}"
    return f"n{edge.source} ==>|{_label(says)}| n{edge.target}"


def _label(*lines: str) -> str:
    """Quote text so that nothing in it is read as Mermaid, Markdown or HTML."""
    return '"' + "<br/>".join("".join(_escape(char) for char in line) for line in lines) + '"'


def _escape(char: str) -> str:
    plain = char.isalnum() or char in " .,:/-_+()"
    return char if plain else f"#{ord(char)};"
