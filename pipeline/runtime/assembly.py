"""Which implementations a run works with: the one place where they are chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from checkpoint.storage.base import CheckpointStorage
from checkpoint.storage.local import LocalCheckpointStorage
from pipeline.core.clock import Clock, SystemClock
from pipeline.core.config import ResolvedConfig
from pipeline.core.errors import InternalError
from pipeline.runtime.event_log import EventLog
from pipeline.runtime.listeners import Listener, Listeners
from state.backend import StateBackendFactory
from state.memory import MemoryStateBackendFactory


@dataclass(frozen=True, slots=True)
class Ports:
    """What a run needs of the world around it.

    Args:
        storage: where the job's checkpoints go; None for a job that takes none.
        state: makes the keyed state of operators.
        clock: tells wall time and monotonic time.
        listeners: are told each event of the run.
    """

    storage: CheckpointStorage | None
    state: StateBackendFactory
    clock: Clock
    listeners: Listeners


def assemble(
    job: str, config: ResolvedConfig, *, listeners: Iterable[Listener] = (), clock: Clock | None = None
) -> Ports:
    """Choose the ports of a run by its settings.

    Args:
        job: the job's name.
        config: its settings.
        listeners: are told each event of the run, on the job's thread.
        clock: default the system's.
    """
    clock = clock or SystemClock()
    storage = None
    if config.checkpoints:
        folder = config.values.checkpoint_dir
        if folder is None:
            raise InternalError(f"job {job!r} takes checkpoints, but its settings name no folder for them")
        storage = LocalCheckpointStorage(Path(folder).expanduser(), job, clock)
    return Ports(storage, MemoryStateBackendFactory(clock), clock, Listeners([EventLog(job), *listeners]))
