"""The source and the sink of the harness: they keep to a scenario and remember what they saw."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.backpressure.scenario import Scenario
from pipeline.core.job import JobMode
from pipeline.spi.sink import Sink, SinkContext, SinkInfo
from pipeline.spi.source import JsonLike, Polled, PollingSource, SourceInfo

PAYLOAD: Final = "x" * 200
"""Makes a record as large as a small event, so that kept ones show in memory."""

MOST_AT_ONCE: Final = 256


def record(number: int) -> dict[str, Any]:
    """Make a record that knows its number and when it was made."""
    return {"n": number, "born": time.monotonic(), "payload": PAYLOAD + str(number)}


class Stage:
    """What source, sink and observer of one run share: the time since its start, and a way to end it."""

    def __init__(self, scenario: Scenario, seconds: float) -> None:
        self.scenario = scenario
        self.seconds = seconds
        self.changed = threading.Condition()
        self.closing = False
        self.quiet = threading.Event()
        self.offered = 0
        self._started = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def stop_offering(self) -> None:
        """Stop the source from emitting; `quiet` is set when all it emitted is on its way."""
        with self.changed:
            self.closing = True
            self.changed.notify_all()

    def wait_until_due(self, offered: int) -> int:
        """Return how many more records are due; 0 once no more are wanted."""
        with self.changed:
            while not self.closing:
                due = self.scenario.due(self.elapsed) - offered
                if due > 0:
                    return due
                self.changed.wait(max(0.0005, self.scenario.next_due(offered) - self.elapsed))
            return 0


class Offering(PollingSource[dict[str, Any]]):
    """Offers records as the scenario says; those that nobody asked for in time come as soon as they may."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._next = 0
        self._cancelled = threading.Event()

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("offering", self._stage.scenario.name, JobMode.STREAMING, durable=False)

    def seek(self, position: JsonLike) -> None:
        self._next = position if isinstance(position, int) else 0
        self._cancelled = threading.Event()

    def poll(self, demand: int) -> Polled[dict[str, Any]] | None:
        due = self._stage.wait_until_due(self._next)
        if not due:
            self._stage.quiet.set()
            self._cancelled.wait()
            return None
        first, self._next = self._next, self._next + min(due, demand, MOST_AT_ONCE)
        self._stage.offered = max(self._stage.offered, self._next)
        return Polled([record(number) for number in range(first, self._next)], self._next)

    def cancel(self) -> None:
        self._cancelled.set()


class Taking(Sink[dict[str, Any]]):
    """Takes records one by one at the scenario's rate, and notes how old each was."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.seen = Seen()

    @property
    def info(self) -> SinkInfo:
        return SinkInfo("taking", self._stage.scenario.name, "none")

    def invoke_batch(self, values: Sequence[dict[str, Any]], ctx: SinkContext) -> None:
        for value in values:
            self.take(value)

    def take(self, value: dict[str, Any]) -> None:
        """Take one record, in the time that it takes."""
        stage = self._stage
        self.seen.note(value["n"], time.monotonic() - value["born"])
        until = stage.scenario.stalled_until(stage.elapsed, stage.seconds)
        time.sleep(1 / stage.scenario.sink if until is None else until - stage.elapsed)


class Seen:
    """What has been delivered: how many, how old, and whether any was missing or out of order."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        self.ages: list[float] = []
        self.delivered = 0
        self.backwards = 0
        self._last = -1

    def note(self, number: int, age: float) -> None:
        self.delivered += 1
        self.backwards += number <= self._last
        self._last = number
        self.numbers.add(number)
        self.ages.append(age)

    @property
    def gaps(self) -> int:
        """Records below the greatest delivered that were not."""
        return max(self.numbers, default=-1) + 1 - len(self.numbers)
