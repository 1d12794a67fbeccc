"""What a source is to read: all that the user says of it, checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from connectors.kafka.bounds import Start, Stop
from connectors.kafka.formats import Format
from connectors.kafka.topics import Selection
from pipeline.core.policy import ErrorPolicy

Isolation = Literal["read_committed", "read_uncommitted"]


@dataclass(frozen=True)
class ReadingPlan:
    """What to read and what to make of it.

    Args:
        selection: the topics.
        start, stop: where reading begins, without a checkpoint, and where it ends.
        value: the format of the values.
        key: that of the keys; None where the values alone are the records.
        isolation: whether the records of open and aborted transactions are seen.
        on_error: what happens to a record that cannot be decoded.
        group: under which offsets are shown; None for the name of the job.
        look_every_ms: the time between two looks at the topics.
    """

    selection: Selection
    start: Start
    stop: Stop | None
    value: Format[Any]
    key: Format[Any] | None
    isolation: Isolation
    on_error: ErrorPolicy
    group: str | None
    look_every_ms: int

    @property
    def committed(self) -> bool:
        """Whether only what a reader of committed records can see is read."""
        return self.isolation == "read_committed"

    def to_config(self) -> dict[str, Any]:
        """Return what the user said, by the names of the source's arguments."""
        return {
            **self.selection.to_config(),
            "start": self.start,
            "stop": self.stop,
            "value": self.value,
            "key": self.key,
            "metadata": self.key is not None,
            "isolation": self.isolation,
            "on_error": self.on_error,
            "group.id": self.group,
            "discovery_interval": timedelta(milliseconds=self.look_every_ms),
        }
