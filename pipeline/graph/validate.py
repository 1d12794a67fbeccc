"""What a StreamGraph must satisfy before anything is planned or started."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product

from pipeline.core.errors import GraphError
from pipeline.core.policy import SideTag
from pipeline.graph.stream_graph import StreamGraph, StreamNode


def validate(graph: StreamGraph, *, checkpointed: bool) -> None:
    """Refuse a graph that cannot run or would lose records.

    Args:
        graph: what the user wrote.
        checkpointed: whether the job takes checkpoints, so that state must be found again by its uid.

    Raises:
        GraphError: names the operator with file and line, and says what to do.
    """
    _has_a_source(graph)
    _every_stream_ends_in_a_sink(graph)
    _given_uids_are_unique(graph)
    _sinks_do_not_overwrite_each_other(graph)
    _no_source_reads_an_output(graph)
    _sources_that_meet_read_different_input(graph)
    _side_outputs_have_a_writer(graph)
    _side_outputs_have_a_reader(graph)
    _windows_run_as_one_operator(graph)
    _operators_go_by_one_time(graph)
    _parallelism_is_possible(graph)
    if checkpointed:
        _state_can_be_found_again(graph)


def _has_a_source(graph: StreamGraph) -> None:
    if not graph.sources:
        raise GraphError("the job has no source", hint="begin with .source(…)").located(job=graph.job)


def _every_stream_ends_in_a_sink(graph: StreamGraph) -> None:
    for node in graph.nodes:
        if node.sink is None and not graph.outputs(node.id):
            raise _error(graph, node, f"the output of {node} has no sink", "end it with .sink(…)")


def _given_uids_are_unique(graph: StreamGraph) -> None:
    uids = Counter(node.uid for node in graph.nodes)
    for node in reversed(graph.nodes):
        if uids[node.uid] > 1:
            first = next(other for other in graph.nodes if other.uid == node.uid)
            message = f"two operators have the uid {node.uid!r}: {first} and {node}"
            raise _error(graph, node, message, "give each its own uid")


def _sinks_do_not_overwrite_each_other(graph: StreamGraph) -> None:
    owned = [(node, _target(node)) for node in graph.sinks]
    for (first, taken), (node, target) in combinations(owned, 2):
        if node.sink is first.sink:
            message = f"one sink object ends two streams: {first} and {node}"
            raise _error(graph, node, message, "give each its own sink, or union() the streams")
        if target is not None and target == taken:
            message = f"two sinks would overwrite each other's {target[1]}: {first} and {node}"
            raise _error(graph, node, message, "give each its own target, or union() the streams")


def _no_source_reads_an_output(graph: StreamGraph) -> None:
    for node, sink in product(graph.sources, graph.sinks):
        assert node.source is not None
        shared = node.source.overlap(sink.sink)
        if shared is not None:
            message = f"the job would read its own output: {node} reads {shared}, which {sink} writes"
            hint = "write to another folder, or to a name that the source does not read"
            raise _error(graph, node, message, hint)


def _sources_that_meet_read_different_input(graph: StreamGraph) -> None:
    for first, node in combinations(graph.sources, 2):
        assert first.source is not None
        ends = [{sink.id for sink in graph.downstream_sinks(source.id)} for source in (first, node)]
        shared = first.source.overlap(node.source) if ends[0] & ends[1] else None
        if shared is not None:
            message = f"two sources would read {shared} into one output: {first} and {node}"
            raise _error(
                graph, node, message, "read it once: one stream can be the input of several operators"
            )


def _target(node: StreamNode) -> tuple[str, str] | None:
    """Return what is to be a sink's alone, and of which kind; None if it shares its target with any other."""
    info = None if node.sink is None else node.sink.info
    return None if info is None or info.owns is None else (info.kind, info.owns)


def _side_outputs_have_a_writer(graph: StreamGraph) -> None:
    for edge in graph.edges:
        writer = graph.nodes[edge.source]
        if edge.side_tag is not None and edge.side_tag not in writer.side_tags:
            message = f"{writer} sends nothing to the side output {edge.side_tag.name!r}"
            hint = (
                "read it directly downstream of the operator with on_error=ErrorPolicy.dead_letter(tag), "
                "or of the fold of the windows with side_output_late_data(tag)"
            )
            raise _error(graph, writer, message, hint)


def _side_outputs_have_a_reader(graph: StreamGraph) -> None:
    read = {(edge.source, edge.side_tag) for edge in graph.edges}
    for node in graph.nodes:
        for tag in node.side_tags:
            if (node.id, tag) in read:
                continue
            what, otherwise = _unread(node, tag)
            message = f"nobody reads the {what} of {node}: they would be lost"
            raise _error(
                graph, node, message, f"add stream.side_output(tag).sink(…) downstream of it, or {otherwise}"
            )


def _unread(node: StreamNode, tag: SideTag) -> tuple[str, str]:
    """Return what a side output carries, and what to write instead of reading it."""
    if node.spec is not None and tag != node.dead_letters:
        side = next(side for side in node.spec.side_outputs if side.tag == tag)
        return side.holds, side.otherwise
    return "dead letters", "use ErrorPolicy.skip() to count and drop"


def _windows_run_as_one_operator(graph: StreamGraph) -> None:
    for edge in graph.edges:
        window, fold = graph.nodes[edge.source], graph.nodes[edge.target]
        described_apart = window.spec is not None and window.spec.runs_in_next
        if described_apart and window.parallelism != fold.parallelism:
            message = f"{fold} has another parallelism than {window}, whose windows it folds"
            raise _error(graph, fold, message, "give both the same with_parallelism, or neither")


def _operators_go_by_one_time(graph: StreamGraph) -> None:
    """Refuse what would silently go by the clock since one of several sources has no event time."""
    for node in graph.nodes:
        if not node.reads_time:
            continue
        origins = graph.time_origins(node.id)
        timed = [origin.uid for origin in origins if origin.tells_time]
        untimed = [origin.uid for origin in origins if not origin.tells_time]
        if timed and untimed:
            message = (
                f"{node} needs one time for all of its records, but {', '.join(timed)} has watermarks "
                f"and {', '.join(untimed)} has none"
            )
            hint = f"give watermarks= to {', '.join(untimed)}, or to no source to go by the clock"
            raise _error(graph, node, message, hint)


def _parallelism_is_possible(graph: StreamGraph) -> None:
    for node in graph.nodes:
        most = most_subtasks(node)
        if node.parallelism is not None and most is not None and node.parallelism > most:
            message = f"{node} supports at most {most} subtask(s), but its parallelism is {node.parallelism}"
            raise _error(graph, node, message, "leave out its with_parallelism")


def most_subtasks(node: StreamNode) -> int | None:
    """Return the most subtasks a node can run as; None for any number."""
    if node.source is not None:
        return 1  # sources are not split among subtasks yet
    return None if node.sink is None else node.sink.info.max_parallelism


def _state_can_be_found_again(graph: StreamGraph) -> None:
    for node in graph.nodes:
        if node.keeps_state and not node.stable:
            nameless = bool(node.functions) and node.functions[0].is_lambda
            why = "a lambda has no name" if nameless else "its default uid is not its alone"
            message = f"{node} keeps state in a checkpointed job, but {why}"
            method = node.kind if node.spec is not None else ("source" if node.source is not None else "sink")
            raise _error(graph, node, message, f'give it one: .{method}(…, uid="…")')


def _error(graph: StreamGraph, node: StreamNode, message: str, hint: str) -> GraphError:
    return GraphError(message, hint=hint).located(job=graph.job, operator=node.uid)
