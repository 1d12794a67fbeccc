"""A topic as a sink must know it: how many partitions it has, and which records it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from connectors.kafka.columns import shown
from connectors.kafka.outgoing import Outgoing
from connectors.kafka.partitions import Topic
from pipeline.core.errors import SinkError

_CLIENT_LIMIT: Final = "message.max.bytes in config="
_TOPIC_LIMIT: Final = "the topic's max.message.bytes"


class Target(NamedTuple):
    """What must be known of a topic to write to it.

    Args:
        max_record_bytes: the lesser of the topic's limit and the client's.
        limit: which of the two that is.
        id: another one when it was deleted and created again.
        compacted: whether each record needs a key.
        behind_ms, ahead_ms: how far a record's time may be from now; None for any.
    """

    partitions: int
    max_record_bytes: int
    limit: str = _TOPIC_LIMIT
    id: str = ""
    compacted: bool = False
    behind_ms: int | None = None
    ahead_ms: int | None = None

    @classmethod
    def of(cls, found: Topic, settings: Mapping[str, str], client_limit: int) -> Target:
        """Return what a sink must know of a topic.

        Args:
            settings: of the topic; empty where the user may not ask for them.
            client_limit: the largest record that the client takes, in bytes.
        """
        limit = int(settings.get("max.message.bytes", client_limit + 1))
        behind, ahead = _time_limits(settings)
        return cls(
            found.partitions,
            min(limit, client_limit),
            _TOPIC_LIMIT if limit <= client_limit else _CLIENT_LIMIT,
            found.id,
            "compact" in settings.get("cleanup.policy", ""),
            behind,
            ahead,
        )

    def takes_all(self, outgoing: Outgoing, sizes: Sequence[int], now_ms: int) -> bool:
        """Say whether it takes all records of a batch that goes to this topic alone."""
        if max(sizes, default=0) > self.max_record_bytes:
            return False
        if self.compacted and (outgoing.keys is None or None in outgoing.keys):
            return False
        times = outgoing.timestamps
        # One time for all is that of the writing.
        return isinstance(times, int) or all(map(self._takes_time, (min(times), max(times)), (now_ms,) * 2))

    def check(self, topic: str, size: int, key: bytes | None, time_ms: int, now_ms: int, value: Any) -> None:
        """Refuse a record that the topic would refuse.

        Args:
            topic: its name.
            value: the record, for the message.

        Raises:
            SinkError: with the reason.
        """
        if size > self.max_record_bytes:
            raise SinkError(
                f"a record of {size:,} bytes is too large for the topic {topic}: {self.limit} is "
                f"{self.max_record_bytes:,}: {shown(value)}",
                retryable=False,
                hint=f"filter such records out upstream, or raise {self.limit}",
            )
        if self.compacted and key is None:
            raise SinkError(
                f"the topic {topic} is compacted and accepts no record without a key: {shown(value)}",
                retryable=False,
                hint="give the sink key=, and let it return a key for every record",
            )
        if not self._takes_time(time_ms, now_ms):
            apart = f"{abs(time_ms - now_ms):,} ms {'ahead of' if time_ms > now_ms else 'behind'} the clock"
            raise SinkError(
                f"the topic {topic} does not accept the time {time_ms}, {apart}: {shown(value)}",
                retryable=False,
                hint="let timestamp= return milliseconds UTC; or raise the topic's "
                "message.timestamp.after.max.ms or message.timestamp.before.max.ms",
            )

    def _takes_time(self, time_ms: int, now_ms: int) -> bool:
        limit = self.ahead_ms if time_ms > now_ms else self.behind_ms
        return limit is None or abs(time_ms - now_ms) <= limit


def _time_limits(settings: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Return how far a record's time may be before and after a broker's clock, in milliseconds."""
    if settings.get("message.timestamp.type") != "CreateTime":
        return None, None
    both = settings.get("message.timestamp.difference.max.ms")  # until Kafka 3.5
    limits = (
        settings.get(name, both)
        for name in ("message.timestamp.before.max.ms", "message.timestamp.after.max.ms")
    )
    behind, ahead = (None if limit is None else int(limit) for limit in limits)
    return behind, ahead
