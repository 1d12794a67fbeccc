"""What a source is to read: all that the user says of it, checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from connectors.kafka.bounds import Start, Stop
from connectors.kafka.formats import Format
from connectors.kafka.topics import Selection

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
        look_every_ms: the time between two looks at the topics.
    """

    selection: Selection
    start: Start
    stop: Stop | None
    value: Format[Any]
    key: Format[Any] | None
    isolation: Isolation
    look_every_ms: int

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
            "discovery_interval": timedelta(milliseconds=self.look_every_ms),
        }
