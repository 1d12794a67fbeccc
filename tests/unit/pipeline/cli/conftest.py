"""Job files to load, and what loading them leaves behind put in order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

JOB = """
    from connectors import CollectionSource, CollectSink
    from pipeline import StreamJob

    def double(value):
        return 2 * value

    def make(name):
        builder = StreamJob.builder().name(name).source(CollectionSource([1, 2]))
        return builder.map(double).sink(CollectSink()).build()

"""

WriteJob = Callable[..., Path]


@pytest.fixture
def write_job(tmp_path: Path) -> WriteJob:
    """Write a file that can `make(name)` a job, and does what the given code says."""

    def write(code: str = "job = make('totals')", name: str = "totals.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(JOB) + dedent(code) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture(autouse=True)
def clean_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take job files, the packages `…_of_a_test`, and their folders out of this process again."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("pipeline_job_") or name.partition(".")[0].endswith("_of_a_test"):
            del sys.modules[name]
