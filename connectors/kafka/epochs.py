"""The choices of an exactly-once sink, made without a broker: which epoch is where, and what follows.

An epoch is *written* under one of two transactional ids until its barrier; then it *waits* for its commit,
and the next one is written under the other id. It leaves `Epochs` when it is

    written ── pre_commit ──▶ waiting ── committed
       │                        │  └──── join: the younger of two is aborted and put into the older
       └──────── drop ──────────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from confluent_kafka import KafkaError

from connectors.kafka.delivery import Epoch
from connectors.kafka.marks import Mark, Verdict, judge, refuse_ahead
from pipeline.spi.sink import CommitOutcome, RecoveryChoices


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sink's transactions and marks are known to the brokers.

    Args:
        ids: two transactional ids, used alternately.
        group: for the marks.
        marks: the topic on which they are.
    """

    ids: tuple[str, str]
    group: str
    marks: str


class Waiting(NamedTuple):
    """An epoch between its barrier and its commit: its transaction, and how large its logs are."""

    id: str
    size_bytes: int


class Joined(NamedTuple):
    """Two epochs that become one.

    Args:
        aborted: the id of the younger transaction.
        id: that of the older one, to which the records of the younger are added.
        epoch: the handle of both.
    """

    aborted: str
    id: str
    epoch: Epoch


class Epochs:
    """Numbers epochs, and chooses the transactional id of each.

    `committed` and `id_of` are called on the job's thread, all else on the sink's. The two meet in
    `_waiting` only, of which one thread adds and the other removes.

    Args:
        place: the names of this start.
        lineage: of this run.
        max_bytes: of the epochs that are written or wait; beyond it nothing more is taken.
    """

    def __init__(self, place: Place, lineage: str, max_bytes: int) -> None:
        self._place = place
        self._lineage = lineage
        self._max_bytes = max_bytes
        self._waiting: dict[int, Waiting] = {}  # by number
        self._restored: dict[str, Any] = {}
        self.id = place.ids[-1]  # of the epoch that is written
        self.number = 0  # of the newest epoch that is pre-committed

    @property
    def ids(self) -> tuple[str, str]:
        """The transactional ids of this start."""
        return self._place.ids

    @property
    def any_waiting(self) -> bool:
        return bool(self._waiting)

    def takes_more(self, writing_bytes: int) -> bool:
        """Return whether epochs are below their limit, with that many bytes in the current one."""
        waiting = sum(one.size_bytes for one in list(self._waiting.values()))
        return writing_bytes + waiting < self._max_bytes

    def begin(self) -> Epoch:
        """Choose an id that no epoch waits under, and name the epoch."""
        busy = {self.id, *(one.id for one in list(self._waiting.values()))}
        self.id = next((id_ for id_ in self._place.ids if id_ not in busy), self.id)
        return {
            "number": self.number + 1,
            "lineage": self._lineage,
            "logs": [],
            "ids": list(self._place.ids),
            "group": self._place.group,
            "marks": self._place.marks,
        }

    def pre_commit(self, epoch: Epoch, log: str, size_bytes: int) -> Epoch:
        """Let the epoch that was written wait, and return the handle to commit it by."""
        self._waiting[epoch["number"]] = Waiting(self.id, size_bytes)
        self.number = epoch["number"]
        return {**epoch, "logs": [log]}

    def join(self, older: Epoch, younger: Epoch) -> Joined:
        """Make one epoch of two that wait, since the older one's checkpoint failed."""
        young, old = self._waiting.pop(younger["number"]), self._waiting[older["number"]]
        self._waiting[older["number"]] = Waiting(old.id, old.size_bytes + young.size_bytes)
        self.number = older["number"]
        self.id = old.id  # so that the next one is the other's turn
        return Joined(young.id, old.id, {**older, "logs": older["logs"] + younger["logs"]})

    def drop(self, epoch: Epoch) -> str | None:
        """Forget an epoch that waits, and return its id; None if it does not wait."""
        waiting = self._waiting.pop(epoch["number"], None)
        return None if waiting is None else waiting.id

    def id_of(self, epoch: Epoch) -> str | None:
        """Return the id under which an epoch waits; None if it does not: it is another attempt's."""
        waiting = self._waiting.get(epoch["number"])
        return None if waiting is None else waiting.id

    def committed(self, epoch: Epoch) -> None:
        """Forget an epoch that is visible."""
        del self._waiting[epoch["number"]]

    # --- recovery ---------------------------------------------------------------------------------------

    def ids_of_recovery(self, epoch: Epoch | None = None) -> list[str]:
        """Return the ids that another run may have something open under: its own and these."""
        theirs: Sequence[str] = self._restored.get("ids", ()) if epoch is None else epoch["ids"]
        return [*self._place.ids, *theirs]

    def recovered(self, epoch: Epoch) -> None:
        """Continue after an epoch that a manifest has decided."""
        self.number = epoch["number"]

    def continue_after(self, mark: Mark | None, choices: RecoveryChoices) -> None:
        """Continue after all epochs that there have been: a number is never given twice.

        Raises:
            SinkError: more has been committed than the checkpoint knows of.
        """
        if mark is None:
            return
        restored = bool(self._restored) and mark.lineage == self._lineage
        if restored and mark.epoch > self.number:
            refuse_ahead(mark, self.number, choices)
        self.number = max(self.number, mark.epoch)

    def snapshot(self) -> dict[str, Any]:
        return {
            "type": "kafka",
            "transaction_id": self.id,
            "committed_offset": self.number,
            "ids": list(self._place.ids),
            "group": self._place.group,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._restored = state
        self.number = state.get("committed_offset", 0)


class AfterCommit(Enum):
    """What follows a commit that a client was asked for."""

    COMMITTED = "it is done"
    TRY_AGAIN = "the same commit may be tried again"
    LOOK_UP = "only the mark can tell what became of it"


def after_commit(error: KafkaError | None) -> AfterCommit:
    """Classify how a client's commit has ended; None is success."""
    if error is None:
        return AfterCommit.COMMITTED
    return AfterCommit.TRY_AGAIN if error.retriable() else AfterCommit.LOOK_UP


def outcome_by_mark(mark: Mark | None, epoch: Epoch, choices: RecoveryChoices) -> CommitOutcome:
    """Return what became of a commit; RETRY if it has had no effect.

    Raises:
        SinkError: the mark cannot tell.
    """
    verdict = judge(mark, epoch["number"], epoch["lineage"], choices)
    return CommitOutcome.ALREADY_COMMITTED if verdict is Verdict.DONE else CommitOutcome.RETRY
