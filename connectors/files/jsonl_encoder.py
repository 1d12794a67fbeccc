"""Writes one JSON value a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec

from connectors.files.encoder import RecordEncoder, unwritable
from connectors.files.formats import FileFormat


class JsonlEncoder(RecordEncoder):
    """Encodes what msgspec knows: Decimal, UUID and date-times become strings, bytes base64.

    NaN and infinity, which JSON does not know, become null. The members of a set are written in the
    set's own order, which may differ from run to run.
    """

    format = FileFormat.JSONL

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder()

    def encode(self, values: Sequence[Any]) -> bytes:
        try:
            return self._encoder.encode_lines(values)
        except Exception as error:  # noqa: BLE001 -- whatever a record's own code raises
            self._name_culprit(values, error)

    def _name_culprit(self, values: Sequence[Any], error: Exception) -> NoReturn:
        for value in values:
            try:
                self._encoder.encode(value)
            except Exception as own:
                raise unwritable(str(own), value, "map it to values that JSON knows first") from own
        raise error
