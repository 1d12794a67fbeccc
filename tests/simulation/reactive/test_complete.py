"""Nothing is exported that no schedule drives."""

from __future__ import annotations

from tests.conformance.reactive.exported import exported, sinks

from .kinds import KINDS

ELSEWHERE = {"backoff"}
"""Goes between `retry_when` and its errors, and has no records of its own."""

DRIVEN = {word for name in KINDS for word in name.split()}


def test_each_exported_operator_and_source_is_driven() -> None:
    """A new one fails here until a line in `kinds` or `origins` says how it is made."""
    assert (exported("operators") | exported("sources")) - DRIVEN - ELSEWHERE == set()


def test_each_kind_of_sink_is_driven() -> None:
    assert {f"Sinks.{name}" for name in sinks()} - DRIVEN == set()
