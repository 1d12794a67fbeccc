"""The counters of a job: whole numbers by name, which add up over subtasks and attempts.

A counter needs a name and a call of `count`: it is summed over the subtasks, stored with each
checkpoint and continued after a restart without another line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

PROCESSED: Final = "processed"
"""Records emitted by sources."""

FAILED: Final = "failed"
"""Records skipped or dead-lettered, since a function could not handle them."""

LATE: Final = "late"
"""Records dropped because they came too late for their windows."""

WRITTEN: Final = "written"
"""Records taken by sinks; one counter for each of them, see `Counts.each`."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What has been counted in a stretch of a job; the counts of two stretches add up.

    Args:
        by_name: a counter that one operator has for itself is `name:uid`.

    Example:
        >>> (Counts({"late": 1}) + Counts({"late": 2, "written:out": 5}))["late"]
        3
    """

    by_name: Mapping[str, int] = field(default_factory=dict[str, int])

    def __getitem__(self, name: str) -> int:
        """Return a counter; 0 for one that nothing has counted in."""
        return self.by_name.get(name, 0)

    def each(self, name: str) -> dict[str, int]:
        """Return the counters of this name that operators have for themselves, by uid."""
        prefix = f"{name}:"
        return {key.removeprefix(prefix): n for key, n in self.by_name.items() if key.startswith(prefix)}

    def __add__(self, other: Counts) -> Counts:
        return Counts({name: self[name] + other[name] for name in {**self.by_name, **other.by_name}})
