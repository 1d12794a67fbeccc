"""Questions to the brokers about topics and offsets, each answered, refused or given up within seconds."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing
from typing import Any, Final

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclOperation,  # pyright: ignore[reportPrivateImportUsage] - public by its documentation
    AdminClient,
    ConfigResource,  # pyright: ignore[reportPrivateImportUsage] - likewise
    OffsetSpec,  # pyright: ignore[reportPrivateImportUsage] - public by its documentation
)
from confluent_kafka.cimpl import NewTopic

from connectors.kafka.config import ClientSettings
from connectors.kafka.errors import (
    ANSWER_TIMEOUT,
    config_error,
    is_refusal,
    kafka_error,
    refusal,
    unanswered,
)
from connectors.kafka.group import Group
from connectors.kafka.partitions import Partition, Topic
from pipeline.core.errors import ConnectorError

_HEAR_EVERY: Final = 0.1  # seconds until a refusal is noticed; an answer is at once

_NO_ID: Final = "AAAAAAAAAAAAAAAAAAAAAA"  # sixteen zero bytes: the broker is older than topic ids


class Cluster:
    """Asks on whichever thread calls; a client that is refused permanently ends every wait.

    It asks through an admin client. Nothing that a group's coordinator answers may be asked so: see `Group`.

    Args:
        settings: of the client.
        kind: of the errors it raises.

    Raises:
        ConfigError: the client refuses its settings.
    """

    def __init__(self, settings: ClientSettings, kind: type[ConnectorError]) -> None:
        self._settings = settings
        self._kind = kind
        self._refused: Future[KafkaError] = Future()
        self._cancelled: Future[None] = Future()
        try:
            # Its futures have no types.
            self._client: Any = AdminClient(settings.client({"error_cb": self._heard}))
        except KafkaException as error:
            raise config_error(error, settings) from error

    def cancel(self) -> None:
        """End the waits, now and from now on."""
        if not self._cancelled.done():
            self._cancelled.set_result(None)

    def close(self) -> None:
        """End the client; nothing can be asked afterwards."""
        self.cancel()
        self._client = None  # it ends with its last reference, and its callback is one to this

    def topics(self, names: Iterable[str]) -> dict[str, Topic]:
        """Return the topics of these names that exist."""
        asked = self.ask_topics(names)
        return {name: topic for name, one in asked.items() if (topic := self.answer(name, one)) is not None}

    def ask_topics(self, names: Iterable[str]) -> dict[str, Future[Any]]:
        """Ask for topics and do not wait; `answer` reads what comes."""
        return self._client.describe_topics(TopicCollection(list(names)), request_timeout=ANSWER_TIMEOUT)

    def answer(self, name: str, asked: Future[Any]) -> Topic | None:
        """Return the topic asked for, None if there is none of that name."""
        try:
            found = self._result(f"find the topic {name}", asked)
        except ConnectorError as error:
            if _code(error) == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise
        id_ = str(found.topic_id)
        return Topic("" if id_ == _NO_ID else id_, len(found.partitions))

    def reach(self) -> None:
        """Return once the brokers have answered."""
        self._result("reach the brokers", self._client.describe_cluster(request_timeout=ANSWER_TIMEOUT))

    def names(self) -> list[str]:
        """Return the names of all topics the user may see."""
        self.reach()
        try:
            return sorted(self._client.list_topics(timeout=ANSWER_TIMEOUT).topics)
        except KafkaException as error:
            raise kafka_error(self._kind, "list the topics", error, self._settings) from error

    def first_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the oldest offset of each."""
        return self._offsets(partitions, OffsetSpec.earliest())

    def end_offsets(self, partitions: Iterable[Partition], *, committed: bool) -> dict[Partition, int]:
        """Return the offset behind the last record of each.

        Args:
            committed: behind the last one that a reader of committed records can see now.
        """
        return self._offsets(partitions, OffsetSpec.latest(), committed=committed)

    def ask_end_offsets(
        self, partitions: Iterable[Partition], *, committed: bool
    ) -> dict[Partition, Future[Any]]:
        """Ask as `end_offsets` does, without waiting; a result has an `offset`, or is a KafkaException."""
        return self._ask_offsets(partitions, OffsetSpec.latest(), committed=committed)

    def offsets_at(self, partitions: Iterable[Partition], timestamp: int) -> dict[Partition, int]:
        """Return the first offset of each whose record is of `timestamp` (ms UTC) or later, -1 for none."""
        return self._offsets(partitions, OffsetSpec.for_timestamp(timestamp))

    def group(self, name: str) -> Group:
        """Open the offsets of a group; waits for them end with those of this."""
        return Group(self._settings, name, self._kind, self._cancelled)

    def group_offsets(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return what a group has committed; a partition for which it has nothing is missing."""
        with closing(self.group(group)) as offsets:
            found = offsets.committed(f"read the offsets of the group {group}", partitions)
        return {Partition(one.topic, one.partition): one.offset for one in found if one.offset >= 0}

    def may_write(self, topic: str) -> bool:
        """Say whether the user may write to a topic that exists; a broker without rights says yes."""
        asked = self._client.describe_topics(
            TopicCollection([topic]), include_authorized_operations=True, request_timeout=ANSWER_TIMEOUT
        )
        allowed = self._result(f"find the topic {topic}", asked[topic]).authorized_operations
        return not allowed or AclOperation.WRITE in allowed

    def settings_of(self, topic: str) -> dict[str, str]:
        """Return the settings of a topic; none if the user may not ask for them."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        asked = self._client.describe_configs([resource], request_timeout=ANSWER_TIMEOUT)
        try:
            found = self._result(f"read the settings of the topic {topic}", asked[resource])
        except ConnectorError as error:
            if _code(error) in (
                KafkaError.TOPIC_AUTHORIZATION_FAILED,
                KafkaError.CLUSTER_AUTHORIZATION_FAILED,
            ):
                return {}
            raise
        return {name: setting.value for name, setting in found.items() if setting.value is not None}

    def create_topic(self, name: str) -> None:
        """Create a topic of one partition, copied as often as the brokers do by themselves."""
        asked = self._client.create_topics([NewTopic(name, 1)], request_timeout=ANSWER_TIMEOUT)
        try:
            self._result(f"create the topic {name}", asked[name])
        except ConnectorError as error:
            if _code(error) != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def _offsets(
        self, partitions: Iterable[Partition], spec: Any, *, committed: bool = False
    ) -> dict[Partition, int]:
        asked = self._ask_offsets(partitions, spec, committed=committed)
        return {
            partition: self._result(f"find the offsets of {partition}", future).offset
            for partition, future in asked.items()
        }

    def _ask_offsets(
        self, partitions: Iterable[Partition], spec: Any, *, committed: bool
    ) -> dict[Partition, Future[Any]]:
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        wanted: Mapping[Any, Any] = {TopicPartition(*partition): spec for partition in partitions}
        if not wanted:
            return {}
        asked = self._client.list_offsets(wanted, isolation_level=level, request_timeout=ANSWER_TIMEOUT)
        return {Partition(one.topic, one.partition): future for one, future in asked.items()}

    def _result(self, doing: str, asked: Future[Any]) -> Any:
        self._await(asked)
        if asked.done():
            try:
                return asked.result()
            except KafkaException as error:
                raise kafka_error(self._kind, doing, error, self._settings) from error
        if self._refused.done():
            raise refusal(self._kind, self._refused.result(), self._settings)
        why = "cancelled" if self._cancelled.done() else f"no answer in {ANSWER_TIMEOUT:.0f} s"
        raise unanswered(self._kind, doing, why, self._settings)

    def _await(self, asked: Future[Any]) -> None:
        """Return once there is an answer, or no hope for one."""
        waited_for: list[Future[Any]] = [asked, self._refused, self._cancelled]
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while not any(one.done() for one in waited_for) and time.monotonic() < deadline:
            wait(waited_for, _HEAR_EVERY, FIRST_COMPLETED)
            self._client.poll(0)  # else what it reports beside the answers is not heard

    def _heard(self, error: KafkaError) -> None:
        if is_refusal(error) and not self._refused.done():
            self._refused.set_result(error)


def _code(error: ConnectorError) -> int | None:
    cause = error.__cause__
    return cause.args[0].code() if isinstance(cause, KafkaException) else None
