"""The mark that each transaction carries: by it a commit whose answer was lost is found again.

A mark is a group's offset on a topic to which nothing is written; it is sent in the transaction, so
that it can be read when, and only when, the epoch's records can.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from confluent_kafka import TopicPartition

from connectors.kafka.errors import ANSWER_TIMEOUT
from connectors.kafka.group import Group
from connectors.kafka.partitions import Partition
from pipeline.core.errors import SinkError
from pipeline.spi.sink import RecoveryChoices, SinkContext

_FOLDER_SHOWN: Final = 300
"""Characters of a folder's name in a mark: a broker takes 4,096 bytes with a group's offset."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the newest committed transaction of a sink says.

    Args:
        epoch: its number, in the sink's own count.
        lineage: the line of epochs it belongs to.
        attempt: of the job that wrote it.
        writer: the process that did, for people; empty where it did not say.
    """

    epoch: int
    lineage: str
    attempt: int
    writer: str = ""

    def is_by(self, ctx: SinkContext) -> bool:
        """Say whether the attempt of `ctx` wrote it, in this process."""
        return (self.lineage, self.attempt, self.writer) == (ctx.lineage, ctx.attempt, this_writer(ctx))


def this_writer(ctx: SinkContext) -> str:
    """Name this process to people who look for it: it may be on another machine than they."""
    folder = str(Path.cwd())[-_FOLDER_SHOWN:]
    return f"job {ctx.job_name!r}, process {os.getpid()} on {socket.gethostname()}, started in {folder}"


class Verdict(Enum):
    """What a mark says about an epoch that a manifest has decided."""

    DONE = "it is committed"
    PENDING = "it is not committed"


def judge(mark: Mark | None, epoch: int, lineage: str, choices: RecoveryChoices) -> Verdict:
    """Decide whether an epoch is committed that is not noted to be.

    A mark of this lineage tells: the same epoch's, or an older one's. Without one nothing does,
    since there was a mark before the first record: it has been lost, or overwritten by a lineage
    that is not ours. A newer one's says that the checkpoint is not the newest there was.

    Raises:
        SinkError: it cannot be decided, or would write again what is visible; never retryable.
    """
    if mark is None or mark.lineage != lineage:
        if choices.assume_committed is None:
            raise SinkError(
                f"it cannot be determined whether epoch {epoch} was committed: {_lost(mark)}",
                retryable=False,
                hint="look whether its records are in the topic, then start once with --assume-committed "
                "or --assume-uncommitted",
            )
        return Verdict.DONE if choices.assume_committed else Verdict.PENDING
    if mark.epoch > epoch:
        refuse_ahead(mark, epoch, choices)
    return Verdict.PENDING if mark.epoch < epoch else Verdict.DONE


def refuse_ahead(mark: Mark, epoch: int, choices: RecoveryChoices) -> None:
    """Raise if more was committed after the checkpoint, unless duplicates are accepted."""
    if not choices.accept_duplicates:
        raise SinkError(
            f"the checkpoint ends with epoch {epoch}, but epoch {mark.epoch} is committed: what follows "
            "the checkpoint would be written again",
            retryable=False,
            hint="start from the newest checkpoint there was, or add --accept-duplicates",
        )


def _lost(mark: Mark | None) -> str:
    if mark is None:
        return "its group has no mark: the group expired, or the topic of the marks was deleted"
    by = f", by {mark.writer}" if mark.writer else ""
    return f"the mark is of another lineage ({mark.lineage}, epoch {mark.epoch}{by})"


def default_prefix(job: str, uid: str) -> str:
    """Name what belongs to one sink of a job on the brokers; the same for every start of the job."""
    return re.sub(r"[^A-Za-z0-9._:-]+", "_", f"pipeline-{job}-{uid}")


class MarkBook:
    """Reads the marks of one group, and names it to the transactions that write them.

    Args:
        group: of one subtask of a sink.
        topic: on which the offsets are.
    """

    def __init__(self, group: Group, topic: str) -> None:
        self._group = group
        self._place = Partition(topic, 0)

    @property
    def member(self) -> Any:
        """What `send_offsets_to_transaction` takes to name the group."""
        return self._group.member

    def offsets(self, mark: Mark) -> list[TopicPartition]:
        """Return a mark as the offset that represents it."""
        about = json.dumps({"lineage": mark.lineage, "attempt": mark.attempt, "writer": mark.writer})
        return [TopicPartition(*self._place, mark.epoch, about)]

    def read(self, timeout: float = ANSWER_TIMEOUT) -> Mark | None:
        """Return the newest committed mark; None if there is none.

        Raises:
            SinkError: it cannot be read.
        """
        doing = f"read the mark of the group {self._group.name}"
        (found,) = self._group.committed(doing, [self._place], timeout)
        if found.offset < 0:
            return None
        try:
            about = json.loads(found.metadata or "")
            writer = str(about.get("writer", ""))
            return Mark(found.offset, str(about["lineage"]), int(about["attempt"]), writer)
        except (ValueError, KeyError, TypeError, AttributeError):
            return Mark(found.offset, "", 0)  # not written by us: of a lineage that nobody has

    def read_other(self, known: Mark | None, ctx: SinkContext, timeout: float) -> Mark | None:
        """Return the mark of another run, waiting for it; None if none comes in time.

        Another run takes over the transactional ids first, and writes its mark some tenths of a second
        later.

        Args:
            known: the mark that was there before this run wrote one.
            timeout: in seconds.
        """
        until = time.monotonic() + timeout
        while True:
            found = self.read(timeout)
            if found is not None and found != known and not found.is_by(ctx):
                return found
            if time.monotonic() >= until or self._group.paused():
                return None

    def close(self) -> None:
        """End the client of the group."""
        self._group.close()
