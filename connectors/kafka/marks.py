"""The mark that each transaction carries: by it a commit whose answer was lost is found again.

A mark is a group's offset on a topic to which nothing is written; it is sent in the transaction, so
that it can be read when, and only when, the epoch's records can.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connectors.kafka.config import ClientSettings
from connectors.kafka.errors import COORDINATOR_MOVES, config_error, kafka_error
from pipeline.core.errors import SinkError
from pipeline.spi.sink import RecoveryChoices

_ANSWER_TIMEOUT: Final = 10.0
"""Seconds the group's coordinator has for an answer."""

_PAUSE: Final = 0.2
_TRIES: Final = 50
"""Seconds between two questions to a coordinator that is not ready, and how many there are."""

_REFUSALS: Final = frozenset({KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED})


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

    def __init__(self, settings: ClientSettings, group: str, topic: str) -> None:
        self._settings = settings
        self._place = (topic, 0)
        self._group = group
        own = {
            "group.id": group,
            "isolation.level": "read_committed",  # waits for a transaction that is being decided
            "enable.auto.commit": False,
            "allow.auto.create.topics": False,
        }
        try:
            self._consumer = Consumer(settings.client(own))
        except KafkaException as error:
            raise config_error(error, settings) from error

    @property
    def member(self) -> Any:
        """What `send_offsets_to_transaction` wants to know of the group."""
        return self._consumer.consumer_group_metadata()

    def offsets(self, mark: Mark) -> list[TopicPartition]:
        """Return a mark as the offset that stands for it."""
        about = json.dumps({"lineage": mark.lineage, "attempt": mark.attempt})
        return [TopicPartition(*self._place, mark.epoch, about)]

    def read(self) -> Mark | None:
        """Return the newest committed mark; None if there is none.

        Raises:
            SinkError: it cannot be read.
        """
        found = self._committed()
        if found.error is not None:
            raise self._error(found.error)
        if found.offset < 0:
            return None
        try:
            about = json.loads(found.metadata or "")
            return Mark(found.offset, str(about["lineage"]), int(about["attempt"]))
        except (ValueError, KeyError, TypeError):
            return Mark(found.offset, "", 0)  # not written by us: of a lineage that nobody has

    def _committed(self) -> TopicPartition:
        """Ask the group's coordinator, again while it is still being found or is loading."""
        left = _TRIES
        while True:
            try:
                (found,) = self._consumer.committed([TopicPartition(*self._place)], timeout=_ANSWER_TIMEOUT)
            except KafkaException as error:
                left -= 1
                refusal = self._refusal()
                if refusal is not None or not left or error.args[0].code() not in COORDINATOR_MOVES:
                    raise self._error(refusal or error) from error
            else:
                return found

    def _refusal(self) -> KafkaError | None:
        """Hear why there is no answer: without the right to a group the client asks on in vain."""
        told = self._consumer.poll(_PAUSE)
        error = None if told is None else told.error()
        return error if error is not None and error.code() in _REFUSALS else None

    def _error(self, error: KafkaError | KafkaException) -> SinkError:
        return kafka_error(SinkError, f"read the mark of the group {self._group}", error, self._settings)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()
