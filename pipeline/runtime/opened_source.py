"""A source as the engine calls it: opened, restored, asked, closed; what it raises is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pipeline.core.errors import PipelineError, SourceError
from pipeline.core.raised import connector_error
from pipeline.spi.source import Source, SourceContext

R = TypeVar("R")


class OpenedSource:
    """One attempt's copy of a source.

    Args:
        source: the copy.
        uid: its uid.
        job_name: of the job, for errors.

    Attributes:
        restored: whether it has been given a position.
        estimate: about how many records there are in all; None where unknown.
    """

    def __init__(self, source: Source[Any], uid: str, job_name: str) -> None:
        self.source = source
        self.uid = uid
        self.restored = False
        self.estimate: int | None = None
        self._job_name = job_name
        self._is_open = False

    def open(self, ctx: SourceContext[Any]) -> None:
        """Open the source."""
        self._is_open = True
        self.call(self.source.open, ctx)
        self.estimate = self.call(self.source.estimated_records)

    def record_fields(self) -> Sequence[str] | None:
        """Ask which fields its records have; None where nothing is open."""
        return self.call(self.source.record_fields) if self._is_open else None

    def restore(self, position: Any) -> None:
        """Go to a position."""
        self.call(self.source.restore_state, position)
        self.restored = position is not None

    def find_start(self) -> Any:
        """Return where a fresh start begins, None where that is found again at any time."""
        return self.call(self.source.find_start)

    def close(self) -> None:
        """Close the source, if it was opened."""
        if self._is_open:
            self._is_open = False
            self.call(self.source.close)

    def call(self, function: Callable[..., R], *arguments: Any) -> R:
        """Call a method of the source; what it raises says where, and whose fault it is."""
        try:
            return function(*arguments)
        except PipelineError as error:
            error.located(job=self._job_name, operator=self.uid)
            raise
        except Exception as error:
            raise connector_error(SourceError, self.source, error).located(
                job=self._job_name, operator=self.uid
            ) from error
