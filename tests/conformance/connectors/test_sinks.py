"""Every sink that needs no server keeps the contract of sinks."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors import CollectSink, ConsoleSink, FileSink, RollingPolicy
from pipeline.testing.connectors import SinkVerification, TwoPhaseSinkVerification


class TestCollect(SinkVerification):
    @pytest.fixture(autouse=True)
    def _sink(self) -> None:
        self.sink = CollectSink[int]()

    def create_sink(self) -> CollectSink[int]:
        return self.sink

    def record(self, index: int) -> int:
        return index

    def visible(self) -> Sequence[int]:
        return self.sink.values

    def test_restarts_end_with_every_record_once(self) -> None:
        """Wherever the process is not killed but the attempt fails, the list is put right."""
        steps = sum(1 for _ in self.job(4, 3, 5).attempt())
        for crash in range(steps):
            job = self.job(4, 3, 5)
            for number, _ in enumerate(job.attempt()):
                if number == crash:
                    break
            job.run()
            assert self.sink.values == self.records(0, 12), f"failed after step {crash}"


class TestConsole(SinkVerification):
    @pytest.fixture(autouse=True)
    def _stream(self) -> None:
        self.stream = io.StringIO()

    def create_sink(self) -> ConsoleSink[int]:
        return ConsoleSink(stream=self.stream)

    def record(self, index: int) -> int:
        return index

    def visible(self) -> Sequence[int]:
        return [int(line) for line in self.stream.getvalue().splitlines()]


class FileSinkVerification(TwoPhaseSinkVerification):
    """Shared by the formats and by whole and part files."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path / "out"
        yield
        self.abandon()

    def left_behind(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.name.startswith("."))

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def abandon(self) -> None:
        """Close what a killed process would have had open."""
        for fd in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                if fd.readlink().is_relative_to(self.folder):
                    os.close(int(fd.name))

    def paths(self) -> list[Path]:
        found = self.folder.iterdir() if self.folder.exists() else ()
        return sorted(path for path in found if not path.name.startswith("."))


class TestWholeCsv(FileSinkVerification):
    ALL_AT_ONCE = True

    def create_sink(self) -> FileSink:
        return FileSink(self.folder / "report.csv", fields=["n", "name"])

    def record(self, index: int) -> Any:
        return {"n": str(index), "name": f"Zoë\r\n{index}"}

    def visible(self) -> list[Any]:
        rows: list[Any] = []
        for path in self.paths():
            with open(path, newline="", encoding="utf-8") as file:
                rows += csv.DictReader(file)
        return rows


class TestRollingCsv(TestWholeCsv):
    ALL_AT_ONCE = False

    def create_sink(self) -> FileSink:
        return FileSink(self.folder / "report.csv", rolling=RollingPolicy(max_rows=2))


class TestWholeJsonl(FileSinkVerification):
    ALL_AT_ONCE = True

    def create_sink(self) -> FileSink:
        return FileSink(self.folder / "report.jsonl")

    def record(self, index: int) -> Any:
        return {"n": index, "list": [None, "\n"]}

    def visible(self) -> list[Any]:
        return [json.loads(line) for path in self.paths() for line in path.read_text().splitlines()]


class TestRollingJsonl(TestWholeJsonl):
    ALL_AT_ONCE = False

    def create_sink(self) -> FileSink:
        return FileSink(self.folder / "report.jsonl", rolling=RollingPolicy())
