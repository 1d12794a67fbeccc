"""Hooks: listeners get what no subscriber can receive any more."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pipeline.reactive import hooks
from pipeline.reactive.hooks import Hooks, listening


def test_each_kind_goes_to_its_listener_until_the_end_of_the_block() -> None:
    heard: list[Any] = []
    error = OSError("late")
    with listening(Hooks(*(lambda what, kind=kind: heard.append((kind, what)) for kind in "ABC"))):
        hooks.dropped(1)
        hooks.dropped_error(error)
        hooks.discarded(2, 3)
    hooks.dropped(4)
    hooks.discarded(5)
    assert heard == [("A", 1), ("B", error), ("C", 2), ("C", 3)]


def test_several_may_listen() -> None:
    first: list[Any] = []
    second: list[Any] = []
    with listening(Hooks(dropped=first.append)), listening(Hooks(dropped=second.append)):
        hooks.dropped(1)
    assert first == second == [1]


def test_an_error_that_nobody_listens_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "pipeline.reactive.hooks"):
        hooks.dropped_error(OSError("late"))
        hooks.dropped("a record")
    assert [record.levelname for record in caplog.records] == ["ERROR", "DEBUG"]
    assert caplog.records[0].exc_info is not None
    assert "'a record'" in caplog.records[1].getMessage()
