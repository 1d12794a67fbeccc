"""What each strategy promises, held against what was seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.backpressure.run import Run
from benchmarks.backpressure.scenario import BUFFER_SIZE, CONTRAST, SCENARIOS

SETTLED_S: Final = 5
"""Seconds after which memory must stay where it is."""

MOST_MB: Final = 16
LONGEST_CHECKPOINT_S: Final = 3


@dataclass(frozen=True)
class Promise:
    """One thing that must hold.

    Args:
        text: what is promised.
        found: what was seen, in words.
        kept: whether it held.
    """

    text: str
    found: str
    kept: bool


def promises(run: Run) -> list[Promise]:
    """Judge a run; plain reactivex promises nothing."""
    if run.subject == CONTRAST:
        return []
    judged = [Promise("the run ends as it should", run.failure or "it did", run.failure is None)]
    if run.scenario not in SCENARIOS:
        return [*judged, *_of_the_engine(run)]
    judged += {"BUFFER": _buffer, "DROP": _drop, "LATEST": _latest, "ERROR": _error}[run.subject](run)
    return [*judged, *_of_the_engine(run)]


def growth_mb(run: Run) -> float | None:
    """Say how far memory rose above its level after five seconds; None for a run too short to tell."""
    later = [sample["rss"] for sample in run.samples if sample["at"] >= SETTLED_S]
    return None if run.seconds < 2 * SETTLED_S or not later else max(later) - later[0]


def _buffer(run: Run) -> Iterator[Promise]:
    yield _nothing_unaccounted(run)
    yield Promise("nothing is dropped", f"{run.dropped:,} dropped", run.dropped == 0)
    yield _each_once_in_order(run)
    ahead = max((sample["offered"] - sample["delivered"] for sample in run.samples), default=0)
    text = f"the source is at most {BUFFER_SIZE:,} records ahead"
    yield Promise(text, f"{ahead:,} at most", ahead <= BUFFER_SIZE)


def _drop(run: Run) -> Iterator[Promise]:
    yield _nothing_unaccounted(run)
    yield Promise("each at most once, in order", f"{run.backwards:,} were not", run.backwards == 0)
    yield _bounded(run, BUFFER_SIZE)
    yield _source_not_held_back(run)


def _latest(run: Run) -> Iterator[Promise]:
    yield _nothing_unaccounted(run)
    yield Promise("each at most once, in order", f"{run.backwards:,} were not", run.backwards == 0)
    yield _bounded(run, 1)
    yield _source_not_held_back(run)
    scenario = SCENARIOS[run.scenario]
    if scenario.source >= 10_000:
        most = 2000 / scenario.sink
        age = run.ages_ms.get("p99", float("inf"))
        yield Promise(f"p99 of ages at most 2 sink periods, {most:g} ms", f"{age:.1f} ms", age <= most)


def _error(run: Run) -> Iterator[Promise]:
    yield Promise("nothing is lost by its restarts", f"{run.gaps:,} missing", run.gaps == 0)
    yield Promise("nothing is dropped", f"{run.dropped:,} dropped", run.dropped == 0)
    yield _bounded(run, BUFFER_SIZE)
    yield Promise("a full buffer fails the job", f"{run.overflows:,} overflows", run.overflows > 0)


def _of_the_engine(run: Run) -> Iterator[Promise]:
    growth = growth_mb(run)
    if growth is not None:
        yield Promise(
            f"memory at most {MOST_MB} MB above its level at {SETTLED_S} s",
            f"{growth:+.1f} MB",
            growth <= MOST_MB,
        )
    scenario = SCENARIOS.get(run.scenario)
    if scenario is not None and scenario.stall is not None:
        return  # nothing can be committed by a sink that takes nothing
    yield Promise(
        "every checkpoint completes", f"{run.failed_checkpoints} did not", not run.failed_checkpoints
    )
    if scenario is not None and run.checkpoint_s:
        longest = max(run.checkpoint_s)
        text = f"a checkpoint takes at most {LONGEST_CHECKPOINT_S} s"
        yield Promise(text, f"{longest:.2f} s", longest <= LONGEST_CHECKPOINT_S)


def _nothing_unaccounted(run: Run) -> Promise:
    rest = run.offered - run.delivered - run.dropped - run.buffered
    return Promise("in = out + dropped + buffered", f"{rest:+,}", rest == 0)


def _each_once_in_order(run: Run) -> Promise:
    kept = run.gaps == run.backwards == 0
    return Promise(
        "each exactly once, in order", f"{run.gaps:,} missing, {run.backwards:,} not in order", kept
    )


def _bounded(run: Run, most: int) -> Promise:
    held = max((sample["buffered"] for sample in run.samples), default=0)
    return Promise(f"at most {most:,} buffered", f"{held:,}", held <= most)


def _source_not_held_back(run: Run) -> Promise:
    due = SCENARIOS[run.scenario].due(run.seconds)
    return Promise(
        "the source is not held back", f"{run.offered / due:.0%} offered", run.offered >= 0.9 * due
    )
