"""CollectionSource: any iterable, from its beginning, as often as attempts need it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors import CollectionSource
from pipeline.core.errors import SourceError
from pipeline.core.job import JobMode
from pipeline.testing.connectors import SourceDriver


def read(source: CollectionSource[int], records: int) -> list[int]:
    with SourceDriver(source) as driver:
        return driver.take(records)


def test_a_one_shot_iterator_is_read_no_further_than_needed() -> None:
    """Only what is asked for is pulled, and what was pulled is remembered."""
    pulled: list[int] = []

    def numbers() -> Iterator[int]:
        for n in range(1000):
            pulled.append(n)
            yield n

    source = CollectionSource(numbers())
    assert read(source, 2) == [0, 1]
    assert read(source, 3) == [0, 1, 2]
    assert pulled == [0, 1, 2]


def test_an_iterator_that_raised_raises_again() -> None:
    """A generator that failed looks exhausted afterwards: a restart must not take that for the end."""

    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    source = CollectionSource(broken())
    for _ in range(2):
        with pytest.raises(SourceError, match="ValueError at record 1: no more") as caught:
            read(source, 5)
        assert isinstance(caught.value.__cause__, ValueError)
        assert not caught.value.retryable


def test_a_collection_shorter_than_the_position_is_refused() -> None:
    with SourceDriver(CollectionSource([1, 2, 3])) as driver:
        driver.take(3)
        snapshot = driver.snapshot()
    with (
        pytest.raises(SourceError, match="record 3: the collection has 2 records"),
        SourceDriver(CollectionSource([1, 2]), snapshot) as driver,
    ):
        driver.take(1)


def test_info() -> None:
    """It is bounded and does not outlive its process."""
    info = CollectionSource({1, 2}).info
    assert (info.kind, info.mode, info.durable, info.resumable) == (
        "collection",
        JobMode.BATCH_ROLLER,
        False,
        True,
    )


def test_the_size_is_known_where_the_iterable_knows_it() -> None:
    assert CollectionSource({1, 2}).estimated_records() == 2
    assert CollectionSource(iter([1, 2])).estimated_records() is None
