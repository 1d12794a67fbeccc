"""Which windows a record belongs to: pure functions of its timestamp."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from math import gcd
from typing import NamedTuple

from pipeline.core.durations import describe_duration, milliseconds
from pipeline.core.errors import ConfigError


class Window(NamedTuple):
    """The instants from `start` up to, not including, `end`; milliseconds UTC."""

    start: int
    end: int

    @property
    def max_timestamp(self) -> int:
        """The last instant of the window; its results have this time."""
        return self.end - 1


class Panes(NamedTuple):
    """Equal parts of time, `size` ms each, one of which starts at `offset`.

    All instants of a part are in the same windows, so that a batch of records is assigned part by part.
    """

    size: int
    offset: int = 0

    def start(self, timestamp: int) -> int:
        """Return where the part that holds `timestamp` starts."""
        return timestamp - (timestamp - self.offset) % self.size

    def divide(self, timestamps: list[int]) -> Iterator[tuple[int, slice | list[int]]]:
        """Yield where each part starts that occurs, and which of the timestamps are in it.

        Those are a slice where the timestamps are in order, else their indices, in their own order.
        """
        if sorted(timestamps) == timestamps:
            return self._cut(timestamps)
        return self._gather(timestamps)

    def _cut(self, timestamps: list[int]) -> Iterator[tuple[int, slice]]:
        position = 0
        while position < len(timestamps):
            start = self.start(timestamps[position])
            end = bisect_left(timestamps, start + self.size, position)
            yield start, slice(position, end)
            position = end

    def _gather(self, timestamps: list[int]) -> Iterator[tuple[int, slice | list[int]]]:
        size, offset = self.size, self.offset
        starts = [timestamp - (timestamp - offset) % size for timestamp in timestamps]
        if starts.count(starts[0]) == len(starts):
            yield starts[0], slice(0, len(starts))
            return
        parts: dict[int, list[int]] = defaultdict(list)
        for index, start in enumerate(starts):
            parts[start].append(index)
        yield from parts.items()


class WindowAssigner(ABC):
    """Describes a division of time into windows."""

    @abstractmethod
    def assign(self, timestamp: int) -> list[Window]:
        """Return the windows that hold `timestamp` (milliseconds UTC), the earliest first."""

    def has(self, window: Window) -> bool:
        """Whether `assign` may have returned a window; state of another one is refused."""
        return window in self.assign(window.start)

    @property
    @abstractmethod
    def panes(self) -> Panes:
        """Return the coarsest division of time in which each part is wholly in the same windows."""

    @abstractmethod
    def describe(self) -> str:
        """A few words for graphs, `explain` and checkpoints.

        Two assigners of different windows differ in them, and they stay the same over releases: state
        is refused to windows that are described otherwise than those it was stored for.
        """


@dataclass(frozen=True, slots=True)
class TumblingTimeWindows(WindowAssigner):
    """Adjacent windows of one size: each record is in exactly one.

    Example:
        >>> TumblingTimeWindows.of(timedelta(minutes=5)).assign(301_000)
        [Window(start=300000, end=600000)]
    """

    size_ms: int
    offset_ms: int = 0

    @classmethod
    def of(cls, size: timedelta, offset: timedelta = timedelta()) -> TumblingTimeWindows:
        """Divide time into adjacent windows.

        Args:
            size: at least 1 ms.
            offset: shifts the windows from midnight UTC of 1970-01-01; between `-size` and `size`. Windows
                of a day that begin at midnight in UTC+8 have an offset of -8 hours.

        Returns:
            The assigner.

        Raises:
            ConfigError: size or offset is out of range.

        Example:
            by_user.window(TumblingTimeWindows.of(timedelta(minutes=5)))
        """
        size_ms = milliseconds("the window's size", size)
        offset_ms = milliseconds("the window's offset", offset, least=1 - size_ms)
        if offset_ms >= size_ms:
            raise ConfigError(f"the window's offset must be smaller than its size {size}, not {offset}")
        return cls(size_ms, offset_ms)

    def assign(self, timestamp: int) -> list[Window]:
        start = timestamp - (timestamp - self.offset_ms) % self.size_ms
        return [Window(start, start + self.size_ms)]

    @property
    def panes(self) -> Panes:
        return Panes(self.size_ms, self.offset_ms)

    def describe(self) -> str:
        sign = "-" if self.offset_ms < 0 else ""
        offset = f", offset {sign}{describe_duration(abs(self.offset_ms))}" if self.offset_ms else ""
        return f"tumbling {describe_duration(self.size_ms)}{offset}"


@dataclass(frozen=True, slots=True)
class SlidingTimeWindows(WindowAssigner):
    """Windows of one size, a new one every `slide`: each record is in `size / slide` of them.

    Example:
        >>> SlidingTimeWindows.of(timedelta(minutes=10), timedelta(minutes=5)).assign(301_000)
        [Window(start=0, end=600000), Window(start=300000, end=900000)]
    """

    size_ms: int
    slide_ms: int

    @classmethod
    def of(cls, size: timedelta, slide: timedelta) -> SlidingTimeWindows:
        """Start a window of `size` every `slide`.

        Args:
            size: at least 1 ms.
            slide: 1 ms to `size`; best a divisor of it.

        Returns:
            The assigner.

        Raises:
            ConfigError: a duration is below 1 ms, or `slide` is larger than `size`: records between two
                windows would be in none.

        Example:
            by_user.window(SlidingTimeWindows.of(timedelta(minutes=10), timedelta(minutes=5)))
        """
        size_ms = milliseconds("the window's size", size)
        slide_ms = milliseconds("the window's slide", slide)
        if slide_ms > size_ms:
            raise ConfigError(
                f"the window's slide must not exceed its size {size}, found {slide}",
                hint="records between two windows would be lost; filter them out and use tumbling windows",
            )
        return cls(size_ms, slide_ms)

    def assign(self, timestamp: int) -> list[Window]:
        last = timestamp - timestamp % self.slide_ms
        count = (last + self.size_ms - timestamp - 1) // self.slide_ms + 1
        starts = range(last - (count - 1) * self.slide_ms, last + 1, self.slide_ms)
        return [Window(start, start + self.size_ms) for start in starts]

    @property
    def panes(self) -> Panes:
        return Panes(gcd(self.size_ms, self.slide_ms))

    def describe(self) -> str:
        return f"sliding {describe_duration(self.size_ms)} every {describe_duration(self.slide_ms)}"
