"""A test that hangs or kills its process ends the run: named, with the stacks of all threads, and at once.

pytest-xdist by itself runs such a test again in up to eight more workers and loses its stacks; and it learns
of a worker's death by the end of a pipe, which a forked child of the worker may hold open.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

STUCK_S = 5
"""Seconds after a test's limit at which its process ends, if no other thread can run for it."""

_PIPE_S = 5  # from a worker's death until what it sent must have been read

_HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)

_stderr = pytest.StashKey[int]()
_timer = pytest.StashKey[threading.Timer]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_stderr] = os.dup(2)  # which the tests' output is not captured from
    for number in _HEARD:
        if signal.getsignal(number) is signal.SIG_IGN:  # as in the background: a job would ignore it too
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def heard_signals() -> Iterator[None]:
    """Fail a test that leaves signals ignored: the processes that later tests start would inherit that."""
    yield
    ignored = [number for number in _HEARD if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    assert not ignored


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[_stderr])


def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """Take the place of pytest-timeout's own timer."""
    stderr = item.config.stash[_stderr]
    timer = threading.Timer(settings.timeout, _give_up, (item, settings.timeout, stderr))
    timer.name = f"limit of {item.nodeid}"
    timer.daemon = True
    item.stash[_timer] = timer
    timer.start()
    faulthandler.dump_traceback_later(settings.timeout + STUCK_S, exit=True, file=stderr)
    return True


def pytest_timeout_cancel_timer(item: pytest.Item) -> bool:
    faulthandler.cancel_dump_traceback_later()
    if _timer in item.stash:
        item.stash[_timer].cancel()
    return True


def _give_up(item: pytest.Item, seconds: float, stderr: int) -> None:
    try:
        os.write(stderr, f"\n{item.nodeid} was not done within {seconds:g} s\n".encode())
        capture: Any = item.config.pluginmanager.getplugin("capturemanager")
        capture.suspend_global_capture(item)
        os.write(stderr, "".join(capture.read_global_capture()).encode())
        faulthandler.dump_traceback(stderr)
    finally:
        os._exit(1)


# --- the process that distributes the tests over workers ------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    name = f"death of {node.gateway.id}"
    threading.Thread(target=_await_death, args=(node,), name=name, daemon=True).start()


def _await_death(node: Any) -> None:
    from xdist.workermanage import Marker

    node.gateway._io.popen.wait()
    node.gateway.join(_PIPE_S)
    node.process_from_remote(Marker.END)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """End the run when a worker dies, after naming the test that it was running."""
    if not error:
        return
    session = node.config.pluginmanager.getplugin("dsession")
    if session.sched is not None and node in session.sched.nodes:
        test = session.sched.remove_node(node)
        if test:
            session.handle_crashitem(test, node)
    pytest.exit(f"{node.gateway.id} is gone: {error}", returncode=pytest.ExitCode.TESTS_FAILED)
