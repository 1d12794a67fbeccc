"""Jobs that are down, suspended or overtaken while the broker runs: nothing lost, nothing twice.

`PIPELINE_KILLS=100` or more makes ten outages of 25 s out of each short one.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from .kafka_scene import COUNT, expect_complete, finish
from .kafka_topic import Topic
from .numbers_job import manifests
from .waiting import wait_for

LONG = int(os.environ.get("PIPELINE_KILLS", "3")) >= 100
OUTAGES, TIMEOUT_MS, OUTAGE_S = (10, 5000, 25) if LONG else (2, 1000, 0)
FENCED = re.compile(r"attempt \d+ has taken the job over|was decided by attempt \d+ already")
"""What an overtaken run says: that it may write no more, or that the checkpoint it decides is decided."""

DIE_AT = ("P10:3", "P4:5", "P6:3", "P7:3")
"""Where transactions are open: decided, pre-committed, before and after the decision."""

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]


def await_abort(target: Topic) -> None:
    """Wait until the broker has aborted what is open, and for the rest of the outage."""
    back = time.monotonic() + OUTAGE_S
    wait_for(lambda: target.aborted_transactions() != [], "the broker's abort", timeout=60)
    wait_for(lambda: target.open_transactions() == [], "the end of all transactions", timeout=60)
    wait_for(lambda: time.monotonic() >= back, "the end of the outage", timeout=60)


def newest(shop: Any) -> int:
    """Return the number of the newest checkpoint, 0 before there is one."""
    return max((int(manifest.stem) for manifest in manifests(shop.folder)), default=0)


def test_transactions_that_timed_out_while_the_job_was_down(scene: Callable[..., Any]) -> None:
    """The broker has aborted what the checkpoint decided, before the job is started again."""
    count = 3000 * OUTAGES
    shop, target = scene(count, TRANSACTION_TIMEOUT=str(TIMEOUT_MS))
    for outage in range(OUTAGES):
        point = DIE_AT[outage % len(DIE_AT)]
        shop.die_at(point)
        await_abort(target)
        target.expect_prefix((outage, point))
        assert len(target.read()) < count
    finish(shop, target, "timed out", count)


@pytest.mark.parametrize("by_itself", [True, False])
def test_transactions_that_timed_out_while_the_job_stood_still(
    by_itself: bool, scene: Callable[..., Any]
) -> None:
    """Resumed, it continues from its last checkpoint by itself, or leaves that to the next run."""
    for _ in range(OUTAGES // 2 or 1):
        restarts = {"RESTARTS": "yes"} if by_itself else {}
        shop, target = scene(3 * COUNT, TRANSACTION_TIMEOUT=str(TIMEOUT_MS), **restarts)
        process = shop.start()
        wait_for(lambda shop=shop: len(manifests(shop.folder)) > 1, "two checkpoints")
        while True:
            process.send_signal(signal.SIGSTOP)
            if target.open_transactions():
                break
            process.send_signal(signal.SIGCONT)
        await_abort(target)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=60)
        if by_itself:
            assert process.returncode == 0, err
            expect_complete(shop, target, "held up", 3 * COUNT)
        else:
            assert process.returncode != 0
            assert "the broker has ended the transaction" in err
            finish(shop, target, "held up", 3 * COUNT)


@pytest.mark.parametrize("point", ["P4:3", "P6:3", "P7:3", "P10:3", "P13:3"])
def test_a_zombie_has_no_effect(point: str, scene: Callable[..., Any]) -> None:
    """Stopped on the way to a commit, replaced, continued: fenced, and nothing of it is seen."""
    shop, target = scene(ONLY_KAFKA="yes")
    zombie = shop.start(PIPELINE_FAULTPOINT=point, PIPELINE_FAULTPOINT_SIGNAL="STOP")
    wait_for(lambda: shop.reached == [point.partition(":")[0]], point)
    shop.complete("--take-over", PACE="0")
    target.expect_all(COUNT, point)
    zombie.send_signal(signal.SIGCONT)
    _, err = zombie.communicate(timeout=60)
    assert zombie.returncode == 1
    assert FENCED.search(err), err
    target.expect_all(COUNT, point)
    assert target.open_transactions() == []


def test_a_zombie_of_any_moment_has_no_effect(scene: Callable[..., Any]) -> None:
    """Stopped while it writes, wherever that is."""
    count = 10 * COUNT
    for _ in range(OUTAGES):
        shop, target = scene(count, ONLY_KAFKA="yes")
        zombie = shop.start()
        seen = random.randint(2, 8)
        wait_for(lambda shop=shop, seen=seen: newest(shop) >= seen, "checkpoints")
        zombie.send_signal(signal.SIGSTOP)
        shop.complete("--take-over", PACE="0")
        zombie.send_signal(signal.SIGCONT)
        _, err = zombie.communicate(timeout=60)
        assert zombie.returncode == 1
        assert FENCED.search(err), err
        target.expect_all(count, seen)
        assert target.open_transactions() == []


def test_a_checkpoint_gone_back_to_repeats_what_followed_it(scene: Callable[..., Any]) -> None:
    """Refused unless it is wanted; then what followed is there twice, the rest once, also after a kill."""
    shop, target = scene(ONLY_KAFKA="yes")
    shop.die_at("P14:5")
    before = len(target.read())
    back = int(manifests(shop.folder)[-2].stem)
    refused = shop.run("--restore", str(back))
    assert refused.returncode != 0
    assert "--accept-duplicates" in refused.stderr
    assert len(target.read()) == before
    killed = shop.run("--restore", str(back), "--accept-duplicates", PIPELINE_FAULTPOINT="P10:1")
    assert killed.returncode == -signal.SIGKILL
    shop.complete(PACE="0")
    numbers = sorted(target.read())
    again = [number for number in range(COUNT) if numbers.count(number) == 2]
    assert again, "what was committed after the checkpoint"
    assert again == list(range(again[0], before)), "that and nothing else"
    assert numbers == sorted([*range(COUNT), *again])


@pytest.mark.parametrize(("point", "committed"), [("P10:3", False), ("P12:3", True)])
def test_marks_deleted_before_the_note_are_not_guessed(
    point: str, committed: bool, scene: Callable[..., Any]
) -> None:
    """Decided, committed or not, not noted, and the topic of the marks gone: refused until the user says."""
    marks = f"marks-{os.getpid()}-{committed}"
    shop, target = scene(ONLY_KAFKA="yes", MARKS=marks)
    shop.die_at(point)
    before = target.read()
    target.delete_topic(marks)
    refused = shop.run(PACE="0")
    assert refused.returncode != 0
    assert "cannot be determined" in refused.stderr
    assert "--assume-committed or --assume-uncommitted" in refused.stderr
    assert target.read() == before
    shop.complete("--assume-committed" if committed else "--assume-uncommitted", PACE="0")
    target.expect_all(COUNT, point)
    assert target.open_transactions() == []
    target.delete_topic(marks)
