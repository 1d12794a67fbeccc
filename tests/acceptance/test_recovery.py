"""What a run finds when it starts again: a finished job, a damaged checkpoint, an older one, another job."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .numbers_job import expected, manifests, write_input

COUNT = 1000


def test_crash_after_the_last_manifest_reads_nothing(workshop: Callable[..., Any]) -> None:
    """Run again, it commits and reports COMPLETED; the input may be gone by then."""
    shop = workshop("numbers")
    write_input(shop.folder, 50)  # too few for a checkpoint by rows: the first is the final one
    shop.die_at("P10")
    assert shop.outputs() == {}
    (shop.folder / "in.csv").unlink()
    done = shop.complete("--json")
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["status"] == "COMPLETED"
    assert summary["processed_records"] == 50
    assert shop.outputs() == expected(50)
    assert shop.leftovers() == []


@pytest.mark.parametrize("point", ["P10", "P12", "P13", "P14", "P15"])
def test_crash_after_the_last_manifest_writes_nothing_twice(point: str, workshop: Callable[..., Any]) -> None:
    """Wherever it dies until it has said that it is complete: part files have each record once."""
    shop = workshop("numbers", ROLLING="1")
    write_input(shop.folder, 50)
    shop.die_at(point)
    done = shop.complete("--json")
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "COMPLETED"
    assert shop.outputs() == expected(50)
    assert shop.leftovers() == []
    shop.complete()
    assert shop.outputs() != expected(50), "the run after that reads again"


def test_a_run_after_completion_starts_fresh(workshop: Callable[..., Any]) -> None:
    shop = workshop("numbers")
    write_input(shop.folder, 50)
    shop.complete()
    write_input(shop.folder, 80)
    done = shop.complete()
    assert "starts afresh" in done.stderr
    assert shop.outputs() == expected(80)


def test_yesterdays_report_is_not_taken_for_todays(workshop: Callable[..., Any]) -> None:
    """A decided commit whose staged file is gone fails, though a file of the final name is there."""
    shop = workshop("numbers")
    write_input(shop.folder, 50)
    shop.complete()
    write_input(shop.folder, 80)
    shop.die_at("P10")
    for name in shop.leftovers():
        (shop.folder / "out" / name).unlink()
    lost = shop.run()
    assert lost.returncode == 1
    assert "numbers.csv" in lost.stderr
    assert shop.outputs() == expected(50)


@pytest.mark.parametrize("damage", ["flipped bit", "missing part of the file", "empty"])
def test_a_damaged_manifest_is_refused(damage: str, workshop: Callable[..., Any]) -> None:
    """Before any output: it names the file and offers the older checkpoint."""
    shop = workshop("numbers")
    write_input(shop.folder, COUNT)
    shop.die_at("P10:4")
    newest, older = manifests(shop.folder)[-1], manifests(shop.folder)[-2]
    content = bytearray(newest.read_bytes())
    if damage == "flipped bit":
        content[len(content) // 2] ^= 1
    else:
        content = content[: len(content) // 2] if damage != "empty" else bytearray()
    newest.write_bytes(bytes(content))
    before = shop.leftovers()

    refused = shop.run()

    assert refused.returncode == 1
    assert newest.name in refused.stderr
    assert f"--restore {int(older.stem)}" in refused.stderr
    assert shop.leftovers() == before
    shop.complete("--restore", str(int(older.stem)), "--accept-duplicates")
    assert shop.outputs() == expected(COUNT)


@pytest.mark.parametrize("damage", ["flipped bit", "cut short", "gone"])
def test_a_damaged_part_is_refused(damage: str, workshop: Callable[..., Any]) -> None:
    """State that a checkpoint names: found before any output, named, and the older checkpoint serves."""
    undisturbed = workshop("sums")
    write_input(undisturbed.folder, COUNT)
    undisturbed.complete()
    shop = workshop("sums")
    write_input(shop.folder, COUNT)
    shop.die_at("P10:4")
    older, newest = manifests(shop.folder, "sums")[-2:]
    named = [{part["name"] for part in json.loads(path.read_text())["parts"]} for path in (older, newest)]
    (name,) = named[1] - named[0]
    part = newest.parent.parent / "parts" / name
    content = bytearray(part.read_bytes())
    if damage == "gone":
        part.unlink()
    elif damage == "cut short":
        part.write_bytes(content[:-1])
    else:
        content[len(content) // 2] ^= 1
        part.write_bytes(content)
    before = shop.leftovers()

    refused = shop.run()

    assert refused.returncode == 1
    assert part.name in refused.stderr
    assert f"--restore {int(older.stem)}" in refused.stderr
    assert shop.leftovers() == before
    assert shop.outputs() == {}
    shop.complete("--restore", str(int(older.stem)), "--accept-duplicates")
    assert shop.outputs() == undisturbed.outputs()


def test_an_older_checkpoint_needs_consent(workshop: Callable[..., Any]) -> None:
    """Going back to before committed output is refused unless duplicates are accepted."""
    shop = workshop("numbers")
    write_input(shop.folder, COUNT)
    shop.die_at("P1:3")
    older = manifests(shop.folder)[0]
    refused = shop.run("--restore", str(int(older.stem)))
    assert refused.returncode == 1
    assert "--accept-duplicates" in refused.stderr


@pytest.mark.parametrize("wrong", ["999", "-1"])
def test_a_checkpoint_that_is_not_there_is_refused(wrong: str, workshop: Callable[..., Any]) -> None:
    """Those that are there are listed, whether they are older or newer."""
    shop = workshop("numbers")
    write_input(shop.folder, COUNT)
    shop.die_at("P10:4")
    there = ", ".join(str(int(path.stem)) for path in manifests(shop.folder))
    refused = shop.run("--restore", wrong)
    assert refused.returncode == 2
    assert f"error: there is no checkpoint {wrong} to restore" in refused.stderr
    assert f"the stored ones are: {there}\n" in refused.stderr


def test_fresh_starts_over(workshop: Callable[..., Any]) -> None:
    """--fresh ignores what is stored and leaves nothing of it in the output folder."""
    shop = workshop("numbers")
    write_input(shop.folder, COUNT)
    shop.die_at("P10:3")
    done = shop.complete("--fresh")
    assert "starts afresh" in done.stderr
    assert shop.outputs() == expected(COUNT)
    assert shop.leftovers() == []


def test_numbers_of_checkpoints_never_restart(workshop: Callable[..., Any]) -> None:
    shop = workshop("numbers")
    write_input(shop.folder, 50)
    shop.complete()
    first = int(manifests(shop.folder)[-1].stem)
    shop.complete("--fresh")
    assert int(manifests(shop.folder)[-1].stem) > first


def test_a_killed_run_keeps_its_execution(workshop: Callable[..., Any]) -> None:
    """The execution id is the same after a kill, another one after completion."""
    shop = workshop("numbers")
    write_input(shop.folder, COUNT)
    shop.die_at("P10:3")
    killed = json.loads(manifests(shop.folder)[-1].read_text())["execution_id"]
    done = shop.complete("--json")
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["execution_id"] == killed
    assert summary["processed_records"] == COUNT
    again = json.loads(shop.complete("--json").stdout.splitlines()[-1])
    assert again["execution_id"] != killed
