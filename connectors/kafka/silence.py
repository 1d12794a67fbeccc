"""Whether partitions that emit nothing have nothing to emit: what their silence means for event time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from confluent_kafka import KafkaException

from connectors.kafka.partitions import Partition


class EndQueries(Protocol):
    """What has to be asked of the brokers, without waiting for it."""

    def ask_end_offsets(
        self, partitions: Iterable[Partition], *, committed: bool
    ) -> Mapping[Partition, Future[Any]]: ...


class Silence:
    """Asks where silent partitions end, while their source reads on.

    A partition is silent because it is empty, because a broker hangs, or because the answer to
    the first fetch is still to come. The client tells these apart once only, when it first reaches an
    end. So the brokers are asked: only one that answers now can say that nothing is pending.

    Args:
        brokers: who is asked.
        committed: whether only what a reader of committed records can see counts.
    """

    def __init__(self, brokers: EndQueries, *, committed: bool) -> None:
        self._brokers = brokers
        self._committed = committed
        self._asked: dict[Partition, Future[Any]] = {}

    def ask(self, partitions: Iterable[Partition]) -> None:
        """Ask where these partitions end."""
        self._asked.update(self._brokers.ask_end_offsets(partitions, committed=self._committed))

    def answers(self) -> dict[Partition, int | None]:
        """Return the ends that have been answered since the last call; None where there was no answer."""
        done = {partition: asked for partition, asked in self._asked.items() if asked.done()}
        for partition in done:
            del self._asked[partition]
        return {partition: answered_end(asked) for partition, asked in done.items()}


def answered_end(asked: Future[Any]) -> int | None:
    """Return the end that was asked for; None if the question failed."""
    try:
        return asked.result().offset
    except KafkaException:  # no answer in time, or a broker that no longer leads the partition
        return None


def may_have_more(offset: int, end: int | None) -> bool:
    """Whether a partition may have records from `offset` on, given what was answered of its end."""
    return end is None or offset < end
