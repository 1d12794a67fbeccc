"""The binary form: msgpack after a small header, for snapshots and spilled records."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from functools import partial
from types import NoneType
from typing import Any, Final

import msgspec

from pipeline.core.errors import EncodingError
from state.encoding.declared import DeclaredTypes
from state.encoding.lowering import Form, fits_64_bits, is_utf8, lower, naming
from state.encoding.types import BY_CODE, DECLARED, Tag

FORMAT: Final = 0xC1
"""First byte: the one that no msgpack data begins with."""
VERSION: Final = 1
_MSGPACK: Final = 1
_PICKLE: Final = 2
_HEADER_SIZE: Final = 3

pack: Final = msgspec.msgpack.Encoder().encode

_PLAIN: Final = frozenset({NoneType, bool, float, bytes})
_CHECKED: Final = {int: fits_64_bits, str: is_utf8}
_SCALARS: Final = _PLAIN | _CHECKED.keys()
UNPACKABLE: Final = (OverflowError, UnicodeEncodeError)
"""What `pack` raises for the scalars that need a tag: big ints and lone surrogates."""


def _scalars(keys: Iterable[Any]) -> bool:
    return _SCALARS.issuperset(map(type, keys))


def _packable(keys: Iterable[Any]) -> bool:
    return all(type(key) in _PLAIN or (type(key) in _CHECKED and _CHECKED[type(key)](key)) for key in keys)


def _wrap(tag: Tag, payload: Any) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(tag.code, pack(payload))


BINARY: Final = Form(_PLAIN, _CHECKED, _packable, _wrap)
_HOPEFUL: Final = Form(_SCALARS, {}, _scalars, _wrap)
"""Looks at no int and no str, and so is several times as fast; good unless `pack` then raises."""
UNDECLARED: Final = DeclaredTypes(None)


def _pack_lowered(value: Any, declared: DeclaredTypes) -> bytes:
    try:
        return pack(lower(value, _HOPEFUL, declared))
    except UNPACKABLE:
        return pack(lower(value, BINARY, declared))


def unpack(data: bytes | memoryview, declared: DeclaredTypes = UNDECLARED) -> Any:
    """Read msgpack; extension codes are looked up in the closed table of types."""
    return msgspec.msgpack.decode(data, ext_hook=partial(_build, declared))


def _build(declared: DeclaredTypes, code: int, data: memoryview) -> Any:
    payload = unpack(data, declared)
    if code == DECLARED.code:
        return declared.build(payload)
    row = BY_CODE.get(code)
    if row is None:
        raise EncodingError(f"type code {code} is unknown", hint="a newer version may have written it")
    return row.build(payload)


class Codec:
    """Writes the values of one state as bytes and reads them back, equal and of the same type.

    Args:
        owner: whose values they are, for error messages: `state 'total' of operator reduce:merge`.
        value_type: declares the classes that may occur: a class, a generic such as `list[Trade]`,
            a union or a tuple of these. The types of the standard library need no declaration.
        pickle: use pickle instead, and accept pickles when reading.

    Raises:
        EncodingError: by every method, if a value cannot be stored or stored bytes cannot be read.

    Example:
        >>> codec = Codec("total")
        >>> codec.decode(codec.encode((1, Decimal("2.50"))))
        (1, Decimal('2.50'))
    """

    __slots__ = ("_declared", "_owner", "_pickle", "type_tag")

    def __init__(self, owner: str, value_type: Any = None, *, pickle: bool = False) -> None:
        self._owner = owner
        self._pickle = pickle
        with naming(owner, "its value_type cannot be used"):
            self._declared = DeclaredTypes(value_type)
        self.type_tag = _type_tag(value_type, pickled=pickle)

    def encode(self, value: Any) -> bytes:
        """Return one value as bytes."""
        with naming(self._owner, f"a {type(value).__qualname__} cannot be stored"):
            if self._pickle:
                return _header(_PICKLE) + pickle.dumps(value)
            return _header(_MSGPACK) + _pack_lowered(value, self._declared)

    def decode(self, data: bytes) -> Any:
        """Return the value that `encode` was given."""
        with naming(self._owner, "stored bytes cannot be read"):
            body = memoryview(data)[_HEADER_SIZE:]
            if self._content(data) == _PICKLE:
                return pickle.loads(body)  # noqa: S301 - only where the descriptor asks for it
            return unpack(body, self._declared)

    def check(self, value: Any) -> None:
        """Refuse a value that cannot be stored and read back."""
        self.decode(self.encode(value))

    def _content(self, data: bytes) -> int:
        if len(data) < _HEADER_SIZE or data[0] != FORMAT:
            raise EncodingError("these bytes are not an encoded value")
        _, version, content = data[:_HEADER_SIZE]
        if version > VERSION or content not in (_MSGPACK, _PICKLE):
            raise EncodingError(
                f"stored in version {version} with content {content}, this version reads up to {VERSION}",
                hint="upgrade to the version that wrote it",
            )
        if content == _PICKLE and not self._pickle:
            raise EncodingError(
                "stored is a pickle, which may run code when read",
                hint="set pickle=True in the state's descriptor if you trust who wrote it",
            )
        return content


def _header(content: int) -> bytes:
    return bytes((FORMAT, VERSION, content))


def _type_tag(value_type: Any, *, pickled: bool) -> str:
    """Name the declared type, for readers of a snapshot."""
    if pickled:
        return "pickle"
    if value_type is None:
        return "any"
    return value_type.__qualname__ if isinstance(value_type, type) else str(value_type)
