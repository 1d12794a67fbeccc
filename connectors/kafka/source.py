"""Reads Kafka topics from the offsets in the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from connectors.kafka.bounds import Start, Stop, checked_start, checked_stop
from connectors.kafka.config import ClientConfig
from connectors.kafka.formats import Bytes, Format, Json, format_of
from connectors.kafka.plan import Isolation, ReadingPlan
from connectors.kafka.record import KafkaRecord
from connectors.kafka.topics import Selection
from pipeline.core.durations import milliseconds
from pipeline.core.errors import ConfigError, MissingExtra
from pipeline.core.job import JobMode
from pipeline.core.policy import ErrorPolicy, require_input_policy
from pipeline.spi.connector_config import ConnectorConfig
from pipeline.spi.source import JsonLike, Source, SourceContext, SourceInfo

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    from connectors.kafka.reading import Reading

    V = TypeVarWithDefault("V", default=Any)
else:  # only a checker asks what a source without `value=` reads; Python 3.11's own has no default
    V = TypeVar("V")

T = TypeVar("T")
K = TypeVar("K")

_DEFAULTS: Final[Mapping[str, Any]] = {
    # After its queue was full a client asks for more only when this time is over. With the default
    # of a second it is idle most of the time: 0.3 M messages/s instead of 0.7 M.
    "fetch.queue.backoff.ms": 5,
}

_OWNED: Final[Mapping[str, str]] = {
    "auto.offset.reset": "start=",
    "enable.auto.commit": "the checkpoints",
    "enable.auto.offset.store": "the checkpoints",
    "enable.partition.eof": "nothing",
    "group.id": "group_id=",
    "group.protocol": "nothing: the partitions are assigned by the engine",
    "isolation.level": "isolation=",
    "max.poll.interval.ms": "nothing: no member of a group is to be missed",
    "partition.assignment.strategy": "nothing: the partitions are assigned by the engine",
}

_JSON: Final[Json[Any]] = Json()
_FAIL: Final = ErrorPolicy()
_LOOK: Final = timedelta(seconds=5)


class KafkaSource(Source[T]):
    """The records of Kafka topics, each partition in its order, continued from the checkpoint.

    Partitions are assigned by the engine, without a group's rebalancing. After a failure reading
    continues at the offsets of the checkpoint, never at the group's: those are only shown, to people who
    watch the lag. New partitions are found and read from their beginning. An offset that is gone,
    and a topic that was deleted or recreated, fail the job by name. Brokers that are down are waited for.

    Args:
        topics: a topic, or several.
        pattern: a regular expression that the whole names of the topics match; new ones are found.
        bootstrap_servers: the brokers; default those in the file that `PIPELINE_KAFKA_CONFIG` names,
            then `PIPELINE_KAFKA`.
        start: where a job without a checkpoint begins: `earliest`, `latest`, `group` (the group's
            offsets, else earliest), a datetime in the past (with its zone), or offsets `{topic:
            {partition: offset}}`. It is looked up once: restarts begin there, too.
        stop: where the source ends: `latest` (the ends of the partitions when the job starts), a
            datetime, which may be in the future, or offsets, which are not read; None for never.
            It is looked up once, too.
        value, key: formats, `Json()`, `Json(type)`, `Text()`, `Bytes()`, `Avro(…)`, or functions from bytes.
        metadata: whether a record is a `KafkaRecord` with key, headers, timestamp, topic, partition and
            offset, instead of the value alone.
        on_error: what happens to a record that cannot be decoded: fail, skip or dead-letter.
        group_id: under which the offsets are shown; default the job's name.
        isolation: `read_committed` ignores records of open and aborted transactions.
        discovery_interval: how often to look for new partitions and recreated topics.
        config: client settings by librdkafka's names: TLS, SASL, fetch sizes.

    Raises:
        ConfigError: (here) an argument is wrong, or a client setting is not for a job to set; (at
            `open`) no broker is configured.

    Example:
        KafkaSource("events", value=Json(Event), start="latest")
    """

    @overload
    def __init__(
        self: KafkaSource[V],
        topics: str | Sequence[str] | None = None,
        *,
        pattern: str | None = None,
        bootstrap_servers: str | None = None,
        start: Start = "earliest",
        stop: Stop | None = None,
        value: Format[V] | Callable[[bytes], V] = _JSON,
        key: None = None,
        metadata: Literal[False] = False,
        on_error: ErrorPolicy = _FAIL,
        group_id: str | None = None,
        isolation: Isolation = "read_committed",
        discovery_interval: timedelta = _LOOK,
        config: Mapping[str, str | float] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: KafkaSource[KafkaRecord[bytes | None, V]],
        topics: str | Sequence[str] | None = None,
        *,
        pattern: str | None = None,
        bootstrap_servers: str | None = None,
        start: Start = "earliest",
        stop: Stop | None = None,
        value: Format[V] | Callable[[bytes], V] = _JSON,
        key: None = None,
        metadata: Literal[True],
        on_error: ErrorPolicy = _FAIL,
        group_id: str | None = None,
        isolation: Isolation = "read_committed",
        discovery_interval: timedelta = _LOOK,
        config: Mapping[str, str | float] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: KafkaSource[KafkaRecord[K, V]],
        topics: str | Sequence[str] | None = None,
        *,
        pattern: str | None = None,
        bootstrap_servers: str | None = None,
        start: Start = "earliest",
        stop: Stop | None = None,
        value: Format[V] | Callable[[bytes], V] = _JSON,
        key: Format[K] | Callable[[bytes], K],
        metadata: Literal[True],
        on_error: ErrorPolicy = _FAIL,
        group_id: str | None = None,
        isolation: Isolation = "read_committed",
        discovery_interval: timedelta = _LOOK,
        config: Mapping[str, str | float] | None = None,
    ) -> None: ...
    def __init__(
        self,
        topics: str | Sequence[str] | None = None,
        *,
        pattern: str | None = None,
        bootstrap_servers: str | None = None,
        start: Start = "earliest",
        stop: Stop | None = None,
        value: Format[Any] | Callable[[bytes], Any] = _JSON,
        key: Format[Any] | Callable[[bytes], Any] | None = None,
        metadata: bool = False,
        on_error: ErrorPolicy = _FAIL,
        group_id: str | None = None,
        isolation: Isolation = "read_committed",
        discovery_interval: timedelta = _LOOK,
        config: Mapping[str, str | float] | None = None,
    ) -> None:
        self._client = ClientConfig(bootstrap_servers, config, owned=_OWNED, defaults=_DEFAULTS)
        require_input_policy("on_error of a source", on_error)
        self.on_error = on_error  # read by the graph, for its dead letters
        self._plan = ReadingPlan(
            selection=Selection(topics, pattern),
            start=checked_start(start),
            stop=checked_stop(stop),
            value=format_of(value),
            key=_key_format(key, metadata=metadata),
            isolation=_checked_isolation(isolation),
            on_error=on_error,
            group=group_id,
            look_every_ms=milliseconds("discovery_interval", discovery_interval, least=1),
        )
        self._reading: Reading | None = None
        self._cancelled = False

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(
            kind="kafka",
            target=self._plan.selection.target,
            mode=JobMode.STREAMING,
            confirms_silence=True,
        )

    def to_config(self) -> ConnectorConfig:
        return ConnectorConfig.of("kafka", {**self._plan.to_config(), **self._client.to_config()})

    def open(self, ctx: SourceContext[T]) -> None:
        settings = self._client.resolve()
        try:
            from connectors.kafka.reading import Reading
        except ImportError as error:
            raise MissingExtra("confluent-kafka", "kafka") from error
        self._reading = Reading(self._plan, settings, self._plan.group or ctx.job_name)
        if self._cancelled:  # before there was anything to cancel
            self._reading.cancel()
        self._reading.open()

    def find_start(self) -> JsonLike:
        return self._opened.find_start()

    def restore_state(self, state: JsonLike) -> None:
        self._opened.restore(state)

    def run(self, ctx: SourceContext[T]) -> None:
        self._opened.run(ctx)

    def cancel(self) -> None:
        self._cancelled = True
        if self._reading is not None:
            self._reading.cancel()

    def snapshot_state(self) -> JsonLike:
        return self._opened.snapshot()

    def checkpoint_committed(self, checkpoint_id: int) -> None:
        self._opened.show_offsets()

    def close(self) -> None:
        reading, self._reading = self._reading, None
        self._cancelled = False
        if reading is not None:
            reading.close()

    @property
    def _opened(self) -> Reading:
        assert self._reading is not None
        return self._reading


def _key_format(key: Any, *, metadata: bool) -> Format[Any] | None:
    if metadata:
        return format_of(Bytes() if key is None else key)
    if key is not None:
        raise ConfigError(
            "key= is given, but the records are the values alone", hint="give metadata=True too"
        )
    return None


def _checked_isolation(isolation: Isolation) -> Isolation:
    if isolation not in ("read_committed", "read_uncommitted"):
        raise ConfigError(f"isolation must be 'read_committed' or 'read_uncommitted', not {isolation!r}")
    return isolation
