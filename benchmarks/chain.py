"""Stateless functions: a fused chain beside a hand-written loop, reactivex and bytewax."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from typing import Any

import reactivex
from reactivex import operators as ops

from benchmarks.events import Event, events
from benchmarks.harness import Case, OnStep, Ratio, Subject, rate
from benchmarks.jobs import SummingSink, run
from connectors.memory.collection import CollectionSource
from pipeline.api.job import StreamJob

CHEAP_RECORDS = 1_000_000
REALISTIC_RECORDS = 300_000
BYTEWAX_BATCH = 1000

Pair = tuple[str, int]

Totals = tuple[int, int]
"""How many outputs there were, and the sum of their cents: everyone counts both."""


@contextmanager
def cases(records: int | None, _on_step: OnStep) -> Generator[list[Case]]:
    """Give the case of cheap functions, where the engine is all there is, and one of realistic ones."""
    yield [_cheap(records or CHEAP_RECORDS), _realistic(records or REALISTIC_RECORDS)]


# --- four cheap functions ---------------------------------------------------------------------------


def increment(x: int) -> int:
    return x + 1


def no_third(x: int) -> bool:
    return x % 3 != 0


def double(x: int) -> int:
    return x * 2


def _cheap(records: int) -> Case:
    numbers = range(records)
    answer = _cheap_loop(numbers)
    work: dict[str, Callable[[Sequence[int]], int]] = {
        "loop": _cheap_loop,
        "pipeline": _cheap_pipeline,
        "reactivex": _cheap_reactivex,
    }
    subjects = {name: rate(records, answer, work=function, on=numbers) for name, function in work.items()}
    goals = [Ratio("pipeline", "loop", 0.95), Ratio("pipeline", "reactivex", 3.2)]
    return Case("four cheap functions", "records/s", subjects, goals, rounds=31)


def _cheap_loop(numbers: Sequence[int]) -> int:
    total = 0
    for number in numbers:
        x = increment(number)
        if no_third(x):
            x = double(x)
            x = increment(x)
            total += x
    return total


def _cheap_pipeline(numbers: Sequence[int]) -> int:
    sink = SummingSink[int](sum)
    run(
        StreamJob.builder()
        .name("cheap")
        .source(CollectionSource(numbers))
        .map(increment)
        .filter(no_third)
        .map(double)
        .map(increment)
        .sink(sink)
        .build()
    )
    return sink.total


def _cheap_reactivex(numbers: Sequence[int]) -> int:
    total = 0

    def add(x: int) -> None:
        nonlocal total
        total += x

    reactivex.from_iterable(numbers).pipe(
        ops.map(increment), ops.filter(no_third), ops.map(double), ops.map(increment)
    ).subscribe(add)
    return total


# --- realistic functions, with a flat_map -----------------------------------------------------------


def with_cents(event: Event) -> Event:
    return {**event, "cents": event["amount"] * 100}


def is_large(event: Event) -> bool:
    return event["amount"] > 100


def twice_if_huge(event: Event) -> tuple[Event, ...]:
    return (event, event) if event["amount"] > 900 else (event,)


def user_and_cents(event: Event) -> Pair:
    return event["user"], event["cents"]


def _cents(pairs: Sequence[Pair]) -> int:
    return sum(map(itemgetter(1), pairs))


def _realistic(records: int) -> Case:
    made = events(records)
    answer = _realistic_loop(made)
    subjects: dict[str, Subject] = {
        "loop": rate(records, answer, work=_realistic_loop, on=made),
        "script": rate(records, answer, work=_realistic_script, on=made),
        "pipeline": rate(records, answer, work=_realistic_pipeline, on=made),
        # Its flat_map subscribes once a record and is 200 times slower: it is left out, to its advantage.
        "reactivex without flat_map": rate(
            records, _realistic_reactivex(made), work=_realistic_reactivex, on=made
        ),
    }
    goals = [Ratio("pipeline", "loop", 0.9), Ratio("pipeline", "script", 0.9)]
    if find_spec("bytewax"):
        subjects["bytewax"] = rate(records, answer, work=_realistic_bytewax, on=made)
        goals.append(Ratio("pipeline", "bytewax", 1.3))
    return Case("realistic functions with flat_map", "records/s", subjects, goals, rounds=31)


def _realistic_loop(made: Sequence[Event]) -> Totals:
    count = total = 0
    for event in made:
        rich = with_cents(event)
        if is_large(rich):
            for one in twice_if_huge(rich):
                _, cents = user_and_cents(one)
                count += 1
                total += cents
    return count, total


def _realistic_script(made: Sequence[Event]) -> Totals:
    return runpy.run_path(str(Path(__file__).with_name("chain_script.py")), {"made": made})["answer"]


def _realistic_pipeline(made: Sequence[Event]) -> Totals:
    sink = SummingSink[Pair](_cents)
    run(
        StreamJob.builder()
        .name("realistic")
        .source(CollectionSource(made))
        .map(with_cents)
        .filter(is_large)
        .flat_map(twice_if_huge)
        .map(user_and_cents)
        .sink(sink)
        .build()
    )
    return sink.records, sink.total


def _realistic_reactivex(made: Sequence[Event]) -> Totals:
    count = total = 0

    def add(pair: Pair) -> None:
        nonlocal count, total
        count += 1
        total += pair[1]

    reactivex.from_iterable(made).pipe(
        ops.map(with_cents), ops.filter(is_large), ops.map(user_and_cents)
    ).subscribe(add)
    return count, total


def _realistic_bytewax(made: Sequence[Event]) -> Totals:
    import bytewax.operators as op
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSink, TestingSource, run_main  # pyright: ignore[reportUnknownVariableType]

    pairs: list[Pair] = []
    flow = Dataflow("realistic")
    stream: Any = op.input("input", flow, TestingSource(made, batch_size=BYTEWAX_BATCH))
    stream = op.map("with_cents", stream, with_cents)
    stream = op.filter("is_large", stream, is_large)
    stream = op.flat_map("twice_if_huge", stream, twice_if_huge)
    stream = op.map("user_and_cents", stream, user_and_cents)
    op.output("output", stream, TestingSink(pairs))
    run_main(flow)
    return len(pairs), _cents(pairs)
