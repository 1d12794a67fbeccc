"""The reactive core by itself: demand, the hand-over between threads, and flattening, beside reactivex."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import reactivex
from reactivex import operators as ops

from benchmarks.chain import double, increment, no_third
from benchmarks.harness import Case, Least, OnStep, Ratio, rate
from pipeline.reactive import Worker, filter, flat_map, from_iterable, map, publish_on  # noqa: A004
from pipeline.reactive.demand import UNBOUNDED, low_tide

RECORDS = 500_000
DEMAND = 256
LOOP_DEMAND = 8192
"""What the bare loop asks for ahead: with so much it waits as little as it can."""

INNER = 10


@contextmanager
def cases(records: int | None, _on_step: OnStep) -> Generator[list[Case]]:
    """Give the cases of issue 4's table that need no job."""
    count = records or RECORDS
    yield [_steps(count), _single_hand_over(count // 5), _batch_hand_over(count * 4), _flattening(count)]


class _Sum:
    """Adds what it gets, and asks for more whenever three quarters of the demand have come."""

    def __init__(self, demand: int) -> None:
        self._demand = demand
        self._low = low_tide(demand)
        self._left = self._low
        self._subscription: Any = None
        self.total = 0
        self.ended = threading.Event()

    def on_subscribe(self, subscription: Any) -> None:
        self._subscription = subscription
        subscription.request(self._demand)

    def on_next(self, value: int) -> None:
        self.total += value
        self._left -= 1
        if not self._left:
            self._ask()

    def on_next_batch(self, values: Sequence[int]) -> None:
        self.total += sum(values)
        self._left -= len(values)
        if self._left <= 0:
            self._ask()

    def _ask(self) -> None:
        more, self._left = self._low - self._left, self._low
        if self._demand != UNBOUNDED:
            self._subscription.request(more)

    def on_error(self, error: Exception) -> None:
        raise error

    def on_completed(self) -> None:
        self.ended.set()


# --- three cheap functions, one record at a time -----------------------------------------------------


def _steps(records: int) -> Case:
    numbers = list(range(records))
    answer = _steps_reactivex(numbers)
    subjects = {
        "reactivex": rate(records, answer, work=_steps_reactivex, on=numbers),
        "pipeline": rate(records, answer, work=_steps_pipeline, on=numbers),
    }
    goals = [Ratio("pipeline", "reactivex", 1.1)]
    return Case("map, filter, map with a demand of 256", "records/s", subjects, goals, rounds=15)


def _steps_reactivex(numbers: Sequence[int]) -> int:
    total = 0

    def add(value: int) -> None:
        nonlocal total
        total += value

    reactivex.from_iterable(numbers).pipe(
        ops.map(increment), ops.filter(no_third), ops.map(double)
    ).subscribe(add)
    return total


def _steps_pipeline(numbers: Sequence[int]) -> int:
    consumer = _Sum(DEMAND)
    from_iterable(numbers).pipe(map(increment), filter(no_third), map(double)).subscribe(consumer)
    return consumer.total


# --- from one thread to another -----------------------------------------------------------------------


def _single_hand_over(records: int) -> Case:
    return _hand_over("hand-over between threads, single records", records, batch_size=1, least=0.5e6)


def _batch_hand_over(records: int) -> Case:
    return _hand_over("hand-over between threads, batches of 256", records, batch_size=256, least=8e6)


def _hand_over(name: str, records: int, batch_size: int, least: float) -> Case:
    work = (range(records), batch_size)
    answer = sum(range(records))
    subjects = {
        "loop": rate(records, answer, work=_hop_loop, on=work),
        "pipeline": rate(records, answer, work=_hop_pipeline, on=work),
    }
    goals = [Least("pipeline", least), Ratio("pipeline", "loop", 1 / 1.3)]
    return Case(name, "records/s", subjects, goals, rounds=9)


class _Hop:
    """A bare bounded hand-over: a deque, a condition, and demand in records."""

    def __init__(self) -> None:
        self._queue: deque[Sequence[int] | None] = deque()
        self._changed = threading.Condition()
        self._demand = 0

    def request(self, n: int) -> None:
        with self._changed:
            self._demand += n
            self._changed.notify_all()

    def put(self, values: Sequence[int]) -> None:
        with self._changed:
            while self._demand <= 0:
                self._changed.wait()
            self._demand -= len(values)
            self._queue.append(values)
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._queue.append(None)
            self._changed.notify_all()

    def get(self) -> Sequence[int] | None:
        with self._changed:
            while not self._queue:
                self._changed.wait()
            return self._queue.popleft()


def _hop_loop(work: tuple[range, int]) -> int:
    numbers, batch_size = work
    hop = _Hop()

    def produce() -> None:
        for start in range(0, len(numbers), batch_size):
            hop.put(list(numbers[start : start + batch_size]))
        hop.end()

    producer = threading.Thread(target=produce, name="hop-producer")
    producer.start()
    hop.request(LOOP_DEMAND)
    total = taken = 0
    while (values := hop.get()) is not None:
        total += sum(values)
        taken += len(values)
        if taken >= low_tide(LOOP_DEMAND):
            hop.request(taken)
            taken = 0
    producer.join()
    return total


def _hop_pipeline(work: tuple[range, int]) -> int:
    numbers, batch_size = work
    consumer = _Sum(UNBOUNDED)
    with Worker("hand-over") as scheduler:
        from_iterable(numbers, batch_size=batch_size).pipe(publish_on(scheduler, LOOP_DEMAND)).subscribe(
            consumer if batch_size > 1 else _Singles(consumer)
        )
        consumer.ended.wait()
    return consumer.total


class _Singles:
    """The same consumer, which takes no batches."""

    def __init__(self, consumer: _Sum) -> None:
        self.on_subscribe = consumer.on_subscribe
        self.on_next = consumer.on_next
        self.on_error = consumer.on_error
        self.on_completed = consumer.on_completed


# --- many short sequences --------------------------------------------------------------------------------


def _flattening(records: int) -> Case:
    numbers = list(range(records // INNER))
    answer = _flatten_reactivex(numbers[:1000])
    if answer != _flatten_pipeline(numbers[:1000]):
        raise RuntimeError("the two ways to flatten give different sums")
    few = numbers[: len(numbers) // 10]  # reactivex takes its time
    subjects = {
        "reactivex": rate(len(few) * INNER, _flatten_pipeline(few), work=_flatten_reactivex, on=few),
        "pipeline": rate(records, _flatten_pipeline(numbers), work=_flatten_pipeline, on=numbers),
    }
    goals = [Ratio("pipeline", "reactivex", 20)]
    return Case("flat_map over sequences of ten", "records/s", subjects, goals, rounds=5)


def _ten_of(number: int) -> Sequence[int]:
    return [number] * INNER


def _flatten_reactivex(numbers: Sequence[int]) -> int:
    total = 0

    def add(value: int) -> None:
        nonlocal total
        total += value

    reactivex.from_iterable(numbers).pipe(
        ops.flat_map(lambda number: reactivex.from_iterable(_ten_of(number)))
    ).subscribe(add)
    return total


def _flatten_pipeline(numbers: Sequence[int]) -> int:
    consumer = _Sum(DEMAND)
    from_iterable(numbers).pipe(flat_map(_ten_of)).subscribe(consumer)
    return consumer.total
