"""Which numbers the parts of one subtask get, and what becomes of the parts of runs before this one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from connectors.files.errors import lasting_error
from connectors.files.rolling import Existing
from pipeline.core.errors import Fault, SinkError


class Part(NamedTuple):
    """A part file: `name-<subtask>-<number>.csv`.

    Args:
        final: the path that the user named.
        subtask, number: both from 0.
    """

    final: Path
    subtask: int
    number: int

    @property
    def path(self) -> Path:
        """Where it is, beside the path that the user named."""
        final = self.final
        return final.with_name(f"{final.stem}-{self.subtask}-{self.number:06d}{final.suffix}")


def present_parts(final: Path) -> Sequence[Part]:
    """Return the parts that there are, of all subtasks."""
    if not final.parent.is_dir():
        return ()
    name = re.compile(rf"{re.escape(final.stem)}-(\d+)-(\d+){re.escape(final.suffix)}")
    found = (name.fullmatch(path.name) for path in final.parent.iterdir())
    parts = (Part(final, int(match[1]), int(match[2])) for match in found if match)
    return sorted(part for part in parts if part.path.exists())


class PartNumbers:
    """Numbers parts so that no number is given twice, and knows which parts this run will replace.

    Args:
        final: the path that the user named.
        subtask: whose parts these are.
        parallelism: how many subtasks there are; those that are no more are seen to by the others.
        existing: what happens to existing parts when a run starts from the beginning.
        rewrites: whether a run may go back before parts that are visible, and write them again.
    """

    def __init__(
        self, final: Path, subtask: int, parallelism: int, existing: Existing, *, rewrites: bool = False
    ) -> None:
        self._final = final
        self._subtask = subtask
        self._parallelism = parallelism
        self._existing = existing
        self._rewrites = rewrites
        self._first: int | None = None  # of this run; None before it has begun
        self._next = 0
        self._before = 0
        self._given_up: list[Part] = []

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue the run that `state` belongs to.

        Raises:
            SinkError: there are parts of the numbers that come next, which so are of another job.
        """
        self._first, self._next, self._before = state["first_part"], state["next_part"], state["parts_before"]
        mine = (part for part in present_parts(self._final) if part.subtask == self._subtask)
        found = next((part for part in mine if part.number >= self._next), None)
        if found is not None and not self._rewrites:
            raise lasting_error(
                SinkError,
                Fault.CONFIG,
                f"{found.path} is there, and this job has not written it: its next part would overwrite it",
                "move it away, and give each job that writes parts there a name of its own for them",
            )

    def give_up(self, state: Mapping[str, Any]) -> None:
        """Take what a run has made visible that did not complete, and is not continued, for replaced."""
        numbers = range(state["first_part"], state["next_part"])
        final, subtask = Path(state["file_path"]), state["subtask"]
        present = present_parts(final)
        self._given_up += [part for part in present if part.subtask == subtask and part.number in numbers]

    def begin(self) -> Sequence[Path]:
        """Begin a run, unless one is continued; return the parts that its first commit replaces.

        Raises:
            SinkError: there are parts, and they are to be refused.
        """
        if self._first is not None:
            return ()
        present = present_parts(self._final)
        mine = [part for part in present if part.subtask % self._parallelism == self._subtask]
        others = [part for part in mine if part not in self._given_up]
        if others and self._existing == "refuse":
            raise lasting_error(
                SinkError,
                Fault.CONFIG,
                f"{len(others)} parts of {self._final} already exist, the first of them {others[0].path}",
                'move them away, or choose existing="append" or "replace" in RollingPolicy',
            )
        replaced = [*self._given_up, *(others if self._existing == "replace" else ())]
        self._before = len(mine) - len(set(mine) & set(replaced))
        own = (part.number + 1 for part in (*mine, *replaced) if part.subtask == self._subtask)
        self._first = self._next = max(own, default=0)
        return [part.path for part in replaced]

    def take(self) -> Path:
        """Return the path of the next part."""
        part = Part(self._final, self._subtask, self._next)
        self._next += 1
        return part.path

    def state(self) -> dict[str, Any]:
        """Return what `restore` and `give_up` need."""
        return {
            "subtask": self._subtask,
            "first_part": self._first,
            "next_part": self._next,
            "parts_before": self._before,
        }

    @property
    def remark(self) -> str | None:
        """Say what lies beside the parts of this run; None if nothing does."""
        if not self._before:
            return None
        pattern = self._final.with_name(f"{self._final.stem}-*{self._final.suffix}")
        return f"{pattern}: {self._before:,} parts are from before this run"
