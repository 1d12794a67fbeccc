"""From messages to records: formats, poison, and the place of each record."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.decoding import Decoder, by_partition, origins_of
from connectors.kafka.formats import Bytes, Field, Format, Json, Text, format_of
from connectors.kafka.partitions import Partition
from pipeline.core.errors import SourceError
from pipeline.core.records import Origin, OriginRange

EVENTS = Partition("events", 0)


def message(
    value: bytes | None = b"1", offset: int = 0, *, key: bytes | None = None, at: Partition = EVENTS
) -> Message:
    return Message(
        topic=at.topic, partition=at.number, offset=offset, value=value, key=key, timestamp=(1, offset * 10)
    )


@given(
    st.lists(
        st.one_of(st.none(), st.integers().map(str).map(str.encode), st.sampled_from([b"{", b"", b"\xff"]))
    )
)
def test_every_message_is_a_record_or_poison(values: list[bytes | None]) -> None:
    """In their order, with their own offset and timestamp, whichever of them are broken."""
    decoded = Decoder("events", Json(), None).decode(
        EVENTS, [message(value, offset) for offset, value in enumerate(values)]
    )
    sound = [offset for offset, value in enumerate(values) if value is None or value.lstrip(b"-").isdigit()]
    broken = [offset for offset in range(len(values)) if offset not in sound]
    assert decoded.values == [json.loads(values[offset] or b"null") for offset in sound]
    assert decoded.timestamps == [offset * 10 for offset in sound]
    assert [origin.position for origin in decoded.origins] == sound
    assert [poison.origin for poison in decoded.poison] == [Origin("events-0", offset) for offset in broken]
    assert [poison.data for poison in decoded.poison] == [values[offset] for offset in broken]


def test_two_broken_records_do_not_make_a_sound_pair() -> None:
    """As they would if a batch were joined into one array and decoded in one call."""
    decoded = Decoder("events", Json(), None).decode(
        EVENTS, [message(b'"a', 0), message(b'b"', 1), message(b"1,2", 2)]
    )
    assert decoded.values == []
    assert len(decoded.poison) == 3


class Unreachable(Format[str]):
    """Needs a server that does not answer."""

    @property
    def name(self) -> str:
        return "unreachable"

    def decoder(self, topic: str, field: Field) -> Callable[[bytes], str]:
        def decode(data: bytes) -> str:
            if data == b"now":
                raise SourceError("no answer")
            raise ValueError(data)

        return decode

    def encoder(self, topic: str, field: Field) -> Callable[[str], bytes]:
        return str.encode


@pytest.mark.parametrize("values", [[b"now"], [b"poison", b"now"]])
def test_a_record_is_not_poison_when_nothing_can_be_decoded(values: list[bytes]) -> None:
    """A schema registry that is away fails the job; its records are not thrown away for it."""
    with pytest.raises(SourceError, match="no answer"):
        Decoder("events", Unreachable(), None).decode(EVENTS, [message(value) for value in values])


def test_null_is_none_in_every_format() -> None:
    never: Callable[[bytes], Any] = lambda data: pytest.fail("null is not for a decoder")  # noqa: E731
    for format_ in (Json(), Json(int), Text(), Bytes(), format_of(never)):
        assert Decoder("events", format_, None).decode(EVENTS, [message(None)]).values == [None]


def test_the_function_of_a_user_is_named_when_it_raises() -> None:
    decoded = Decoder("events", format_of(int), None).decode(EVENTS, [message(b"x", 7)])
    error = decoded.poison[0].error
    assert "the value at offset 7 of topic events, partition 0, is not valid int" in str(error)
    assert isinstance(error.__cause__, ValueError)


def test_a_key_may_be_the_poison() -> None:
    decoded = Decoder("events", Json(), Text()).decode(EVENTS, [message(b"1", 3, key=b"\xff")])
    assert "the key at offset 3" in str(decoded.poison[0].error)


def test_origins_of_neighbours_cost_nothing_and_gaps_are_kept() -> None:
    assert isinstance(origins_of(EVENTS, [message(offset=4), message(offset=5)]), OriginRange)
    gaps = origins_of(EVENTS, [message(offset=4), message(offset=6), message(offset=9)])
    assert list(gaps) == [Origin("events-0", offset) for offset in (4, 6, 9)]
    assert list(gaps[1:]) == [Origin("events-0", 6), Origin("events-0", 9)]
    assert origins_of(EVENTS, []) == ()


def test_partitions_are_told_apart_and_late_messages_left_out() -> None:
    other, dropped = Partition("events", 1), Partition("events", 2)
    mixed = [message(offset=0), message(offset=7, at=other), message(offset=1), message(at=dropped)]
    found = by_partition(mixed, {EVENTS, other}, alone=False)
    assert [(partition, [one.offset() for one in group]) for partition, group in found] == [
        (EVENTS, [0, 1]),
        (other, [7]),
    ]


def test_topics_of_the_same_partition_number_are_told_apart() -> None:
    other = Partition("other", 0)
    mixed = [message(offset=0), message(offset=7, at=other), message(offset=1)]
    found = by_partition(mixed, {EVENTS, other}, alone=False)
    assert [(partition, len(group)) for partition, group in found] == [(EVENTS, 2), (other, 1)]


def test_what_is_late_from_the_last_partition_but_one_is_left_out() -> None:
    """When a source that ends has one partition left, the others are still not taken for it."""
    mixed = [message(offset=0), message(offset=7, at=Partition("events", 1))]
    assert [len(group) for _, group in by_partition(mixed, {EVENTS}, alone=False)] == [1]
