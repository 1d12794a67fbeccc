"""What happens to a record that a user's function cannot handle."""

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
    """The name of a side output; `stream.side_output(tag)` reads what was sent there.

    `SideTag[Order]("late")` tells the type checker what is sent; without it, it is `Any`.

    Args:
        name: unique within the job.
    """

    name: str


DEAD_LETTERS: Final = SideTag[DeadLetter]("dead-letters")
"""The side output that `ErrorPolicy.dead_letter()` writes to unless told another."""


@dataclass(frozen=True, slots=True)
class ErrorPolicy:
    """What to do with the call that raised; build one with the class methods.

    Args:
        kind: `fail`, `skip` or `dead_letter`: what happens in the end.
        attempts: how often the same call is repeated before that; 0 for not at all.
        delay: the pause before each repetition.
        tag: the side output of dead letters.
    """

    kind: str = "fail"
    attempts: int = 0
    delay: timedelta = timedelta()
    tag: SideTag | None = None

    @classmethod
    def fail(cls) -> ErrorPolicy:
        """Fail the job, naming operator, function and record. The default."""
        return cls()

    @classmethod
    def skip(cls) -> ErrorPolicy:
        """Drop the record and count it as failed."""
        return cls("skip")

    @classmethod
    def dead_letter(cls, tag: SideTag = DEAD_LETTERS) -> ErrorPolicy:
        """Send a `DeadLetter` to the side output `tag`, in the same epoch as its neighbours."""
        return cls("dead_letter", tag=tag)

    @classmethod
    def retry(
        cls, attempts: int, delay: timedelta = timedelta(), then: ErrorPolicy | None = None
    ) -> ErrorPolicy:
        """Repeat the same call up to `attempts` times, then do what `then` says (default: fail).

        A lazy `flat_map` that has given some of its results is not repeated.

        Raises:
            ConfigError: fewer attempts than one, a negative delay, a policy that retries, or no such values.
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
        """One line for `explain`."""
        retried = f"retry {self.attempts}×, then " if self.attempts else ""
        return retried + {"dead_letter": "dead-letter"}.get(self.kind, self.kind)


def require_input_policy(what: str, policy: Any) -> None:
    """Refuse what is no policy for input that cannot be read.

    Args:
        what: the argument, for the message.
        policy: what was given for it.

    Raises:
        ConfigError: it is no `ErrorPolicy`, or one that retries.
    """
    require_policy(what, policy)
    if policy.attempts:
        raise ConfigError(
            f"{what} must be fail, skip or dead_letter, not {policy.describe()}",
            hint="the same bytes read again give the same error",
        )


def require_policy(what: str, policy: Any) -> None:
    """Refuse what is no policy, such as its bare name or a method that was not called.

    Args:
        what: the argument, for the message.
        policy: what was given for it.

    Raises:
        ConfigError: it is no `ErrorPolicy`.
    """
    if isinstance(policy, ErrorPolicy):
        return
    uncalled = getattr(policy, "__self__", None) is ErrorPolicy
    hint = f"call the method: {policy.__qualname__}(…)" if uncalled else "such as ErrorPolicy.skip()"
    raise ConfigError(f"{what} must be an ErrorPolicy, not {policy!r}", hint=hint)
