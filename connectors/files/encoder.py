"""The contract of an encoder: records in, the bytes of a file out."""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from connectors.files.errors import lasting_error
from connectors.files.formats import FileFormat
from pipeline.core.errors import Fault, SinkError


class RecordEncoder(ABC):
    """Turns batches into bytes that do not depend on how the records were batched.

    Attributes:
        format: of what it writes.
        fields: names of the fields, where the format fixes them; kept in the sink's snapshot.
    """

    format: ClassVar[FileFormat]
    fields: tuple[Any, ...] | None = None

    @abstractmethod
    def encode(self, values: Sequence[Any]) -> bytes:
        """Return the lines of the records.

        Raises:
            SinkError: a record cannot be written; the message shows it. Nothing was taken.
        """

    def header(self) -> bytes:
        """Return what a file begins with, as far as it is known; after the first `encode` it is."""
        return b""

    def restore(self, fields: Sequence[Any] | None) -> None:
        """Continue with the fields of a snapshot."""


_short: Final = reprlib.Repr()
_short.maxother = _short.maxstring = _short.maxlong = 60


def unwritable(reason: str, value: Any, hint: str | None = None) -> SinkError:
    """Build the error for a record that cannot be written."""
    return lasting_error(
        SinkError, Fault.USER, f"cannot write the record {_short.repr(value)}: {reason}", hint
    )
