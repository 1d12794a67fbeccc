"""Which implementations a run works with: the one place where they are chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from checkpoint.storage.base import CheckpointStorage
from checkpoint.storage.local import LocalCheckpointStorage
from checkpoint.storage.objects.storage import ObjectCheckpointStorage
from pipeline.core.clock import Clock, SystemClock
from pipeline.core.config import ResolvedConfig, Settings
from pipeline.core.errors import ConfigError, InternalError, MissingExtra
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
        listeners: called with each event of the run.
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
        listeners: called with each event of the run, on the job's thread.
        clock: default the system's.
    """
    clock = clock or SystemClock()
    storage = None
    if config.checkpoints:
        storage = _storage(job, config.values, clock)
    return Ports(storage, MemoryStateBackendFactory(clock), clock, Listeners([EventLog(job), *listeners]))


def _storage(job: str, settings: Settings, clock: Clock) -> CheckpointStorage:
    """Choose where a job's checkpoints go.

    Raises:
        ConfigError: `checkpoint_dir` is a URL that names no store.
        MissingExtra: the client of that store is not installed.
    """
    place = settings.checkpoint_dir
    if place is None:
        raise InternalError(f"job {job!r} takes checkpoints, but its settings name no folder for them")
    if "://" not in str(place):
        return LocalCheckpointStorage(Path(place).expanduser(), job, clock)
    url = urlsplit(str(place))
    if url.scheme != "s3" or not url.netloc:
        raise ConfigError(
            f"checkpoint_dir is {place}: expected a folder or s3://bucket/prefix",
        )
    try:
        from checkpoint.storage.objects.s3 import S3Options, S3Store
    except ModuleNotFoundError as error:
        raise MissingExtra("minio", "s3") from error
    options = S3Options(
        settings.s3_endpoint,
        settings.s3_region,
        settings.s3_access_key,
        settings.s3_secret_key,
        settings.s3_session_token,
    )
    return ObjectCheckpointStorage(S3Store(url.netloc, options), url.path.strip("/"), job, clock)
