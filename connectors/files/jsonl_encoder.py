"""Writes one JSON value a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NoReturn

import msgspec

from connectors.files.encoder import RecordEncoder, unwritable
from connectors.files.formats import FileFormat
from pipeline.core.json_losses import find_loss, may_be_non_finite

_ONE_DIGIT: Final = bytes.maketrans(b"123456789-", b"000000000+")
_OFFSET: Final = b'+00:00"'
"""How a time ends that has an offset from UTC, once all digits and both signs have become one."""


class JsonlEncoder(RecordEncoder):
    """Encodes what msgspec knows: Decimals become numbers of all their digits, bytes base64.

    UUIDs, dates, times and durations become texts. What would be written as another value is refused:
    NaN and infinity, and offsets from UTC with seconds. The members of a set are written in the set's
    own order, which may differ from run to run.
    """

    format = FileFormat.JSONL

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder(decimal_format="number")

    def encode(self, values: Sequence[Any]) -> bytes:
        try:
            data = self._encoder.encode_lines(values)
        except Exception as error:  # noqa: BLE001 -- whatever a record's own code raises
            self._name_culprit(values, error)
        if self._may_have_losses(values, data):
            self._refuse_losses(values)
        return data

    @staticmethod
    def _may_have_losses(values: Sequence[Any], data: bytes) -> bool:
        """Whether what has been encoded may be other values than these: it looks at bytes, which is quick."""
        return (
            b"NaN" in data  # a Decimal, or a text
            or b"Infinity" in data
            or (b"null" in data and may_be_non_finite(values))  # None, or a float
            or _OFFSET in data.translate(_ONE_DIGIT)
        )

    def _refuse_losses(self, values: Sequence[Any]) -> None:
        for value in values:
            found = find_loss(value)
            if found is not None:
                hint = "replace it by None or a text in a map, or filter such records out"
                raise unwritable(f"{found}, for which JSON has no form", value, hint)

    def _name_culprit(self, values: Sequence[Any], error: Exception) -> NoReturn:
        for value in values:
            try:
                self._encoder.encode(value)
            except Exception as own:
                raise unwritable(str(own), value, "map it to values that JSON knows first") from own
        raise error
