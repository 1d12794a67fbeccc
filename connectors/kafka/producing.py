"""One producer, whose waits end when the sink is cancelled, and whose errors are ours."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from itertools import starmap
from threading import Thread
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from connectors.kafka.columns import shown
from connectors.kafka.config import ClientSettings
from connectors.kafka.errors import config_error, is_refusal, kafka_error
from connectors.kafka.outgoing import Outgoing
from connectors.kafka.stalls import StallWatch
from connectors.kafka.witness import Witness
from pipeline.core.clock import Clock
from pipeline.core.errors import SinkError

_SLICE: Final = 0.2
"""Seconds a call of the client may block; between two the sink looks whether it is cancelled."""

_FENCING: Final = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        # each later call of a producer that got this error before, perhaps in its own thread
        KafkaError._FATAL,
        KafkaError._STATE,
    }
)
"""Errors of a producer whose id another one uses, or whose transaction the broker ended."""


_OF_A_RECORD: Final = frozenset(
    {KafkaError.INVALID_RECORD, KafkaError.INVALID_TIMESTAMP, KafkaError.MSG_SIZE_TOO_LARGE}
)
"""What a broker says of a batch in which one record is wrong."""


class Cancelled(SinkError):
    """The sink was cancelled while it waited."""


class Writer:
    """A producer, transactional if it has an id; its calls come from one thread at a time.

    Args:
        settings: of the client.
        own: settings of this producer alone.
        cancelled: says whether every wait is to end.
        check_owner: raises if another run has taken the transactional id over.
        witness: asks the brokers that a call waits for whether they answer another client.
        clock: measures how long a call waits.

    Raises:
        ConfigError: the client refuses its settings.
    """

    def __init__(
        self,
        settings: ClientSettings,
        own: Mapping[str, Any],
        cancelled: Callable[[], bool],
        check_owner: Callable[[], None],
        witness: Witness,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._cancelled = cancelled
        self._check_owner = check_owner
        self._witness = witness
        self._clock = clock
        self._committing: StallWatch | None = None
        self._topics: set[str] = set()  # with records that may not have been delivered yet
        self._reports = reports = _Reports()
        callbacks = {"error_cb": reports.heard, "on_delivery": reports.delivered}
        try:
            self._producer = Producer(
                settings.client({**own, **callbacks, "delivery.report.only.error": True})
            )
        except KafkaException as error:
            raise config_error(error, settings) from error

    # --- records -----------------------------------------------------------------------------------

    def write(self, outgoing: Outgoing) -> None:
        """Put records into the client's queue, waiting while it is full.

        Raises:
            SinkError: the transaction has failed, or records before these could not be delivered.
        """
        topics = outgoing.topics
        self._topics.update((topics,) if isinstance(topics, str) else topics)
        left = list(outgoing.arguments())
        try:
            left = self._queue(left)
            if left:
                self._wait_for_room(left)
            self._producer.poll(0)
        except KafkaException as error:  # also what a transaction died of meanwhile
            raise self.error("write", error) from error
        self._look("write")

    def _queue(self, records: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Put in what there is room for and return the rest, once some of it may have gone."""
        remaining = iter(records)
        try:
            deque(starmap(self._producer.produce, remaining), maxlen=0)
        except BufferError:
            self._producer.poll(_SLICE)
            self._look("write")
            return records[len(records) - operator.length_hint(remaining) - 1 :]
        return []

    def _wait_for_room(self, left: list[tuple[Any, ...]]) -> None:
        watch = self._watch("write", self._leaders_answer)
        while left:
            before, left = len(left), self._queue(left)
            if len(left) < before:
                watch.progressed()
            watch.look()

    def flush(self) -> None:
        """Wait until the brokers have everything.

        Raises:
            SinkError: something could not be delivered, a topic is gone, or the client hangs.
        """
        watch = self._watch("flush", self._leaders_answer)
        before = None
        try:
            while left := self._producer.flush(_SLICE):
                self._look("flush")
                if left != before:
                    watch.progressed()
                before = left
                watch.look()
        except KafkaException as error:
            raise self.error("flush", error) from error
        self._look("flush")
        self._topics.clear()

    # --- transactions ---------------------------------------------------------------------------------

    def start(self, timeout: float) -> None:
        """Fence the previous user of this transactional id, and abort what it left open."""
        self._until_done("begin with its transactional id", self._producer.init_transactions, timeout=timeout)

    def begin(self) -> None:
        self._committing = None
        self._topics.clear()
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise self.error("begin a transaction", error) from error

    def mark(self, offsets: list[TopicPartition], member: Any) -> None:
        """Put a mark into the transaction.

        Raises:
            SinkError: also if the topic of the marks is gone. All earlier epochs are noted by then, so
                that the job can recover, and recreate the topic and its first mark.
        """
        doing = "mark a transaction"
        watch = self._watch(doing, self._witness.coordinators_answer)

        def send(timeout: float) -> None:
            self._producer.send_offsets_to_transaction(offsets, member, timeout)

        try:
            self._until_done(doing, partial(self._left_behind_if_lost, doing, send, watch), watch)
        except SinkError as error:
            if not _is_unknown_topic(error):
                raise
            raise SinkError(
                f"the topic of the marks, {offsets[0].topic}, was deleted while the job wrote",
                retryable=True,
                hint="a restart recreates it; do not delete it: a crash in between would leave nothing "
                "to tell by what is committed",
            ) from error

    def commit(self, timeout: float) -> None:
        """Commit.

        Raises:
            KafkaException: if it is retriable, the same commit may be tried again.
            SinkError: the client hangs; another one can find out by the mark what became of the commit.
        """
        if self._committing is None:
            self._committing = self._watch("commit a transaction", self._witness.coordinators_answer)
        try:
            self._producer.commit_transaction(timeout)
        except KafkaException as error:
            if error.args[0].retriable():
                self._committing.look()
            raise

    def commit_now(self, timeout: float) -> None:
        """Commit, and wait for it until it is done or the time is over."""
        self._until_done("commit a transaction", self._producer.commit_transaction, timeout=timeout)

    def abort(self, timeout: float) -> None:
        """Abort the open transaction of a sink that ends, waiting that many seconds at most."""
        try:
            self._producer.abort_transaction(timeout)
        except KafkaException as error:
            raise self.error("abort a transaction", error) from error

    def abort_now(self, timeout: float) -> None:
        """Abort, as a sink that continues, and wait until it is done or the time is over."""
        self._until_done("abort a transaction", self._producer.abort_transaction, timeout=timeout)

    def error(self, doing: str, error: KafkaException) -> SinkError:
        """Translate an error of the client.

        Raises:
            SinkError, Fenced: it means that another run has taken over.
        """
        cause: KafkaError = error.args[0]
        lost = self._reports.lost
        if cause.code() in _FENCING or (lost is not None and lost.error.code() in _FENCING):
            self._check_owner()
            return SinkError(
                f"cannot {doing}: the broker has ended the transaction ({cause.name()})",
                hint="it was open for longer than transaction_timeout, or another job began with the same "
                "transactional id; the job recovers from its log",
            )
        if lost is not None:  # what came of it later says less
            return kafka_error(SinkError, f"write {lost.what}", lost.error, self._settings)
        return kafka_error(SinkError, doing, self._reports.refused or cause, self._settings)

    def close(self) -> None:
        """Drop the producer with all that it holds; nothing is waited for."""
        with suppress(KafkaException):  # it tells once more what it has died of
            self._producer.purge(blocking=False)
            self._producer.poll(0)

    # --- inside ------------------------------------------------------------------------------------------

    def _watch(self, doing: str, ask: Callable[[], bool]) -> StallWatch:
        return StallWatch(doing, ask, self._clock)

    def _leaders_answer(self) -> bool:
        return self._witness.leaders_answer(self._topics)

    def _until_done(
        self,
        doing: str,
        call: Callable[[float], None],
        watch: StallWatch | None = None,
        timeout: float | None = None,
    ) -> None:
        """Repeat a call that may be resumed until it succeeds, fails, or waits in vain."""
        watch = watch or self._watch(doing, self._witness.coordinators_answer)
        slices = 0
        while True:
            try:
                return call(_SLICE)
            except KafkaException as error:
                slices += 1
                over = timeout is not None and slices * _SLICE >= timeout
                if not error.args[0].retriable() or over or self._reports.refused is not None:
                    raise self.error(doing, error) from error
            self._look(doing)
            watch.look()

    def _left_behind_if_lost(
        self, doing: str, call: Callable[[float], None], watch: StallWatch, timeout: float
    ) -> None:
        """Make a call that may ignore its timeout, on a thread that is left behind if it never ends.

        `send_offsets_to_transaction` waits without an end for a group's coordinator that it remembers
        and that has left the cluster since (librdkafka issues 5456 and 5511).
        """
        outcome: Future[None] = Future()
        # A daemon, since nothing can end what it waits for: it must not keep the process from ending.
        caller = Thread(target=_fulfil, args=(outcome, call, timeout), name="kafka-mark", daemon=True)
        caller.start()
        while not wait([outcome], _SLICE).done:
            self._look(doing)
            watch.look()
        return outcome.result()

    def _look(self, doing: str) -> None:
        if self._reports.lost is not None:
            error = KafkaException(self._reports.lost.error)
            raise self.error(doing, error) from error
        if self._cancelled():
            raise Cancelled(f"cannot {doing}: the sink is being closed", retryable=True)


class _Lost(NamedTuple):
    """What could not be delivered, as in `cannot write {what}`, and why."""

    what: str
    error: KafkaError


class _Reports:
    """What a producer calls back about.

    It knows nothing of the producer: the collector does not see what a client holds of its callbacks, so
    that a circle through one would never be freed.
    """

    def __init__(self) -> None:
        self.refused: KafkaError | None = None
        self.lost: _Lost | None = None

    def heard(self, error: KafkaError) -> None:
        if is_refusal(error):
            self.refused = error

    def delivered(self, error: KafkaError | None, message: Any) -> None:
        if error is None or error.code() == KafkaError._PURGE_QUEUE or self.lost is not None:
            return
        what = f"to the topic {message.topic()}"
        if error.code() in _OF_A_RECORD:  # the broker drops a whole batch, and does not say for which record
            what = f"{shown(message.value())} or a record sent with it {what}"
        self.lost = _Lost(what, error)


def _fulfil(outcome: Future[None], call: Callable[[float], None], timeout: float) -> None:
    try:
        outcome.set_result(call(timeout))
    except BaseException as error:  # noqa: BLE001 - raised where the outcome is awaited
        outcome.set_exception(error)


def _is_unknown_topic(error: SinkError) -> bool:
    cause = error.__cause__
    return isinstance(cause, KafkaException) and cause.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
