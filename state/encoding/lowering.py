"""Take a value apart until only what a form has by itself, and tags, are left."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pipeline.core.errors import EncodingError
from state.encoding.declared import DeclaredTypes
from state.encoding.types import BY_TYPE, DECLARED, Tag

MAX_DEPTH: Final = 128
"""Nested values go no deeper than this; a value that contains itself would never end."""

_INT_MIN: Final = -(2**63)
_INT_END: Final = 2**64


@dataclass(frozen=True, slots=True)
class Form:
    """What tells msgpack and JSON apart.

    Args:
        plain: types whose every value the form has by itself.
        checked: types of which it has the values for which the function holds.
        plain_keys: whether a dict may stay a dict, by its keys.
        wrap: makes a tagged value from tag and payload.
    """

    plain: frozenset[type]
    checked: Mapping[type, Callable[[Any], bool]]
    plain_keys: Callable[[Iterable[Any]], bool]
    wrap: Callable[[Tag, Any], Any]


def lower(value: Any, form: Form, declared: DeclaredTypes, depth: int = 0) -> Any:
    """Return `value` in what `form` can write, and no list or dict of its own.

    Raises:
        EncodingError: something in it cannot be stored, or it is nested too deep.
    """
    kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
    plain = form.plain
    if kind in plain or (kind in form.checked and form.checked[kind](value)):
        return value
    if depth == MAX_DEPTH:
        raise EncodingError(
            f"it is nested more than {MAX_DEPTH} levels deep", hint="flatten it; it may contain itself"
        )
    deeper = depth + 1
    if kind is list:
        if plain.issuperset(map(type, value)):
            return value.copy()
        return [item if type(item) in plain else lower(item, form, declared, deeper) for item in value]
    if kind is dict and form.plain_keys(value):
        if plain.issuperset(map(type, value.values())):
            return value.copy()
        return {
            key: item if type(item) in plain else lower(item, form, declared, deeper)
            for key, item in value.items()
        }
    row = BY_TYPE.get(kind)
    if row is None:
        tag, payload = DECLARED, declared.take_apart(value)
    else:
        tag, payload = row.tag, row.take_apart(value)
    return form.wrap(tag, lower(payload, form, declared, deeper))


def fits_64_bits(value: int) -> bool:
    """Whether msgpack, and most readers of JSON, can hold it."""
    return _INT_MIN <= value < _INT_END


def is_utf8(value: str) -> bool:
    """Whether it has no lone surrogates, which UTF-8 cannot write."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def naming(owner: str, deed: str) -> Generator[None]:
    """Turn whatever goes wrong inside into an `EncodingError` that begins with whose value it is."""
    try:
        yield
    except EncodingError as error:
        raise EncodingError(f"{owner}: {error.message}", hint=error.hint) from error
    except Exception as error:
        raise EncodingError(f"{owner}: {deed}: {type(error).__name__}: {error}") from error
