"""The offsets that a group has committed, read through a consumer of the group."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future, wait
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connectors.kafka.config import ClientSettings
from connectors.kafka.errors import (
    ANSWER_TIMEOUT,
    COORDINATOR_MOVES,
    config_error,
    is_refusal,
    kafka_error,
    refusal,
    unanswered,
)
from connectors.kafka.partitions import Partition
from pipeline.core.errors import ConnectorError

_FIRST_SLICE: Final = 0.25
_LAST_SLICE: Final = 2.0
"""Seconds of one try, whose end a cancel waits for. They grow, since an answer after the end is lost."""

_SILENT: Final = 5.0
"""Seconds without an answer after which a new client asks: this one may wait on a dead connection."""

_PAUSE: Final = 0.2
"""Seconds between two questions; a cancel ends them."""

_PASSING: Final = COORDINATOR_MOVES | {
    KafkaError.UNSTABLE_OFFSET_COMMIT,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._WAIT_COORD,
}
"""A group that is loading, an offset that a transaction may change, no answer in this slice: asked again."""


class Group:
    """Reads what a group has committed, without joining it; a client that gets no answer is replaced.

    The admin client could be asked for this too, but not safely: a coordinator that answers
    NOT_COORDINATOR, as one does while it loads, makes librdkafka follow a null pointer there (its issue
    5040), and a lost connection makes it use freed memory (5397). Either ends the process.

    Args:
        settings: of the client.
        name: of the group.
        kind: of the errors it raises.
        cancelled: ends every wait when it is done.
        stable: whether an offset that an open transaction may still change is waited for.

    Raises:
        ConfigError: the client refuses its settings.
    """

    def __init__(
        self,
        settings: ClientSettings,
        name: str,
        kind: type[ConnectorError],
        cancelled: Future[None],
        *,
        stable: bool = True,
    ) -> None:
        self.name = name
        self._settings = settings
        self._kind = kind
        self._cancelled = cancelled
        self._refused = refused = Future[KafkaError]()

        def hear(error: KafkaError) -> None:  # it refers to the future alone: a client keeps its callbacks
            if is_refusal(error) and not refused.done():
                refused.set_result(error)

        own = {
            "group.id": name,
            "enable.auto.commit": False,
            "isolation.level": "read_committed" if stable else "read_uncommitted",
            "error_cb": hear,
        }
        self._client_settings = settings.client(own)
        self._consumer = self._new_consumer()

    @property
    def member(self) -> Any:
        """What `send_offsets_to_transaction` takes to name the group."""
        return self._consumer.consumer_group_metadata()

    def committed(
        self, doing: str, partitions: Iterable[Partition], timeout: float = ANSWER_TIMEOUT
    ) -> list[TopicPartition]:
        """Return what the group has committed for each partition; a negative offset means nothing.

        Args:
            doing: what the answer is needed for, as in `cannot {doing}`.
            timeout: in seconds.

        Raises:
            ConnectorError: the answer is an error, there is none in time, or the wait was cancelled.
        """
        wanted = [TopicPartition(*partition) for partition in partitions]
        began = silent_since = time.monotonic()
        slice_ = _FIRST_SLICE
        while True:
            left = max(0.0, began + timeout - time.monotonic())
            try:
                return _checked(self._consumer.committed(wanted, min(slice_, left)))
            except KafkaException as error:
                self._look(doing, error)
                if error.args[0].code() not in _PASSING:
                    raise kafka_error(self._kind, doing, error, self._settings) from error
                now = time.monotonic()
                over = now >= began + timeout
                if over or now >= silent_since + _SILENT:
                    self._consumer = self._new_consumer()  # the old one ends with its last reference
                    silent_since, slice_ = now, _FIRST_SLICE
                if over:
                    why = f"no answer in {timeout:.0f} s"
                    raise unanswered(self._kind, doing, why, self._settings) from error
                self.paused()
            slice_ = min(2 * slice_, _LAST_SLICE)

    def paused(self) -> bool:
        """Wait a moment before the next question; return True at once when the wait is cancelled."""
        return bool(wait([self._cancelled], _PAUSE).done)

    def close(self) -> None:
        """End the client."""
        self._consumer.close()

    def _new_consumer(self) -> Consumer:
        try:
            return Consumer(self._client_settings)
        except KafkaException as error:
            raise config_error(error, self._settings) from error

    def _look(self, doing: str, error: KafkaException) -> None:
        """End a wait that nothing can come of any more."""
        # What it learns while it looks for the coordinator, a lack of rights say, is reported here only.
        report = self._consumer.poll(0)
        cause = None if report is None else report.error()
        if cause is not None and not cause.retriable() and cause.code() not in _PASSING:
            raise kafka_error(self._kind, doing, cause, self._settings) from KafkaException(cause)
        if self._refused.done():
            raise refusal(self._kind, self._refused.result(), self._settings) from error
        if self._cancelled.done():
            raise unanswered(self._kind, doing, "cancelled", self._settings) from error


def _checked(found: list[TopicPartition]) -> list[TopicPartition]:
    for one in found:
        if one.error is not None:
            raise KafkaException(one.error)
    return found
