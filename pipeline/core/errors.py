"""What can go wrong, who can fix it, and whether a retry can help.

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

Every error names in `fault` who can fix it. It can be copied and pickled with all attributes but its
`__cause__`, which may be anything; the message includes what the cause said.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pipeline.core.distribution import requirements


class Fault(StrEnum):
    """Who can fix an error.

    Attributes:
        USER: the author of the job: its code or its data is wrong.
        CONFIG: the author or the operator of the job: a setting, an argument or the job's shape is wrong.
        ENVIRONMENT: the operator: a server, a disk or the network failed.
        ENGINE: the developers of this project: please report it.
    """

    USER = "user"
    CONFIG = "config"
    ENVIRONMENT = "environment"
    ENGINE = "engine"


class PipelineError(Exception):
    """The base of every error this project raises.

    Args:
        message: what happened, what was expected and what was found, in one line.
        retryable: whether the same run, tried again, may succeed; default that of the class.
        hint: what the reader can do about it, in one line.

    Attributes:
        fault: who can fix it.
        job: name of the job; None if unknown, like the following.
        operator: uid of the operator.
        function: the user's function as `name (file:line)`.
        position: where the record came from, as `split@position`.
        result: the `JobResult` of the run that ended with this error; None if nothing ran.

    Example:
        try:
            job.execute()
        except PipelineError as error:
            if error.retryable:
                schedule_again(job)
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
        """Add where it happened; what is known already stays, since the inner place knows best.

        Args:
            job: name of the job.
            operator: uid of the operator.
            function: the user's function as `name (file:line)`.
            position: where the record came from, as `split@position`.

        Returns:
            The same error.
        """
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
        """Return the error as plain values.

        Returns:
            `error` (the text), `fault` and `retryable`.
        """
        return {"error": str(self), "fault": self.fault.value, "retryable": self.retryable}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self.__dict__))


def _rebuild(cls: type[PipelineError], message: str, attributes: dict[str, Any]) -> PipelineError:
    error = cls.__new__(cls, message)
    error.args = (message,)
    error.__dict__.update(attributes)
    return error


class ConfigError(PipelineError):
    """A setting or an argument is wrong; nothing has been started.

    Example:
        JobConfig(parallelism=0)  # ConfigError: parallelism must be at least 1, not 0
    """

    fault = Fault.CONFIG


class GraphError(ConfigError):
    """The job's shape is wrong: no sink, a duplicate uid, a stream of another job.

    The message names the operator, with the file and line that added it.
    """


class MissingExtra(ConfigError):
    """An optional dependency is not installed.

    The hint names the requirements of the extra, not the extra itself: pip finds them however this project
    was installed.

    Args:
        package: the missing package.
        extra: the extra of this project that requires it.

    Example:
        KafkaSource("events")  # MissingExtra: confluent-kafka is not installed
    """

    def __init__(self, package: str, extra: str) -> None:
        wanted = " ".join(repr(requirement) for requirement in requirements(extra) or [package])
        super().__init__(f"{package} is not installed", hint=f"install it with: pip install {wanted}")


class UserFunctionError(PipelineError):
    """A function of the job raised on a record; its exception is the `__cause__`.

    `operator`, `function` and `position` name the operator, the function with file and line, and the record.
    It is retryable if the function raised an error of ours that is, or if `retry_on=` of the restart strategy
    lists the type of the cause.
    """

    fault = Fault.USER


class ConnectorError(PipelineError):
    """A connector failed; retryable unless it states otherwise."""

    fault = Fault.ENVIRONMENT
    default_retryable = True


class SourceError(ConnectorError):
    """A source could not read.

    Example:
        raise SourceError(f"cannot read {path}: {error.strerror}", hint="check its rights") from error
    """


class SinkError(ConnectorError):
    """A sink could not write, pre-commit or commit.

    Example:
        raise SinkError("the disk is full", hint="free some space and run the job again") from error
    """


class StateError(PipelineError):
    """State was used in a way that its descriptor or its key does not allow."""

    fault = Fault.USER


class EncodingError(StateError):
    """A value cannot be stored and restored as an equal value of the same type.

    Declare your own classes with `value_type=`, or convert the value to plain types in a `map` upstream.
    """


class CheckpointError(PipelineError):
    """A checkpoint could not be taken or restored; retryable unless it states otherwise."""

    fault = Fault.ENVIRONMENT
    default_retryable = True


class CheckpointCorrupted(CheckpointError):
    """Stored bytes are not the ones that were written; nothing was restored from them.

    The message names the file and the checkpoints that can be restored; a retry does not help.
    """

    default_retryable = False


class Fenced(CheckpointError):
    """A newer attempt owns the job: this one commits nothing and ends, without a restart."""

    default_retryable = False


class JobAlreadyRunning(PipelineError):
    """Another run of the same job is alive; the message names its host and process."""

    fault = Fault.CONFIG


class BackpressureOverflow(PipelineError):
    """A buffer with the ERROR strategy was full; retryable: the job restarts from its last checkpoint."""

    fault = Fault.ENVIRONMENT
    default_retryable = True


class InternalError(PipelineError):
    """A broken invariant of the engine; please report it, with the traceback."""

    fault = Fault.ENGINE
