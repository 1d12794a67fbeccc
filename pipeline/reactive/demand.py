"""The arithmetic of demand, in one place: how `request(n)` adds up, is used up and is asked for again.

`n` counts records, whatever batches they travel in. The rules are those of reactive-streams 1.0.4
(3.9: n must be positive; 3.17: demand saturates at 2^63 - 1, which means "without limit") and the
75 % rule of Project Reactor's `Operators.unboundedOrLimit`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

UNBOUNDED: Final = 2**63 - 1
"""Demand without limit: never counted down."""

MAX_BOUND: Final = 8192
"""Records: above it a hand-over gains nothing and a barrier only waits longer (DESIGN section 3)."""

MAX_BATCH: Final = 2048
"""The most records passed on together: of more, the first leave the processor's cache before the next step
takes them up; of fewer, what a batch costs shows. A chain of realistic functions is a fifth slower on batches
of 8,192, one of cheap functions is a thirtieth slower on batches of 1,024."""

BATCH_SECONDS: Final = 0.0005
"""What a batch read at once should take at most: some sixty times what the batch itself costs."""

FIRST_BOUND: Final = 32
"""Records: small enough not to hold a barrier up before the consumer's rate is known."""


def validate_request(n: int) -> int:
    """Return `n`, or raise ValueError if it breaks rule 3.9."""
    if n <= 0:
        raise ValueError(f"rule 3.9: request(n) needs n > 0, not {n}")
    return n


def add_cap(requested: int, n: int) -> int:
    """Add demand; the sum saturates at `UNBOUNDED`.

    Example:
        >>> add_cap(UNBOUNDED, 1) == UNBOUNDED
        True
    """
    return min(requested + n, UNBOUNDED)


def produced(requested: int, n: int) -> int:
    """Take `n` delivered records off the demand; unbounded demand stays unbounded."""
    return requested if requested == UNBOUNDED else requested - n


def low_tide(bound: int, chosen: int | None = None) -> int:
    """How many of `bound` requested records are consumed before more are asked for: three quarters.

    Args:
        bound: records.
        chosen: takes the place of three quarters; 0 for not before all of them, and one that is not
            below `bound` means nothing.

    Example:
        >>> [low_tide(n) for n in (100, 40, 256, 4, 3, 1)]
        [75, 30, 192, 3, 3, 1]
        >>> [low_tide(100, n) for n in (80, 0, 110)]
        [80, 100, 75]
    """
    if bound == UNBOUNDED:
        return UNBOUNDED
    if chosen is None or chosen >= bound:
        return bound - (bound >> 2)
    return chosen if chosen > 0 else bound


class Demand:
    """What one subscriber still wants: any thread adds to it, the one that emits takes off.

    The two keep counts of their own, so that the one that emits never waits.

    Attributes:
        violation: what broke rule 3.9; the emitter ends the stream with it.
    """

    __slots__ = ("_asked", "_emitted", "_lock", "violation")

    def __init__(self) -> None:
        self._asked = 0
        self._emitted = 0
        self._lock = threading.Lock()
        self.violation: ValueError | None = None

    def request(self, n: int) -> None:
        """Add to it; what breaks rule 3.9 is kept as `violation`."""
        try:
            validate_request(n)
        except ValueError as error:
            self.violation = error
            return
        with self._lock:
            self._asked = add_cap(self._asked, n)

    @property
    def left(self) -> int:
        """Records that may be emitted now."""
        asked = self._asked
        return UNBOUNDED if asked == UNBOUNDED else asked - self._emitted

    @property
    def emitted(self) -> int:
        """Records counted with `produced`."""
        return self._emitted

    def produced(self, n: int = 1) -> None:
        """Count emitted records; only the one that emits calls it."""
        self._emitted += n


class AdaptiveBound:
    """How many records a consumer may have in front of it: about one second of what it takes.

    It starts small, at most doubles from one observation to the next, and stays between 1 and
    `maximum`, so that a slow consumer holds a barrier up for about a second and a fast one is
    handed thousands together. The rate is weighed by time, not by batches: a consumer that takes
    nine batches into a buffer at once and writes for ten seconds at the tenth is a slow one.

    Args:
        maximum: records.
    """

    __slots__ = ("_maximum", "_records", "_seconds", "value")

    def __init__(self, maximum: int = MAX_BOUND) -> None:
        self._maximum = maximum
        self._records = 0.0
        self._seconds = 0.0
        self.value = min(FIRST_BOUND, maximum)

    def observe(self, records: int, seconds: float) -> None:
        """Learn that `records` took `seconds`; what was seen one second of work ago counts half."""
        if records <= 0:
            return
        seconds = max(seconds, 1e-6)
        weight = 0.5**seconds
        self._records = self._records * weight + records
        self._seconds = self._seconds * weight + seconds
        self.value = max(1, min(self._maximum, self.value * 2, int(self._records / self._seconds)))

    def limit(self, records: int) -> None:
        """Bound it from outside as well, such as by the bytes that the records take."""
        self.value = max(1, min(self.value, records))


class BatchBound:
    """How many records are worth reading at once: as many as take half a millisecond, 1,024 to 2,048.

    What takes longer makes larger things, as a rule: of 2,048 dicts the first have left the
    processor's cache before the last step takes them up, of 2,048 numbers they have not.
    """

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = MAX_BATCH

    def observe(self, records: int, seconds: float) -> None:
        """Learn that `records` took `seconds`; of few it says nothing."""
        least = MAX_BATCH // 2
        if records >= least:
            self.value = max(least, min(MAX_BATCH, int(records * BATCH_SECONDS / max(seconds, 1e-6))))


class Prefetch:
    """When to ask for more: once three quarters of the bound have been consumed.

    The bound may change at any time; what is outstanding follows it with the next request.
    """

    __slots__ = ("outstanding",)

    def __init__(self) -> None:
        self.outstanding = 0

    def first(self, bound: int) -> int:
        """Return the first request."""
        self.outstanding = bound
        return bound

    def consumed(self, records: int, bound: int) -> int:
        """Take note of consumed records and return how many to request now; 0 for none."""
        if self.outstanding == UNBOUNDED:
            return 0
        self.outstanding -= records
        if self.outstanding > bound - low_tide(bound):
            return 0
        missing = bound - self.outstanding
        self.outstanding = bound
        return missing


class SharedDemand:
    """The demand of several consumers of one stream: the least of theirs.

    Each record goes to one of them or to all. What may be asked of upstream is what the neediest
    still takes; what was asked for and has not come yet stays counted, so that no consumer is ever
    sent more than it wanted. For the same reason records are counted first as `delivered` and then
    as `arrived`: between the two, a request of another thread asks for too little, never too much.

    Args:
        consumers: how many.
        request: called with each increase, outside the lock.
    """

    def __init__(self, consumers: int, request: Callable[[int], None]) -> None:
        self._wanted = [0] * consumers
        self._asked = 0
        self._request = request
        self._lock = threading.Lock()

    def request(self, consumer: int, n: int) -> None:
        """Add to what one consumer wants."""
        with self._lock:
            self._wanted[consumer] = add_cap(self._wanted[consumer], n)
        self._ask()

    def delivered(self, consumer: int, records: int) -> None:
        """Count records handed to one consumer."""
        with self._lock:
            self._wanted[consumer] = produced(self._wanted[consumer], records)

    def arrived(self, records: int) -> None:
        """Count records that came from upstream and have been delivered.

        Asks for what has become free: what went to one consumer did not use up the others' demand.
        """
        with self._lock:
            self._asked = produced(self._asked, records)
        self._ask()

    def _ask(self) -> None:
        with self._lock:
            least = min(self._wanted)
            more = UNBOUNDED if least == UNBOUNDED else least - self._asked
            if self._asked == UNBOUNDED or more <= 0:
                return
            self._asked = least
        self._request(more)


class SideDemand:
    """The demand of consumers whose records come on top of what was asked for: side outputs.

    How many records a batch sends aside is known only once it has been processed, so they are
    counted rather than prevented. While one of the consumers has all it asked for, or more, the
    stream is to rest.

    Args:
        consumers: how many.

    Attributes:
        on_refilled: called, outside the lock, when the stream may continue.
    """

    def __init__(self, consumers: int) -> None:
        self._wanted = [0] * consumers
        self._lock = threading.Lock()
        self.on_refilled: Callable[[], None] | None = None

    @property
    def exhausted(self) -> bool:
        """Whether a consumer wants no more for now."""
        return any(wanted <= 0 for wanted in self._wanted)

    def request(self, consumer: int, n: int) -> None:
        """Add to what one consumer wants."""
        with self._lock:
            self._wanted[consumer] = add_cap(self._wanted[consumer], n)
        if self.on_refilled is not None and not self.exhausted:
            self.on_refilled()

    def delivered(self, consumer: int, records: int) -> None:
        """Count records handed to one consumer."""
        with self._lock:
            self._wanted[consumer] = produced(self._wanted[consumer], records)
