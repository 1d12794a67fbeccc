"""How the elements of a buffer are stored in a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from pipeline.core.elements import IDLE, Idle, Watermark
from pipeline.core.errors import EncodingError, InternalError
from pipeline.core.records import Batch, DeadLetter, Origin
from pipeline.runtime.buffer_queue import Element
from state.encoding import Codec

_RECORDS: Final = "records"
_WATERMARK: Final = "watermark"
_IDLE: Final = "idle"


class BufferCodec:
    """Encodes records, with what travels beside them, and control elements, and restores equal ones.

    Args:
        uid: of the buffer, for errors.
        value_type: declares classes that occur in records.
    """

    def __init__(self, uid: str, value_type: Any) -> None:
        self._uid = uid
        # dead letters are the engine's own records, which no user need declare
        self._codec = Codec(f"the buffer {uid}", (DeadLetter, Origin, value_type))

    def check(self, record: Any) -> None:
        """Refuse a record that could not be stored, before a checkpoint needs to.

        Raises:
            EncodingError: names the buffer and says how the record's class is declared.
        """
        try:
            self._codec.check(record)
        except EncodingError as error:
            hint = (
                "add .backpressure(…, value_type=TheClass) after the source, or after a map to plain values"
            )
            raise EncodingError(error.message, hint=error.hint or hint).located(operator=self._uid) from error

    def encode(self, elements: Sequence[Element]) -> bytes:
        """Return the elements as the bytes of a checkpoint's part."""
        return self._codec.encode([_lowered(element) for element in elements])

    def decode(self, data: bytes) -> list[Element]:
        """Return the elements that `encode` was given."""
        return [_raised(item) for item in self._codec.decode(data)]


def _lowered(element: Element) -> list[Any]:
    if isinstance(element, Watermark):
        return [_WATERMARK, element.timestamp]
    if isinstance(element, Idle):
        return [_IDLE]
    if not isinstance(element, Batch):
        raise InternalError(f"{element!r} cannot be stored with a buffer")
    batch = cast("Batch[Any]", element)
    timestamps, origins = batch.timestamps, batch.origins
    return [
        _RECORDS,
        list(batch.values),
        None if timestamps is None else list(timestamps),
        None if origins is None else [[origin.split, origin.position] for origin in origins],
    ]


def _raised(item: list[Any]) -> Element:
    kind, *content = item
    if kind == _WATERMARK:
        return Watermark(*content)
    if kind == _IDLE:
        return IDLE
    values, timestamps, origins = content
    return Batch(
        values,
        timestamps,
        None if origins is None else [Origin(split, position) for split, position in origins],
    )
