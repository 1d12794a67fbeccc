"""The producers of an exactly-once sink, one for each transactional id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from connectors.kafka.producing import Writer
from pipeline.core.errors import SinkError

START_TIMEOUT: Final = 30.0
"""Seconds a broker has to fence and abort what an id left open."""


class Producers:
    """Takes transactional ids over, and writes with them.

    Args:
        make_writer: makes a producer for a transactional id.
        why_not_begun: returns why no broker begins a transaction, if known.
    """

    def __init__(
        self, make_writer: Callable[[str], Writer], why_not_begun: Callable[[], SinkError | None]
    ) -> None:
        self._make_writer = make_writer
        self._why_not_begun = why_not_begun
        self._writers: dict[str, Writer] = {}

    def __getitem__(self, transactional_id: str) -> Writer:
        return self._writers[transactional_id]

    def fence(self, ids: Sequence[str]) -> None:
        """Take over those ids that are not yet, all at once: each takes a broker some tenths of a second.

        Raises:
            SinkError: one of them cannot be taken over.
        """
        new = {id_: self._make_writer(id_) for id_ in ids if id_ not in self._writers}
        self._writers |= new
        if not new:
            return
        with ThreadPoolExecutor(len(new), thread_name_prefix="kafka-fence") as pool:
            begun = [pool.submit(writer.start, START_TIMEOUT) for writer in new.values()]
        try:
            for one in begun:
                one.result()
        except SinkError as error:
            reason = self._why_not_begun() if error.retryable else None
            if reason is None:
                raise
            raise reason from error

    def keep(self, ids: Collection[str]) -> None:
        """Close all others."""
        for id_ in self._writers.keys() - set(ids):
            self._writers.pop(id_).close()

    def close(self) -> None:
        """Drop them with all that they hold; nothing is waited for."""
        for writer in self._writers.values():
            writer.close()
