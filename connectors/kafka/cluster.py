"""Questions to the brokers about topics and offsets, each answered, refused or given up within seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
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
    ConfigResource,  # pyright: ignore[reportPrivateImportUsage] - likewise
    OffsetSpec,  # pyright: ignore[reportPrivateImportUsage] - public by its documentation
)
from confluent_kafka.cimpl import NewTopic

from connectors.kafka.admin import Admin
from connectors.kafka.config import ClientSettings
from connectors.kafka.errors import ANSWER_TIMEOUT, kafka_error
from connectors.kafka.group import Group
from connectors.kafka.partitions import Partition, Topic
from pipeline.core.errors import ConnectorError

_NO_ID: Final = "AAAAAAAAAAAAAAAAAAAAAA"  # sixteen zero bytes: the broker is older than topic ids


class Cluster:
    """Asks on whichever thread calls; a client that is refused permanently ends every wait.

    It asks through an admin client. Nothing that a group's coordinator answers may be asked so: see `Group`.

    Args:
        settings: of the client.
        kind: of the errors it raises.
        cancelled: ends every wait when it is done; None for a future of its own.
        timeout: seconds that the brokers have for an answer.

    Raises:
        ConfigError: the client refuses its settings.
    """

    def __init__(
        self,
        settings: ClientSettings,
        kind: type[ConnectorError],
        cancelled: Future[None] | None = None,
        timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self._settings = settings
        self._kind = kind
        self._cancelled: Future[None] = cancelled or Future()
        self._timeout = timeout
        self._admin = Admin(settings, kind, self._cancelled, timeout)

    def cancel(self) -> None:
        """End the waits, now and from now on."""
        if not self._cancelled.done():
            self._cancelled.set_result(None)

    def is_cancelled(self) -> bool:
        """Whether all waits are to end."""
        return self._cancelled.done()

    def close(self) -> None:
        """End the client; nothing can be asked afterwards."""
        self._admin.close()

    def another(self, timeout: float) -> Cluster:
        """Return one with a client of its own, whose waits end with those of this.

        Args:
            timeout: seconds that the brokers have for an answer.
        """
        return Cluster(self._settings, self._kind, self._cancelled, timeout)

    def topics(self, names: Iterable[str]) -> dict[str, Topic]:
        """Return the topics of these names that exist."""
        wanted = list(names)

        def ask(timeout: float) -> dict[str, Topic]:
            asked = self.ask_topics(wanted, timeout)
            found = {name: self.answer(name, one) for name, one in asked.items()}
            return {name: topic for name, topic in found.items() if topic is not None}

        return self._admin.insist(ask)

    def ask_topics(self, names: Iterable[str], timeout: float | None = None) -> dict[str, Future[Any]]:
        """Ask for topics and do not wait; `answer` reads what comes."""
        wanted = TopicCollection(list(names))
        return self._admin.ask(
            lambda client, seconds: client.describe_topics(wanted, request_timeout=seconds), timeout
        )

    def answer(self, name: str, asked: Future[Any]) -> Topic | None:
        """Return the topic asked for, None if there is none of that name."""
        try:
            found = self._admin.result(f"find the topic {name}", asked)
        except ConnectorError as error:
            if _code(error) == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise
        id_ = str(found.topic_id)
        return Topic("" if id_ == _NO_ID else id_, len(found.partitions))

    def reach(self) -> None:
        """Return once the brokers have answered."""
        self._one(
            "reach the brokers",
            lambda client, seconds: {"brokers": client.describe_cluster(request_timeout=seconds)},
        )

    def names(self) -> list[str]:
        """Return the names of all topics the user may see."""
        self.reach()
        try:
            listed = self._admin.ask_now(lambda client, seconds: client.list_topics(timeout=seconds))
        except KafkaException as error:
            raise kafka_error(self._kind, "list the topics", error, self._settings) from error
        return sorted(listed.topics)

    def first_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the oldest offset of each."""
        return self._offsets(partitions, OffsetSpec.earliest())

    def end_offsets(self, partitions: Iterable[Partition], *, committed: bool) -> dict[Partition, int]:
        """Return the offset after the last record of each.

        Args:
            committed: after the last one that a reader of committed records can see now.
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

    def group(self, name: str, *, stable: bool = True) -> Group:
        """Open the offsets of a group; waits for them end with those of this.

        Args:
            stable: whether an offset that an open transaction may still change is waited for.
        """
        return Group(self._settings, name, self._kind, self._cancelled, stable=stable)

    def group_offsets(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return what a group has committed; a partition for which it has nothing is missing."""
        with closing(self.group(group)) as offsets:
            found = offsets.committed(f"read the offsets of the group {group}", partitions)
        return {Partition(one.topic, one.partition): one.offset for one in found if one.offset >= 0}

    def may_write(self, topic: str) -> bool:
        """Say whether the user may write to a topic that exists; a broker without rights says yes."""

        def ask(client: Any, seconds: float) -> dict[str, Future[Any]]:
            wanted = TopicCollection([topic])
            return client.describe_topics(wanted, include_authorized_operations=True, request_timeout=seconds)

        allowed = self._one(f"find the topic {topic}", ask).authorized_operations
        return not allowed or AclOperation.WRITE in allowed

    def settings_of(self, topic: str) -> dict[str, str]:
        """Return the settings of a topic; none if the user may not ask for them."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        try:
            found = self._one(
                f"read the settings of the topic {topic}",
                lambda client, seconds: client.describe_configs([resource], request_timeout=seconds),
            )
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
        try:
            self._one(
                f"create the topic {name}",
                lambda client, seconds: client.create_topics([NewTopic(name, 1)], request_timeout=seconds),
            )
        except ConnectorError as error:
            if _code(error) != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def _offsets(
        self, partitions: Iterable[Partition], spec: Any, *, committed: bool = False
    ) -> dict[Partition, int]:
        wanted = list(partitions)

        def ask(timeout: float) -> dict[Partition, int]:
            asked = self._ask_offsets(wanted, spec, committed=committed, timeout=timeout)
            return {
                partition: self._admin.result(f"find the offsets of {partition}", future).offset
                for partition, future in asked.items()
            }

        return self._admin.insist(ask)

    def _ask_offsets(
        self, partitions: Iterable[Partition], spec: Any, *, committed: bool, timeout: float | None = None
    ) -> dict[Partition, Future[Any]]:
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        wanted: Mapping[Any, Any] = {TopicPartition(*partition): spec for partition in partitions}
        if not wanted:
            return {}
        asked = self._admin.ask(
            lambda client, seconds: client.list_offsets(
                wanted, isolation_level=level, request_timeout=seconds
            ),
            timeout,
        )
        return {Partition(one.topic, one.partition): future for one, future in asked.items()}

    def _one(self, doing: str, question: Callable[[Any, float], dict[Any, Future[Any]]]) -> Any:
        """Ask a question that has one answer."""

        def ask(timeout: float) -> Any:
            (asked,) = self._admin.ask(question, timeout).values()
            return self._admin.result(doing, asked)

        return self._admin.insist(ask)


def _code(error: ConnectorError) -> int | None:
    cause = error.__cause__
    return cause.args[0].code() if isinstance(cause, KafkaException) else None
