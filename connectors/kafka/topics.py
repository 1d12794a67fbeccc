"""Which topics a source reads, and what becomes of them while it reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from connectors.kafka.partitions import Partition, Topic, check_same
from pipeline.core.clock import Clock
from pipeline.core.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from connectors.kafka.cluster import Cluster


class Selection:
    """The topics that the user named, or a pattern for their names.

    Raises:
        ConfigError: neither, both or nothing of use is given.
    """

    def __init__(self, topics: str | Sequence[str] | None, pattern: str | None) -> None:
        names = (topics,) if isinstance(topics, str) else tuple(topics or ())
        if bool(names) == bool(pattern) or not all(names) or len(set(names)) < len(names):
            raise ConfigError(
                "a Kafka source needs a topic, several different ones or pattern=, "
                f"not {topics!r} and {pattern!r}"
            )
        self._names = names
        try:
            self._pattern = None if pattern is None else re.compile(pattern)
        except re.error as error:
            raise ConfigError(f"pattern={pattern!r} is not a regular expression: {error}") from error

    @property
    def target(self) -> str:
        """What the source is called by."""
        return self._pattern.pattern if self._pattern else ",".join(self._names)

    def to_config(self) -> dict[str, Any]:
        """Return the user's arguments, by their names in a stored definition."""
        if self._pattern is not None:
            return {"pattern": self._pattern.pattern}
        return {"topic": self._names[0]} if len(self._names) == 1 else {"topics": self._names}

    def includes(self, topic: str) -> bool:
        """Say whether a topic of that name is read."""
        return self._pattern.fullmatch(topic) is not None if self._pattern else topic in self._names

    def names(self, cluster: Cluster) -> Sequence[str]:
        """Return the names of the topics to read now; internal ones match no pattern."""
        if self._pattern is None:
            return self._names
        return [name for name in cluster.names() if self.includes(name) and not name.startswith("__")]

    def find(self, cluster: Cluster) -> dict[str, Topic]:
        """Return the topics.

        Raises:
            SourceError: a topic that was named does not exist, or no topic matches the pattern.
        """
        names = self.names(cluster)
        found = cluster.topics(names) if names else {}
        missing = [name for name in names if name not in found]
        if missing or not found:
            what = (
                f"there is no topic {', '.join(missing)}" if missing else f"no topic matches {self.target!r}"
            )
            raise SourceError(what, retryable=False, hint="create the topic, or correct its name")
        return found


class Watch:
    """Looks now and then for new partitions, and whether the topics are still the same ones.

    Args:
        selection: what is read.
        known: the topics as they were found at the start.
        interval: milliseconds between two looks.
    """

    def __init__(
        self, cluster: Cluster, selection: Selection, known: Mapping[str, Topic], interval: int, clock: Clock
    ) -> None:
        self._cluster = cluster
        self._selection = selection
        self._known = dict(known)
        self._interval = interval
        self._clock = clock
        self._due = clock.monotonic_ms() + interval
        self._asked: dict[str, Future[Any]] = {}

    @property
    def partitions(self) -> list[Partition]:
        """The partitions known by now."""
        return [partition for name, topic in self._known.items() for partition in topic.of(name)]

    @property
    def known(self) -> Mapping[str, Topic]:
        """The topics as they are known by now."""
        return self._known

    @property
    def ids(self) -> dict[str, str]:
        """The ids of the topics known by now."""
        return {name: topic.id for name, topic in self._known.items()}

    def new_partitions(self) -> list[Partition]:
        """Return the partitions that have come since the last call; asks when it is time.

        Raises:
            SourceError: a topic was deleted or recreated.
        """
        if not self._asked:
            if self._clock.monotonic_ms() >= self._due:
                self._due = self._clock.monotonic_ms() + self._interval
                self._asked = self._ask()
            return []
        if not all(one.done() for one in self._asked.values()):
            return []
        asked, self._asked = self._asked, {}
        return [partition for name, one in asked.items() for partition in self._compare(name, one)]

    def _ask(self) -> dict[str, Future[Any]]:
        try:
            names = {*self._known, *self._selection.names(self._cluster)}
        except SourceError as error:
            if not error.retryable:
                raise
            names = set(self._known)  # the brokers are away; who reads waits for them anyway
        return self._cluster.ask_topics(names)

    def _compare(self, name: str, asked: Future[Any]) -> list[Partition]:
        known = self._known.get(name, Topic("", 0))
        try:
            found = self._cluster.answer(name, asked)
        except SourceError as error:
            if not error.retryable:
                raise
            return []
        check_same(name, known.id, found)
        assert found is not None
        self._known[name] = found
        return found.of(name)[known.partitions :]
