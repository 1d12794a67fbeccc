"""A loss of power after a manifest exists loses nothing that it names: everything was synced before."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from connectors import FileSink
from connectors.files.staging import StagedFile
from pipeline import JobConfig, StreamJob


class Step(NamedTuple):
    """One call that makes something durable or names it."""

    kind: str
    path: str
    size: int = 0


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """Records every fsync, link, rename and replace of this process, in order."""
    seen: list[Step] = []
    fsync = os.fsync

    def recorded_fsync(fd: Any) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()
        fsync(number)
        seen.append(Step("fsync", str(Path(f"/proc/self/fd/{number}").readlink()), os.fstat(number).st_size))

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    for kind in ("link", "rename", "replace"):
        original = getattr(os, kind)

        def recorded(
            source: Any, target: Any, *rest: Any, kind: str = kind, call: Any = original, **more: Any
        ) -> None:
            call(source, target, *rest, **more)
            seen.append(Step(kind, os.path.realpath(target)))
            seen.append(Step(f"{kind} from", os.path.realpath(source)))

        monkeypatch.setattr(os, kind, recorded)
    return seen


def run_job(numbers: Any, folder: Path) -> None:
    job = StreamJob(
        "durable",
        JobConfig(
            checkpoint_rows=100,
            checkpoint_min_pause=timedelta(0),
            checkpoint_dir=folder / "checkpoints",
            checkpoint_retention=100,
        ),
    )
    read = job.source(numbers(2000))
    read.map(lambda n: {"n": n}).sink(FileSink(folder / "all.csv"))
    read.key_by(lambda n: n % 5).reduce(max, uid="max").sink(FileSink(folder / "max.jsonl"), uid="max-sink")
    job.execute()


def problems(folder: Path, steps: list[Step]) -> list[str]:
    """Say what a manifest names that was not durable when the manifest got its name."""
    found: list[str] = []
    manifests = sorted((folder / "checkpoints" / "durable" / "manifests").glob("*.json"))
    assert len(manifests) > 1
    for manifest in manifests:
        created = next(i for i, step in enumerate(steps) if step.path == str(manifest.resolve()))
        before, after = steps[:created], steps[created:]
        synced = {step.path: step.size for step in before if step.kind == "fsync"}
        body = json.loads(manifest.read_text())
        for states in body["sink_state"].values():
            for state in states:
                if synced.get(state["staged"], -1) < state["bytes_written"]:
                    found.append(f"{manifest.name}: {state['staged']} is not synced")
        for part in body["parts"]:
            path = str(manifest.resolve().parent.parent / "parts" / part["name"])
            named = next((i for i, step in enumerate(before) if step.path == path), None)
            if named is None or before[named + 1].path not in {
                s.path for s in before[:named] if s.kind == "fsync"
            }:
                found.append(f"{manifest.name}: {path} is not synced")
            elif not any(s.kind == "fsync" and s.path == str(Path(path).parent) for s in before[named:]):
                found.append(f"{manifest.name}: the folder of {path} is not synced")
        source = after[1].path
        if source not in synced:
            found.append(f"{manifest.name}: it is not synced itself")
        if not any(step.kind == "fsync" and step.path == str(manifest.resolve().parent) for step in after):
            found.append(f"{manifest.name}: its folder is not synced")
    return found


def test_all_that_a_manifest_names_is_durable(gated_numbers: Any, tmp_path: Path, steps: list[Step]) -> None:
    run_job(gated_numbers, tmp_path)
    assert problems(tmp_path, steps) == []


def test_a_skipped_fsync_is_caught(
    gated_numbers: Any, tmp_path: Path, steps: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: the sink flushes and does not sync."""
    monkeypatch.setattr(StagedFile, "sync", StagedFile.flush)
    run_job(gated_numbers, tmp_path)
    assert any("all.csv" in problem for problem in problems(tmp_path, steps))
