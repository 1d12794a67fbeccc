"""Formats of keys and values: plain bytes, text, JSON; `avro` has one more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar, cast, overload

import msgspec

from connectors.kafka.non_finite import FiniteEncoder
from pipeline.core.errors import ConfigError
from pipeline.core.functions import function_ref
from pipeline.spi.connector_config import Code

T = TypeVar("T")

Field = Literal["key", "value"]
NonFinite = Literal["refuse", "null"]


class Format(ABC, Generic[T]):
    """Decodes and encodes the keys or the values of a topic; null is None in every format, never coded."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What error messages call it."""

    def to_config(self) -> Any:
        """Return its settings for `ConnectorConfig.of`; a format of the user's own is named only."""
        return Code(self, self.name)

    @abstractmethod
    def decoder(self, topic: str, field: Field) -> Callable[[bytes], T]:
        """Return the function that decodes one key or value of a topic.

        What it raises makes the record a poison record, unless it is a `PipelineError`: that fails
        the job, for it says that nothing can be decoded now.
        """

    @abstractmethod
    def encoder(self, topic: str, field: Field) -> Callable[[T], bytes]:
        """Return the function that encodes one key or value for a topic."""


class Bytes(Format[bytes]):
    """Bytes, unchanged."""

    @property
    def name(self) -> str:
        return "bytes"

    def to_config(self) -> Any:
        return {"type": "bytes"}

    def decoder(self, topic: str, field: Field) -> Callable[[bytes], bytes]:
        return bytes

    def encoder(self, topic: str, field: Field) -> Callable[[bytes], bytes]:
        return _same


class Text(Format[str]):
    """Text, encoded as UTF-8."""

    @property
    def name(self) -> str:
        return "text"

    def to_config(self) -> Any:
        return {"type": "text"}

    def decoder(self, topic: str, field: Field) -> Callable[[bytes], str]:
        return bytes.decode

    def encoder(self, topic: str, field: Field) -> Callable[[str], bytes]:
        return str.encode


class Json(Format[T]):
    """JSON, as Python's own dicts, lists and scalars or as a type that msgspec knows.

    Every record is decoded by itself: as fast as joining a batch into one array (0.25 µs each), and
    no two broken records can make a valid pair.

    Args:
        kind: a `msgspec.Struct`, dataclass, TypedDict, `list[int]`, …; what does not fit it is poison.
        non_finite: what a sink does with NaN and infinity, which JSON does not have: `refuse` the
            record, or write `null`.

    Raises:
        ConfigError: `non_finite` is neither.

    Example:
        KafkaSource("orders", value=Json(Order))
    """

    @overload
    def __init__(self: Json[Any], *, non_finite: NonFinite = "refuse") -> None: ...
    @overload
    def __init__(self, kind: type[T], *, non_finite: NonFinite = "refuse") -> None: ...
    def __init__(self, kind: Any = Any, *, non_finite: NonFinite = "refuse") -> None:
        if non_finite not in ("refuse", "null"):
            raise ConfigError(f"non_finite must be 'refuse' or 'null', not {non_finite!r}")
        self._kind = kind
        self._non_finite = non_finite

    @property
    def name(self) -> str:
        return "JSON" if self._kind is Any else f"JSON of {self._kind_name}"

    def to_config(self) -> Any:
        kind = None if self._kind is Any else Code(self._kind, self._kind_name)
        return {"type": "json", "kind": kind, "non_finite": self._non_finite}

    def decoder(self, topic: str, field: Field) -> Callable[[bytes], T]:
        return msgspec.json.Decoder(self._kind).decode

    def encoder(self, topic: str, field: Field) -> Callable[[T], bytes]:
        encode = msgspec.json.Encoder().encode
        return encode if self._non_finite == "null" else FiniteEncoder(encode)

    @property
    def _kind_name(self) -> str:
        return self._kind.__name__ if isinstance(self._kind, type) else str(self._kind)


class Custom(Format[Any]):
    """A function of the user's own, which decodes in a source and encodes in a sink."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    @property
    def name(self) -> str:
        return str(function_ref(self._function))

    def to_config(self) -> Any:
        return self._function

    def decoder(self, topic: str, field: Field) -> Callable[[bytes], Any]:
        return self._function

    def encoder(self, topic: str, field: Field) -> Callable[[Any], bytes]:
        return self._function


def _same(value: bytes) -> bytes:
    if not isinstance(value, bytes):  # pyright: ignore[reportUnnecessaryIsInstance] - a user's record
        raise TypeError(f"expected bytes, found {type(value).__name__}")
    return value


def format_of(given: Format[Any] | Callable[[Any], Any]) -> Format[Any]:
    """Return the format that an argument is, or the one that uses the function that it is."""
    return cast("Format[Any]", given) if isinstance(given, Format) else Custom(given)
