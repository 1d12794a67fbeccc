"""What a run counts, since the beginning of its execution and by whichever subtask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from checkpoint.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Counts:
    """Records by what became of them; the counts of two stretches of a stream add up.

    Args:
        processed: emitted by sources.
        failed: skipped or dead-lettered, since a function could not handle them.
        late: dropped because they came too late for their windows.
        written: taken by sinks, by the sink's uid.
    """

    processed: int = 0
    failed: int = 0
    late: int = 0
    written: Mapping[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def of(cls, manifest: Manifest | None) -> Counts:
        """Return what had been counted when a checkpoint was taken; nothing without one."""
        if manifest is None:
            return cls()
        return cls(manifest.processed, manifest.failed, manifest.late, manifest.written)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.processed + other.processed,
            self.failed + other.failed,
            self.late + other.late,
            {
                uid: self.written.get(uid, 0) + other.written.get(uid, 0)
                for uid in {**self.written, **other.written}
            },
        )
