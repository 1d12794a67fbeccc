"""The mark that each transaction carries: by it a commit whose answer was lost is found again.

A mark is a group's offset on a topic to which nothing is written; it is sent in the transaction, so
that it can be read when, and only when, the epoch's records can.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from confluent_kafka import TopicPartition

from connectors.kafka.errors import ANSWER_TIMEOUT
from connectors.kafka.group import Group
from connectors.kafka.partitions import Partition
from pipeline.core.errors import SinkError
from pipeline.spi.sink import RecoveryChoices


@dataclass(frozen=True, slots=True)
class Mark:
    """What the newest committed transaction of a sink says.

    Args:
        epoch: its number, in the sink's own count.
        lineage: the line of epochs it belongs to.
        attempt: who wrote it.
    """

    epoch: int
    lineage: str
    attempt: int


class Verdict(Enum):
    """What a mark says about an epoch that a manifest has decided."""

    DONE = "it is committed"
    PENDING = "it is not committed"


def judge(mark: Mark | None, epoch: int, lineage: str, choices: RecoveryChoices) -> Verdict:
    """Decide whether an epoch is committed that is not noted to be.

    A mark of this lineage tells: the same epoch's, or an older one's. Without one nothing does,
    since there was a mark before the first record: it has been lost, or overwritten by a lineage
    that is not ours. A newer one's says that the checkpoint is not the newest there was.

    Raises:
        SinkError: it cannot be decided, or would write again what is visible; never retryable.
    """
    if mark is None or mark.lineage != lineage:
        if choices.assume_committed is None:
            raise SinkError(
                f"whether epoch {epoch} was committed cannot be told: {_lost(mark)}",
                retryable=False,
                hint="look whether its records are in the topic, then start once with --assume-committed "
                "or --assume-uncommitted",
            )
        return Verdict.DONE if choices.assume_committed else Verdict.PENDING
    if mark.epoch > epoch:
        refuse_ahead(mark, epoch, choices)
    return Verdict.PENDING if mark.epoch < epoch else Verdict.DONE


def refuse_ahead(mark: Mark, epoch: int, choices: RecoveryChoices) -> None:
    """Refuse a checkpoint behind which more has been committed, unless duplicates are accepted."""
    if not choices.accept_duplicates:
        raise SinkError(
            f"the checkpoint ends with epoch {epoch}, but epoch {mark.epoch} is committed: what follows "
            "the checkpoint would be written again",
            retryable=False,
            hint="start from the newest checkpoint there was, or add --accept-duplicates",
        )


def _lost(mark: Mark | None) -> str:
    if mark is None:
        return "its group has no mark: the group expired, or the topic of the marks was deleted"
    return f"the mark is of another lineage ({mark.lineage}, epoch {mark.epoch})"


def default_prefix(job: str, uid: str) -> str:
    """Name what belongs to one sink of a job on the brokers; the same for every start of the job."""
    return re.sub(r"[^A-Za-z0-9._:-]+", "_", f"pipeline-{job}-{uid}")


class MarkBook:
    """Reads the marks of one group, and names it to the transactions that write them.

    Args:
        group: of one subtask of a sink.
        topic: on which the offsets are.
    """

    def __init__(self, group: Group, topic: str) -> None:
        self._group = group
        self._place = Partition(topic, 0)

    @property
    def member(self) -> Any:
        """What `send_offsets_to_transaction` takes to name the group."""
        return self._group.member

    def offsets(self, mark: Mark) -> list[TopicPartition]:
        """Return a mark as the offset that represents it."""
        about = json.dumps({"lineage": mark.lineage, "attempt": mark.attempt})
        return [TopicPartition(*self._place, mark.epoch, about)]

    def read(self, timeout: float = ANSWER_TIMEOUT) -> Mark | None:
        """Return the newest committed mark; None if there is none.

        Raises:
            SinkError: it cannot be read.
        """
        doing = f"read the mark of the group {self._group.name}"
        (found,) = self._group.committed(doing, [self._place], timeout)
        if found.offset < 0:
            return None
        try:
            about = json.loads(found.metadata or "")
            return Mark(found.offset, str(about["lineage"]), int(about["attempt"]))
        except (ValueError, KeyError, TypeError):
            return Mark(found.offset, "", 0)  # not written by us: of a lineage that nobody has

    def close(self) -> None:
        """End the client of the group."""
        self._group.close()
