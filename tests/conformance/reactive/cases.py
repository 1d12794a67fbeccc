"""What is held against the rules: each operator of `pipeline.reactive`, set up to pass records on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from reactivex import Observable
from reactivex.scheduler import ImmediateScheduler, VirtualTimeScheduler

from pipeline import reactive
from pipeline.reactive import Flux

Operator = Callable[[Observable[Any]], Flux[Any]]


@dataclass(frozen=True)
class Case:
    """An operator that gives one record for each it takes.

    Args:
        make: makes it.
    """

    make: Callable[[], Operator]


def _stream_of(value: Any) -> Flux[Any]:
    return reactive.from_iterable([value]).pipe(reactive.map(lambda one: one))


def _first_of_zip(source: Observable[Any]) -> Flux[Any]:
    pairs = source.pipe(reactive.zip(reactive.from_iterable(count())))
    return pairs.pipe(reactive.map(lambda pair: pair[0]))


def _only_of_buffer(source: Observable[Any]) -> Flux[Any]:
    lists = source.pipe(reactive.buffer_timeout(1, timedelta(hours=1), VirtualTimeScheduler()))
    return lists.pipe(reactive.map(lambda values: values[0]))


def _never_again(errors: Flux[Exception]) -> Flux[Exception]:
    def given_up(error: Exception) -> Exception:
        raise error

    return errors.pipe(reactive.map(given_up))


OPERATORS = {
    "map": Case(lambda: reactive.map(lambda value: value)),
    "filter": Case(lambda: reactive.filter(lambda value: True)),
    "publish_on": Case(lambda: reactive.publish_on(ImmediateScheduler())),
    "subscribe_on": Case(lambda: reactive.subscribe_on(ImmediateScheduler())),
    "flat_map": Case(lambda: reactive.flat_map(lambda value: [value])),
    "flat_map of streams": Case(lambda: reactive.flat_map(_stream_of)),
    "concat": Case(lambda: reactive.concat(reactive.from_iterable([]))),
    "merge": Case(lambda: reactive.merge(reactive.from_iterable([]))),
    "zip": Case(lambda: _first_of_zip),
    "retry_when": Case(lambda: reactive.retry_when(_never_again)),
    "buffer_timeout": Case(lambda: _only_of_buffer),
}
