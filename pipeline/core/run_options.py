"""How one run of a job starts, apart from its settings: the options of `pipeline run` and `execute`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run does about earlier runs of its job.

    Args:
        fresh: start over instead of continuing from the last checkpoint.
        take_over: run although another run holds the job; the other one is fenced.
        restore_from: id of the checkpoint to continue from; None for the newest.
        accept_duplicates: restore a checkpoint older than committed output, which is written again.
        allow_unmatched: drop stored state whose operator the job no longer has.
        assume_committed: whether the last epoch counts as committed if that cannot be determined;
            None refuses to run then.

    Raises:
        ConfigError: two of them are mutually exclusive.

    Example:
        >>> RunOptions(fresh=True).restore_from is None
        True
    """

    fresh: bool = False
    take_over: bool = False
    restore_from: int | None = None
    accept_duplicates: bool = False
    allow_unmatched: bool = False
    assume_committed: bool | None = None

    def __post_init__(self) -> None:
        if self.fresh and self.restore_from is not None:
            raise ConfigError("fresh and restore_from are mutually exclusive", hint="leave one of them out")
