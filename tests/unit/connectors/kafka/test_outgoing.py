"""Outgoing: what comes back from the epoch log is what was written, to the byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.outgoing import OVERHEAD_BYTES, Outgoing

DATA = st.none() | st.binary(max_size=20)
COUNT = st.shared(st.integers(1, 4), key="count")


def column(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return COUNT.flatmap(lambda count: st.lists(values, min_size=count, max_size=count))


BATCHES = st.builds(
    Outgoing,
    topics=st.text(max_size=5) | column(st.text(max_size=5)),
    partitions=st.integers(0, 9) | column(st.integers(0, 9)),
    keys=st.none() | column(DATA),
    values=column(DATA),
    headers=st.none() | column(st.none() | st.lists(st.tuples(st.text(max_size=5), DATA), max_size=2)),
    timestamps=st.integers(0, 2**42) | column(st.integers(0, 2**42)),
)


@given(batch=BATCHES)
def test_the_log_returns_what_was_written(batch: Outgoing) -> None:
    """Null and empty are told apart, and a second writing passes the client the same arguments."""
    read = Outgoing.from_bytes(batch.to_bytes())
    assert list(read.arguments()) == list(batch.arguments())
    assert len(list(read.arguments())) == len(batch.values)


def test_a_size_counts_all_that_a_broker_counts() -> None:
    batch = Outgoing("t", 0, [b"key", None], [b"value", None], [[("h", b"1234")], None], 0)
    assert batch.sizes() == [OVERHEAD_BYTES + 3 + 5 + 1 + 4 + 10, OVERHEAD_BYTES]
