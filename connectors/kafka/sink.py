"""Writes records to Kafka topics, each once for readers of committed records."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from connectors.kafka.config import ClientConfig
from connectors.kafka.delivery import Epoch
from connectors.kafka.formats import Format, Json, format_of
from connectors.kafka.outgoing import Headers
from connectors.kafka.writing_plan import Guarantee, Partitioner, Transactions, WritingPlan
from pipeline.core.durations import milliseconds
from pipeline.core.errors import ConfigError, MissingExtra
from pipeline.core.functions import function_ref
from pipeline.spi.connector_config import ConnectorConfig
from pipeline.spi.sink import CommitOutcome, SinkContext, SinkInfo, TwoPhaseCommitSink
from pipeline.spi.source import JsonLike

if TYPE_CHECKING:
    from connectors.kafka.writing import Writing

_JSON: Final[Json[Any]] = Json()
_OWNED: Final[Mapping[str, str]] = {
    "acks": "nothing: all replicas must have a record",
    "delivery.report.only.error": "nothing",
    "enable.gapless.guarantee": "nothing",
    "enable.idempotence": "guarantee=",
    "group.id": "transactional_id=",
    "isolation.level": "nothing",
    "on_delivery": "nothing",
    "transaction.timeout.ms": "transaction_timeout=",
    "transactional.id": "transactional_id=",
}

_DEFAULTS: Final[Mapping[str, Any]] = {
    "linger.ms": 10,
    # Bounds what waits for a broker that is away; beyond it the sink asks for nothing.
    "queue.buffering.max.kbytes": 65_536,
    "queue.buffering.max.messages": 500_000,
    # With `rebootstrap` a client that lost all its connections drops the brokers it knew, and then waits
    # without an end for the coordinator among them when it marks a transaction (librdkafka issue 5511).
    "metadata.recovery.strategy": "none",
}


class KafkaSink(TwoPhaseCommitSink[Any, Epoch]):
    """Writes records to Kafka.

    Exactly-once: a transaction for each epoch, visible to readers of committed records when its
    checkpoint is complete. Each carries a mark, by which a commit whose answer was lost is found
    again; its records are in the checkpoint too, so that they are written again if the broker
    has dropped it. At-least-once: records are visible at once, and may be written again.

    Args:
        topic: the topic, or a function that returns the topic of a record. Topics must exist.
        bootstrap_servers: the brokers; default those in the file that `PIPELINE_KAFKA_CONFIG` names,
            then `PIPELINE_KAFKA`.
        value: a format, `Json()`, `Text()`, `Bytes()`, `Avro(…)`, or a function that returns bytes or
            text (None is null).
        key: returns a record's key, as bytes, text or None; records of one key stay in their order.
        partitioner: chooses a partition by key and number of partitions; default by CRC-32 of the key,
            round robin without a key.
        headers: returns a record's headers, pairs of a name and bytes or text.
        timestamp: returns a record's time in milliseconds UTC, above 0; default when it is written.
        guarantee: `exactly-once` or `at-least-once`.
        transactional_id: prefix of the transactional ids and of the group of the marks, unique on the
            cluster; default job and uid.
        marks_topic: has the marks as a group's offsets, and no records; created if it is missing.
        transaction_timeout: after this time a broker aborts what a dead process left open; at most the
            broker's `transaction.max.timeout.ms`.
        epoch_max_bytes: limit of the epochs that are being written or wait for their commit; beyond it
            the sink requests nothing and asks for an early checkpoint.
        commit_timeout: how long a commit is tried before the job restarts and recovers from the log.
        config: client settings by librdkafka's names: TLS, SASL, compression, linger.

    Raises:
        ConfigError: an argument is wrong, a client setting is not for a job to set, or (at `open`) the
            transaction timeout is too short for the checkpoint interval.
        SinkError: a topic does not exist or may not be written to, or would reject a record.

    Example:
        KafkaSink("alerts", key=lambda alert: alert["origin"])
    """

    def __init__(
        self,
        topic: str | Callable[[Any], str],
        *,
        bootstrap_servers: str | None = None,
        value: Format[Any] | Callable[[Any], bytes | None] = _JSON,
        key: Callable[[Any], bytes | str | None] | None = None,
        partitioner: Partitioner | None = None,
        headers: Callable[[Any], Headers | None] | None = None,
        timestamp: Callable[[Any], int] | None = None,
        guarantee: Guarantee = "exactly-once",
        transactional_id: str | None = None,
        marks_topic: str = "pipeline-marks",
        transaction_timeout: timedelta = timedelta(minutes=5),
        epoch_max_bytes: int = 1 << 30,
        commit_timeout: timedelta = timedelta(minutes=1),
        config: Mapping[str, str | float] | None = None,
    ) -> None:
        if guarantee not in ("exactly-once", "at-least-once"):
            raise ConfigError(f"guarantee must be 'exactly-once' or 'at-least-once', not {guarantee!r}")
        self._client = ClientConfig(bootstrap_servers, config, owned=_OWNED, defaults=_DEFAULTS)
        self._plan = WritingPlan(topic, format_of(value), key, partitioner, headers, timestamp)
        self._guarantee: Guarantee = guarantee
        self._transactions = Transactions(
            transactional_id,
            marks_topic,
            milliseconds("transaction_timeout", transaction_timeout, least=1000),
            epoch_max_bytes,
            commit_timeout,
        )
        milliseconds("commit_timeout", commit_timeout, least=1000)
        self.commit_timeout = commit_timeout
        self._writing: Writing | None = None
        self._cancelled = False

    @property
    def info(self) -> SinkInfo:
        topic = self._plan.topic
        target = topic if isinstance(topic, str) else function_ref(topic).name
        return SinkInfo("kafka", target, self._guarantee, max_parallelism=sys.maxsize)

    def to_config(self) -> ConnectorConfig:
        settings = {
            **self._plan.to_config(),
            **self._client.to_config(),
            "guarantee": self._guarantee,
            **self._transactions.to_config(),
        }
        return ConnectorConfig.of("kafka", settings)

    @property
    def wants_more(self) -> bool:
        return self._writing is None or self._writing.delivery.wants_more

    def open(self, ctx: SinkContext) -> None:
        settings = self._client.resolve()
        try:
            from connectors.kafka.writing import begin_writing, check_targets
        except ImportError as error:
            raise MissingExtra("confluent-kafka", "kafka") from error
        transactions = self._transactions if self._guarantee == "exactly-once" else None
        if transactions is not None:
            transactions.check_interval(ctx.checkpoint_interval)
        self._writing = begin_writing(self._plan, transactions, settings, ctx)
        if self._cancelled:  # before there was anything to cancel
            self._writing.targets.cancel()
        check_targets(self._writing, self._plan, transactions)

    def begin_transaction(self) -> Epoch:
        return self._opened.delivery.begin()

    def invoke(self, txn: Epoch, value: Any, ctx: SinkContext) -> None:
        self.invoke_batch(txn, (value,), ctx)

    def invoke_batch(self, txn: Epoch, values: Sequence[Any], ctx: SinkContext) -> None:
        if values:
            targets, encoder, delivery = self._opened
            outgoing = encoder.encode(values)
            targets.write(outgoing.topics)
            delivery.write(outgoing)

    def flush(self) -> None:
        self._opened.delivery.flush()

    def pre_commit(self, txn: Epoch) -> Epoch | None:
        targets, _, delivery = self._opened
        targets.check_epoch()
        handle = delivery.pre_commit(txn)
        targets.end_epoch()
        return handle

    def join(self, older: Epoch, younger: Epoch) -> Epoch:
        return self._opened.delivery.join(older, younger)

    def commit(self, txn: Epoch) -> CommitOutcome:
        return self._opened.delivery.commit(txn)

    def abort(self, txn: Epoch) -> None:
        self._opened.delivery.abort(txn)

    def recover_and_commit(self, txn: Epoch) -> CommitOutcome:
        return self._opened.delivery.recover_and_commit(txn)

    def recover_and_abort(self, keep: Sequence[Epoch]) -> None:
        self._opened.delivery.recover_and_abort(keep)

    def snapshot_state(self) -> JsonLike:
        return self._opened.delivery.snapshot()

    def restore_state(self, state: JsonLike) -> None:
        self._opened.delivery.restore(cast("dict[str, Any]", state))

    def cancel(self) -> None:
        self._cancelled = True
        if self._writing is not None:
            self._writing.targets.cancel()

    def close(self) -> None:
        writing, self._writing = self._writing, None
        self._cancelled = False
        if writing is not None:
            writing.targets.cancel()
            writing.delivery.close()
            writing.targets.close()

    @property
    def _opened(self) -> Writing:
        assert self._writing is not None
        return self._writing
