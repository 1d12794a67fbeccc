"""What became of a signal that was emitted into a sink, and what to do if it was not taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from enum import Enum, auto

from pipeline.core.errors import Fault, PipelineError


class EmitResult(Enum):
    """What became of a signal.

    Attributes:
        OK: it was taken; as far as subscribers want it, they have it.
        FAIL_TERMINATED: the sink has been completed or has failed.
        FAIL_OVERFLOW: there is no room for it.
        FAIL_CANCELLED: the subscriber has cancelled, and there will be no other.
        FAIL_NON_SERIALIZED: another thread is emitting at this moment.
        FAIL_ZERO_SUBSCRIBER: nobody has subscribed, and the sink keeps nothing, or no more, for later.
    """

    OK = auto()
    FAIL_TERMINATED = auto()
    FAIL_OVERFLOW = auto()
    FAIL_CANCELLED = auto()
    FAIL_NON_SERIALIZED = auto()
    FAIL_ZERO_SUBSCRIBER = auto()

    @property
    def is_success(self) -> bool:
        return self is EmitResult.OK

    def or_raise(self) -> None:
        """Raise EmissionError unless it was taken."""
        if not self.is_success:
            raise EmissionError(self)


class EmissionError(PipelineError):
    """A sink did not take a signal."""

    fault = Fault.USER

    def __init__(self, result: EmitResult) -> None:
        super().__init__(
            f"the sink did not accept the signal: {result.name}",
            retryable=result in (EmitResult.FAIL_NON_SERIALIZED, EmitResult.FAIL_OVERFLOW),
            hint="emit from one thread at a time, or with busy_looping(…)"
            if result is EmitResult.FAIL_NON_SERIALIZED
            else None,
        )
        self.result = result


EmitFailureHandler = Callable[[EmitResult], bool]
"""Called with each failure to emit; returns whether to try again at once."""


def fail_fast(_result: EmitResult) -> bool:
    """Never try again."""
    return False


def busy_looping(duration: timedelta, now: Callable[[], float] = time.monotonic) -> EmitFailureHandler:
    """Try again for up to `duration` while other threads emit.

    Each emission takes microseconds; where threads emit all the time, a lock of theirs is better.

    Args:
        duration: from this call on; make one handler for one emission.
        now: a clock in seconds that never goes back.
    """
    until = now() + duration.total_seconds()
    return lambda result: result is EmitResult.FAIL_NON_SERIALIZED and now() < until
