"""What cannot be stored or restored is refused, by operator and state, and never changed silently."""

from __future__ import annotations

import dataclasses
import enum
import io
from collections import OrderedDict, deque
from collections.abc import Callable
from operator import add
from typing import Any

import pytest

from pipeline.core.errors import CheckpointCorrupted, EncodingError, PipelineError, StateError
from state.backend import KeyedStateBackend
from state.descriptors import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    ValueStateDescriptor,
)

from .conftest import Averaging, Subtasks, of, snapshot_of

VALUE = ValueStateDescriptor[Any](name="x")
LIST = ListStateDescriptor(name="x")
MAP = MapStateDescriptor(name="x")
SUM = ReducingStateDescriptor[Any](name="x", reduce=add)
MEAN = AggregatingStateDescriptor[int, list[int], float](name="x", aggregate=Averaging())


class Keeping:
    """Keeps what it is given: an accumulator of any type."""

    def create_accumulator(self) -> Any:
        return None

    def add(self, value: Any, accumulator: Any) -> Any:
        return value

    def get_result(self, accumulator: Any) -> Any:
        return accumulator

    def merge(self, first: Any, second: Any) -> Any:
        return first


KEEP = AggregatingStateDescriptor[Any, Any, Any](name="x", aggregate=Keeping())

WRITES: dict[str, Callable[[KeyedStateBackend, Any], object]] = {
    "value": lambda backend, value: backend.value_state(VALUE).update(value),
    "list, add": lambda backend, value: backend.list_state(LIST).add(value),
    "list, update": lambda backend, value: backend.list_state(LIST).update([value]),
    "map": lambda backend, value: backend.map_state(MAP).put("k", value),
    "reducing": lambda backend, value: backend.reducing_state(SUM).add(value),
    "aggregating": lambda backend, value: backend.aggregating_state(KEEP).add(value),
    "batch": lambda backend, value: backend.table(VALUE).batch(["a"]).update(a=value),
}


class Side(enum.Enum):
    BUY = 1


@dataclasses.dataclass
class Trade:
    side: Side


@pytest.mark.parametrize("write", list(WRITES))
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (object(), "builtins.object"),
        (deque([1]), "collections.deque"),
        (OrderedDict(a=1), "collections.OrderedDict"),
        (Side.BUY, "test_refusals.Side"),
        ([{"a": (Trade(Side.BUY),)}], "test_refusals.Trade"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_a_first_value_that_cannot_be_stored_is_refused_at_once(
    backend: KeyedStateBackend, write: str, value: Any, found: str
) -> None:
    """With the operator, the state, the type and what to do; and it is not written."""
    with pytest.raises(EncodingError) as refused:
        WRITES[write](backend, value)
    assert refused.value.message.startswith("state 'x' of operator sum: a ")
    assert found in refused.value.message
    assert refused.value.hint
    assert list(backend.entries("x")) == []


@pytest.mark.parametrize("write", list(WRITES))
def test_a_later_value_that_cannot_be_stored_is_refused_by_the_checkpoint(
    backend: KeyedStateBackend, write: str
) -> None:
    """Which says whose it is; until then nothing of the state is lost."""
    WRITES[write](backend, 1)
    WRITES[write](of(backend, "b"), 1)
    of(backend, "a")
    if write == "reducing":
        backend.reducing_state(SUM).clear()
    WRITES[write](backend, object())
    with pytest.raises(
        EncodingError, match=r"state 'x' of operator sum: a builtins\.object cannot be stored"
    ):
        snapshot_of(backend)


def test_pickle_stores_what_the_encoding_refuses(subtasks: Subtasks) -> None:
    """Where the descriptor asks for it, and only there is it read."""
    pickled = ValueStateDescriptor[Any](name="x", pickle=True)
    backend = of(subtasks.make(), "a")
    backend.value_state(pickled).update(deque([1]))
    stored = snapshot_of(backend)
    assert of(subtasks.restored(stored), "a").value_state(pickled).value() == deque([1])
    with pytest.raises(EncodingError, match="stored is a pickle, which may run code when read") as refused:
        subtasks.restored(stored).value_state(VALUE)
    assert refused.value.message.startswith("state 'x' of operator sum")
    assert "pickle=True" in str(refused.value.hint)


# --- descriptors that no longer fit ---

KINDS: dict[str, StateDescriptor] = {
    "value": VALUE,
    "list": LIST,
    "map": MAP,
    "reducing": SUM,
    "aggregating": MEAN,
}


def use(backend: KeyedStateBackend, kind: str) -> Any:
    named: dict[str, Callable[[], Any]] = {
        "value": lambda: backend.value_state(VALUE),
        "list": lambda: backend.list_state(LIST),
        "map": lambda: backend.map_state(MAP),
        "reducing": lambda: backend.reducing_state(SUM),
        "aggregating": lambda: backend.aggregating_state(MEAN),
    }
    return named[kind]()


@pytest.mark.parametrize("after", list(KINDS))
@pytest.mark.parametrize("before", list(KINDS))
def test_a_state_keeps_its_kind(subtasks: Subtasks, before: str, after: str) -> None:
    """Within a run, over a restore, and whether it is named before or after that."""
    backend = of(subtasks.make(), "a")
    use(backend, before)
    stored = snapshot_of(backend)
    if before == after:
        use(backend, after)
        use(subtasks.restored(stored), after)
        return
    with pytest.raises(StateError, match=f"operator sum: state 'x' is used as {before} and as {after}"):
        use(backend, after)
    for name in (lambda made: use(made, after), lambda made: made.table(KINDS[after])):
        with pytest.raises(
            StateError, match=f"was stored as {before}, the job now uses it as {after}"
        ) as refused:
            name(subtasks.restored(stored))
        assert "another name" in str(refused.value.hint)
    opened = subtasks.make()
    use(opened, after)
    with pytest.raises(StateError, match=f"was stored as {before}, the job now uses it as {after}"):
        opened.restore([io.BytesIO(stored)])


def test_a_class_that_is_no_longer_declared_is_named(subtasks: Subtasks) -> None:
    declared = ValueStateDescriptor[Any](name="x", value_type=Side)
    backend = of(subtasks.make(), "a")
    backend.value_state(declared).update(Side.BUY)
    stored = snapshot_of(backend)
    assert of(subtasks.restored(stored), "a").value_state(declared).value() == Side.BUY
    with pytest.raises(EncodingError, match="stored is a Side, which is not a declared type") as refused:
        subtasks.restored(stored).value_state(VALUE)
    assert refused.value.message.startswith("state 'x' of operator sum")
    assert refused.value.hint == "declare it: value_type=Side"


def test_a_field_that_was_removed_is_named(subtasks: Subtasks) -> None:
    before = dataclasses.make_dataclass("Row", ["a", "b"])
    after = dataclasses.make_dataclass("Row", ["a"])
    backend = of(subtasks.make(), "a")
    backend.value_state(ValueStateDescriptor[Any](name="x", value_type=before)).update(before(1, 2))
    with pytest.raises(EncodingError, match="a stored Row has fields a, b, the class has a"):
        subtasks.restored(snapshot_of(backend)).value_state(
            ValueStateDescriptor[Any](name="x", value_type=after)
        )


def test_a_state_may_hold_values_of_another_type_than_before(subtasks: Subtasks) -> None:
    """Each value carries its own type: nothing is converted, old ones come back as they were."""
    backend = of(subtasks.make(), "a")
    backend.value_state(ValueStateDescriptor[int](name="x", value_type=int)).update(1)
    restored = of(subtasks.restored(snapshot_of(backend)), "a")
    state = restored.value_state(ValueStateDescriptor[Any](name="x", value_type=str))
    assert type(state.value()) is int
    state.update("one")
    assert state.value() == "one"


# --- bytes that are none of ours ---


@pytest.mark.parametrize("data", [b"", b"PK", b"\x80", b"not a snapshot", b"\x00" * 100], ids=repr)
def test_other_bytes_are_refused(subtasks: Subtasks, data: bytes) -> None:
    with pytest.raises(CheckpointCorrupted, match="operator sum: "):
        subtasks.restored(data)


def test_of_damaged_bytes_nothing_is_restored(backend: KeyedStateBackend, subtasks: Subtasks) -> None:
    """Not even from the sound part beside them: the state is what it was."""
    backend.value_state(VALUE).update(1)
    stored = snapshot_of(backend)
    backend.value_state(VALUE).update(2)
    for end in range(0, len(stored), 7):
        with pytest.raises(CheckpointCorrupted, match="operator sum: "):
            backend.restore([io.BytesIO(stored), io.BytesIO(stored[:end])])
    assert dict(backend.entries("x")) == {"a": 2}


def test_flipped_bits_are_refused_or_harmless(backend: KeyedStateBackend, subtasks: Subtasks) -> None:
    """The storage's checksum finds them first; without it, still only errors of ours come out."""
    backend.value_state(VALUE).update([1, {"a": (2, "b")}])
    stored = snapshot_of(backend)
    for position in range(len(stored)):
        for bit in (0, 3, 7):
            damaged = bytearray(stored)
            damaged[position] ^= 1 << bit
            restored = subtasks.make()
            try:
                restored.restore([io.BytesIO(bytes(damaged))])
                restored.value_state(VALUE)
            except PipelineError as error:
                assert str(error)  # noqa: PT017 - that nothing else is raised is the promise
            restored.close()


def test_a_newer_format_is_refused(backend: KeyedStateBackend, subtasks: Subtasks) -> None:
    stored = bytearray(snapshot_of(backend))
    stored[4] += 1
    with pytest.raises(StateError, match="this version reads up to") as refused:
        subtasks.restored(bytes(stored))
    assert "upgrade" in str(refused.value.hint)
