"""What happens to a record on which a function of the job raises."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic

from pipeline.core.errors import ConfigError
from pipeline.core.records import DeadLetter

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    R = TypeVar("R", default=Any)
else:  # Python 3.11's own has no default, and typing_extensions is not worth an import
    from typing import TypeVar

    R = TypeVar("R")


@dataclass(frozen=True)  # no slots: SideTag[R](...) of a frozen class with slots raises
class SideTag(Generic[R]):
    """The name of a side output; `stream.side_output(tag)` reads it.

    Args:
        name: unique within the job.

    Example:
        LATE = SideTag[Order]("late")  # the type of its records; Any if left out
    """

    name: str


DEAD_LETTERS: Final = SideTag[DeadLetter]("dead-letters")
"""The default side output of `ErrorPolicy.dead_letter()`."""


@dataclass(frozen=True, slots=True)
class ErrorPolicy:
    """What happens after a call that raised; build one with the class methods.

    It applies to subclasses of `Exception`. `SystemExit`, `KeyboardInterrupt` and `CancelledError` end the
    job regardless of it.

    Args:
        kind: `fail`, `skip` or `dead_letter`: what happens in the end.
        attempts: how often the same call is repeated before that; 0 for not at all.
        delay: the pause before each repetition.
        tag: the side output of dead letters.

    Example:
        parsed = lines.map(json.loads, on_error=ErrorPolicy.skip())
    """

    kind: str = "fail"
    attempts: int = 0
    delay: timedelta = timedelta()
    tag: SideTag | None = None

    @classmethod
    def fail(cls) -> ErrorPolicy:
        """Fail the job; the error names operator, function and record. The default.

        Returns:
            The policy.

        Example:
            lines.map(json.loads, on_error=ErrorPolicy.fail())
        """
        return cls()

    @classmethod
    def skip(cls) -> ErrorPolicy:
        """Drop the record and count it as failed.

        Returns:
            The policy.

        Example:
            lines.map(json.loads, on_error=ErrorPolicy.skip())
        """
        return cls("skip")

    @classmethod
    def dead_letter(cls, tag: SideTag = DEAD_LETTERS) -> ErrorPolicy:
        """Send a `DeadLetter` to a side output, in the same epoch as the records around it.

        Args:
            tag: names the side output.

        Returns:
            The policy.

        Example:
            parsed = lines.map(json.loads, on_error=ErrorPolicy.dead_letter())
            parsed.side_output(DEAD_LETTERS).sink(rejected)
        """
        return cls("dead_letter", tag=tag)

    @classmethod
    def retry(
        cls, attempts: int, delay: timedelta = timedelta(), then: ErrorPolicy | None = None
    ) -> ErrorPolicy:
        """Repeat the same call, then apply another policy.

        A lazy `flat_map` that has already yielded results is not repeated.

        Args:
            attempts: how often the call is repeated at most, 1 or more.
            delay: the pause before each repetition; other records of the subtask wait.
            then: the policy if all attempts raise; default fail. It must not retry itself.

        Returns:
            The policy.

        Raises:
            ConfigError: `attempts` is below 1, `delay` is negative, `then` retries, or a type is wrong.

        Example:
            orders.map(price, on_error=ErrorPolicy.retry(3, timedelta(seconds=1), then=ErrorPolicy.skip()))
        """
        if isinstance(attempts, bool) or not isinstance(attempts, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"ErrorPolicy.retry: attempts must be a whole number, not {attempts!r}")
        if attempts < 1:
            raise ConfigError(f"ErrorPolicy.retry: attempts must be at least 1, not {attempts}")
        if not isinstance(delay, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(
                f"ErrorPolicy.retry: delay must be a timedelta, not {delay!r}",
                hint="write timedelta(seconds=1), for example",
            )
        if delay < timedelta():
            raise ConfigError(
                f"ErrorPolicy.retry: delay must be at least 0 s, not {delay.total_seconds():g} s"
            )
        if then is not None:
            require_policy("ErrorPolicy.retry: then", then)
        last = then or cls()
        if last.attempts:
            raise ConfigError(
                f"ErrorPolicy.retry: then must be fail, skip or dead_letter, not {last.describe()}"
            )
        return cls(last.kind, attempts=attempts, delay=delay, tag=last.tag)

    def describe(self) -> str:
        """Return one line for `explain`."""
        retried = f"retry {self.attempts}×, then " if self.attempts else ""
        return retried + {"dead_letter": "dead-letter"}.get(self.kind, self.kind)


def require_input_policy(what: str, policy: Any) -> None:
    """Raise unless `policy` is a policy for input that cannot be read.

    Args:
        what: the argument, for the message.
        policy: its value.

    Raises:
        ConfigError: it is not an `ErrorPolicy`, or it retries.
    """
    require_policy(what, policy)
    if policy.attempts:
        raise ConfigError(
            f"{what} must be fail, skip or dead_letter, not {policy.describe()}",
            hint="reading the same bytes again fails again",
        )


def require_policy(what: str, policy: Any) -> None:
    """Raise unless `policy` is a policy; a bare name or an uncalled method gets its own hint.

    Args:
        what: the argument, for the message.
        policy: its value.

    Raises:
        ConfigError: it is not an `ErrorPolicy`.
    """
    if isinstance(policy, ErrorPolicy):
        return
    uncalled = getattr(policy, "__self__", None) is ErrorPolicy
    hint = f"call the method: {policy.__qualname__}(…)" if uncalled else "such as ErrorPolicy.skip()"
    raise ConfigError(f"{what} must be an ErrorPolicy, not {policy!r}", hint=hint)
