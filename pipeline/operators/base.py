"""What the graph, the compiler and the runtime know of an operator: a description, no running part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from pipeline.core.functions import function_ref
from pipeline.core.policy import ErrorPolicy
from pipeline.spi.operator import StreamOperator

Function = Callable[..., Any]


class Chaining(StrEnum):
    """What an operator allows of its neighbours (Flink's ChainingStrategy)."""

    ALWAYS = "always"  # may be fused with the operator before it
    HEAD = "head"  # starts a chain: fused with what follows only
    NEVER = "never"  # stands alone


class OperatorSpec(ABC):
    """One operator as the user wrote it.

    Attributes:
        kind: the name in graphs and default uids.
        chaining: what it allows of its neighbours.
        keeps_records: whether the records that come out are records that went in.
    """

    kind: ClassVar[str]
    chaining: ClassVar[Chaining] = Chaining.ALWAYS
    keeps_records: ClassVar[bool] = False

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
    def windows(self) -> str:
        """The windows its state is divided by, as a checkpoint keeps them; empty where it has none.

        State that was divided otherwise is refused, so the words for the same windows never change.
        """
        return ""

    def describe(self) -> str:
        """More for `explain` than kind and function say; empty for nothing."""
        return ""


@dataclass(frozen=True, slots=True)
class Step(OperatorSpec):
    """A stateless operator that the compiler writes into the chain's loop.

    Args:
        function: the user's function, plain or async.
        on_error: what happens to a call that raises.
    """

    function: Function
    on_error: ErrorPolicy = ErrorPolicy()

    @property
    def functions(self) -> Sequence[Function]:
        return (self.function,)


class OperatorFactory(OperatorSpec):
    """An operator that runs as a `StreamOperator` of its own inside a chain."""

    @abstractmethod
    def create_operator(self) -> StreamOperator[Any, Any]:
        """Make the running part for one subtask."""
