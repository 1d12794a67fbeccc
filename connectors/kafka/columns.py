"""What the user's functions return for a batch, checked: one that is wrong is named with its record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Final, NamedTuple, cast

from connectors.kafka.non_finite import FiniteEncoder
from connectors.kafka.outgoing import Headers
from connectors.kafka.writing_plan import Partitioner
from pipeline.core.errors import PipelineError, SinkError
from pipeline.core.functions import function_ref

_BYTES: Final = {bytes, NoneType}
_LAST_MS: Final = 2**63 - 1  # of the times that Kafka can keep


class Column(NamedTuple):
    """One argument of a sink that is a function of the record.

    Args:
        argument: its name.
        expected: what it has to return, for messages.
        convert: makes of what was returned for a batch what is sent; raises TypeError or ValueError.
    """

    argument: str
    expected: str
    convert: Callable[[list[Any]], list[Any]]

    def of(self, function: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
        """Return what is sent for each record.

        Raises:
            SinkError: the function raised, or returned something else than expected.
        """
        try:
            batch = isinstance(function, FiniteEncoder)
            given = function.batch(values) if batch else [function(value) for value in values]
        except PipelineError:
            raise
        except Exception as error:
            culprit = next((value for value in values if _raises(function, value)), None)
            raise _raised(self.argument, function, error, culprit) from error
        try:
            return self.convert(given)
        except (TypeError, ValueError) as error:
            one, value = next(
                pair for pair in zip(given, values, strict=True) if _raises(self.convert, [pair[0]])
            )
            raise _returned(self.argument, function, one, self.expected, value) from error


def chosen_partitions(
    partitioner: Partitioner, asked: Iterable[tuple[bytes | None, int]], values: Sequence[Any]
) -> list[int]:
    """Return the partition that the user's function chooses for each record.

    Args:
        asked: what it is called with: the key and the number of partitions.

    Raises:
        SinkError: it raised, or chose a partition that does not exist.
    """
    chosen: list[Any] = []
    for (key, count), value in zip(asked, values, strict=True):
        try:
            one: Any = partitioner(key, count)
        except Exception as error:
            raise _raised("partitioner", partitioner, error, value) from error
        if not isinstance(one, int) or not 0 <= one < count:
            raise _returned("partitioner", partitioner, one, f"a partition from 0 to {count - 1}", value)
        chosen.append(one)
    return chosen


def shown(value: Any) -> str:
    """Return a record, or what was made of it, for a message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _raised(argument: str, function: Callable[..., Any], cause: Exception, value: Any) -> SinkError:
    found = f"raised {type(cause).__name__}: {cause}"
    return _refusal(
        argument, function, found, value, "bring the records into a form it takes before the sink"
    )


def _returned(argument: str, function: Callable[..., Any], one: Any, expected: str, value: Any) -> SinkError:
    found = f"returned {shown(one)} ({type(one).__name__}), expected {expected},"
    return _refusal(argument, function, found, value, f"let it return {expected} for every record")


def _refusal(argument: str, function: Callable[..., Any], found: str, value: Any, hint: str) -> SinkError:
    error = SinkError(f"{argument}= {found} on {shown(value)}", retryable=False, hint=hint)
    written = function_ref(function)
    if written.file is not None and Path(written.file).parent == Path(__file__).parent:
        return error  # a format's function is none of the user's
    return error.located(function=str(written))


def _raises(function: Callable[[Any], Any], value: Any) -> bool:
    try:
        function(value)
    except Exception:  # noqa: BLE001 - whatever the user's function raises
        return True
    return False


# --- what is sent for what was returned ---------------------------------------------------------------


def _all_bytes(column: list[Any]) -> list[bytes | None]:
    return column if _BYTES.issuperset(map(type, column)) else [_as_bytes(one) for one in column]


def _as_bytes(one: Any) -> bytes | None:
    if isinstance(one, str):
        return one.encode()
    if one is None or isinstance(one, bytes):
        return one
    raise TypeError


def _all_topics(column: list[Any]) -> list[str]:
    if not all(isinstance(one, str) for one in column):
        raise TypeError
    return column


def _all_times(column: list[Any]) -> list[int]:
    if not all(issubclass(kind, int) and kind is not bool for kind in set(map(type, column))):
        raise TypeError
    # The client takes 0 as "now", and a broker keeps a negative one.
    if min(column) <= 0 or max(column) > _LAST_MS:
        raise ValueError
    return column


def _all_headers(column: list[Any]) -> list[Headers | None]:
    return [None if one is None else _pairs(one) for one in column]


def _pairs(headers: Any) -> Headers:
    if isinstance(headers, Mapping):
        headers = cast("Mapping[Any, Any]", headers).items()
    pairs = list[Any](headers)
    # Text would come apart into its letters.
    if not all(isinstance(pair, tuple | list) for pair in pairs):
        raise TypeError
    return [(_text(name), _as_bytes(value)) for name, value in pairs]


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError
    return name


TOPIC: Final = Column("topic", "the name of a topic", _all_topics)
KEY: Final = Column("key", "bytes, text or None", _all_bytes)
VALUE: Final = Column("value", "bytes, text or None", _all_bytes)
HEADERS: Final = Column("headers", "None, or pairs of a name and bytes, text or None", _all_headers)
TIMESTAMP: Final = Column("timestamp", "whole milliseconds since 1970, above 0", _all_times)
