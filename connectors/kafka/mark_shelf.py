"""The marks of an exactly-once sink: those it writes, and those of earlier starts that it reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from connectors.kafka.delivery import Epoch
from connectors.kafka.epochs import Place
from connectors.kafka.errors import ANSWER_TIMEOUT
from connectors.kafka.marks import Mark, MarkBook, this_writer
from connectors.kafka.producing import Writer
from pipeline.core.clock import Clock
from pipeline.spi.sink import SinkContext

_REFRESH_MS: Final = 24 * 3_600_000
"""A group without members keeps its offsets for seven days; a sink that writes nothing renews its mark."""


class MarkShelf:
    """Has a book of marks for each group that a handle names.

    Args:
        place: the group and the topic of this start.
        ctx: of the sink.
        open_book: opens the marks of a group on a topic.
    """

    def __init__(
        self, place: Place, ctx: SinkContext, open_book: Callable[[str, str], MarkBook], clock: Clock
    ) -> None:
        self._place = place
        self._ctx = ctx
        self._open_book = open_book
        self._clock = clock
        self._books: dict[tuple[str, str], MarkBook] = {}
        self._written_at = 0

    @property
    def stale(self) -> bool:
        """Whether the mark has not been written for so long that it should be."""
        return self._clock.monotonic_ms() - self._written_at > _REFRESH_MS

    def written(self) -> None:
        """Note that a mark is committed."""
        self._written_at = self._clock.monotonic_ms()

    def read(self, epoch: Epoch | None = None, timeout: float = ANSWER_TIMEOUT) -> Mark | None:
        """Return the newest committed mark where a handle has it, or this start.

        Raises:
            SinkError: it cannot be read.
        """
        return self.book(epoch).read(timeout)

    def write(self, writer: Writer, number: int, epoch: Epoch | None = None) -> None:
        """Put the mark of an epoch into the transaction of a producer."""
        lineage = self._ctx.lineage if epoch is None else epoch["lineage"]
        book = self.book(epoch)
        mark = Mark(number, lineage, self._ctx.attempt, this_writer(self._ctx))
        writer.mark(book.offsets(mark), book.member)

    def book(self, epoch: Epoch | None = None) -> MarkBook:
        """Open the marks of a handle, or of this start."""
        place = (self._place.group, self._place.marks) if epoch is None else (epoch["group"], epoch["marks"])
        if place not in self._books:
            self._books[place] = self._open_book(*place)
        return self._books[place]

    def close(self) -> None:
        """End the clients of the groups."""
        for book in self._books.values():
            book.close()
