"""A keyed 10-second sum in event time beside a loop by hand, in a function and as a script, and bytewax."""

from __future__ import annotations

import runpy
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

from benchmarks.events import Event, events
from benchmarks.harness import Case, OnStep, Ratio, Subject, rate
from benchmarks.jobs import SummingSink, run
from connectors.memory.collection import CollectionSource
from pipeline.api.job import StreamJob
from pipeline.windows.assigners import TumblingTimeWindows
from pipeline.windows.watermarks import WatermarkStrategy

RECORDS = 200_000
KEYS = 1000
SIZE_MS = 10_000
BOUND_MS = 1000


class SumOfAmounts:
    """An aggregate as a user writes it."""

    def create_accumulator(self) -> int:
        return 0

    def add(self, value: Event, accumulator: int) -> int:
        return accumulator + value["amount"]

    def get_result(self, accumulator: int) -> int:
        return accumulator

    def merge(self, first: int, second: int) -> int:
        return first + second


@contextmanager
def cases(records: int | None, _on_step: OnStep) -> Generator[list[Case]]:
    """Give one case: every user's amounts in every window of 10 seconds; all results go to the sink."""
    made = events(records or RECORDS, KEYS)
    answer = _loop(made)
    subjects = {
        "loop": rate(len(made), answer, work=_loop, on=made),
        "script": rate(len(made), answer, work=_script, on=made),
        "pipeline": rate(len(made), answer, work=_pipeline, on=made),
    }
    goals = [Ratio("pipeline", "loop", 1.2), Ratio("pipeline", "script", 1.2)]
    bytewax = _bytewax(made, answer)
    if bytewax is not None:
        subjects["bytewax"] = bytewax
        goals.append(Ratio("pipeline", "bytewax", 25))
    yield [Case("keyed 10-second sum", "records/s", subjects, goals, rounds=7)]


user = itemgetter("user")
event_time = itemgetter("ts")


def _loop(made: Sequence[Event]) -> tuple[int, int]:
    """Do it by hand: windows by start, the watermark a second behind the latest event."""
    windows: dict[int, dict[str, int]] = {}
    results: list[tuple[str, int, int]] = []
    latest, next_end = 0, SIZE_MS
    for event in made:
        time = event["ts"]
        start = time - time % SIZE_MS
        sums = windows.get(start)
        if sums is None:
            sums = windows[start] = {}
        key = event["user"]
        sums[key] = sums.get(key, 0) + event["amount"]
        if time > latest:
            latest = time
            watermark = latest - BOUND_MS
            if watermark >= next_end:
                for closed in sorted(start for start in windows if start + SIZE_MS <= watermark):
                    for name, total in windows.pop(closed).items():
                        results.append((name, closed, total))
                next_end = (min(windows) if windows else watermark) + SIZE_MS
    for closed in sorted(windows):
        for name, total in windows[closed].items():
            results.append((name, closed, total))
    return len(results), sum(result[2] for result in results)


def _script(made: Sequence[Event]) -> object:
    """Do it by hand as the loop that the goal was set by: with nothing in a function."""
    return runpy.run_path(str(Path(__file__).with_name("window_script.py")), {"made": made})["answer"]


def _pipeline(made: Sequence[Event]) -> tuple[int, int]:
    results: list[int] = []
    sink = SummingSink[int](lambda totals: (results.append(len(totals)), sum(totals))[1])
    run(
        StreamJob.builder()
        .name("window")
        .source(
            CollectionSource(made),
            watermarks=WatermarkStrategy.bounded_out_of_orderness(
                timedelta(milliseconds=BOUND_MS), timestamp=event_time
            ),
        )
        .key_by(user)
        .window(TumblingTimeWindows.of(timedelta(milliseconds=SIZE_MS)))
        .aggregate(SumOfAmounts())
        .sink(sink)
        .build()
    )
    return sum(results), sink.total


def _bytewax(made: Sequence[Event], answer: object) -> Subject | None:
    """Return the same on bytewax, None where that is not installed."""
    try:
        from bytewax import operators as op
        from bytewax.dataflow import Dataflow
        from bytewax.operators import windowing
        from bytewax.testing import TestingSink, TestingSource, run_main  # pyright: ignore[reportUnknownVariableType]
    except ImportError:
        return None
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    dated = [{**event, "at": epoch + timedelta(milliseconds=event["ts"])} for event in made]

    def work(on: Sequence[Event]) -> tuple[int, int]:
        out: list[Any] = []
        flow = Dataflow("window")
        keyed = op.key_on("key", op.input("in", flow, TestingSource(on, batch_size=1000)), user)
        sums = windowing.fold_window(
            "sums",
            keyed,
            windowing.EventClock(
                ts_getter=lambda event: event["at"],
                wait_for_system_duration=timedelta(milliseconds=BOUND_MS),
            ),
            windowing.TumblingWindower(length=timedelta(milliseconds=SIZE_MS), align_to=epoch),
            lambda: 0,
            lambda total, event: total + event["amount"],
            lambda first, second: first + second,
        )
        op.output("out", sums.down, TestingSink(out))
        run_main(flow)
        return len(out), sum(total for _, (_, total) in out)

    return rate(len(dated), answer, work=work, on=dated)
