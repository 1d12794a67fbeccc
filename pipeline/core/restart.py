"""Whether and when a failed job restarts: pure decisions without a clock.

The shapes and the default numbers of `exponential` and `failure_rate` are those of Flink's
restart strategies of the same names.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from pipeline.core.durations import milliseconds
from pipeline.core.errors import ConfigError, ConnectorError, PipelineError, UserFunctionError

ExceptionTypes = type[Exception] | tuple[type[Exception], ...]
"""As `except` takes them."""


class RestartDecider(Protocol):
    """Counts the failures of one run and decides about the next restart."""

    def next_delay_ms(self, failed_at_ms: int, healthy_ms: int, *, progressed: bool = False) -> int | None:
        """Return how long to wait before the next restart, in milliseconds; None to give up.

        Args:
            failed_at_ms: when the failure occurred, on a monotonic clock.
            healthy_ms: how long the job had run before it.
            progressed: whether it had completed a checkpoint with new records.
        """
        ...


@dataclass(frozen=True, slots=True)
class RestartStrategy:
    """How a job restarts after a retryable failure; build one with the class methods.

    Example:
        >>> RestartStrategy.fixed_delay(attempts=3, delay=timedelta(seconds=5)).describe()
        'fixed delay: 3 attempts, 5 s apart'
    """

    kind: str
    attempts: int = 0
    delay_ms: int = 0
    max_delay_ms: int = 0
    multiplier: float = 1.0
    jitter: float = 0.0
    reset_after_ms: int = 0
    window_ms: int = 0
    retry_on: tuple[type[Exception], ...] = ()

    @classmethod
    def none(cls) -> RestartStrategy:
        """Never restart: the first failure ends the job.

        Returns:
            The strategy.

        Example:
            JobConfig(restart=RestartStrategy.none())
        """
        return cls("none")

    @classmethod
    def fixed_delay(
        cls,
        attempts: int = 3,
        delay: timedelta = timedelta(seconds=5),
        *,
        retry_on: ExceptionTypes = (),
    ) -> RestartStrategy:
        """Restart up to `attempts` times without progress in between, each time after `delay`.

        Args:
            attempts: 1 or more; a checkpoint with new records resets the count.
            delay: between a failure and the restart.
            retry_on: exception classes of the job's own code after which a restart may help.

        Returns:
            The strategy.

        Raises:
            ConfigError: a value is out of range.

        Example:
            RestartStrategy.fixed_delay(5, timedelta(seconds=10), retry_on=ConnectionError)
        """
        _require(attempts > 0, f"fixed_delay: attempts must be at least 1, not {attempts}")
        return cls(
            "fixed_delay",
            attempts=attempts,
            delay_ms=milliseconds("fixed_delay: delay", delay, least=0),
            retry_on=_exceptions("fixed_delay", retry_on),
        )

    @classmethod
    def exponential(
        cls,
        initial: timedelta = timedelta(seconds=1),
        maximum: timedelta = timedelta(minutes=5),
        multiplier: float = 2.0,
        jitter: float = 0.1,
        reset_after: timedelta = timedelta(hours=1),
        attempts: int = 0,
        retry_on: ExceptionTypes = (),
    ) -> RestartStrategy:
        """Restart after a growing delay.

        Args:
            initial: the first delay.
            maximum: the longest delay.
            multiplier: factor from one delay to the next, 1 or more.
            jitter: share of the delay, 0 to 1, by which it is varied at random, never above `maximum`.
            reset_after: after running this long without a failure, the delay is `initial` again.
            attempts: the most restarts without progress or such a time in between; 0 for no limit.
            retry_on: exception classes of the job's own code after which a restart may help.

        Returns:
            The strategy.

        Raises:
            ConfigError: a value is out of range.

        Example:
            RestartStrategy.exponential(initial=timedelta(seconds=1), maximum=timedelta(minutes=5))
        """
        _require(attempts >= 0, f"exponential: attempts must be at least 0, not {attempts}")
        _require(multiplier >= 1, f"exponential: multiplier must be at least 1, not {multiplier}")
        _require(0 <= jitter <= 1, f"exponential: jitter must be between 0 and 1, not {jitter}")
        return cls(
            "exponential",
            attempts=attempts,
            delay_ms=milliseconds("exponential: initial", initial),
            max_delay_ms=milliseconds("exponential: maximum", maximum),
            multiplier=multiplier,
            jitter=jitter,
            reset_after_ms=milliseconds("exponential: reset_after", reset_after, least=0),
            retry_on=_exceptions("exponential", retry_on),
        )

    @classmethod
    def failure_rate(
        cls,
        failures: int = 1,
        per: timedelta = timedelta(minutes=1),
        delay: timedelta = timedelta(seconds=1),
        *,
        retry_on: ExceptionTypes = (),
    ) -> RestartStrategy:
        """Restart after `delay` unless there were too many failures, with or without progress.

        Args:
            failures: the most failures within `per`, 1 or more.
            per: the time over which failures are counted.
            delay: between a failure and the restart.
            retry_on: exception classes of the job's own code after which a restart may help.

        Returns:
            The strategy.

        Raises:
            ConfigError: a value is out of range.

        Example:
            RestartStrategy.failure_rate(failures=3, per=timedelta(minutes=10))
        """
        _require(failures > 0, f"failure_rate: failures must be at least 1, not {failures}")
        return cls(
            "failure_rate",
            attempts=failures,
            delay_ms=milliseconds("failure_rate: delay", delay, least=0),
            window_ms=milliseconds("failure_rate: per", per),
            retry_on=_exceptions("failure_rate", retry_on),
        )

    def decider(self, rng: random.Random | None = None) -> RestartDecider:
        """Start counting for one run."""
        if self.kind == "fixed_delay":
            return _FixedDelay(self)
        if self.kind == "exponential":
            return _Exponential(self, rng or random.Random())
        if self.kind == "failure_rate":
            return _FailureRate(self)
        return _Never()

    def helps(self, error: PipelineError) -> bool:
        """Return whether a restart may help: the error is retryable, or `retry_on` lists a cause of it."""
        if error.retryable:
            return True
        if not isinstance(error, UserFunctionError | ConnectorError):
            return False
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, self.retry_on):
            cause = cause.__cause__
        return cause is not None

    def describe(self) -> str:
        """Return one line for people."""
        if self.kind == "fixed_delay":
            return f"fixed delay: {self.attempts} attempts, {self.delay_ms / 1000:g} s apart"
        if self.kind == "exponential":
            limit = f", at most {self.attempts}" if self.attempts else ""
            return f"exponential: {self.delay_ms / 1000:g} s to {self.max_delay_ms / 1000:g} s{limit}"
        if self.kind == "failure_rate":
            return f"failure rate: {self.attempts} per {self.window_ms / 1000:g} s"
        return "none"


def _exceptions(strategy: str, given: ExceptionTypes) -> tuple[type[Exception], ...]:
    listed = given if isinstance(given, tuple) else (given,)
    for each in listed:
        usable = isinstance(each, type) and issubclass(each, Exception)  # pyright: ignore[reportUnnecessaryIsInstance]
        _require(usable, f"{strategy}: retry_on must list exception classes, not {each!r}")
    return listed


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)


class _Never:
    def next_delay_ms(self, failed_at_ms: int, healthy_ms: int, *, progressed: bool = False) -> int | None:
        return None


@dataclass
class _FixedDelay:
    strategy: RestartStrategy
    failures: int = 0

    def next_delay_ms(self, failed_at_ms: int, healthy_ms: int, *, progressed: bool = False) -> int | None:
        self.failures = 1 if progressed else self.failures + 1
        return self.strategy.delay_ms if self.failures <= self.strategy.attempts else None


@dataclass
class _Exponential:
    strategy: RestartStrategy
    rng: random.Random
    failures: int = 0  # without progress or a healthy time
    delay_ms: float = 0.0

    def next_delay_ms(self, failed_at_ms: int, healthy_ms: int, *, progressed: bool = False) -> int | None:
        strategy = self.strategy
        healthy = healthy_ms >= strategy.reset_after_ms
        self.failures = 1 if healthy or progressed else self.failures + 1
        if strategy.attempts and self.failures > strategy.attempts:
            return None
        # Progress does not shorten the delay: a job that fails again this soon needs the time.
        grown = strategy.delay_ms if healthy or not self.delay_ms else self.delay_ms * strategy.multiplier
        self.delay_ms = min(grown, strategy.max_delay_ms)
        varied = self.delay_ms * (1 + self.rng.uniform(-strategy.jitter, strategy.jitter))
        return min(round(varied), strategy.max_delay_ms)


@dataclass
class _FailureRate:
    strategy: RestartStrategy
    recent: list[int] = field(default_factory=list[int])

    def next_delay_ms(self, failed_at_ms: int, healthy_ms: int, *, progressed: bool = False) -> int | None:
        horizon = failed_at_ms - self.strategy.window_ms
        self.recent = [at for at in self.recent if at > horizon] + [failed_at_ms]
        return self.strategy.delay_ms if len(self.recent) <= self.strategy.attempts else None
