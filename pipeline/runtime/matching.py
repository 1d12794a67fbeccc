"""Whether a job can continue from a checkpoint: what the manifest speaks of is there, and as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from checkpoint.manifest import Manifest
from pipeline.core.errors import CheckpointError, Fault
from pipeline.operators.base import BUFFER_KIND
from pipeline.runtime.manifests import Execution

_START_OVER: Final = (
    "put it back as it was, or start over with --fresh: all input is read again, "
    "and what the unfinished run had not committed is dropped"
)


def check_matches(manifest: Manifest, execution: Execution, *, noted: bool, allow_unmatched: bool) -> None:
    """Refuse a manifest that speaks of what the job no longer has, or has in another form.

    A position and what was made of the records before it belong together: neither is dropped
    while the other is kept, whatever the user allows.

    Args:
        manifest: the checkpoint to continue from.
        execution: the job as it is now.
        noted: whether everything that the manifest decided is committed.
        allow_unmatched: drop stored state whose operator is gone, where that mixes nothing.

    Raises:
        CheckpointError: a uid is gone, is of another kind, or its key groups cannot be mapped.
    """
    present = execution.describe_graph()
    for uid, stored in manifest.graph.items():
        if uid in present:
            _check_same(manifest, uid, stored, present[uid])
        else:
            undecided = not noted and any(manifest.committables.get(uid, ()))
            _check_droppable(manifest, execution, uid, undecided=undecided, allowed=allow_unmatched)


# --- what is gone -------------------------------------------------------------------------------------


def _check_droppable(
    manifest: Manifest, execution: Execution, uid: str, *, undecided: bool, allowed: bool
) -> None:
    if undecided:
        hint = "its last epoch is not committed yet: run the job once as it was"
        raise _gone(manifest, f"state of {uid!r}", hint)
    if uid in manifest.source_state:
        _check_source_droppable(manifest, execution, uid, allowed=allowed)
    elif uid in manifest.sink_state:
        _check_sink_droppable(manifest, execution, uid, allowed=allowed)
    elif not allowed:
        hint = "give the operator its old uid, or drop its state with --allow-unmatched-state"
        raise _gone(manifest, f"state of {uid!r}", hint)


def _check_source_droppable(manifest: Manifest, execution: Execution, uid: str, *, allowed: bool) -> None:
    present = execution.describe_graph()
    kept = [other for other in _fed_by(manifest, uid) if other in present]
    if kept:
        what = f"the position of source {uid!r}"
        mixed = f"{', '.join(kept)} would keep what was made of its records, and add those of other input"
        raise _gone(manifest, what, _START_OVER, f": {mixed}")
    if not allowed:
        hint = f"{_START_OVER}; nothing else needs its position: --allow-unmatched-state drops it"
        raise _gone(manifest, f"the position of source {uid!r}", hint)


def _check_sink_droppable(manifest: Manifest, execution: Execution, uid: str, *, allowed: bool) -> None:
    what = f"what sink {uid!r} has written"
    instead = _sinks_in_its_place(manifest, execution, uid)
    if instead:
        lacking = f"{', '.join(instead)} would get only the records that are left"
        raise _gone(manifest, what, _START_OVER, f": {lacking}")
    if not allowed:
        hint = f"{_START_OVER}; or end that output where it is with --allow-unmatched-state"
        raise _gone(manifest, what, hint)


def _fed_by(manifest: Manifest, source: str) -> Sequence[str]:
    """List what has stored something of the records of a source."""
    return [
        uid
        for uid, stored in manifest.graph.items()
        if uid != source and source in _sources_of(manifest, stored)
    ]


def _sinks_in_its_place(manifest: Manifest, execution: Execution, sink: str) -> Sequence[str]:
    """List the sinks that are new and continue a source of the sink that is gone."""
    sources = set(_sources_of(manifest, manifest.graph[sink]))
    graph = execution.graph
    return [
        node.uid
        for node in graph.sinks
        if node.uid not in manifest.graph
        and sources.intersection(source.uid for source in graph.upstream_sources(node.id))
    ]


def _sources_of(manifest: Manifest, stored: Mapping[str, Any]) -> Sequence[str]:
    return stored.get("sources") or list(manifest.source_state)


def _gone(manifest: Manifest, what: str, hint: str, why: str = "") -> CheckpointError:
    return _changed(
        f"checkpoint {manifest.checkpoint_id} holds {what}, which the job does not have{why}", hint
    )


# --- what is there ------------------------------------------------------------------------------------


def _check_same(manifest: Manifest, uid: str, stored: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    if here["kind"] != stored["kind"]:
        raise _changed(
            f"checkpoint {manifest.checkpoint_id} holds state of {uid!r} as {stored['kind']}, "
            f"the job has it as {here['kind']}",
            "give the new operator a uid of its own",
        )
    was, now = (described.get("windows") for described in (stored, here))
    if (
        was is not None and now is not None and was != now
    ):  # what an older release stored says nothing of them
        raise _changed(
            f"checkpoint {manifest.checkpoint_id} holds the state of {uid!r} {_windows(was)}, "
            f"the job has it {_windows(now)}",
            "put the windows back as they were; to begin with empty ones give the operator another uid, and "
            "drop what it has in those that are open with --allow-unmatched-state",
        )
    keyed = any(part.uid == uid for part in manifest.parts)
    if keyed and here["max_parallelism"] != stored["max_parallelism"]:
        raise _changed(
            f"the state of {uid!r} is kept in {stored['max_parallelism']} key groups, "
            f"max_parallelism is {here['max_parallelism']}",
            f"set max_parallelism={stored['max_parallelism']}",
        )
    if here["kind"] == BUFFER_KIND and _layout(here) != _layout(stored):
        raise _changed(
            f"the buffer {uid!r} was kept in {stored['parallelism']} queues, the job has "
            f"{here['parallelism']}: records would get to the wrong ones",
            "keep the parallelism upstream and downstream of it, and max_parallelism",
        )
    if uid in manifest.sink_state and stored["parallelism"] != here["parallelism"]:
        raise _changed(
            f"sink {uid!r} was written by {stored['parallelism']} subtasks, "
            f"the job has {here['parallelism']}",
            f"keep its parallelism at {stored['parallelism']}",
        )


def _windows(described: str) -> str:
    return f"in windows ({described})" if described else "without windows"


def _layout(described: Mapping[str, Any]) -> tuple[int, int]:
    return described["parallelism"], described["max_parallelism"]


def _changed(message: str, hint: str) -> CheckpointError:
    """Build the error for what the user has changed since the checkpoint: no environment does that."""
    error = CheckpointError(message, retryable=False, hint=hint)
    error.fault = Fault.USER
    return error
