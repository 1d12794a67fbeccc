"""Nothing is exported that is not held against the rules."""

from __future__ import annotations

import pytest

from tests.conformance.reactive.cases import OPERATORS, SINKS, SOURCES
from tests.conformance.reactive.exported import exported, sinks

ELSEWHERE = {
    "backoff": "goes between retry_when and its errors; see test_retry_when",
    "from_async_iterable": "lives in an event loop; see test_async",
    "to_async_iterator": "is read, not subscribed; see test_async",
}


@pytest.mark.parametrize(("folder", "cases"), [("operators", OPERATORS), ("sources", SOURCES)])
def test_each_exported_name_has_a_case(folder: str, cases: dict[str, object]) -> None:
    """A new operator or source fails here until a line in `cases` says how to make it."""
    covered = {name.partition(" ")[0] for name in cases}
    assert exported(folder) - covered - set(ELSEWHERE) == set()
    assert covered <= exported(folder)


def test_each_kind_of_sink_has_a_case() -> None:
    assert sinks() == {name.partition(" ")[0] for name in SINKS}
