"""The guarantee of a Kafka sink: what becomes of encoded records between two barriers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypedDict

from connectors.kafka.outgoing import Outgoing
from pipeline.spi.sink import CommitOutcome


class Epoch(TypedDict):
    """The handle of an epoch: what a manifest must know to commit it, or to write it again.

    Args:
        number: in the sink's own count, which its marks follow.
        lineage: whose mark tells whether it is committed.
        logs: in which its records are, in their order.
        ids: the transactional ids that may have something open.
        group, marks: where the mark is.
    """

    number: int
    lineage: str
    logs: list[str]
    ids: list[str]
    group: str
    marks: str


class Delivery(ABC):
    """Serves `KafkaSink`; the calls are those of `pipeline.spi.sink.TwoPhaseCommitSink`."""

    @property
    @abstractmethod
    def wants_more(self) -> bool: ...

    @abstractmethod
    def begin(self) -> Epoch:
        """Name the next epoch."""

    @abstractmethod
    def write(self, outgoing: Outgoing) -> None: ...

    @abstractmethod
    def flush(self) -> None: ...

    @abstractmethod
    def pre_commit(self, epoch: Epoch) -> Epoch | None: ...

    @abstractmethod
    def join(self, older: Epoch, younger: Epoch) -> Epoch: ...

    @abstractmethod
    def commit(self, epoch: Epoch) -> CommitOutcome: ...

    @abstractmethod
    def abort(self, epoch: Epoch) -> None: ...

    @abstractmethod
    def recover_and_commit(self, epoch: Epoch) -> CommitOutcome: ...

    @abstractmethod
    def recover_and_abort(self, keep: Sequence[Epoch]) -> None: ...

    @abstractmethod
    def snapshot(self) -> dict[str, Any]: ...

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None: ...

    @abstractmethod
    def close(self) -> None: ...
