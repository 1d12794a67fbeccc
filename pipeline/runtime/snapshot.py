"""What one subtask contributes to a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from checkpoint.manifest import Part
from pipeline.core.counts import Counts
from state.backend import StateSnapshot, Writable


class Participant(NamedTuple):
    """One subtask of one vertex, as the coordinator knows it."""

    vertex: str
    subtask: int

    def __str__(self) -> str:
        return f"{self.vertex}/{self.subtask}"


@dataclass(frozen=True, slots=True)
class SinkSnapshot:
    """A sink at a barrier.

    Args:
        state: what the sink needs to continue after the barrier.
        handles: its undecided transactions, oldest first; the checkpoint decides them.
        logs: from which they can be written again.
    """

    uid: str
    subtask: int
    state: Any
    handles: list[Any]
    logs: list[Part] = field(default_factory=list[Part])


@dataclass(frozen=True, slots=True)
class OperatorSnapshot:
    """An operator at a barrier.

    Args:
        keyed: its keyed state, to be written while records flow; None if it has none.
        state: what its `snapshot_state` returned.
    """

    uid: str
    subtask: int
    keyed: StateSnapshot | None
    state: Any


@dataclass(frozen=True, slots=True)
class EncodedState:
    """State that is encoded already; see `StateSnapshot`."""

    data: bytes

    def write(self, part: Writable) -> None:
        part.write(self.data)

    def release(self) -> None:
        """It goes with its last reference."""


@dataclass(slots=True)
class SubtaskSnapshot:
    """Everything of one subtask at one barrier.

    Args:
        sources: positions by uid.
        counts: of this attempt.
        input_ended: whether its source had read its last record, and had passed that on.
        parts: what its operators' keyed state is stored in, once it is.
    """

    participant: Participant
    sources: dict[str, Any] = field(default_factory=dict[str, Any])
    operators: list[OperatorSnapshot] = field(default_factory=list[OperatorSnapshot])
    sinks: list[SinkSnapshot] = field(default_factory=list[SinkSnapshot])
    counts: Counts = field(default_factory=Counts)
    input_ended: bool = False
    parts: list[Part] = field(default_factory=list[Part])
