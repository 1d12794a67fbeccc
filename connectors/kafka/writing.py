"""What a Kafka sink is while it is open: its topics checked, its records encoded, its guarantee kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from connectors.kafka.at_least_once import AtLeastOnce
from connectors.kafka.config import ClientSettings
from connectors.kafka.delivery import Delivery, Epoch
from connectors.kafka.encoding import Encoder
from connectors.kafka.exactly_once import ExactlyOnce, Place
from connectors.kafka.marks import default_prefix
from connectors.kafka.producing import Writer
from connectors.kafka.targets import Targets
from connectors.kafka.writing_plan import Transactions, WritingPlan
from pipeline.core.clock import SystemClock
from pipeline.core.errors import CheckpointError, SinkError
from pipeline.spi.sink import SinkContext


class Writing:
    """An open sink.

    Args:
        plan: how records are encoded.
        transactions: None for at-least-once.

    Raises:
        ConfigError: the client refuses its settings.
    """

    def __init__(
        self,
        plan: WritingPlan,
        transactions: Transactions | None,
        settings: ClientSettings,
        ctx: SinkContext,
    ) -> None:
        self._settings = settings
        self._ctx = ctx
        self._cancelled = threading.Event()
        self._clock = SystemClock()
        self._plan = plan
        self._transactions = transactions
        self._targets = Targets(settings)
        self._encoder = Encoder(plan, self._targets, self._clock)
        self._written: set[str] = set()  # topics of this epoch
        self.delivery: Delivery
        if transactions is None:
            self.delivery = AtLeastOnce(self._writer({"enable.idempotence": True}, ctx.ensure_newest))
        else:
            self.delivery = self._exactly_once(transactions)

    def open(self) -> None:
        """Find out before anything is read whether the topics can be written to.

        Raises:
            ConfigError: the transaction timeout does not fit the checkpoint interval.
            SinkError: a topic does not exist or may not be written to, no broker answers, or the Schema
                Registry takes no schema.
        """
        if self._transactions is not None:
            self._transactions.check_interval(self._ctx.checkpoint_interval)
            self._targets.ensure_marks(self._transactions.marks)
        if isinstance(self._plan.topic, str):
            self._targets.of(self._plan.topic)
            self._encoder.prepare(self._plan.topic)

    def write(self, values: Sequence[Any]) -> None:
        """Encode a batch and pass it on."""
        if not values:
            return
        outgoing = self._encoder.encode(values)
        self._written.update((outgoing.topics,) if isinstance(outgoing.topics, str) else outgoing.topics)
        self.delivery.write(outgoing)

    def pre_commit(self, epoch: Epoch) -> Epoch | None:
        """End an epoch, flushed before, if its topics are still those it began in.

        Raises:
            CheckpointError: no broker says whether they are; the epoch goes on.
        """
        if self._written:
            try:
                self._targets.check_same(self._written)
            except SinkError as error:
                if error.retryable:
                    raise CheckpointError(str(error), retryable=True) from error
                raise
        handle = self.delivery.pre_commit(epoch)
        self._written.clear()
        return handle

    def cancel(self) -> None:
        """End every wait; any thread."""
        self._cancelled.set()
        self._targets.cancel()

    def close(self) -> None:
        """Release everything, waiting for no broker."""
        self.cancel()
        self.delivery.close()
        self._targets.close()

    def _exactly_once(self, transactions: Transactions) -> ExactlyOnce:
        prefix = transactions.prefix or default_prefix(self._ctx.job_name, self._ctx.uid)
        name = f"{prefix}-{self._ctx.subtask}"
        timeout_ms = transactions.timeout_ms

        def make_writer(transactional_id: str, check_owner: Callable[[], None]) -> Writer:
            own = {"transactional.id": transactional_id, "transaction.timeout.ms": timeout_ms}
            socket_timeout = int(self._settings.client()["socket.timeout.ms"])
            return self._writer({**own, "socket.timeout.ms": min(socket_timeout, timeout_ms)}, check_owner)

        return ExactlyOnce(
            Place((f"{name}-a", f"{name}-b"), name, transactions.marks),
            self._ctx,
            make_writer,
            self._targets.marks,
            self._targets.why_no_transaction,
            max_bytes=transactions.max_bytes,
            commit_timeout=transactions.commit_timeout,
            clock=self._clock,
        )

    def _writer(self, own: dict[str, Any], check_owner: Callable[[], None]) -> Writer:
        return Writer(
            self._settings,
            self._cancelled,
            check_owner,
            self._targets.reachable,
            self._check_topics,
            own,
        )

    def _check_topics(self) -> None:
        """Refuse to wait for topics that are gone; brokers that do not answer are waited for."""
        try:
            self._targets.check_same(self._written)
        except SinkError as error:
            if not error.retryable:
                raise
