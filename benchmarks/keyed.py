"""A running reduce by key beside a hand-written loop over a dict."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from operator import itemgetter

from benchmarks.events import Event, events
from benchmarks.harness import Case, OnStep, Ratio, rate
from benchmarks.jobs import SummingSink, run
from connectors.memory.collection import CollectionSource
from pipeline.api.job import StreamJob

RECORDS = 300_000
KEYS = 1000


@contextmanager
def cases(records: int | None, _on_step: OnStep) -> Generator[list[Case]]:
    """Give one case: each event is folded into its user's so far, and every result goes to the sink."""
    made = events(records or RECORDS, KEYS)
    answer = _loop(made)
    subjects = {
        "loop": rate(len(made), answer, work=_loop, on=made),
        "pipeline": rate(len(made), answer, work=_pipeline, on=made),
    }
    yield [Case("running reduce by key", "records/s", subjects, [Ratio("pipeline", "loop", 0.8)], rounds=31)]


def user(event: Event) -> str:
    return event["user"]


def add_up(first: Event, second: Event) -> Event:
    return {**second, "amount": first["amount"] + second["amount"]}


def _amounts(results: Sequence[Event]) -> int:
    return sum(map(itemgetter("amount"), results))


def _loop(made: Sequence[Event]) -> int:
    total = 0
    so_far: dict[str, Event] = {}
    for event in made:
        key = user(event)
        result = add_up(so_far[key], event) if key in so_far else event
        so_far[key] = result
        total += result["amount"]
    return total


def _pipeline(made: Sequence[Event]) -> int:
    sink = SummingSink[Event](_amounts)
    run(
        StreamJob.builder()
        .name("keyed")
        .source(CollectionSource(made))
        .key_by(user)
        .reduce(add_up)
        .sink(sink)
        .build()
    )
    return sink.total
