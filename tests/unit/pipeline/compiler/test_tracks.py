"""Timestamps and origins stay beside the values they belong to."""

from __future__ import annotations

import itertools

import pytest

from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch, Origin, OriginRange, pick
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.map import Map
from pipeline.operators.map_batches import MapBatches


async def async_half(x: int) -> int:
    return x // 2


SHAPES = {
    "map": [Map(lambda x: x // 2)],
    "map that drops": [Map(lambda x: 10 // (x - 4), ErrorPolicy.skip())],
    "map that retries": [Map(lambda x: x // 2, ErrorPolicy.retry(1))],
    "filter": [Filter(lambda x: x % 3)],
    "flat_map": [Map(lambda x: x % 4), FlatMap(range), Filter(lambda x: x != 1)],
    "two loops": [Filter(lambda x: x % 2), MapBatches(list), Filter(lambda x: x > 3)],
    "async": [Map(async_half), Filter(lambda x: x % 2)],
    "async flat_map": [Map(async_half), FlatMap(range)],
}
VALUES = list(range(9))


def expected(build, parts, track):
    """The output of each record alone shows which mark its outputs have."""
    return [
        mark for value, mark in zip(VALUES, track, strict=True) for _ in build(*parts).process(Batch([value]))
    ]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("with_timestamps", [True, False])
@pytest.mark.parametrize("with_origins", [True, False])
@pytest.mark.parametrize("carry", [True, False])
@pytest.mark.parametrize("limit", [None, 2, 100])
def test_outputs_inherit_the_tracks_of_their_record(
    build, shape, with_timestamps, with_origins, carry, limit
):
    parts = SHAPES[shape]
    timestamps = [1000 + value for value in VALUES] if with_timestamps else None
    origins = OriginRange("file", 50, len(VALUES)) if with_origins else None
    batch = Batch(VALUES, timestamps, origins)
    chain = build(*parts, carry_origins=carry)

    if limit is None:
        pieces = [chain.process(batch)]
    else:
        run = chain.iterate(batch)
        pieces = [run.take(limit)]
        while not run.exhausted:
            pieces.append(run.take(limit))
    full = [piece for piece in pieces if len(piece)]

    for piece in full:
        assert (piece.timestamps is None) == (not with_timestamps)
        assert (piece.origins is None) == (not (with_origins and carry))
    if timestamps is not None:
        taken = [mark for piece in full for mark in piece.timestamps or ()]
        assert taken == expected(build, parts, timestamps)
    if origins is not None and carry:
        assert [mark for piece in full for mark in piece.origins or ()] == expected(build, parts, origins)


def test_results_of_map_batches_have_tracks_only_if_there_is_one_for_each_record(build):
    batch = Batch([1, 2], [10, 20], OriginRange("f", 0, 2))

    kept = build(MapBatches(lambda values: [-v for v in values]), carry_origins=True).process(batch)
    lost = build(MapBatches(lambda values: [sum(values)]), carry_origins=True).process(batch)

    assert (kept.timestamps, kept.origins) == ([10, 20], batch.origins)
    assert (lost.timestamps, lost.origins) == (None, None)


def test_picked_origins_are_a_sequence():
    origins = pick(OriginRange("f", 10, 5), [0, 2, 4])

    assert list(origins) == [Origin("f", 10), Origin("f", 12), Origin("f", 14)]
    assert (len(origins), origins[-1]) == (3, Origin("f", 14))
    assert list(origins[1:]) == [Origin("f", 12), Origin("f", 14)]
    assert list(pick(origins, [2, 0])) == [Origin("f", 14), Origin("f", 10)]


def test_a_track_survives_joining_only_if_all_have_it():
    first, second = Batch([1], [10], [Origin("f", 0)]), Batch((2, 3), [20, 30])

    both = Batch.concat([first, Batch([]), second])

    assert (both.values, both.timestamps, both.origins) == ([1, 2, 3], [10, 20, 30], None)
    assert Batch.concat([Batch([]), second]) is second
    assert len(Batch.concat([])) == 0


def test_a_suspended_run_gives_each_take_its_own_marks(build):
    run = build(FlatMap(lambda x: itertools.repeat(x, 3))).iterate(Batch("ab", [1, 2]))

    assert [list(run.take(2).timestamps or ()) for _ in range(3)] == [[1, 1], [1, 2], [2, 2]]
