"""A job's settings: what may be set, what holds when nothing is, and where each value came from.

Command line outranks environment, that the stored configuration, that the `JobConfig` in the
code, that the defaults of the mode.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pipeline.core.errors import ConfigError
from pipeline.core.job import JobMode
from pipeline.core.restart import RestartStrategy


class BackpressureStrategy(StrEnum):
    """What happens when a job's buffer is full (SPEC section 4)."""

    BUFFER = "BUFFER"
    DROP = "DROP"
    LATEST = "LATEST"
    ERROR = "ERROR"


class Unset(StrEnum):
    """The value of a setting that nobody has set; unlike None, which switches a thing off."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class JobConfig:
    """Settings of one job; what is left out follows from the job's mode.

    Args:
        checkpoint_interval: time between checkpoints; None switches them off, which STREAMING refuses.
        checkpoint_rows: records between checkpoints, never more often than `checkpoint_min_pause`; None for
            by time only.
        checkpoint_dir: folder that holds one folder for each job; default `.pipeline/checkpoints`.
        checkpoint_timeout: a checkpoint not complete by then is declined.
        checkpoint_min_pause: the least time between the end of one checkpoint and the start of the next;
            default 500 ms, or half of a `checkpoint_interval` shorter than a second.
        checkpoint_retention: how many complete checkpoints are kept.
        tolerable_checkpoint_failures: consecutive failures that do not fail the job.
        retain_on_cancel: whether the checkpoints of a cancelled job are kept.
        state_backend: `memory`.
        parallelism: subtasks of each operator, where source and sink allow it.
        max_parallelism: key groups, the upper bound of `parallelism`; fixed for the life of a job's state.
        backpressure: what happens when the sink is slower than the source.
        buffer_size: records that a hand-over between two vertices may hold, and that the job's DROP or ERROR
            buffer may; default adapts to about one second, 2,048 for DROP and ERROR. None puts a BUFFER
            without a bound behind the sources.
        accept_loss: whether records may be lost by DROP or LATEST on the way to a sink that promises
            exactly-once; such a job is refused otherwise.
        source_batch_size: the most records a source reads at once; default the source's own.
        sink_batch_size: the most records a sink is handed at once; default adapts to about one second.
        restart: what happens after a failure that a retry can help.
        cancel_timeout: how long a stop may take before it is forced.
        chains: `generated` or `interpreted`.

    Raises:
        ConfigError: a value is out of range; the message names the setting.
    """

    checkpoint_interval: timedelta | Unset | None = UNSET
    checkpoint_rows: int | Unset | None = UNSET
    checkpoint_dir: str | Path | None = None
    checkpoint_timeout: timedelta = timedelta(seconds=600)
    checkpoint_min_pause: timedelta | Unset = UNSET
    checkpoint_retention: int = 3
    tolerable_checkpoint_failures: int = 3
    retain_on_cancel: bool = True
    state_backend: str = "memory"
    parallelism: int = 1
    max_parallelism: int = 128
    backpressure: BackpressureStrategy = BackpressureStrategy.BUFFER
    buffer_size: int | Unset | None = UNSET
    accept_loss: bool = False
    source_batch_size: int | None = None
    sink_batch_size: int | None = None
    restart: RestartStrategy | Unset = UNSET
    cancel_timeout: timedelta = timedelta(seconds=30)
    chains: str = "generated"

    def __post_init__(self) -> None:
        for name in ("checkpoint_retention", "parallelism", "max_parallelism"):
            _at_least(name, getattr(self, name), 1)
        _at_least("tolerable_checkpoint_failures", self.tolerable_checkpoint_failures, 0)
        for name in ("buffer_size", "source_batch_size", "sink_batch_size", "checkpoint_rows"):
            value = getattr(self, name)
            if value is not None and value is not UNSET:
                _at_least(name, value, 1)
        if self.checkpoint_interval is not None and self.checkpoint_interval is not UNSET:
            _at_least_duration("checkpoint_interval", self.checkpoint_interval, _MINIMAL_INTERVAL)
        _at_least_duration("checkpoint_timeout", self.checkpoint_timeout, _MINIMAL_INTERVAL)
        if self.checkpoint_min_pause is not UNSET:
            _at_least_duration("checkpoint_min_pause", self.checkpoint_min_pause, timedelta())
        _at_least_duration("cancel_timeout", self.cancel_timeout, timedelta())
        if self.checkpoint_dir is not None:
            _of_type("checkpoint_dir", self.checkpoint_dir, str, Path)
        _of_type("retain_on_cancel", self.retain_on_cancel, bool)
        _of_type("accept_loss", self.accept_loss, bool)
        _of_type("backpressure", self.backpressure, BackpressureStrategy)
        if self.restart is not UNSET:
            _of_type("restart", self.restart, RestartStrategy)
        _one_of("state_backend", self.state_backend, ("memory",))
        _one_of("chains", self.chains, ("generated", "interpreted"))
        if self.parallelism > self.max_parallelism:
            raise ConfigError(
                f"parallelism is {self.parallelism}, above max_parallelism {self.max_parallelism}"
            )


_MINIMAL_INTERVAL: Final = timedelta(milliseconds=10)
"""Flink's MINIMAL_CHECKPOINT_TIME: below it the job would do nothing but checkpoints."""

DEFAULT_CHECKPOINT_DIR: Final = Path(".pipeline/checkpoints")
STREAMING_INTERVAL: Final = timedelta(seconds=60)
MIN_PAUSE: Final = timedelta(milliseconds=500)
SQL_TASK_ROWS: Final = 10_000

_PREFIX: Final = "PIPELINE_"
_MISSPELT: Final = 0.75
"""How alike (by difflib) a variable and a setting must be for one to be taken for the other. Near misses have
0.8 and more, our own variables that are no settings, such as PIPELINE_DSN, 0.6 and less."""


def _at_least(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise ConfigError(f"{name} must be at least {least}, not {value}")


def _at_least_duration(name: str, value: timedelta, least: timedelta) -> None:
    _of_type(name, value, timedelta)
    if value < least:
        raise ConfigError(
            f"{name} must be at least {least.total_seconds():g} s, not {value.total_seconds():g} s"
        )


def _of_type(name: str, value: object, *types: type) -> None:
    if not isinstance(value, types):
        expected = " or ".join(kind.__name__ for kind in types)
        raise ConfigError(f"{name} must be a {expected}, not {value!r}")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")


@dataclass(frozen=True, slots=True)
class ResolvedConfig:
    """The settings a run works with, each with its provenance.

    Args:
        values: a `JobConfig` in which nothing is unset.
        provenance: for each field `command line`, `environment`, `stored`, `JobConfig` or `default`.
    """

    values: JobConfig
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
        config: what the code says.
        mode: decides the defaults of what nobody set.
        durable: whether the source reads from somewhere that outlives the process; others take
            no checkpoints unless an interval, a row count or a folder is set.
        environment: variables as `PIPELINE_CHECKPOINT_INTERVAL=30s`; default the process's own.
        stored, command_line: settings by field name, values as text.

    Raises:
        ConfigError: an unknown name (with the nearest known one), an unreadable value, or
            STREAMING without a checkpoint interval. Of variables only those that are almost a setting are
            refused: others may have `PIPELINE_` in front of theirs too.

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
    # all at once: what holds between settings need not hold while only some are set
    config = _fill_in(replace(config, **overrides), mode, durable=durable)
    if mode is JobMode.STREAMING and config.checkpoint_interval is None:
        raise ConfigError(
            "a STREAMING job needs a checkpoint interval, found none",
            hint="set JobConfig(checkpoint_interval=timedelta(seconds=60))",
        )
    return ResolvedConfig(config, provenance)


def _fill_in(config: JobConfig, mode: JobMode, *, durable: bool) -> JobConfig:
    interval, rows = config.checkpoint_interval, config.checkpoint_rows
    wanted = durable or config.checkpoint_dir is not None
    if interval is UNSET:
        interval = STREAMING_INTERVAL if mode is JobMode.STREAMING else None
    if rows is UNSET:
        by_rows = mode is not JobMode.STREAMING and wanted and config.checkpoint_interval is UNSET
        rows = SQL_TASK_ROWS if by_rows else None
    pause = config.checkpoint_min_pause
    if pause is UNSET:
        pause = min(MIN_PAUSE, interval / 2) if isinstance(interval, timedelta) else MIN_PAUSE
    restart = config.restart
    if restart is UNSET:
        checkpointed = interval is not None or rows is not None
        restart = RestartStrategy.fixed_delay() if checkpointed else RestartStrategy.none()
    return replace(
        config,
        checkpoint_interval=interval,
        checkpoint_rows=rows,
        checkpoint_min_pause=pause,
        checkpoint_dir=config.checkpoint_dir or DEFAULT_CHECKPOINT_DIR,
        restart=restart,
    )


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    prefixed = {name for name in environment if name.startswith(_PREFIX)}
    for name in sorted(prefixed - _BY_VARIABLE.keys()):
        _refuse_if_misspelt(name)
    return {_BY_VARIABLE[name]: environment[name] for name in prefixed & _BY_VARIABLE.keys()}


def _refuse_if_misspelt(variable: str) -> None:
    """Refuse a variable that is almost a setting; one that is like none belongs to somebody else."""
    near = get_close_matches(variable.removeprefix(_PREFIX).lower(), _PARSERS, n=1, cutoff=_MISSPELT)
    if near:
        raise ConfigError(
            f"the environment variable {variable} is no setting",
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
    parser = _PARSERS.get(name)
    if parser is None:
        raise unknown_name("setting", name, _PARSERS)
    try:
        return parser(text.strip())
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{name}: cannot read {text!r}: {error}") from error


def unknown_name(kind: str, name: str, known: Mapping[str, Any] | tuple[str, ...]) -> ConfigError:
    """Build the error for a name nobody knows, with the nearest one that is known."""
    near = get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
    return ConfigError(f"unknown {kind} {name!r}", hint=hint)


_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_duration(text: str) -> timedelta:
    """Read `500ms`, `10s`, `5m`, `2h`, `1d`, or a bare number of milliseconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", text)
    if match is None:
        raise ValueError("expected a duration such as 500ms, 10s or 5m")
    return timedelta(milliseconds=float(match[1]) * _UNITS[match[2] or "ms"])


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("expected a whole number") from None


def _optional(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse_unless_off(text: str) -> Any:
        if text.lower() in ("off", "none"):
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise ValueError(f"{error}, or off") from None

    return parse_unless_off


def _folder(text: str) -> Path:
    if not text:
        raise ValueError("expected the path of a folder")
    return Path(text)


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in values:
        raise ValueError("expected true or false")
    return values[text.lower()]


def _backpressure(text: str) -> BackpressureStrategy:
    try:
        return BackpressureStrategy(text.upper())
    except ValueError:
        raise ValueError(f"expected one of {', '.join(BackpressureStrategy)}") from None


def _restart(text: str) -> RestartStrategy:
    if text.lower() not in ("none", "off") and not text.isdecimal():
        raise ValueError("expected a number of attempts, or off")
    attempts = int(text) if text.isdecimal() else 0
    return RestartStrategy.fixed_delay(attempts) if attempts else RestartStrategy.none()


_PARSERS: Final[dict[str, Callable[[str], Any]]] = {
    "checkpoint_interval": _optional(parse_duration),
    "checkpoint_rows": _optional(_whole_number),
    "checkpoint_dir": _folder,
    "checkpoint_timeout": parse_duration,
    "checkpoint_min_pause": parse_duration,
    "checkpoint_retention": _whole_number,
    "tolerable_checkpoint_failures": _whole_number,
    "retain_on_cancel": _boolean,
    "state_backend": str,
    "parallelism": _whole_number,
    "max_parallelism": _whole_number,
    "backpressure": _backpressure,
    "buffer_size": _optional(_whole_number),
    "accept_loss": _boolean,
    "source_batch_size": _optional(_whole_number),
    "sink_batch_size": _optional(_whole_number),
    "restart": _restart,
    "cancel_timeout": parse_duration,
    "chains": str,
}

_BY_VARIABLE: Final = {f"{_PREFIX}{name.upper()}": name for name in _PARSERS}
