"""Who has taken over the transactional ids of a sink, when a broker no longer accepts them from it."""

from __future__ import annotations

from typing import Final

from connectors.kafka.marks import Mark, MarkBook
from pipeline.core.errors import SinkError
from pipeline.spi.sink import SinkContext

_MARK_TIMEOUT: Final = 3.0
"""Seconds that another run has to write its mark after it took over the ids: it takes some tenths."""


class Ownership:
    """Tells another run's takeover from a transaction that the broker has ended by itself.

    Args:
        ctx: of this run.
        transactional_id: for the message.
    """

    def __init__(self, ctx: SinkContext, transactional_id: str) -> None:
        self._ctx = ctx
        self._id = transactional_id
        self._found: tuple[Mark | None, ...] = ()

    def begin(self, found: Mark | None) -> None:
        """Remember the mark that this run found at its start: it is not a sign of another run."""
        self._found = (found,)

    def check(self, book: MarkBook) -> None:
        """Return if it can be the broker that has ended the transaction.

        Raises:
            Fenced: a newer attempt of this job has taken over.
            SinkError: another run has, which its mark names.
        """
        self._ctx.ensure_newest()
        other = self._other(book)
        if other is not None:
            raise SinkError(
                f"another run has taken over the transactional id {self._id}: "
                f"{other.writer or f'one of lineage {other.lineage}'}",
                retryable=False,
                hint="each job on a Kafka cluster needs its own name, or its KafkaSink its own "
                "transactional_id=; if both runs are one job, stop one and start the other again",
            )

    def _other(self, book: MarkBook) -> Mark | None:
        if not self._found:  # any mark may be an earlier attempt's of this job
            return None
        try:
            return book.read_other(self._found[0], self._ctx, _MARK_TIMEOUT)
        except SinkError:  # nobody answers: what the caller knows has to do
            return None
