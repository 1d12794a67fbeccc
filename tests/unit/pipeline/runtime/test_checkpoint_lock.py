"""The checkpoint lock and the barrier thread: a barrier passes once, or not at all if it was given up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from checkpoint.barrier import Barrier, CheckpointKind
from pipeline.reactive.producer import Interrupted
from pipeline.runtime.checkpoint_lock import BarrierThread, LockScope
from pipeline.testing import ManualClock

PATIENCE = timedelta(seconds=30)
"""Reached only if something that must end by itself does not."""


def barrier(checkpoint_id: int) -> Barrier:
    return Barrier(checkpoint_id, CheckpointKind.PERIODIC)


class TestLockScope:
    def test_what_was_done_inside_is_settled_under_the_lock(self) -> None:
        lock = threading.Lock()
        held: list[bool] = []
        with LockScope(lock, lambda: held.append(lock.locked())):
            assert lock.locked()
        assert (held, lock.locked()) == ([True], False)

    def test_an_error_inside_settles_nothing_and_frees_the_lock(self) -> None:
        """Half a batch may be out: no barrier may follow it."""
        lock = threading.Lock()
        settled: list[int] = []
        scope = LockScope(lock, lambda: settled.append(1))
        with pytest.raises(ValueError, match="half"), scope:
            raise ValueError("half")
        assert (settled, lock.locked()) == ([], False)

    def test_an_error_in_settling_frees_the_lock_too(self) -> None:
        lock = threading.Lock()

        def settle() -> None:
            raise Interrupted

        with pytest.raises(Interrupted), LockScope(lock, settle):
            pass
        assert not lock.locked()

    def test_it_can_be_entered_again(self) -> None:
        lock = threading.Lock()
        settled: list[int] = []
        scope = LockScope(lock, lambda: settled.append(1))
        for _ in range(3):
            with scope:
                pass
        assert settled == [1, 1, 1]


class Host:
    """Performs what is due; waits before that if asked to, and raises what it is given."""

    def __init__(self) -> None:
        self.performed: list[int] = []
        self.errors: list[BaseException] = []
        self.error: BaseException | None = None
        self.looked = threading.Semaphore(0)
        self.clock = ManualClock()
        self.look_again_ms: int | None = None
        self.thread = BarrierThread(self, "job/source/barriers", self.clock)

    def perform_if_settled(self) -> int | None:
        if self.error is not None:
            raise self.error
        due = self.thread.take()
        if due is not None:
            self.performed.append(due.checkpoint_id)
        self.looked.release()
        return self.look_again_ms

    def fail(self, error: BaseException) -> None:
        self.errors.append(error)

    def wait_for_looks(self, count: int) -> None:
        for _ in range(count):
            assert self.looked.acquire(timeout=PATIENCE.total_seconds())


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.thread.stop()
    assert host.thread.join(PATIENCE)


class TestBarrierThread:
    def test_a_barrier_is_taken_once(self, host: Host) -> None:
        """By whichever thread gets there first."""
        assert host.thread.take() is None
        host.thread.put(barrier(1))
        assert host.thread.take() == barrier(1)
        assert host.thread.take() is None

    def test_a_newer_one_takes_the_place_of_one_that_never_passed(self, host: Host) -> None:
        """The older checkpoint was given up before its barrier could pass."""
        host.thread.put(barrier(1))
        host.thread.put(barrier(2))
        assert host.thread.take() == barrier(2)
        assert host.thread.take() is None

    def test_one_that_was_given_up_never_passes(self, host: Host) -> None:
        host.thread.put(barrier(1))
        host.thread.abandon(1)
        assert host.thread.take() is None

    def test_giving_up_an_earlier_one_leaves_the_newer(self, host: Host) -> None:
        host.thread.put(barrier(2))
        host.thread.abandon(1)
        assert host.thread.take() == barrier(2)
        host.thread.abandon(2)

    def test_it_has_each_barrier_performed(self, host: Host) -> None:
        """One put before the thread runs as well."""
        host.thread.put(barrier(1))
        host.thread.start()
        host.wait_for_looks(1)
        host.thread.put(barrier(2))
        host.wait_for_looks(1)
        assert host.performed == [1, 2]

    @pytest.mark.parametrize("error", [OSError("disk"), SystemExit(3)])
    def test_an_error_is_the_hosts_to_report(self, host: Host, error: BaseException) -> None:
        host.error = error
        host.thread.put(barrier(1))
        host.thread.start()
        assert host.thread.join(PATIENCE)
        assert host.errors == [host.error]

    def test_a_cancel_is_not_an_error(self, host: Host) -> None:
        host.error = Interrupted()
        host.thread.put(barrier(1))
        host.thread.start()
        assert host.thread.join(PATIENCE)
        assert host.errors == []

    def test_once_stopped_it_performs_nothing(self, host: Host) -> None:
        host.thread.put(barrier(1))
        host.thread.stop()
        host.thread.start()
        assert host.thread.join(PATIENCE)
        assert host.performed == []

    def test_one_that_never_ran_has_nothing_to_join(self, host: Host) -> None:
        assert host.thread.join(timedelta())
