"""When a sink of part files closes one part and starts the next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from pipeline.core.errors import ConfigError

Existing: TypeAlias = Literal["append", "replace", "refuse"]


@dataclass(frozen=True, slots=True)
class RollingPolicy:
    """When a part file ends: with its epoch at the latest, so that it becomes visible as a whole.

    Args:
        max_rows: the most rows a part holds; None for no limit.
        max_bytes: a part that has this many bytes or more after a batch takes no further one; None
            for no limit.
        existing: what becomes of parts of that name that are there when a run starts from the
            beginning: `append` leaves them and numbers on, `replace` removes them with the first
            commit of the new ones, `refuse` is an error before anything is read. What a run left
            that did not complete, and is started over with --fresh, is always replaced.

    Raises:
        ConfigError: a limit is below 1, or there is no such choice.

    Example:
        >>> RollingPolicy(max_rows=100_000).max_bytes is None
        True
    """

    max_rows: int | None = None
    max_bytes: int | None = None
    existing: Existing = "append"

    def to_config(self) -> dict[str, Any]:
        """Return what the user said, by the names of the arguments."""
        return asdict(self)

    def __post_init__(self) -> None:
        for name, limit in (("max_rows", self.max_rows), ("max_bytes", self.max_bytes)):
            if limit is not None and limit < 1:
                raise ConfigError(f"RollingPolicy: {name} must be at least 1, not {limit}")
        if self.existing not in get_args(Existing):
            known = ", ".join(get_args(Existing))
            raise ConfigError(f"RollingPolicy: existing must be one of {known}, not {self.existing!r}")
