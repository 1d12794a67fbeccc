"""JSON without the numbers that it cannot write: NaN and infinity, which would become `null`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import msgspec

_EXPONENT: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
"""How msgpack begins a double that is NaN or infinite; other bytes may happen to look the same."""

_pack = msgspec.msgpack.Encoder().encode


class FiniteEncoder:
    """Encodes records, and refuses those in which a number would become `null`.

    Args:
        encode: writes a record as JSON, whatever its numbers are.
    """

    def __init__(self, encode: Callable[[Any], bytes]) -> None:
        self._encode = encode

    def __call__(self, value: Any) -> bytes:
        """Encode one record.

        Raises:
            ValueError: with the place of such a number.
        """
        return self.batch((value,))[0]

    def batch(self, values: Sequence[Any]) -> list[bytes]:
        """Encode records: one search in the whole batch costs a tenth of one in each record."""
        encode = self._encode
        encoded = [encode(value) for value in values]
        if b"null" in b"".join(encoded):
            for value, data in zip(values, encoded, strict=True):
                if b"null" in data and (found := find_non_finite(value)) is not None:
                    raise ValueError(
                        f"{found}, for which JSON has no number; Json(non_finite='null') writes null instead"
                    )
        return encoded


def find_non_finite(value: Any) -> str | None:
    """Say where in a record there is a NaN or an infinity, such as `['delay'] is nan`; None if nowhere.

    A record with a real null is quick to clear: packing and searching it take less than its JSON did.
    """
    try:
        if _EXPONENT.search(_pack(value)) is None:
            return None
    except OverflowError:
        pass  # a whole number of more than 64 bits, which JSON can write
    where = _search(msgspec.to_builtins(value))
    return f"it{where}" if where is not None and where.startswith(" ") else where


def _search(value: Any) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else f" is {value}"
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
    elif isinstance(value, list | tuple):
        items = enumerate(cast("list[Any]", value))
    else:
        return None
    found = ((place, _search(one)) for place, one in items)
    return next((f"[{place!r}]{where}" for place, where in found if where is not None), None)
