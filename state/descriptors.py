"""How an operator declares a state: its name, its kind, how it is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from pipeline.core.errors import ConfigError

T = TypeVar("T")
K = TypeVar("K")
In = TypeVar("In")
Acc = TypeVar("Acc")
Out = TypeVar("Out")
In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)


class AggregateFunction(Protocol[In_contra, Acc, Out_co]):
    """An incremental aggregation: many records in, one accumulator, one result out.

    `add` may change the accumulator in place, also after a result was emitted. So a result must not be the
    accumulator, nor share a list or a dict with it. Records must not be changed.

    Example:
        class Mean:
            def create_accumulator(self) -> tuple[int, float]:
                return 0, 0.0

            def add(self, value: float, accumulator: tuple[int, float]) -> tuple[int, float]:
                return accumulator[0] + 1, accumulator[1] + value

            def get_result(self, accumulator: tuple[int, float]) -> float:
                return accumulator[1] / accumulator[0]
    """

    def create_accumulator(self) -> Acc:
        """Return the accumulator of no records."""
        ...

    def add(self, value: In_contra, accumulator: Acc, /) -> Acc:
        """Return the accumulator with `value` added; it may be the same object, changed."""
        ...

    def get_result(self, accumulator: Acc, /) -> Out_co:
        """Return the result so far; neither change the accumulator nor return it, but a copy."""
        ...


# No slots: a frozen dataclass that has them cannot be made as `ValueStateDescriptor[int](...)`.
@dataclass(frozen=True, kw_only=True)
class StateDescriptor:
    """What every kind of state has.

    Args:
        name: unique within its operator, stable across versions of the job.
        value_type: declares the classes of the user's that occur in the values: a class, a generic
            such as `list[Trade]`, a union or a tuple of these. An enum, dataclass, named tuple or
            struct is stored, and built again, only where it is declared; values of the standard
            types carry their own type and need no declaration.
        ttl: how long an entry lives after it was last written, at least 1 ms; None for ever. The
            entries of a map live each on its own, a list lives and expires as a whole.
        pickle: store values with pickle; only for types the encoding refuses, and only if who can
            write to the checkpoint folder may run code in this process.
    """

    name: str
    value_type: Any = None
    ttl: timedelta | None = None
    pickle: bool = False

    def __post_init__(self) -> None:
        if self.ttl is not None and self.ttl < timedelta(milliseconds=1):
            raise ConfigError(f"state {self.name!r}: ttl must be at least 1 ms, not {self.ttl}")


@dataclass(frozen=True, kw_only=True)
class ValueStateDescriptor(StateDescriptor, Generic[T]):
    """One value per key.

    Args:
        default: what a key has that was never written; all keys share it, so it must not be mutable.
    """

    default: T | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.default).__hash__ is None:
            raise ConfigError(
                f"state {self.name!r}: a mutable default, {self.default!r}, would be shared by all keys",
                hint="leave it out and make a new one where value() is None",
            )


@dataclass(frozen=True, kw_only=True)
class ListStateDescriptor(StateDescriptor):
    """A list per key."""


@dataclass(frozen=True, kw_only=True)
class MapStateDescriptor(StateDescriptor):
    """A map per key."""


@dataclass(frozen=True, kw_only=True)
class ReducingStateDescriptor(StateDescriptor, Generic[T]):
    """One value per key, into which `reduce` folds each value added."""

    reduce: Callable[[T, T], T]


@dataclass(frozen=True, kw_only=True)
class AggregatingStateDescriptor(StateDescriptor, Generic[In, Acc, Out]):
    """One accumulator per key, into which `aggregate` takes each value added."""

    aggregate: AggregateFunction[In, Acc, Out]


@dataclass(frozen=True, kw_only=True)
class WindowStateDescriptor(StateDescriptor):
    """One value per key and window; it lives until its window is dropped, so it takes no `ttl`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ttl is not None:
            raise ConfigError(
                f"state {self.name!r}: a window's value lives as long as its window and takes no ttl"
            )
