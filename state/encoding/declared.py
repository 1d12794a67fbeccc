"""Enums, dataclasses, named tuples and structs: stored by name, built only if declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from enum import Enum, Flag
from functools import cached_property
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec

from pipeline.core.errors import EncodingError
from state.encoding.types import BY_TYPE

_NO_DEFAULT: Final = object()


class DeclaredTypes:
    """The classes that a `value_type` names, itself or in its fields and type arguments.

    Args:
        value_type: a class, a generic such as `list[Trade]`, a union, or a tuple of these.

    Raises:
        EncodingError: two of the classes have the same qualified name.
    """

    __slots__ = ("_by_name", "_fields")

    def __init__(self, value_type: Any) -> None:
        self._by_name: dict[str, type] = {}
        self._fields: dict[type, tuple[str, ...]] = {}
        self._declare(value_type)

    def take_apart(self, value: Any) -> Any:
        """Return the payload `[class, content]`, or refuse a class that is not declared."""
        cls: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
        if self._by_name.get(cls.__qualname__) is not cls:
            raise _refusal(cls)
        if isinstance(value, Enum):
            return [cls.__qualname__, value.value if isinstance(value, Flag) else value.name]
        names = self._fields[cls]
        _refuse_other_attributes(value, names)
        return [cls.__qualname__, {name: getattr(value, name) for name in names}]

    def build(self, payload: Any) -> Any:
        """Make the value that `take_apart` took apart."""
        name, content = payload
        cls: Any = self._by_name.get(name)
        if cls is None:
            raise EncodingError(
                f"stored is a {name}, which is not a declared type here",
                hint=f"declare it: value_type={name}",
            )
        if issubclass(cls, Flag):
            return cls(content)
        if issubclass(cls, Enum):
            return cls[content]
        names = self._fields[cls]
        return _build_fields(cls, content if (*content,) == names else _completed(cls, names, content))

    def _declare(self, declared: Any) -> None:
        if isinstance(declared, tuple):
            for item in declared:  # pyright: ignore[reportUnknownVariableType]
                self._declare(item)
        elif isinstance(declared, type):
            if _is_storable_class(declared):
                self._declare_class(declared)
        elif (origin := get_origin(declared)) is not None:
            self._declare((origin, *get_args(declared)))

    def _declare_class(self, cls: type) -> None:
        known = self._by_name.get(cls.__qualname__)
        if known is cls:
            return
        if known is not None:
            raise EncodingError(
                f"two declared types are called {cls.__qualname__}", hint="rename one of them"
            )
        self._by_name[cls.__qualname__] = cls
        if not issubclass(cls, Enum):
            self._fields[cls] = _field_names(cls)
            for hint in _field_types(cls):
                self._declare(hint)


def _is_struct(cls: type[Any]) -> bool:
    return issubclass(cls, msgspec.Struct)


def _is_named_tuple(cls: Any) -> bool:
    return tuple in cls.__mro__ and hasattr(cls, "_fields")


def _is_storable_class(cls: Any) -> bool:
    if issubclass(cls, Enum) or _is_struct(cls) or _is_named_tuple(cls):
        return True
    # a dataclass that is also a dict or an exception has content beside its fields
    content = issubclass(cls, (*BY_TYPE, list, BaseException))
    return dataclasses.is_dataclass(cls) and not content


def _field_names(cls: Any) -> tuple[str, ...]:
    if _is_struct(cls):
        return cls.__struct_fields__
    if _is_named_tuple(cls):
        return cls._fields
    return tuple(field.name for field in dataclasses.fields(cls))


def _field_types(cls: Any) -> Iterable[Any]:
    try:
        return get_type_hints(cls).values()
    except (NameError, TypeError, AttributeError):
        return ()  # what cannot be found from here can be declared beside this class, in a tuple


def _default(cls: Any, name: str) -> Any:
    """Return what a field has that was added to the class after the value was stored."""
    if _is_named_tuple(cls):
        return cls._field_defaults.get(name, _NO_DEFAULT)
    fields: Any = msgspec.structs.fields(cls) if _is_struct(cls) else dataclasses.fields(cls)
    field = next(field for field in fields if field.name == name)
    if field.default_factory is not dataclasses.MISSING and field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    has_default = field.default is not dataclasses.MISSING and field.default is not msgspec.NODEFAULT
    return field.default if has_default else _NO_DEFAULT


def _completed(cls: type, names: Sequence[str], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Fit stored fields to the class of today: added fields take their defaults."""
    complete = {name: stored[name] if name in stored else _default(cls, name) for name in names}
    missing = [name for name, value in complete.items() if value is _NO_DEFAULT]
    removed = [name for name in stored if name not in complete]
    if missing or removed:
        raise EncodingError(
            f"a stored {cls.__qualname__} has fields {', '.join(stored)}, the class has {', '.join(names)}",
            hint="give added fields a default, keep the others",
        )
    return complete


def _build_fields(cls: Any, fields: dict[str, Any]) -> Any:
    if _is_named_tuple(cls):
        return cls._make(fields.values())
    if _is_struct(cls):
        value, set_field = cls(**fields), msgspec.structs.force_setattr  # its __post_init__ may have computed
    else:
        # not through __init__, which may compute, check or leave out fields
        value, set_field = cls.__new__(cls), object.__setattr__
    for name, item in fields.items():
        set_field(value, name, item)
    return value


def _refuse_other_attributes(value: Any, names: Sequence[str]) -> None:
    """Raise for attributes that are not fields: they would be lost. A `cached_property` is computed again."""
    others = getattr(value, "__dict__", {}).keys() - names
    if not others:
        return
    cls: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
    lost = [name for name in sorted(others) if not isinstance(getattr(cls, name, None), cached_property)]
    if lost and lost != ["__orig_class__"]:  # how typing marks an instance of Box[int]
        raise EncodingError(
            f"a {cls.__qualname__} has attributes beside its fields: {', '.join(lost)}",
            hint="make them fields, or properties",
        )


def _refusal(cls: Any) -> EncodingError:
    name = f"{cls.__module__}.{cls.__qualname__}"
    if _is_storable_class(cls):
        return EncodingError(
            f"a {name} is stored only where its class is declared",
            hint=f"declare it: value_type={cls.__qualname__}",
        )
    base = next((base for base in cls.__mro__ if base in BY_TYPE or base is list), None)
    if base is not None:
        return EncodingError(
            f"a {name} would be restored as a plain {base.__name__}",
            hint=f"convert it to {base.__name__} first, or set pickle=True in the state's descriptor",
        )
    if issubclass(cls, tzinfo):
        return EncodingError(
            f"a time zone of type {name} cannot be stored",
            hint="use datetime.timezone or a ZoneInfo with a key",
        )
    return EncodingError(
        f"a {name} cannot be stored and restored as an equal value",
        hint="keep plain values, declare a dataclass by value_type, or set pickle=True in the descriptor",
    )
