"""Put an attempt back to the instant of a checkpoint, and commit again what that checkpoint decided."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import Any

from checkpoint.manifest import Manifest, Part
from checkpoint.storage.base import PartReader, StorageAttempt
from pipeline.core.faults import faultpoint
from pipeline.runtime.commits import SinkCommits
from pipeline.runtime.wiring import Wired
from state.encoding import from_json


class Recovery:
    """Restores sources, operators and buffers, commits, then restores sinks: each step can be repeated.

    Args:
        manifest: a verified one.
        storage: reads its parts.
        wired: the opened subtasks.
        commits: commits an epoch at the sinks.
    """

    def __init__(
        self, manifest: Manifest, storage: StorageAttempt, wired: Wired, commits: SinkCommits
    ) -> None:
        self._manifest = manifest
        self._storage = storage
        self._wired = wired
        self._commits = commits

    def run(self) -> None:
        """Restore everything; what was decided is committed before sinks are restored."""
        self.restore_sources()
        self.restore_operators()
        self.restore_buffers()
        self.commit_decided()
        self.restore_sinks()

    def restore_sources(self) -> None:
        """Restore positions and event time."""
        manifest = self._manifest
        for source in self._wired.sources:
            if source.uid in manifest.source_state:
                source.opened.restore(from_json(manifest.source_state[source.uid]))
                for time in manifest.operator_state.get(source.uid, ()):
                    source.restore_time(from_json(time))
                faultpoint("P16a")

    def restore_operators(self) -> None:
        """Restore keyed state, of whichever subtasks have it, and operator state."""
        manifest = self._manifest
        for operator in self._wired.operators:
            states: Sequence[Any] = manifest.operator_state.get(operator.uid, ())
            with ExitStack() as opened:
                keyed = [self._open(part, opened) for part in manifest.parts if part.uid == operator.uid]
                operator.restore(keyed, [from_json(state) for state in states])
            faultpoint("P16a")

    def restore_buffers(self) -> None:
        """Restore what the buffers held, and how much they had dropped."""
        for buffer in self._wired.buffers:
            states: Sequence[Any] = self._manifest.operator_state.get(buffer.uid, ())
            if buffer.lane >= len(states):
                continue
            parts = [
                part
                for part in self._manifest.parts
                if part.uid == buffer.uid and part.subtask == buffer.lane
            ]
            with ExitStack() as opened:
                held = self._open(parts[0], opened) if parts else None
                buffer.restore(held, from_json(states[buffer.lane])["dropped"])
            faultpoint("P16a")

    def commit_decided(self) -> None:
        """Commit again what the manifest decided, unless it is noted that all of it is done."""
        manifest = self._manifest
        if self._storage.history.is_noted(manifest.checkpoint_id):
            return
        faultpoint("P16b")
        for sink in self._wired.sinks:
            sink.recover(
                manifest.checkpoint_id,
                handles_of(manifest, sink.uid, sink.subtask),
                logs_of(manifest, sink.uid, sink.subtask),
            )
        self._commits.commit(manifest.checkpoint_id)
        self._storage.note(manifest.checkpoint_id)

    def restore_sinks(self) -> None:
        """Restore what the sinks had written."""
        for sink in self._wired.sinks:
            states: Sequence[Any] = self._manifest.sink_state.get(sink.uid, ())
            if sink.subtask < len(states) and states[sink.subtask] is not None:
                sink.restore(from_json(states[sink.subtask]))
            faultpoint("P16a")

    def _open(self, part: Part, opened: ExitStack) -> PartReader:
        return opened.enter_context(closing(self._storage.read_part(part)))


def handles_of(manifest: Manifest, uid: str, subtask: int) -> list[Any]:
    """Decode the transaction handles that a manifest lists for one subtask of a sink."""
    listed = manifest.committables.get(uid, ())
    return [from_json(handle) for handle in listed[subtask]] if subtask < len(listed) else []


def logs_of(manifest: Manifest, uid: str, subtask: int) -> list[Part]:
    """List the epoch logs of one subtask of a sink."""
    return [part for part in manifest.logs if (part.uid, part.subtask) == (uid, subtask)]
