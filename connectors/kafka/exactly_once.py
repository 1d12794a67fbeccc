"""Exactly once: a transaction for each epoch with its mark inside, and a log to write it again from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from confluent_kafka import KafkaException

from connectors.kafka.delivery import Delivery, Epoch
from connectors.kafka.marks import Mark, MarkBook, Verdict, judge, refuse_ahead, this_writer
from connectors.kafka.outgoing import Outgoing
from connectors.kafka.ownership import Ownership
from connectors.kafka.producing import Writer
from pipeline.core.clock import Clock
from pipeline.core.errors import InternalError, SinkError
from pipeline.core.faults import faultpoint
from pipeline.spi.sink import CommitOutcome, EpochLog, SinkContext

_START_TIMEOUT: Final = 30.0
"""Seconds a broker has to fence and abort what an id left open."""

_COMMIT_SLICE: Final = 1.0
"""Seconds of one try of a commit: between two the job hears whoever wants to stop it."""

_LOOK_UP_TIMEOUT: Final = 3.0
"""Seconds that the brokers have to say by its mark what became of a commit; then it is tried again, too."""

_ABORT_TIMEOUT: Final = 1.5
"""Seconds an abort may take at the end; what is left open the next start aborts, or the broker."""

_MARK_REFRESH_MS: Final = 24 * 3_600_000
"""A group without members keeps its offsets for seven days; a sink that writes nothing renews its mark."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sink's transactions and marks are known to the brokers.

    Args:
        ids: two transactional ids, used in turn.
        group: for the marks.
        marks: the topic on which they are.
    """

    ids: tuple[str, str]
    group: str
    marks: str


class ExactlyOnce(Delivery):
    """Two producers in turn: one writes epoch n+1 while the transaction of n waits for its commit.

    A commit runs on the job's thread, everything else on the sink's; the two meet in `_waiting`
    only, and while an epoch waits nothing but its commit or `join` touches its producer.

    Args:
        place: the names of this start; a recovery also fences those that the manifest names.
        make_writer: makes a producer for a transactional id, which calls the function when it is fenced.
        make_book: opens the marks of a group on a topic.
        why_not_begun: says why no broker begins a transaction, if that can be told.
        max_bytes: of the epochs that are written or wait; beyond it nothing more is asked for.
    """

    def __init__(
        self,
        place: Place,
        ctx: SinkContext,
        make_writer: Callable[[str, Callable[[], None]], Writer],
        make_book: Callable[[str, str], MarkBook],
        why_not_begun: Callable[[], SinkError | None],
        *,
        max_bytes: int,
        commit_timeout: timedelta,
        clock: Clock,
    ) -> None:
        self._place = place
        self._ctx = ctx
        self._make_writer = make_writer
        self._make_book = make_book
        self._why_not_begun = why_not_begun
        self._max_bytes = max_bytes
        self._commit_timeout = commit_timeout.total_seconds()
        self._clock = clock
        self._writers: dict[str, Writer] = {}
        self._books: dict[tuple[str, str], MarkBook] = {}
        self._waiting: dict[int, tuple[str, int]] = {}  # number of the epoch: its id, the bytes of its logs
        self._log: EpochLog | None = None
        self._id = place.ids[-1]
        self._number = 0  # of the newest epoch that is pre-committed
        self._restored: dict[str, Any] = {}
        self._owner = Ownership(ctx, place.ids[0])
        self._marked_at = 0

    @property
    def wants_more(self) -> bool:
        log = self._log  # asked by the job's thread too, while the sink's seals it
        writing = 0 if log is None else log.size_bytes
        return writing + sum(size for _, size in list(self._waiting.values())) < self._max_bytes

    # --- an epoch, on the sink's thread ---------------------------------------------------------------

    def begin(self) -> Epoch:
        busy = {self._id, *(id_ for id_, _ in list(self._waiting.values()))}
        self._id = next((id_ for id_ in self._place.ids if id_ not in busy), self._id)
        return {
            "number": self._number + 1,
            "lineage": self._ctx.lineage,
            "logs": [],
            "ids": list(self._place.ids),
            "group": self._place.group,
            "marks": self._place.marks,
        }

    def write(self, outgoing: Outgoing) -> None:
        if self._log is None:  # an epoch without records opens neither log nor transaction
            log = self._ctx.open_log()
            self._writers[self._id].begin()
            self._log = log
        self._log.append(outgoing.to_bytes())
        self._writers[self._id].write(outgoing)

    def flush(self) -> None:
        if self._log is not None:
            self._writers[self._id].flush()
            faultpoint("P3")

    def pre_commit(self, epoch: Epoch) -> Epoch | None:
        if self._log is None:
            self._refresh_mark()
            return None
        writer, log = self._writers[self._id], self._log
        writer.flush()
        name = log.seal()
        self._log = None
        self._mark(writer, epoch["number"])
        self._waiting[epoch["number"]] = (self._id, log.size_bytes)
        self._number = epoch["number"]
        return {**epoch, "logs": [name]}

    def join(self, older: Epoch, younger: Epoch) -> Epoch:
        """Abort the younger transaction and put its records, from its log, behind those of the older."""
        young_id, young_size = self._waiting.pop(younger["number"])
        old_id, old_size = self._waiting[older["number"]]
        self._writers[young_id].abort_now(_START_TIMEOUT)
        self._write_again(self._writers[old_id], younger["logs"])
        self._waiting[older["number"]] = (old_id, old_size + young_size)
        self._number = older["number"]
        self._id = old_id  # so that the next one is the other's turn
        return {**older, "logs": older["logs"] + younger["logs"]}

    def abort(self, epoch: Epoch) -> None:
        id_, _ = self._waiting.pop(epoch["number"], (None, 0))
        if id_ is None and self._log is not None:
            id_, log, self._log = self._id, self._log, None
            log.discard()
        if id_ is not None:
            self._writers[id_].abort(_ABORT_TIMEOUT)

    # --- commits, on the job's thread -------------------------------------------------------------------

    def commit(self, epoch: Epoch) -> CommitOutcome:
        if epoch["number"] not in self._waiting:
            return self._look_up(epoch)
        id_, _ = self._waiting[epoch["number"]]
        writer = self._writers[id_]
        try:
            writer.commit(_COMMIT_SLICE)
        except KafkaException as error:
            if error.args[0].retriable():
                return CommitOutcome.RETRY
            outcome = self._look_up(epoch)
            if outcome is CommitOutcome.RETRY:
                raise writer.error("commit a transaction", error) from error
        else:
            outcome = CommitOutcome.COMMITTED
        faultpoint("P12")
        del self._waiting[epoch["number"]]
        self._marked_at = self._clock.monotonic_ms()
        return outcome

    def _look_up(self, epoch: Epoch) -> CommitOutcome:
        """Find out by the mark what became of a commit; RETRY if it has had no effect, or nobody answers."""
        try:
            mark = self._book(epoch).read(_LOOK_UP_TIMEOUT)
        except SinkError as error:
            if error.retryable:
                return CommitOutcome.RETRY
            raise
        verdict = judge(mark, epoch["number"], epoch["lineage"], self._ctx.choices)
        return CommitOutcome.ALREADY_COMMITTED if verdict is Verdict.DONE else CommitOutcome.RETRY

    # --- recovery ---------------------------------------------------------------------------------------

    def recover_and_commit(self, epoch: Epoch) -> CommitOutcome:
        """Fence all ids, and only then read the mark: a zombie could still move it before."""
        self._fence([*self._place.ids, *epoch["ids"]])
        verdict = judge(self._read_mark(epoch), epoch["number"], epoch["lineage"], self._ctx.choices)
        self._number = epoch["number"]
        if verdict is Verdict.DONE:
            return CommitOutcome.ALREADY_COMMITTED
        writer = self._writers[self._place.ids[0]]
        writer.begin()
        self._write_again(writer, epoch["logs"])
        self._mark(writer, epoch["number"], epoch)
        writer.commit_now(self._commit_timeout)
        faultpoint("P12")
        return CommitOutcome.COMMITTED

    def recover_and_abort(self, keep: Sequence[Epoch]) -> None:
        """Abort what is left open, and make sure that there is a mark before the first record."""
        faultpoint("P16c")
        self._fence([*self._place.ids, *self._restored.get("ids", ())])
        for id_ in self._writers.keys() - set(self._place.ids):
            self._writers.pop(id_).close()
        mark = self._read_mark()
        self._owner.begin(mark)
        self._begin_behind(mark)
        self._renew_mark()

    def snapshot(self) -> dict[str, Any]:
        return {
            "type": "kafka",
            "transaction_id": self._id,
            "committed_offset": self._number,
            "ids": list(self._place.ids),
            "group": self._place.group,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._restored = state
        self._number = state.get("committed_offset", 0)

    def close(self) -> None:
        if self._log is not None:
            self._log.discard()
        for writer in self._writers.values():
            writer.close()
        for book in self._books.values():
            book.close()

    def _begin_behind(self, mark: Mark | None) -> None:
        """Count on behind all epochs there have been: a number is never given twice."""
        if mark is None:
            return
        restored = bool(self._restored) and mark.lineage == self._ctx.lineage
        if restored and mark.epoch > self._number:
            refuse_ahead(mark, self._number, self._ctx.choices)
        self._number = max(self._number, mark.epoch)

    def _fence(self, ids: Sequence[str]) -> None:
        """Take over transactional ids, all at once: each takes a broker some tenths of a second."""
        new = {id_: self._make_writer(id_, self._check_owner) for id_ in ids if id_ not in self._writers}
        self._writers |= new
        if not new:
            return
        with ThreadPoolExecutor(len(new), thread_name_prefix="kafka-fence") as pool:
            begun = [pool.submit(writer.start, _START_TIMEOUT) for writer in new.values()]
        try:
            for one in begun:
                one.result()
        except SinkError as error:
            reason = self._why_not_begun() if error.retryable else None
            if reason is None:
                raise
            raise reason from error

    def _check_owner(self) -> None:
        self._owner.check(self._book(None))

    # --- marks and logs ------------------------------------------------------------------------------------

    def _refresh_mark(self) -> None:
        if self._clock.monotonic_ms() - self._marked_at > _MARK_REFRESH_MS and not self._waiting:
            self._renew_mark()

    def _renew_mark(self) -> None:
        """Write the mark of the newest epoch in a transaction of its own."""
        writer = self._writers[self._id]
        writer.begin()
        self._mark(writer, self._number)
        writer.commit_now(_START_TIMEOUT)
        self._marked_at = self._clock.monotonic_ms()

    def _mark(self, writer: Writer, number: int, epoch: Epoch | None = None) -> None:
        lineage = self._ctx.lineage if epoch is None else epoch["lineage"]
        book = self._book(epoch)
        mark = Mark(number, lineage, self._ctx.attempt, this_writer(self._ctx))
        writer.mark(book.offsets(mark), book.member)

    def _read_mark(self, epoch: Epoch | None = None) -> Mark | None:
        return self._book(epoch).read()

    def _book(self, epoch: Epoch | None) -> MarkBook:
        """Open the marks of a handle; of this start by default."""
        place = (self._place.group, self._place.marks) if epoch is None else (epoch["group"], epoch["marks"])
        if place not in self._books:
            self._books[place] = self._make_book(*place)
        return self._books[place]

    def _write_again(self, writer: Writer, logs: Sequence[str]) -> None:
        if not logs:
            raise InternalError("an epoch without a log is to be written again")
        for name in logs:
            for payload in self._ctx.read_log(name):
                writer.write(Outgoing.from_bytes(payload))
        writer.flush()
