"""The topics a sink writes to: how many partitions they have, how large a record they take."""

from __future__ import annotations

from typing import Final, NamedTuple

from connectors.kafka.cluster import Cluster
from connectors.kafka.config import ClientSettings
from pipeline.core.errors import SinkError

_CLIENT_LIMIT: Final = 1_000_000
"""librdkafka's default of message.max.bytes."""


class Target(NamedTuple):
    """What must be known of a topic to write to it."""

    partitions: int
    max_record_bytes: int


class Targets:
    """Asks the brokers about each topic once, and keeps the answer while the sink is open.

    A partition that is added meanwhile is used after a restart: until then the records of a key
    stay in one.

    Args:
        settings: of the client.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._client_limit = int(settings.client().get("message.max.bytes", _CLIENT_LIMIT))
        self._cluster = Cluster(settings, SinkError)
        self._known: dict[str, Target] = {}

    def of(self, topic: str) -> Target:
        """Return what is known of a topic, asking if need be.

        Raises:
            SinkError: there is no such topic, it may not be written to, or no broker answers.
        """
        if topic not in self._known:
            self._known[topic] = self._ask(topic)
        return self._known[topic]

    def ensure_marks(self, topic: str) -> None:
        """Create the topic that the marks are kept for, unless it exists."""
        if not self._cluster.topics([topic]):
            self._cluster.create_topic(topic)

    def cancel(self) -> None:
        """End the waits; any thread."""
        self._cluster.cancel()

    def close(self) -> None:
        """End the client."""
        self._cluster.close()

    def _ask(self, topic: str) -> Target:
        found = self._cluster.topics([topic]).get(topic)
        if found is None:
            raise SinkError(
                f"there is no topic {topic}",
                retryable=False,
                hint="create it, or correct its name: the sink creates none",
            )
        if not self._cluster.may_write(topic):
            raise SinkError(
                f"the user may not write to the topic {topic}",
                retryable=False,
                hint="allow it Write on the topic",
            )
        limit = self._cluster.record_limit(topic)
        own = self._client_limit
        return Target(found.partitions, own if limit is None else min(limit, own))
