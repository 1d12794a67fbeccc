"""The lease: renewed while its holder lives, refused to others, free when it lapses."""

import json
import os
import socket
import threading
from datetime import timedelta

import pytest

from checkpoint.storage.objects.lease import LAPSES_MS, RENEWAL, LeaseLock
from pipeline.core.errors import CheckpointError, JobAlreadyRunning
from pipeline.testing.clock import ManualClock

from .memory_store import MemoryStore


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(clock):
    return MemoryStore(now_ms=clock.now_ms)


@pytest.fixture
def new_lock(store, clock):
    made = []

    def new():
        made.append(LeaseLock(store, "lock", "job", clock))
        return made[-1]

    yield new
    for one in made:
        one.release()


def foreign(store, pid=1, host="elsewhere"):
    store.put("lock", json.dumps({"pid": pid, "host": host, "since_ms": 0}).encode())


def test_a_living_holder_keeps_others_out(store, clock, new_lock):
    """The message says who, where and how long ago it was heard of."""
    foreign(store)
    clock.advance(timedelta(milliseconds=LAPSES_MS - 1))

    with pytest.raises(JobAlreadyRunning, match=r"process 1 on elsewhere, since 1970-01-01 .* 20 s ago"):
        new_lock().acquire(take_over=False)


def test_a_lease_that_nobody_renews_lapses(store, clock, new_lock):
    """The machine is gone: nobody has to clear anything away."""
    foreign(store)
    clock.advance(timedelta(milliseconds=LAPSES_MS))

    new_lock().acquire(take_over=False)

    assert json.loads(store.get("lock"))["pid"] == os.getpid()


def test_a_process_of_this_machine_that_is_dead_holds_nobody_up(store, new_lock):
    """A job that was killed starts again at once."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    foreign(store, pid, socket.gethostname())

    new_lock().acquire(take_over=False)


def test_it_is_renewed(store, clock, new_lock):
    """A run that lives for days keeps its lease."""
    renewed = threading.Event()
    new_lock().acquire(take_over=False)
    store.before = lambda action, key: renewed.set() if action == "put" else None
    clock.await_waiters()
    clock.advance(RENEWAL)

    assert renewed.wait(30)


def test_a_store_that_fails_once_does_not_end_the_renewals(store, clock, new_lock):
    """The next one does."""
    tried, renewed = threading.Event(), threading.Event()

    def fail(action, key):
        if action == "put":
            store.before = lambda action, key: renewed.set() if action == "put" else None
            tried.set()
            raise CheckpointError("not now")

    new_lock().acquire(take_over=False)
    store.before = fail
    clock.await_waiters()
    clock.advance(RENEWAL)
    assert tried.wait(30)
    clock.await_waiters()
    clock.advance(RENEWAL)
    assert renewed.wait(30)


def test_one_that_was_taken_over_is_left_alone(store, clock, new_lock):
    """Neither renewed nor released by the run that lost it."""
    first, second = new_lock(), new_lock()
    first.acquire(take_over=False)
    second.acquire(take_over=True)
    taken = store.get("lock")

    first.release()

    assert store.get("lock") == taken
    with pytest.raises(JobAlreadyRunning):
        new_lock().acquire(take_over=False)


def test_a_lease_that_says_nothing_is_refused_all_the_same(store, new_lock):
    """Written by another release, say."""
    store.put("lock", b"?")

    with pytest.raises(JobAlreadyRunning, match="a process that has not given its name"):
        new_lock().acquire(take_over=False)
