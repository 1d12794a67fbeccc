"""Descriptors: what is wrong in them is refused where they are written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.errors import ConfigError
from state.descriptors import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    ValueStateDescriptor,
)


class Counting:
    """Counts what it is given."""

    def create_accumulator(self) -> int:
        return 0

    def add(self, value: str, accumulator: int) -> int:
        return accumulator + 1

    def get_result(self, accumulator: int) -> int:
        return accumulator

    def merge(self, first: int, second: int) -> int:
        return first + second


@pytest.mark.parametrize("make", [ValueStateDescriptor[Any], ListStateDescriptor, MapStateDescriptor])
@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1), timedelta(microseconds=999)])
def test_a_lifetime_below_a_millisecond_is_refused(make: Any, ttl: timedelta) -> None:
    with pytest.raises(ConfigError, match="state 'x': ttl must be at least 1 ms, not"):
        make(name="x", ttl=ttl)
    assert make(name="x", ttl=timedelta(milliseconds=1)).ttl == timedelta(milliseconds=1)


@pytest.mark.parametrize("default", [[], {}, set[int](), bytearray()], ids=repr)
def test_a_default_that_keys_would_share_is_refused(default: Any) -> None:
    """As dataclasses refuse it: changed for one key, it would change for all."""
    with pytest.raises(ConfigError, match="state 'x': a mutable default") as refused:
        ValueStateDescriptor(name="x", default=default)
    assert "value() is None" in str(refused.value.hint)


@pytest.mark.parametrize("default", [None, 0, "", (), (1, 2), frozenset[int]()], ids=repr)
def test_other_defaults_are_fine(default: Any) -> None:
    assert ValueStateDescriptor(name="x", default=default).default == default


def test_descriptors_can_be_made_with_their_types() -> None:
    """`ReducingStateDescriptor[int](...)` tells a type checker what the state holds."""
    assert ValueStateDescriptor[int](name="x", default=0) == ValueStateDescriptor(name="x", default=0)
    assert ReducingStateDescriptor[int](name="x", reduce=max).reduce is max
    counting = Counting()
    assert AggregatingStateDescriptor[str, int, int](name="x", aggregate=counting).aggregate is counting
