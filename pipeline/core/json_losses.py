"""Finds values that an encoder of JSON writes as others: NaN becomes `null`, `+00:19:32` becomes `+00:20`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, cast

import msgspec

_EXPONENT: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
"""How msgpack begins a double that is NaN or infinite; other bytes may happen to look the same."""

_MINUTE: Final = timedelta(minutes=1)

_pack = msgspec.msgpack.Encoder().encode


def may_be_non_finite(value: Any) -> bool:
    """Whether there may be a NaN or an infinity among the floats of a value, found out quickly.

    Packing and searching it take less than encoding it as JSON does.
    """
    try:
        return _EXPONENT.search(_pack(value)) is not None
    except OverflowError:
        return True  # a whole number of more than 64 bits, which JSON can write


def find_non_finite(value: Any) -> str | None:
    """Say where in a value a float is NaN or infinite, such as `['delay'] is nan`; None if nowhere."""
    return _find(value, _is_non_finite) if may_be_non_finite(value) else None


def find_loss(value: Any) -> str | None:
    """Say where in a value there is what JSON has no form for; None if nowhere.

    That is a float or a Decimal that is NaN or infinite, and a time whose offset from UTC has seconds.
    """
    return _find(value, _is_lost, Decimal, datetime, time)


def _find(value: Any, is_sought: Callable[[Any], bool], *types: type) -> str | None:
    found = _search(msgspec.to_builtins(value, builtin_types=types), is_sought)
    return f"it{found}" if found is not None and found.startswith(" ") else found


def _search(value: Any, is_sought: Callable[[Any], bool]) -> str | None:
    if is_sought(value):
        return f" is {value}"
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
    elif isinstance(value, list | tuple):
        items = enumerate(cast("list[Any]", value))
    else:
        return None
    found = ((place, _search(one, is_sought)) for place, one in items)
    return next((f"[{place!r}]{where}" for place, where in found if where is not None), None)


def _is_non_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _is_lost(value: Any) -> bool:
    if isinstance(value, datetime | time):
        offset = value.utcoffset()
        return offset is not None and bool(offset % _MINUTE)
    return _is_non_finite(value) or (isinstance(value, Decimal) and not value.is_finite())
