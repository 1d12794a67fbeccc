"""Crash points: which are armed, and that the right passage kills."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from pipeline.core import faults
from pipeline.core.faults import FAULTPOINTS, faultpoint


class Died(Exception):
    """Stands for SIGKILL, which cannot be survived."""


def die(pid: int, number: int) -> None:
    assert (pid, number) == (os.getpid(), signal.SIGKILL)
    raise Died


def arm(monkeypatch: pytest.MonkeyPatch, text: str) -> dict[str, int]:
    """Do what an import with PIPELINE_FAULTPOINT set to `text` does."""
    monkeypatch.setenv("PIPELINE_FAULTPOINT", text)
    armed = faults._armed()
    monkeypatch.setattr(faults, "_ARMED", armed)
    monkeypatch.setattr(faults, "_passed", Counter[str]())
    monkeypatch.setattr(os, "kill", die)
    return armed


@pytest.mark.parametrize(
    ("text", "armed"),
    [
        ("", {}),
        ("P7", {"P7": 1}),
        ("P7:3", {"P7": 3}),
        ("P16b,P4:2", {"P16b": 1, "P4": 2}),
        ("P7,", {"P7": 1}),
    ],
)
def test_points_and_passages_are_read(
    monkeypatch: pytest.MonkeyPatch, text: str, armed: dict[str, int]
) -> None:
    assert arm(monkeypatch, text) == armed


@pytest.mark.parametrize("text", ["P2", "p7", "P7:3:1,P99", "P7 "])
def test_an_unknown_point_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A point that is never reached would let a crash test pass that tests nothing."""
    with pytest.raises(ValueError, match="PIPELINE_FAULTPOINT"):
        arm(monkeypatch, text)


def test_the_refusal_lists_the_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=f"names 'P2'; known are {', '.join(FAULTPOINTS)}$"):
        arm(monkeypatch, "P2")


@pytest.mark.parametrize("text", ["P7:0", "P7:-1", "P7:often", "P7:1.5"])
def test_a_passage_that_never_comes_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(ValueError, match=f"counts passages from 1, found '{text}': expected P7 or P7:3"):
        arm(monkeypatch, text)


def test_the_named_passage_kills_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    arm(monkeypatch, "P7:3,P10")
    for _ in range(2):
        faultpoint("P7")
        faultpoint("P6")
    with pytest.raises(Died):
        faultpoint("P7")
    faultpoint("P7")
    with pytest.raises(Died):
        faultpoint("P10")


def test_unarmed_points_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    arm(monkeypatch, "")
    for name in FAULTPOINTS:
        faultpoint(name)


def test_the_log_names_the_point_before_the_process_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So a test can tell a crash from a point never passed; several processes share one log."""
    log = tmp_path / "log"
    log.write_text("P0\n", encoding="utf-8")
    monkeypatch.setenv("PIPELINE_FAULTPOINT_LOG", str(log))
    arm(monkeypatch, "P7:2")
    faultpoint("P7")
    assert log.read_text(encoding="utf-8") == "P0\n"
    with pytest.raises(Died):
        faultpoint("P7")
    assert log.read_text(encoding="utf-8") == "P0\nP7\n"
