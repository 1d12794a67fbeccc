"""explain as one JSON object, for other programs."""

from __future__ import annotations

import json
from typing import Any

from pipeline.core.functions import FunctionRef
from pipeline.graph.buffers import Buffer
from pipeline.graph.explain import Explanation, NodeFacts


def explain_json(facts: Explanation) -> str:
    """Lay out the facts as JSON; ids of vertices and nodes refer to each other."""
    return json.dumps(
        {
            "job": facts.graph.stream.job,
            "mode": facts.graph.stream.mode,
            "guarantee": facts.guarantee,
            "stream_graph": _stream_graph(facts),
            "job_graph": _job_graph(facts),
            "config": {
                setting.name: {"value": setting.value, "from": setting.provenance}
                for setting in facts.settings
            },
        },
        indent=2,
        ensure_ascii=False,
    )


def _stream_graph(facts: Explanation) -> dict[str, Any]:
    return {
        "nodes": [_node(node) for node in facts.nodes],
        "edges": [
            {
                "source": edge.source,
                "target": edge.target,
                "partitioning": edge.partitioning,
                "side_output": None if edge.side_tag is None else edge.side_tag.name,
                "fused": facts.transfer(edge) is None,
            }
            for edge in facts.graph.stream.edges
        ],
    }


def _node(facts: NodeFacts) -> dict[str, Any]:
    node = facts.node
    return {
        "id": node.id,
        "uid": node.uid,
        "kind": node.kind,
        "name": node.name,
        "function": None if facts.function is None else _function(facts.function),
        "functions": [_function(function) for function in node.functions],
        "written_at": node.written_at,
        "on_error": facts.on_error,
        "parallelism": node.parallelism,
        "keeps_state": node.keeps_state,
        "details": list(facts.details),
    }


def _function(function: FunctionRef) -> dict[str, Any]:
    return {"name": function.name, "file": function.file, "line": function.line}


def _buffer(buffer: Buffer) -> dict[str, Any]:
    return {
        "uid": buffer.uid,
        "strategy": buffer.strategy,
        "size": buffer.size,
        "says": buffer.describe(),
    }


def _job_graph(facts: Explanation) -> dict[str, Any]:
    return {
        "vertices": [
            {
                "id": vertex.id,
                "name": vertex.name,
                "parallelism": vertex.parallelism,
                "nodes": [node.id for node in vertex.nodes],
            }
            for vertex in facts.graph.vertices
        ],
        "edges": [
            {
                "source": edge.source,
                "target": edge.target,
                "partitioning": edge.partitioning,
                "side_output": None if edge.stream_edge.side_tag is None else edge.stream_edge.side_tag.name,
                "reason": edge.reason,
                "backpressure": None if edge.buffer is None else _buffer(edge.buffer),
            }
            for edge in facts.graph.edges
        ],
    }
