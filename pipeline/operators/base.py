"""What the graph, the compiler and the runtime know of an operator: a description, no running part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final

from pipeline.core.config import BackpressureStrategy
from pipeline.core.functions import function_ref
from pipeline.core.policy import ErrorPolicy, SideTag
from pipeline.spi.operator import StreamOperator

Function = Callable[..., Any]


class Chaining(StrEnum):
    """What an operator allows of its neighbours (Flink's ChainingStrategy)."""

    ALWAYS = "always"  # may be fused with the operator before it
    HEAD = "head"  # starts a chain: fused with what follows only
    NEVER = "never"  # is fused with no neighbour


class Partitioning(StrEnum):
    """Which subtask of the target a record goes to."""

    FORWARD = "forward"  # the one of the same number
    REBALANCE = "rebalance"  # round robin
    HASH = "hash"  # by key
    BROADCAST = "broadcast"  # to all


@dataclass(frozen=True, slots=True)
class Exchange:
    """How an operator distributes its input over the subtasks downstream.

    Args:
        partitioning: which subtask gets a record.
        selector: the key of a record, where records are partitioned by key.
    """

    partitioning: Partitioning
    selector: Function | None = None


BUFFER_KIND: Final = "backpressure"
"""The kind of what a buffer holds, in graphs and in a checkpoint; the job's own buffers have it, too."""


@dataclass(frozen=True, slots=True)
class BufferSpec:
    """A bounded queue with a strategy, from which an operator reads.

    Args:
        strategy: what happens when the buffer is full.
        size: records it may hold; None for any number. LATEST holds one.
        on_drop: called with each record that is dropped, in the upstream thread.
        value_type: declares the user's classes that occur in records, so that they can be stored.
        accept_loss: whether the job may lose records here and still promise exactly-once for the rest.
    """

    strategy: BackpressureStrategy
    size: int | None
    on_drop: Function | None = None
    value_type: Any = None
    accept_loss: bool = False


@dataclass(frozen=True, slots=True)
class SideOutputSpec:
    """A side output that an operator writes to, beside its dead letters.

    Args:
        tag: names it.
        holds: what it carries, for errors: `late records`.
        otherwise: what to write instead of reading it, for the hint where it has no reader.
    """

    tag: SideTag
    holds: str
    otherwise: str


class OperatorSpec(ABC):
    """One operator as the user wrote it; it answers all that the graph, the compiler and `explain` ask.

    Attributes:
        kind: the name in graphs and default uids.
        chaining: what it allows of its neighbours.
        keeps_records: whether its output consists of records of its input.
        reads_time: whether its results depend on event time or, where the sources have none, on the clock.
        assigns_time: whether event time restarts with its output; it makes a `TimeOperator`.
        runs_in_next: whether it only describes what the operator after it does.
    """

    kind: ClassVar[str]
    chaining: ClassVar[Chaining] = Chaining.ALWAYS
    keeps_records: ClassVar[bool] = False
    reads_time: ClassVar[bool] = False
    assigns_time: ClassVar[bool] = False
    runs_in_next: ClassVar[bool] = False

    @property
    @abstractmethod
    def functions(self) -> Sequence[Function]:
        """The user's functions, the one that errors and `explain` name first."""

    @property
    def label(self) -> str:
        """What its default uid says beside the kind; empty for nothing."""
        return function_ref(self.functions[0]).name if self.functions else self.describe()

    @property
    def keeps_state(self) -> bool:
        """Whether it must be found again by its uid in a checkpoint."""
        return False

    @property
    def uses_clock(self) -> bool:
        """Whether it sets timers of wall time, also where there is event time."""
        return False

    @property
    def exchange(self) -> Exchange | None:
        """How it distributes records downstream; None for an operator that is not an exchange.

        An exchange has no running part: it runs in the vertex before it.
        """
        return None

    @property
    def buffer(self) -> BufferSpec | None:
        """The buffer with a strategy that it reads from; None for a plain hand-over."""
        return None

    @property
    def side_outputs(self) -> Sequence[SideOutputSpec]:
        """The side outputs it writes to, beside its dead letters."""
        return ()

    @property
    def windows(self) -> str:
        """The windows its state is divided by, as a checkpoint keeps them; empty where it has none.

        State that was divided otherwise is refused, so the words for the same windows never change.
        """
        return ""

    def describe(self) -> str:
        """More for `explain` than kind and function say; empty for nothing."""
        return ""


class Yields(StrEnum):
    """What a step emits, given what its `call` returned."""

    ONE = "one"  # what was returned
    FILTER = "filter"  # the record itself, if what was returned is true
    MANY = "many"  # each item of the iterable that was returned, taken lazily
    BATCH = "batch"  # called with a list of all available records: each item of the returned list


@dataclass(frozen=True, slots=True)
class Step(OperatorSpec):
    """A stateless operator that the compiler writes into the chain's loop.

    A subclass says by `yields` which shape its loop has. Where the user's function does not return
    just that, it overrides `call`.

    Args:
        function: the user's function, plain or async; the one that errors name.
        on_error: what happens to a call that raises.

    Example:
        class Peek(Step):
            kind = "peek"
            keeps_records = True

            @property
            def call(self) -> Function:
                def peek(record):
                    self.function(record)
                    return record

                return peek
    """

    yields: ClassVar[Yields] = Yields.ONE

    function: Function
    on_error: ErrorPolicy = ErrorPolicy()

    @property
    def functions(self) -> Sequence[Function]:
        return (self.function,)

    @property
    def call(self) -> Function:
        """What the loop calls with each record, plain or async; read once for each subtask."""
        return self.function


class OperatorFactory(OperatorSpec):
    """An operator that runs as a `StreamOperator` of its own inside a chain."""

    @abstractmethod
    def create_operator(self) -> StreamOperator[Any, Any]:
        """Make the running part for one subtask."""
