"""The JSON form: positions and sink states as a manifest has them, readable by people."""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import NoneType
from typing import Any, Final

from pipeline.core.errors import EncodingError
from state.encoding.declared import DeclaredTypes
from state.encoding.lowering import Form, fits_64_bits, is_utf8, lower, naming
from state.encoding.types import BY_NAME, DECLARED, Tag


def _plain_keys(keys: Iterable[Any]) -> bool:
    return all(type(key) is str and not key.startswith("$") and is_utf8(key) for key in keys)


def _wrap(tag: Tag, payload: Any) -> dict[str, Any]:
    return {f"${tag.name}": payload}


_SCALARS: Final = frozenset({NoneType, bool, int, float, str})
_JSON: Final = Form(
    plain=frozenset({NoneType, bool}),
    checked={int: fits_64_bits, float: math.isfinite, str: is_utf8},
    plain_keys=_plain_keys,
    wrap=_wrap,
)


def to_json(value: Any, *, owner: str = "value", value_type: Any = None) -> Any:
    """Return `value` as what a JSON library writes and reads back unchanged.

    Plain JSON values stay themselves; others become an object with one key that begins with `$`.

    Args:
        owner: whose value it is, for error messages.
        value_type: declares classes of the user's that occur, as for `Codec`.

    Raises:
        EncodingError: something in it cannot be stored so that it comes back equal.

    Example:
        >>> to_json({"page": 7, "last": Decimal("1.20")})
        {'page': 7, 'last': {'$decimal': '1.20'}}
    """
    with naming(owner, f"a {type(value).__qualname__} cannot be stored"):
        return lower(value, _JSON, DeclaredTypes(value_type))


def from_json(stored: Any, *, owner: str = "value", value_type: Any = None) -> Any:
    """Return the value that `to_json` was given.

    Raises:
        EncodingError: it is not what `to_json` wrote, or a class in it is not declared.
    """
    with naming(owner, "stored JSON cannot be read"):
        return _build(stored, DeclaredTypes(value_type))


def _build(stored: Any, declared: DeclaredTypes) -> Any:
    kind: Any = type(stored)  # pyright: ignore[reportUnknownVariableType]
    if kind in _SCALARS:
        return stored
    if kind is list:
        return [_build(item, declared) for item in stored]
    if kind is not dict:
        raise EncodingError(f"a {kind.__qualname__} is not a JSON value")
    tags = [key for key in stored if key.startswith("$")]
    if not tags:
        return {key: _build(item, declared) for key, item in stored.items()}
    if len(stored) > 1:
        raise EncodingError(f"an object with the tag {tags[0]!r} has other keys too")
    return _build_tagged(tags[0][1:], _build(stored[tags[0]], declared), declared)


def _build_tagged(name: str, payload: Any, declared: DeclaredTypes) -> Any:
    if name == DECLARED.name:
        return declared.build(payload)
    row = BY_NAME.get(name)
    if row is None:
        raise EncodingError(f"the tag '${name}' is unknown", hint="a newer version may have written it")
    return row.build(payload)
