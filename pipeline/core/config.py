"""A job's settings: which there are, their defaults, and where each value came from.

The command line overrides the environment, which overrides the stored configuration, which overrides the
`JobConfig` in the code, which overrides the defaults of the mode.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pipeline.core.errors import ConfigError
from pipeline.core.job import JobMode
from pipeline.core.restart import RestartStrategy
from pipeline.core.settings import (
    KIND,
    Kind,
    boolean,
    duration,
    folder,
    member,
    one_of,
    optional,
    restarts,
    setting,
    textual,
    whole,
)


class BackpressureStrategy(StrEnum):
    """What happens when a buffer is full.

    Attributes:
        BUFFER: upstream is held back; nothing is lost.
        DROP: the newest records are dropped and counted.
        LATEST: only the newest record is kept; the others are counted.
        ERROR: the job fails with `BackpressureOverflow` and restarts from its last checkpoint.
    """

    BUFFER = "BUFFER"
    DROP = "DROP"
    LATEST = "LATEST"
    ERROR = "ERROR"


class Unset(StrEnum):
    """The value of a setting that is not set; unlike None, which switches something off."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


_MINIMAL_INTERVAL: Final = timedelta(milliseconds=10)
"""Flink's MINIMAL_CHECKPOINT_TIME: below it the job would do nothing but take checkpoints."""


@dataclass(frozen=True, slots=True)
class JobConfig:
    """Settings of one job; those left out follow from the job's mode.

    Args:
        checkpoint_interval: time between checkpoints; None switches them off, which STREAMING does not allow.
        checkpoint_rows: records between checkpoints, never more often than `checkpoint_min_pause`; None for
            checkpoints by time only.
        checkpoint_dir: has one folder for each job, or is `s3://bucket/prefix`; default
            `.pipeline/checkpoints`.
        checkpoint_timeout: a checkpoint that takes longer is declined.
        checkpoint_min_pause: the least time between the end of one checkpoint and the start of the next;
            default 500 ms, or half of a `checkpoint_interval` shorter than a second.
        checkpoint_retention: number of complete checkpoints kept.
        tolerable_checkpoint_failures: consecutive failures that do not fail the job.
        retain_on_cancel: whether the checkpoints of a cancelled job are kept.
        state_backend: `memory`.
        parallelism: subtasks of each operator, where source and sink allow it.
        max_parallelism: number of key groups, the upper bound of `parallelism`; fixed for the life of a
            job's state.
        backpressure: what happens when the sink is slower than the source.
        buffer_size: records that a channel between two vertices may hold, or the job's DROP or ERROR buffer;
            default adapts to about one second, 2,048 for DROP and ERROR. None adds a BUFFER without a bound
            after the sources.
        accept_loss: whether DROP or LATEST may lose records before an exactly-once sink; otherwise such a
            job is rejected.
        source_batch_size: the most records a source reads at once; default that of the source.
        sink_batch_size: the most records a sink gets at once; default adapts to about one second.
        restart: what happens after a retryable failure.
        cancel_timeout: a stop that takes longer is forced.
        chains: `generated` (compiled loops, fast) or `interpreted` (for debugging).
        s3_endpoint: URL of the S3 server, such as `https://host:9000`; default Amazon's.
        s3_region: default what the server reports.
        s3_access_key: default from the environment: the variable `AWS_ACCESS_KEY_ID` or `MINIO_ACCESS_KEY`,
            the files of `aws` or `mc`, the role of the machine.
        s3_secret_key: belongs to `s3_access_key`.
        s3_session_token: for temporary keys.

    Raises:
        ConfigError: a value is out of range; the message names the setting.

    Example:
        JobConfig(checkpoint_interval=timedelta(seconds=10), parallelism=4)
    """

    checkpoint_interval: timedelta | None = setting(UNSET, optional(duration(_MINIMAL_INTERVAL), "off"))
    checkpoint_rows: int | None = setting(UNSET, optional(whole(1), "off"))
    checkpoint_dir: str | Path | None = setting(None, folder())
    checkpoint_timeout: timedelta = setting(timedelta(seconds=600), duration(_MINIMAL_INTERVAL))
    checkpoint_min_pause: timedelta = setting(UNSET, duration())
    checkpoint_retention: int = setting(3, whole(1))
    tolerable_checkpoint_failures: int = setting(3, whole(0))
    retain_on_cancel: bool = setting(True, boolean())
    state_backend: str = setting("memory", one_of("memory"))
    parallelism: int = setting(1, whole(1))
    max_parallelism: int = setting(128, whole(1))
    backpressure: BackpressureStrategy = setting(BackpressureStrategy.BUFFER, member(BackpressureStrategy))
    buffer_size: int | Unset | None = setting(
        UNSET, optional(whole(1), "without a bound", "adapts to about one second")
    )
    accept_loss: bool = setting(False, boolean())
    source_batch_size: int | None = setting(None, optional(whole(1), "the source's own"))
    sink_batch_size: int | None = setting(None, optional(whole(1), "adapts to about one second"))
    restart: RestartStrategy = setting(UNSET, restarts())
    cancel_timeout: timedelta = setting(timedelta(seconds=30), duration())
    chains: str = setting("generated", one_of("generated", "interpreted"))
    s3_endpoint: str | None = setting(None, optional(textual(), "Amazon's"))
    s3_region: str | None = setting(None, optional(textual(), "what the server reports"))
    s3_access_key: str | None = setting(None, optional(textual(), "from the environment"))
    s3_secret_key: str | None = setting(None, optional(textual(secret=True), "from the environment"))
    s3_session_token: str | None = setting(None, optional(textual(secret=True), "from the environment"))

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            value = getattr(self, name)
            if value is not UNSET:
                kind.check(name, value)
        if self.parallelism > self.max_parallelism:
            raise ConfigError(
                f"parallelism is {self.parallelism}, above max_parallelism {self.max_parallelism}"
            )


KINDS: Final[Mapping[str, Kind]] = {field.name: field.metadata[KIND] for field in fields(JobConfig)}
"""The kind of each setting, by its name."""


@dataclass(frozen=True, slots=True)
class Settings(JobConfig):
    """The settings in effect: a `JobConfig` in which nothing but `buffer_size` is unset."""


DEFAULT_CHECKPOINT_DIR: Final = Path(".pipeline/checkpoints")
STREAMING_INTERVAL: Final = timedelta(seconds=60)
MIN_PAUSE: Final = timedelta(milliseconds=500)
SQL_TASK_ROWS: Final = 10_000

_PREFIX: Final = "PIPELINE_"
_MISSPELT: Final = 0.75
"""How similar (by difflib) a variable must be to a setting to count as a misspelling of it. Near misses have
0.8 and more; our variables that are not settings, such as PIPELINE_DSN, 0.6 and less."""


@dataclass(frozen=True, slots=True)
class ResolvedConfig:
    """The settings in effect, each with its provenance.

    Args:
        values: the settings themselves.
        provenance: for each field `command line`, `environment`, `stored`, `JobConfig` or `default`.
    """

    values: Settings
    provenance: Mapping[str, str]

    @property
    def checkpoints(self) -> bool:
        """Whether the job takes checkpoints at all."""
        return self.values.checkpoint_interval is not None or self.values.checkpoint_rows is not None


def resolve(
    config: JobConfig,
    mode: JobMode,
    *,
    durable: bool,
    environment: Mapping[str, str] | None = None,
    stored: Mapping[str, str] | None = None,
    command_line: Mapping[str, str] | None = None,
) -> ResolvedConfig:
    """Merge the layers of configuration.

    Args:
        config: the settings in the code.
        mode: decides the defaults of settings that are not set.
        durable: whether the source reads from something that outlives the process; other jobs take
            no checkpoints unless an interval, a row count or a folder is set.
        environment: variables such as `PIPELINE_CHECKPOINT_INTERVAL=30s`; default those of the process.
        stored, command_line: settings by field name, values as text.

    Raises:
        ConfigError: an unknown name (with the nearest known one), an unreadable value, or
            STREAMING without a checkpoint interval. Unknown variables are rejected only if they are almost
            a setting: other programs may use the prefix `PIPELINE_`, too.

    Example:
        >>> resolve(JobConfig(), JobMode.STREAMING, durable=True).values.checkpoint_interval
        datetime.timedelta(seconds=60)
    """
    defaults = JobConfig()
    provenance = {
        field.name: "default" if getattr(config, field.name) == getattr(defaults, field.name) else "JobConfig"
        for field in fields(JobConfig)
    }
    layers = (
        ("stored", stored or {}),
        ("environment", _from_environment(os.environ if environment is None else environment)),
        ("command line", command_line or {}),
    )
    overrides: dict[str, Any] = {}
    for layer, texts in layers:
        for name, text in texts.items():
            overrides[name] = parse_setting(name, text)
            provenance[name] = layer
    # all at once: settings may be inconsistent while only some of them are set
    settings = _fill_in(replace(config, **overrides), mode, durable=durable)
    if mode is JobMode.STREAMING and settings.checkpoint_interval is None:
        raise ConfigError(
            "a STREAMING job needs a checkpoint interval, found none",
            hint="set JobConfig(checkpoint_interval=timedelta(seconds=60))",
        )
    return ResolvedConfig(settings, provenance)


def _fill_in(config: JobConfig, mode: JobMode, *, durable: bool) -> Settings:
    given = {name: getattr(config, name) for name in KINDS}
    unset = {name for name, value in given.items() if value is UNSET}
    wanted = durable or config.checkpoint_dir is not None
    if "checkpoint_interval" in unset:
        given["checkpoint_interval"] = STREAMING_INTERVAL if mode is JobMode.STREAMING else None
    if "checkpoint_rows" in unset:
        by_rows = mode is not JobMode.STREAMING and wanted and "checkpoint_interval" in unset
        given["checkpoint_rows"] = SQL_TASK_ROWS if by_rows else None
    interval, rows = given["checkpoint_interval"], given["checkpoint_rows"]
    if "checkpoint_min_pause" in unset:
        given["checkpoint_min_pause"] = MIN_PAUSE if interval is None else min(MIN_PAUSE, interval / 2)
    if "restart" in unset:
        checkpointed = interval is not None or rows is not None
        given["restart"] = RestartStrategy.fixed_delay() if checkpointed else RestartStrategy.none()
    given["checkpoint_dir"] = config.checkpoint_dir or DEFAULT_CHECKPOINT_DIR
    return Settings(**given)


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    prefixed = {name for name in environment if name.startswith(_PREFIX)}
    for name in sorted(prefixed - _BY_VARIABLE.keys()):
        _refuse_if_misspelt(name)
    return {_BY_VARIABLE[name]: environment[name] for name in prefixed & _BY_VARIABLE.keys()}


def _refuse_if_misspelt(variable: str) -> None:
    """Raise for a variable that is almost a setting; any other belongs to another program."""
    near = get_close_matches(variable.removeprefix(_PREFIX).lower(), KINDS, n=1, cutoff=_MISSPELT)
    if near:
        raise ConfigError(
            f"the environment variable {variable} is not a setting",
            hint=f"did you mean {_PREFIX}{near[0].upper()}?",
        )


def parse_setting(name: str, text: str) -> Any:
    """Read one setting from text: `10s`, `500ms`, `2m`, a bare number of milliseconds, `off` for None.

    Raises:
        ConfigError: unknown name, or text that is not such a value.

    Example:
        >>> parse_setting("checkpoint_interval", "30s")
        datetime.timedelta(seconds=30)
    """
    kind = KINDS.get(name)
    if kind is None:
        raise unknown_name("setting", name, KINDS)
    try:
        return kind.read(text.strip())
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{name}: cannot read {text!r}: {error}") from error


def unknown_name(kind: str, name: str, known: Mapping[str, Any] | tuple[str, ...]) -> ConfigError:
    """Return the error for an unknown name, with the nearest known one."""
    near = get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
    return ConfigError(f"unknown {kind} {name!r}", hint=hint)


_BY_VARIABLE: Final = {f"{_PREFIX}{name.upper()}": name for name in KINDS}
