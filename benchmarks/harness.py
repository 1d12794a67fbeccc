"""Measure subjects side by side: alternately, several rounds, medians and ratios of one round.

Machines drift: they warm up, throttle, share their cores. Figures taken minutes apart say little
about each other, so each round runs every subject once, one after the other, every other round in
reverse, and a ratio is the median of the rounds' own ratios.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

Subject = Callable[[], float]
"""Does the work once and returns what was measured, in the unit of its case."""

OnStep = Callable[[str], None]
"""Called with what is being done now."""


@dataclass(frozen=True)
class Ratio:
    """The goal that `subject` reaches at least `least` times the value of `over`."""

    subject: str
    over: str
    least: float


@dataclass(frozen=True)
class Least:
    """The goal that the value of `subject` is at least `least`, in the unit of the case."""

    subject: str
    least: float


@dataclass(frozen=True)
class Limit:
    """The goal that the value of `subject` is at most `most`, in the unit of the case."""

    subject: str
    most: float


Goal = Ratio | Least | Limit


@dataclass(frozen=True)
class Case:
    """One piece of work and who does it.

    Args:
        name: what is done.
        unit: of the values: `records/s`, `s`, `ms`, `MB`.
        subjects: who does it, the reference first.
        goals: what is to be reached.
        rounds: how often each subject runs unless the caller says; the quicker, the more.
        repeats: False where one run is enough, since it is long and varies little.
    """

    name: str
    unit: str
    subjects: Mapping[str, Subject]
    goals: Sequence[Goal] = ()
    rounds: int = 5
    repeats: bool = True


@dataclass
class Outcome:
    """The values of a case, one list for each subject, one entry for each round."""

    case: Case
    values: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def median(self, subject: str) -> float:
        return statistics.median(self.values[subject])

    def spread(self, subject: str) -> tuple[float, float]:
        """The least and the greatest value."""
        return min(self.values[subject]), max(self.values[subject])

    def ratio(self, subject: str, over: str) -> float:
        """The median of the ratios within each round."""
        pairs = zip(self.values[subject], self.values[over], strict=True)
        return statistics.median(value / reference for value, reference in pairs)

    def reached(self, goal: Goal) -> bool:
        if isinstance(goal, Least):
            return self.median(goal.subject) >= goal.least
        if isinstance(goal, Limit):
            return self.median(goal.subject) <= goal.most
        return self.ratio(goal.subject, goal.over) >= goal.least


def measure(case: Case, rounds: int | None, on_step: OnStep) -> Outcome:
    """Run every subject of `case` once per round, to and fro; `on_step` is called with the next one."""
    rounds = (rounds or case.rounds) if case.repeats else 1
    outcome = Outcome(case, {subject: [] for subject in case.subjects})
    for number in range(1, rounds + 1):
        in_turn = list(case.subjects.items())
        for name, subject in in_turn if number % 2 else in_turn[::-1]:
            on_step(f"{case.name}: {name}, round {number} of {rounds}")
            gc.collect()
            outcome.values[name].append(subject())
    return outcome


def rate(records: int, answer: object, *, work: Callable[[T], object], on: T) -> Subject:
    """Make a subject that measures records per second.

    Args:
        records: how many records the work counts for.
        answer: what the work must return: a subject that does less work is not comparable.
        work: called with `on`.
    """

    def subject() -> float:
        started = time.perf_counter()
        found = work(on)
        elapsed = time.perf_counter() - started
        if found != answer:
            raise RuntimeError(f"{work.__name__} returned {found!r}, expected {answer!r}")
        return records / elapsed

    return subject
