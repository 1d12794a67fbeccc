"""What another client finds of the brokers that a producer waits for."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from typing import Final

from connectors.kafka.cluster import Cluster
from connectors.kafka.partitions import Partition
from connectors.kafka.targets import TRANSACTIONS, Targets
from pipeline.core.errors import SinkError

_PATIENCE: Final = 3.0
"""Seconds that brokers have for an answer; they are asked again soon."""


class Witness:
    """Asks with a new client each time, which no former connection can mislead.

    Brokers that are asked are those that the producer's call waits for: that others answer says nothing
    of them.

    Args:
        targets: know which topics are written to, and the cluster.
        transactional_id: of the producer; None without transactions.
        group, marks: that the marks are in, and their topic.
    """

    def __init__(self, targets: Targets, transactional_id: str | None, group: str, marks: str) -> None:
        self._targets = targets
        self._id = transactional_id
        self._group = group
        self._marks = marks

    def leaders_answer(self, topics: Collection[str]) -> bool:
        """Say whether all leaders of the topics answer: a flush waits for them.

        Raises:
            SinkError: a topic is gone; a producer may repeat its requests for minutes nonetheless.
        """
        with closing(self._targets.cluster.another(_PATIENCE)) as cluster:
            try:
                found = self._targets.check_same(topics, cluster)
            except SinkError as error:
                if not error.retryable:
                    raise
                return False
            return _answers(cluster, [one for name, topic in found.items() for one in topic.of(name)])

    def coordinators_answer(self) -> bool:
        """Say whether the coordinators of the transaction and of the group of its marks answer."""
        with closing(self._targets.cluster.another(_PATIENCE)) as cluster:
            return self._group_answers(cluster) and self._transactions_answer(cluster)

    def _group_answers(self, cluster: Cluster) -> bool:
        # What the transaction has put in for the group is not stable before its end.
        with closing(cluster.group(self._group, stable=False)) as group:
            try:
                group.committed("ask the coordinator", [Partition(self._marks, 0)], _PATIENCE)
            except SinkError:
                return False
            return True

    def _transactions_answer(self, cluster: Cluster) -> bool:
        """Say whether the coordinator answers: the leader of the partition that has the transaction."""
        if self._id is None:
            return True
        try:
            kept_in = cluster.topics([TRANSACTIONS]).get(TRANSACTIONS)
        except SinkError as error:
            return not error.retryable  # the user may not ask for this topic: the group's answer has to do
        if kept_in is None:
            return True
        number = transaction_partition(self._id, kept_in.partitions)
        return _answers(cluster, [Partition(TRANSACTIONS, number)])


def _answers(cluster: Cluster, partitions: list[Partition]) -> bool:
    try:
        cluster.end_offsets(partitions, committed=False)
    except SinkError as error:
        return not error.retryable  # a refusal is an answer
    return True


def transaction_partition(transactional_id: str, partitions: int) -> int:
    """Return the partition in which brokers keep a transaction, by Java's hash of its id."""
    hashed = 0
    units = transactional_id.encode("utf-16-be")
    for high, low in zip(units[::2], units[1::2], strict=True):
        hashed = (31 * hashed + (high << 8) + low) & 0xFFFF_FFFF
    signed = hashed - (1 << 32) if hashed >= 1 << 31 else hashed
    return (0 if signed == -(1 << 31) else abs(signed)) % partitions
