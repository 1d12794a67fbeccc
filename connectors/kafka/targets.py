"""The topics a sink writes to: how many partitions they have, how large a record they take."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from connectors.kafka.cluster import Cluster
from connectors.kafka.config import ClientSettings
from connectors.kafka.marks import MarkBook
from connectors.kafka.partitions import Topic
from connectors.kafka.target import Target
from pipeline.core.errors import CheckpointError, SinkError

_CLIENT_LIMIT: Final = 1_000_000
"""librdkafka's default of message.max.bytes."""

TRANSACTIONS: Final = "__transaction_state"
"""The topic in which brokers keep transactions: the first question for one makes it, where it can be made."""


class Targets:
    """Asks the brokers about each topic once, and keeps the answer while the sink is open.

    A partition that is added meanwhile is used after a restart: until then the records of a key
    stay in one.

    Args:
        settings: of the client.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._client_limit = int(settings.client().get("message.max.bytes", _CLIENT_LIMIT))
        self._settings = settings
        self._known: dict[str, Target] = {}
        self._written: set[str] = set()  # in this epoch
        self.cluster = Cluster(settings, SinkError)

    def of(self, topic: str) -> Target:
        """Return what is known of a topic, asking if need be.

        Raises:
            SinkError: there is no such topic, it may not be written to, or no broker answers.
        """
        if topic not in self._known:
            self._known[topic] = self._ask(topic)
        return self._known[topic]

    def write(self, topics: str | list[str]) -> None:
        """Note that records go to these topics; the epoch must end in the same ones."""
        self._written.update((topics,) if isinstance(topics, str) else topics)

    def end_epoch(self) -> None:
        """Forget what has been written to."""
        self._written.clear()

    def check_epoch(self) -> None:
        """Refuse to end an epoch in other topics than it began in, as `check_same` does.

        Raises:
            CheckpointError: no broker answers whether the topics are the same; the epoch continues.
            SinkError: they are not.
        """
        if not self._written:
            return
        try:
            self.check_same(self._written, self.cluster)
        except SinkError as error:
            if error.retryable:
                raise CheckpointError(str(error), retryable=True) from error
            raise

    def check_same(self, topics: Collection[str], cluster: Cluster) -> dict[str, Topic]:
        """Refuse topics that are gone, or that are not those the sink began to write to; return them.

        A client writes on into a new topic of the same name and says nothing of the records that went
        with the old one.

        Args:
            topics: that are written to.
            cluster: is asked.

        Raises:
            SinkError: by the topic's name.
        """
        found = cluster.topics(topics)
        for topic in topics:
            now, known = found.get(topic), self._known.get(topic)
            if now is not None and (known is None or now.id == known.id):
                continue
            what = "deleted" if now is None else "deleted and created again"
            raise SinkError(
                f"the topic {topic} was {what} while the job wrote to it",
                retryable=False,
                hint="what was written is gone with it; once the topic is there, the next run writes what "
                "follows the last checkpoint, and with --fresh everything",
            )
        return found

    def ensure_marks(self, topic: str) -> None:
        """Create the topic that the marks are kept for, unless it exists."""
        if not self.cluster.topics([topic]):
            self.cluster.create_topic(topic)

    def marks(self, group: str, topic: str) -> MarkBook:
        """Open the marks that a group has on a topic."""
        return MarkBook(self.cluster.group(group), topic)

    def why_no_transaction(self) -> SinkError | None:
        """Say why the brokers began no transaction, however often they were asked; None if nobody knows.

        It looks as if they were away. Brokers that answer and have nowhere to keep one will never begin one.
        """
        try:
            if self.cluster.topics([TRANSACTIONS]):
                return None
        except SinkError:  # they are away, or do not tell this user
            return None
        return SinkError(
            f"the brokers at {self._settings.servers} cannot begin transactions: expected the topic "
            f"{TRANSACTIONS}, which stores them; found that they cannot create it",
            retryable=False,
            hint="run as many brokers as their transaction.state.log.replication.factor (default 3), or "
            "lower that; without transactions there is only guarantee='at-least-once'",
        )

    def cancel(self) -> None:
        """End the waits; any thread."""
        self.cluster.cancel()

    def close(self) -> None:
        """End the client, and all waits."""
        self.cluster.cancel()
        self.cluster.close()

    def _ask(self, topic: str) -> Target:
        found = self.cluster.topics([topic]).get(topic)
        if found is None:
            raise SinkError(
                f"there is no topic {topic}",
                retryable=False,
                hint="create it, or correct its name: the sink does not create topics",
            )
        if not self.cluster.may_write(topic):
            raise SinkError(
                f"the user may not write to the topic {topic}",
                retryable=False,
                hint="allow it Write on the topic",
            )
        return Target.of(found, self.cluster.settings_of(topic), self._client_limit)
