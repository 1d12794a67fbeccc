"""What can go wrong, whose fault it is, and whether trying again can help.

    PipelineError
    ├── ConfigError              a setting or an argument is wrong; refused before anything starts
    │   ├── GraphError           the job's shape is wrong
    │   └── MissingExtra         an optional dependency is not installed
    ├── UserFunctionError        a function of the user's raised on a record
    ├── ConnectorError
    │   ├── SourceError          a source could not read
    │   └── SinkError            a sink could not write, pre-commit or commit
    ├── StateError
    │   └── EncodingError        a value cannot be stored and come back equal
    ├── CheckpointError          a checkpoint could not be taken or restored
    │   ├── CheckpointCorrupted  stored bytes are not what was written
    │   └── Fenced               another attempt owns the job now; stop without a restart
    ├── JobAlreadyRunning        the job's folder is locked by a living run
    ├── BackpressureOverflow     an ERROR edge was full
    └── InternalError            a broken invariant; please report it

Every error says in `fault` who can mend it, and can be copied and pickled with all it knows but its
`__cause__`: that may be anything, and what it said stands in the message.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pipeline.core.distribution import requirements


class Fault(StrEnum):
    """Who can mend an error."""

    USER = "user"  # the job's code or its data
    CONFIG = "config"  # a setting, an argument, the job's shape
    ENVIRONMENT = "environment"  # a server, a disk, the network
    ENGINE = "engine"  # a defect of this project


class PipelineError(Exception):
    """The base of every error this project raises.

    Args:
        message: what happened, what was expected and what was found, in one line.
        retryable: whether the same run, tried again, may succeed. The default is the class's own.
        hint: what the reader can do about it, in one line.

    Attributes:
        job, operator: names added on the way up by `located`, None where unknown.
        function: the user's function as `name (file:line)`.
        position: where the record came from, as `split@position`.
        result: of the run that ended with this error, a `JobResult`; None if nothing ran.
    """

    fault: Fault = Fault.ENGINE
    default_retryable: bool = False

    def __init__(self, message: str, *, retryable: bool | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = self.default_retryable if retryable is None else retryable
        self.hint = hint
        self.job: str | None = None
        self.operator: str | None = None
        self.function: str | None = None
        self.position: str | None = None
        self.result: Any = None

    def located(
        self,
        *,
        job: str | None = None,
        operator: str | None = None,
        function: str | None = None,
        position: str | None = None,
    ) -> Self:
        """Add where it happened; what is known already stays, since the inner place knows best."""
        self.job = self.job or job
        self.operator = self.operator or operator
        self.function = self.function or function
        self.position = self.position or position
        return self

    def __str__(self) -> str:
        places = (
            ("job", self.job),
            ("operator", self.operator),
            ("function", self.function),
            ("record", self.position),
        )
        where = ", ".join(f"{name} {place}" for name, place in places if place)
        text = f"{self.message} [{where}]" if where else self.message
        return f"{text} — {self.hint}" if self.hint else text

    def as_json(self) -> dict[str, Any]:
        """Return what it says as plain values: `error`, `fault`, `retryable`."""
        return {"error": str(self), "fault": self.fault.value, "retryable": self.retryable}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self.__dict__))


def _rebuild(cls: type[PipelineError], message: str, attributes: dict[str, Any]) -> PipelineError:
    error = cls.__new__(cls, message)
    error.args = (message,)
    error.__dict__.update(attributes)
    return error


class ConfigError(PipelineError):
    """A setting or an argument is wrong; nothing has been started."""

    fault = Fault.CONFIG


class GraphError(ConfigError):
    """The job's shape is wrong: no sink, a duplicate uid, a stream of another job."""


class MissingExtra(ConfigError):
    """An optional dependency is not installed.

    The hint names what the extra requires instead of the extra: pip finds that wherever this project
    was installed from.
    """

    def __init__(self, package: str, extra: str) -> None:
        wanted = " ".join(repr(requirement) for requirement in requirements(extra) or [package])
        super().__init__(f"{package} is not installed", hint=f"install it with: pip install {wanted}")


class UserFunctionError(PipelineError):
    """A function of the user's raised on a record; its own exception is the `__cause__`."""

    fault = Fault.USER


class ConnectorError(PipelineError):
    """A connector met a failure of the system it talks to."""

    fault = Fault.ENVIRONMENT
    default_retryable = True


class SourceError(ConnectorError):
    """A source could not read."""


class SinkError(ConnectorError):
    """A sink could not write, pre-commit or commit."""


class StateError(PipelineError):
    """Keyed or operator state could not be used as asked."""

    fault = Fault.USER


class EncodingError(StateError):
    """A value cannot be stored so that it comes back equal and of the same type."""


class CheckpointError(PipelineError):
    """A checkpoint could not be taken or restored."""

    fault = Fault.ENVIRONMENT
    default_retryable = True


class CheckpointCorrupted(CheckpointError):
    """Stored bytes are not the ones that were written; nothing was restored from them."""

    default_retryable = False


class Fenced(CheckpointError):
    """A newer attempt owns the job: this one must commit nothing and leave."""

    default_retryable = False


class JobAlreadyRunning(PipelineError):
    """Another run of the same job holds its folder."""

    fault = Fault.CONFIG


class BackpressureOverflow(PipelineError):
    """An edge with the ERROR strategy was full; the job restarts from its last checkpoint."""

    fault = Fault.ENVIRONMENT
    default_retryable = True


class InternalError(PipelineError):
    """A broken invariant of the engine: please report it, with the traceback."""

    fault = Fault.ENGINE
