"""Who takes part in a demand-aware stream: the subscription and the subscriber."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class Subscription(Protocol):
    """The link from a subscriber to what is before it. Both calls may come from any thread."""

    def request(self, n: int) -> None:
        """Ask for `n` more records; may be called from within `on_next` and does not recurse."""
        ...

    def cancel(self) -> None:
        """Want nothing more; a second call and any later request do nothing."""
        ...


class Records(Protocol[T_co]):
    """Several records that travel together: a list, a `Batch`, anything with a length and slices."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[T_co]: ...
    def __getitem__(self, cut: slice, /) -> Any: ...


class BatchSubscriber(Protocol[T_contra]):
    """Receives `on_subscribe`, then at most as many records as it asked for, then at most one end.

    What the engine's own parts are to each other: between them records always travel together.

    Signals come one at a time. Control elements (barriers, watermarks, the end of the input) need
    no demand, but come after the records before them.
    """

    def on_subscribe(self, subscription: Subscription) -> None: ...
    def on_next_batch(self, values: Records[T_contra], /) -> None: ...
    def on_control(self, element: object) -> None: ...
    def on_error(self, error: Exception) -> None: ...
    def on_completed(self) -> None: ...


class Subscriber(BatchSubscriber[T_contra], Protocol[T_contra]):
    """The whole protocol: takes single records as well, each by a call of its own.

    `Flux.subscribe` also takes observers that know less of it.
    """

    def on_next(self, value: T_contra, /) -> object: ...


def refuse_null(signal: object, method: str) -> None:
    """Raise TypeError for a signal that is None (rules 1.9, 2.13)."""
    if signal is None:
        raise TypeError(f"rule 2.13: {method} needs a value, found None")


def refuse_nulls(values: Records[Any], method: str) -> None:
    """Raise TypeError if one of `values` is None, without asking a record whether it equals None."""
    if NoneType in map(type, values):
        refuse_null(None, method)
