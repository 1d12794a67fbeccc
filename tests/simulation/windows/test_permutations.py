"""Windows of event time against a direct computation: random input, disorder, idleness, lateness, restarts.

Source time, merging and the window operator are the real ones, driven in a fixed interleaving, with a
snapshot and a restore, maybe at another parallelism, in the middle. The oracle is written from the
definitions alone. `PIPELINE_SIMULATIONS` sets how many seeds are tried; a failure names its seed.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from pipeline.core.elements import Watermark
from pipeline.core.policy import SideTag
from pipeline.core.records import Batch
from pipeline.operators.timestamps import Timestamps
from pipeline.operators.window_operator import Windowing
from pipeline.operators.window_reduce import WindowReduce
from pipeline.runtime.contexts import Identity, VertexContext
from pipeline.runtime.source_time import SourceTime
from pipeline.testing import ManualClock, OperatorHarness
from pipeline.testing.harness import OperatorSnapshot
from pipeline.windows.assigners import SlidingTimeWindows, TumblingTimeWindows, Window, WindowAssigner
from pipeline.windows.watermarks import WatermarkStrategy
from state.encoding import from_json, to_json
from state.keys import key_groups, subtask_of

SEEDS = int(os.environ.get("PIPELINE_SIMULATIONS", "2000"))
SHARE = 50
"""Seeds of one test, so that a failure is found soon."""

IDLE_MS = 1000
LATE = SideTag[Any]("late")
GROUPS = 16


class Record(NamedTuple):
    split: str
    key: int
    timestamp: int
    value: int


class Silence(NamedTuple):
    """Long enough for every split to fall idle, but for those of which something came meanwhile."""


class Result(NamedTuple):
    key: int
    window: Window
    value: int


@dataclass
class Scenario:
    """What one seed stands for.

    Attributes:
        events: what happens, in order.
        restart: before which event the snapshot is taken and restored.
        subtasks: of the windows, before and after that.
    """

    assigner: WindowAssigner
    bound_ms: int
    lateness_ms: int
    splits: Sequence[str]
    events: list[Record | Silence]
    restart: int
    subtasks: tuple[int, int]
    to_side_output: bool


def scenario(rng: random.Random, disorder: float = 2.0) -> Scenario:
    """Draw one; timestamps go back by up to `disorder` times the bound."""
    splits = [f"s{number}" for number in range(rng.randint(1, 3))]
    bound = rng.choice([0, 5, 20])
    now = dict.fromkeys(splits, rng.randint(-50, 50))
    events: list[Record | Silence] = []
    for value in range(1, rng.randint(2, 60)):
        if disorder and rng.random() < 0.05:
            events.append(Silence())
            continue
        split = rng.choice(splits)
        now[split] += rng.choice([0, 1, 3, 10])
        back = rng.randint(0, int(bound * disorder))
        events.append(Record(split, rng.randint(0, 3), now[split] - back, value))
    assigner: WindowAssigner = TumblingTimeWindows(rng.choice([1, 10, 25]), rng.choice([0, 0, 3]) % 10)
    if rng.random() < 0.5:
        assigner = SlidingTimeWindows(20, rng.choice([5, 8, 20]))
    return Scenario(
        assigner,
        bound,
        rng.choice([0, 0, 7, 30]),
        splits,
        events,
        rng.randint(0, len(events)),
        (rng.randint(1, 2), rng.randint(1, 3)),
        rng.random() < 0.5,
    )


@dataclass
class Outcome:
    """All results in the order of their firing, and records that were late."""

    results: list[Result] = field(default_factory=list[Result])
    late: list[int] = field(default_factory=list[int])
    counted: int = 0


class Oracle:
    """The definitions: a record's windows, when each ends, what is late; one record at a time."""

    def __init__(self, scene: Scenario) -> None:
        self.scene = scene
        self.greatest: dict[str, float] = dict.fromkeys(scene.splits, float("-inf"))
        self.idle: set[str] = set()
        self.heard: set[str] = set()
        self.watermark = float("-inf")
        self.contents: dict[tuple[int, Window], list[int]] = {}
        self.outcome = Outcome()

    def run(self) -> Outcome:
        for number, event in enumerate(self.scene.events):
            if number == self.scene.restart:
                self.idle.clear()  # a restart waits for every split again
            if isinstance(event, Silence):
                self.idle = set(self.scene.splits)
                self._advance()
            else:
                self._record(event)
        self._come_to(float("inf"))
        return self.outcome

    def _record(self, record: Record) -> None:
        windows = [
            window
            for window in self.scene.assigner.assign(record.timestamp)
            if window.end - 1 + self.scene.lateness_ms > self.watermark
        ]
        if not windows:
            self.outcome.late.append(record.value)
        for window in windows:
            values = self.contents.setdefault((record.key, window), [])
            values.append(record.value)
            if window.end - 1 <= self.watermark:
                self.outcome.results.append(Result(record.key, window, sum(values)))
        self.idle.discard(record.split)
        self.greatest[record.split] = max(self.greatest[record.split], record.timestamp)
        self._advance()

    def _advance(self) -> None:
        awake = [self.greatest[split] for split in self.scene.splits if split not in self.idle]
        reached = min(awake) if awake else max(self.greatest.values())
        self._come_to(reached - self.scene.bound_ms - 1)

    def _come_to(self, watermark: float) -> None:
        before, self.watermark = self.watermark, max(self.watermark, watermark)
        for (key, window), values in self.contents.items():
            if before < window.end - 1 <= self.watermark:
                self.outcome.results.append(Result(key, window, sum(values)))


class Engine:
    """The real parts in one thread: a source's time before subtasks of a window operator."""

    def __init__(self, scene: Scenario, strategy: WatermarkStrategy) -> None:
        self.scene = scene
        self.strategy = strategy
        self.clock = ManualClock()
        self.outcome = Outcome()
        self.time = self._source()
        self.windows = [self._subtask(n, scene.subtasks[0], ()) for n in range(scene.subtasks[0])]

    def run(self, batches: Sequence[Sequence[Record] | Silence], restart: int) -> Outcome:
        self._tell(self.time.declare(self.scene.splits))
        for number, batch in enumerate(batches):
            if number == restart:
                self._restart()
            if isinstance(batch, Silence):
                self._fall_silent()
            else:
                self._tell(self.time.stamped(Batch(batch), batch[0].split))
        for window in self.windows:
            self.outcome.results += window.finish()
        self._close()
        return self.outcome

    def _fall_silent(self) -> None:
        assert self.time.idleness is not None
        self.time.idleness.look()
        self.clock.advance(timedelta(milliseconds=IDLE_MS))
        self._tell(self.time.fall_idle())
        self.time.idleness.rest()

    def _tell(self, elements: Iterator[Any] | Sequence[Any]) -> None:
        for element in elements:
            if isinstance(element, Batch):
                self._pass(element)
            elif isinstance(element, Watermark):
                for window in self.windows:
                    self.outcome.results += window.watermark(element.timestamp)

    def _pass(self, batch: Batch[Any]) -> None:
        groups = key_groups([record.key for record in batch.values], GROUPS)
        assert batch.timestamps is not None
        for number, window in enumerate(self.windows):
            mine = [
                i for i, group in enumerate(groups) if subtask_of(group, len(self.windows), GROUPS) == number
            ]
            if mine:
                values = [batch.values[i] for i in mine]
                self.outcome.results += window.process(values, [batch.timestamps[i] for i in mine])

    def _restart(self) -> None:
        stored = json.dumps(to_json(self.time.snapshot()))
        snapshots = [window.snapshot() for window in self.windows]
        self._close()
        self.time = self._source()
        self.time.restore(from_json(json.loads(stored)))
        subtasks = self.scene.subtasks[1]
        self.windows = [self._subtask(number, subtasks, snapshots) for number in range(subtasks)]
        self._tell(self.time.now())
        self._tell(self.time.declare(self.scene.splits))

    def _source(self) -> SourceTime:
        ctx = VertexContext(Identity("job", "lineage", 1), 0, 1, self.clock)
        timestamps = Timestamps(self.strategy, "source", ctx, self.clock)
        return SourceTime(self.strategy, "source", timestamps, self.clock, lambda: None)

    def _subtask(self, number: int, subtasks: int, restore: Sequence[OperatorSnapshot]) -> OperatorHarness:
        late = LATE if self.scene.to_side_output else None
        windowing = Windowing(self.scene.assigner, lambda record: record.key, self.scene.lateness_ms, late)
        fold = WindowReduce(
            windowing,
            lambda key, window, record: Result(key, window, record.value),
            value_type=Record,
            function=lambda first, second: second._replace(value=first.value + second.value),
        )
        return OperatorHarness(
            fold,
            restore=restore,
            subtask=number,
            parallelism=subtasks,
            max_parallelism=GROUPS,
            clock=self.clock,
        )

    def _close(self) -> None:
        for window in self.windows:
            self.outcome.late += [record.value for record in window.side_output(LATE)]
            self.outcome.counted += window.late
            window.close()


@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_every_window_is_as_computed_directly(first: int) -> None:
    """With a watermark after every record: what fires, how often, and what is late."""
    for seed in range(first, min(first + SHARE, SEEDS)):
        scene = scenario(random.Random(seed))
        expected = Oracle(scene).run()
        strategy = WatermarkStrategy(lambda record: record.timestamp, scene.bound_ms, IDLE_MS, every=1)
        batches = [event if isinstance(event, Silence) else [event] for event in scene.events]
        found = Engine(scene, strategy).run(batches, scene.restart)
        assert Counter(found.results) == Counter(expected.results), f"seed {seed}"
        if scene.to_side_output:
            assert (sorted(found.late), found.counted) == (expected.late, 0), f"seed {seed}"
        else:
            assert found.counted == len(expected.late), f"seed {seed}"


@pytest.mark.parametrize("first", range(0, SEEDS, 4 * SHARE))
def test_nothing_within_the_bound_is_late_however_it_is_cut(first: int) -> None:
    """Watermarks at the ends of batches of any size: each window has all its records, and fires once."""
    for seed in range(first, min(first + 4 * SHARE, SEEDS)):
        rng = random.Random(seed)
        scene = scenario(rng, disorder=0.0)
        records = [event for event in scene.events if isinstance(event, Record)]
        records = [
            each._replace(timestamp=each.timestamp - rng.randint(0, scene.bound_ms)) for each in records
        ]
        strategy = WatermarkStrategy(lambda record: record.timestamp, scene.bound_ms, IDLE_MS)
        batches = list(cut(records, rng))
        found = Engine(scene, strategy).run(batches, rng.randint(0, len(batches)))
        sums: Counter[tuple[int, Window]] = Counter()
        for record in records:
            for window in scene.assigner.assign(record.timestamp):
                sums[record.key, window] += record.value
        assert (found.late, found.counted) == ([], 0), f"seed {seed}"
        assert Counter((each.key, each.window) for each in found.results) == Counter(sums.keys()), (
            f"seed {seed}"
        )
        assert {(each.key, each.window): each.value for each in found.results} == sums, f"seed {seed}"


def cut(records: Sequence[Record], rng: random.Random) -> Iterator[list[Record]]:
    """Cut into batches, each of records of one split."""
    batch: list[Record] = []
    for record in records:
        if batch and (record.split != batch[0].split or rng.random() < 0.2):
            yield batch
            batch = []
        batch.append(record)
    if batch:
        yield batch
