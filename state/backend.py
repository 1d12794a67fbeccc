"""The contract of a keyed state backend: one suite of tests runs on every implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Any, Protocol, TypeVar

from state.descriptors import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    ValueStateDescriptor,
    WindowStateDescriptor,
)

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
In = TypeVar("In")
Out = TypeVar("Out")
In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)

Key = Any
"""str, int, bytes, bool, or tuples of them; compared as encoded, so that 1 and True are two keys."""


WindowKey = tuple[Any, ...]
"""What a window is known by: a flat tuple of int and str, such as its start and its end."""


class ValueState(Protocol[T]):
    """One value of the current key."""

    def value(self) -> T | None: ...
    def update(self, value: T) -> None: ...
    def clear(self) -> None: ...


class ListState(Protocol[T]):
    """A list of the current key; what `get` returns does not change with it."""

    def get(self) -> Sequence[T]: ...
    def add(self, value: T) -> None: ...
    def update(self, values: Iterable[T]) -> None: ...
    def clear(self) -> None: ...


class MapState(Protocol[K, V]):
    """A map of the current key; its own keys follow the rules of keys.

    What is gone through is the map at the moment of the call: it may be written meanwhile.
    """

    def get(self, key: K, default: V | None = None) -> V | None: ...
    def put(self, key: K, value: V) -> None: ...
    def remove(self, key: K) -> None: ...
    def contains(self, key: K) -> bool: ...
    def items(self) -> Iterator[tuple[K, V]]: ...
    def keys(self) -> Iterator[K]: ...
    def values(self) -> Iterator[V]: ...
    def is_empty(self) -> bool: ...
    def clear(self) -> None: ...


class FoldingState(Protocol[In_contra, Out_co]):
    """A reducing or aggregating state of the current key."""

    def add(self, value: In_contra) -> None: ...
    def get(self) -> Out_co | None: ...
    def clear(self) -> None: ...


class StateTable(Protocol[V]):
    """The batch interface: the values of many keys at once, for operators that loop over a batch."""

    def batch(self, keys: Sequence[Key]) -> MutableMapping[Any, V]:
        """Return a mapping from which the values of `keys` are read and to which they are written.

        It holds the present value of every key in `keys` that has one, may hold others, and is
        good until the next call on the backend. Every key in `keys` counts as written. It is a
        plain `dict` wherever one type of key makes that safe.

        Raises:
            StateError: a key is of a type that cannot be a key; the message says which.
        """
        ...

    def all_of(self, kind: type) -> MutableMapping[Any, V] | None:
        """Return a mapping of all keys of a type, as `batch` does; None if the keys must be known first.

        Who loops over records may then find out each key just before it is used.
        """
        ...


class WindowTable(Protocol[V]):
    """The batch interface of a window state: every window has values by key of its own.

    A window is known by all that tells it from others: its start and its end, in milliseconds UTC.
    """

    def __len__(self) -> int:
        """Return how many windows hold anything; any thread."""
        ...

    def __contains__(self, window: object) -> bool:
        """Whether a window holds anything."""
        ...

    def windows(self) -> Sequence[WindowKey]:
        """Return the windows that hold anything, the earliest first."""
        ...

    def batch(self, keys: Sequence[Key]) -> Callable[[WindowKey], MutableMapping[Any, V]]:
        """Return a function that opens a window for `keys` and returns its mapping, as `StateTable.batch`."""
        ...

    def put(self, window: WindowKey, key: Key, value: V) -> None:
        """Set the value of one key in one window.

        Raises:
            StateError: it is of a type that cannot be a key.
        """
        ...

    def remove(self, window: WindowKey, key: Key) -> None:
        """Forget one key of a window, and the window with its last one."""
        ...

    def columns(self, window: WindowKey) -> tuple[Sequence[Key], Sequence[V]]:
        """Return all keys of one window and, in the same order, their values."""
        ...

    def drop(self, window: WindowKey) -> None:
        """Forget all that one window holds."""
        ...


class Writable(Protocol):
    """What a snapshot is written to: a part of a checkpoint, a file, an `io.BytesIO`."""

    def write(self, data: bytes, /) -> object: ...


class Readable(Protocol):
    """What a snapshot is read from: a part of a checkpoint, a file, an `io.BytesIO`."""

    def read(self, size: int = -1, /) -> bytes: ...


class StateSnapshot(Protocol):
    """The state of a backend at a barrier: taken while the stream is paused, written while records flow.

    It never shows what was changed after it was taken. One thread uses it, at most one call of
    `write` is made, and `release` ends it, whether it was written or not.
    """

    def write(self, part: Writable) -> None:
        """Write it as one self-describing part (format, version, key groups); may take long."""
        ...

    def release(self) -> None:
        """Let go of what it keeps from being reused: files, memory."""
        ...


class KeyedStateBackend(Protocol):
    """The keyed states of one subtask of one operator.

    Per record: `set_current_key(key)`, then the state objects speak of that key. Per batch:
    `table(descriptor).batch(keys)`, on the same data. The first value written to each state is
    test-encoded, so that a value which cannot be stored is refused at once and not at a checkpoint.
    """

    def set_current_key(self, key: Key) -> None: ...
    def value_state(self, descriptor: ValueStateDescriptor[T]) -> ValueState[T]: ...
    def list_state(self, descriptor: ListStateDescriptor) -> ListState[Any]: ...
    def map_state(self, descriptor: MapStateDescriptor) -> MapState[Any, Any]: ...
    def reducing_state(self, descriptor: ReducingStateDescriptor[T]) -> FoldingState[T, T]: ...
    def aggregating_state(
        self, descriptor: AggregatingStateDescriptor[In, Any, Out]
    ) -> FoldingState[In, Out]: ...

    def table(self, descriptor: StateDescriptor) -> StateTable[Any]:
        """Return the batch interface of a state, as stored: values, lists, accumulators.

        With a TTL, what expired before the call of `batch` is not in its mapping. The entries of a
        map state are reached one by one only: its table refuses.
        """
        ...

    def window_table(self, descriptor: WindowStateDescriptor) -> WindowTable[Any]:
        """Return the batch interface of a window state."""
        ...

    def names(self) -> Sequence[str]:
        """The states the operator has named."""
        ...

    def entries(self, name: str) -> Iterator[tuple[Key, Any]]:
        """Go through all keys of one state, as stored: for the final state and for people."""
        ...

    def snapshot(self) -> StateSnapshot:
        """Take a snapshot of everything, here and now: the stream waits until this returns.

        Raises:
            EncodingError: a value cannot be stored.
        """
        ...

    def restore(self, parts: Sequence[Readable]) -> None:
        """Become what earlier snapshots, maybe of other subtasks, hold for this one's key groups.

        Raises:
            StateError: a state was of another kind, or the format is of a newer version.
            EncodingError: a value is of a class that the state's descriptor does not declare.
            CheckpointCorrupted: these bytes are not a snapshot.
        """
        ...

    def size_bytes(self) -> int:
        """About how much memory the values take; cheap enough to call at each checkpoint."""
        ...

    def close(self) -> None: ...


class StateBackendFactory(Protocol):
    """Makes the backend of a subtask.

    Args of `create`:
        uid: the operator, for error messages.
        key_groups: the half-open range of groups this subtask owns, out of `max_parallelism`.
    """

    def create(self, uid: str, key_groups: range, max_parallelism: int) -> KeyedStateBackend: ...
