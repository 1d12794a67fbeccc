"""Exactly once: a transaction for each epoch with its mark inside, and a log to write it again from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from confluent_kafka import KafkaException

from connectors.kafka.delivery import Delivery, Epoch
from connectors.kafka.epochs import AfterCommit, Epochs, after_commit, outcome_by_mark
from connectors.kafka.mark_shelf import MarkShelf
from connectors.kafka.outgoing import Outgoing
from connectors.kafka.ownership import Ownership
from connectors.kafka.producers import START_TIMEOUT, Producers
from connectors.kafka.producing import Writer
from pipeline.core.errors import InternalError, SinkError
from pipeline.core.faults import faultpoint
from pipeline.spi.sink import CommitOutcome, EpochLog, SinkContext

_COMMIT_SLICE: Final = 1.0
"""Seconds of one attempt at a commit: between two the job can be stopped."""

_LOOK_UP_TIMEOUT: Final = 3.0
"""Seconds that the brokers have to say by its mark what became of a commit; then it is tried again, too."""

_ABORT_TIMEOUT: Final = 1.5
"""Seconds an abort may take at the end; what is left open the next start aborts, or the broker."""


class ExactlyOnce(Delivery):
    """Two alternating producers: one writes epoch n+1 while the transaction of n waits for its commit.

    What is to be done is decided by `Epochs` and by the marks; this does it. A commit runs on the job's
    thread, everything else on the sink's; while an epoch waits nothing but its commit or `join` touches
    its producer.

    Args:
        ctx: of the sink.
        epochs: decide.
        producers: by transactional id.
        marks: of the sink's groups.
        owner: tells who has taken the ids over.
        commit_timeout: how long a recovery may take to commit.
    """

    def __init__(
        self,
        ctx: SinkContext,
        epochs: Epochs,
        producers: Producers,
        marks: MarkShelf,
        owner: Ownership,
        commit_timeout: timedelta,
    ) -> None:
        self._ctx = ctx
        self._epochs = epochs
        self._producers = producers
        self._marks = marks
        self._owner = owner
        self._commit_timeout = commit_timeout.total_seconds()
        self._log: EpochLog | None = None

    @property
    def wants_more(self) -> bool:
        log = self._log  # asked by the job's thread too, while the sink's seals it
        return self._epochs.takes_more(0 if log is None else log.size_bytes)

    # --- an epoch, on the sink's thread ---------------------------------------------------------------

    def begin(self) -> Epoch:
        return self._epochs.begin()

    def write(self, outgoing: Outgoing) -> None:
        if self._log is None:  # an epoch without records opens neither log nor transaction
            log = self._ctx.open_log()
            self._current.begin()
            self._log = log
        self._log.append(outgoing.to_bytes())
        self._current.write(outgoing)

    def flush(self) -> None:
        if self._log is not None:
            self._current.flush()
            faultpoint("P3")

    def pre_commit(self, epoch: Epoch) -> Epoch | None:
        if self._log is None:
            if self._marks.stale and not self._epochs.any_waiting:
                self._renew_mark()
            return None
        writer, log = self._current, self._log
        writer.flush()
        name = log.seal()
        self._log = None
        self._marks.write(writer, epoch["number"])
        return self._epochs.pre_commit(epoch, name, log.size_bytes)

    def join(self, older: Epoch, younger: Epoch) -> Epoch:
        """Abort the younger transaction and append its records, from its log, to those of the older."""
        joined = self._epochs.join(older, younger)
        self._producers[joined.aborted].abort_now(START_TIMEOUT)
        self._write_again(self._producers[joined.id], younger["logs"])
        return joined.epoch

    def abort(self, epoch: Epoch) -> None:
        id_ = self._epochs.drop(epoch)
        if id_ is None and self._log is not None:
            id_, log, self._log = self._epochs.id, self._log, None
            log.discard()
        if id_ is not None:
            self._producers[id_].abort(_ABORT_TIMEOUT)

    # --- commits, on the job's thread -------------------------------------------------------------------

    def commit(self, epoch: Epoch) -> CommitOutcome:
        id_ = self._epochs.id_of(epoch)
        if id_ is None:
            return self._look_up(epoch)
        outcome = self._try_commit(self._producers[id_], epoch)
        if outcome is not CommitOutcome.RETRY:
            faultpoint("P12")
            self._epochs.committed(epoch)
            self._marks.written()
        return outcome

    def _try_commit(self, writer: Writer, epoch: Epoch) -> CommitOutcome:
        try:
            writer.commit(_COMMIT_SLICE)
        except KafkaException as error:
            if after_commit(error.args[0]) is AfterCommit.TRY_AGAIN:
                return CommitOutcome.RETRY
            outcome = self._look_up(epoch)
            if outcome is CommitOutcome.RETRY:  # this transaction will not be committed any more
                raise writer.error("commit a transaction", error) from error
            return outcome
        return CommitOutcome.COMMITTED

    def _look_up(self, epoch: Epoch) -> CommitOutcome:
        """Find out by the mark what became of a commit; RETRY if it has had no effect, or nobody answers."""
        try:
            mark = self._marks.read(epoch, _LOOK_UP_TIMEOUT)
        except SinkError as error:
            if error.retryable:
                return CommitOutcome.RETRY
            raise
        return outcome_by_mark(mark, epoch, self._ctx.choices)

    # --- recovery ---------------------------------------------------------------------------------------

    def recover_and_commit(self, epoch: Epoch) -> CommitOutcome:
        """Fence all ids, and only then read the mark: a zombie could still move it before."""
        self._producers.fence(self._epochs.ids_of_recovery(epoch))
        outcome = outcome_by_mark(self._marks.read(epoch), epoch, self._ctx.choices)
        self._epochs.recovered(epoch)
        if outcome is CommitOutcome.ALREADY_COMMITTED:
            return outcome
        writer = self._producers[self._epochs.ids[0]]
        writer.begin()
        self._write_again(writer, epoch["logs"])
        self._marks.write(writer, epoch["number"], epoch)
        writer.commit_now(self._commit_timeout)
        faultpoint("P12")
        return CommitOutcome.COMMITTED

    def recover_and_abort(self, keep: Sequence[Epoch]) -> None:
        """Abort what is left open, and make sure that there is a mark before the first record."""
        faultpoint("P16c")
        self._producers.fence(self._epochs.ids_of_recovery())
        self._producers.keep(self._epochs.ids)
        mark = self._marks.read()
        self._owner.begin(mark)
        self._epochs.continue_after(mark, self._ctx.choices)
        self._renew_mark()

    def snapshot(self) -> dict[str, Any]:
        return self._epochs.snapshot()

    def restore(self, state: dict[str, Any]) -> None:
        self._epochs.restore(state)

    def close(self) -> None:
        if self._log is not None:
            self._log.discard()
        self._producers.close()
        self._marks.close()

    # --- inside -------------------------------------------------------------------------------------------

    @property
    def _current(self) -> Writer:
        return self._producers[self._epochs.id]

    def _renew_mark(self) -> None:
        """Write the mark of the newest epoch in a transaction of its own."""
        writer = self._current
        writer.begin()
        self._marks.write(writer, self._epochs.number)
        writer.commit_now(START_TIMEOUT)
        self._marks.written()

    def _write_again(self, writer: Writer, logs: Sequence[str]) -> None:
        if not logs:
            raise InternalError("an epoch without a log is to be written again")
        for name in logs:
            for payload in self._ctx.read_log(name):
                writer.write(Outgoing.from_bytes(payload))
        writer.flush()
