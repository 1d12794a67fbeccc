"""CollectSink: one list, put right after a restart."""

from __future__ import annotations

import copy

from connectors import CollectSink
from pipeline.testing.drivers import VerificationSinkContext

CTX = VerificationSinkContext()


def attempt(sink: CollectSink[int], restore: int | None = None) -> CollectSink[int]:
    """Start an attempt as the engine does, on a shallow copy."""
    running = copy.copy(sink)
    running.open(CTX)
    if restore is not None:
        running.restore_state(restore)
    return running


def test_the_list_is_the_one_the_user_holds() -> None:
    sink = CollectSink[int]()
    values = sink.values
    attempt(sink).invoke_batch([1, 2], CTX)
    assert values == [1, 2]
    assert sink.values is values


def test_a_restart_takes_back_what_is_after_its_checkpoint() -> None:
    sink = CollectSink[int]()
    first = attempt(sink)
    first.invoke_batch([1, 2, 3], CTX)
    snapshot = first.snapshot_state()
    first.invoke_batch([4, 5], CTX)
    attempt(sink, snapshot).invoke_batch([4, 5, 6], CTX)
    assert sink.values == [1, 2, 3, 4, 5, 6]


def test_a_start_from_the_beginning_begins_with_an_empty_list() -> None:
    """Also when no record comes."""
    sink = CollectSink[int]()
    attempt(sink).invoke_batch([1, 2], CTX)
    again = attempt(sink)
    assert sink.values == [1, 2]  # not yet: it may be restored
    again.finish()
    assert sink.values == []


def test_in_another_process_the_list_holds_what_came_since() -> None:
    """The count continues, so that restarts within that process are put right as well."""
    sink = CollectSink[int]()
    first = attempt(sink, 100)
    first.invoke_batch([100, 101], CTX)
    assert first.snapshot_state() == 102
    first.invoke_batch([102], CTX)
    second = attempt(sink, 102)
    second.invoke_batch([102, 103], CTX)
    assert sink.values == [100, 101, 102, 103]
    attempt(sink, 100).invoke_batch([100], CTX)
    assert sink.values == [100]
