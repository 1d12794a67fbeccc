"""SignalThread: a signal is acted on whatever the main thread does."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Iterator

import pytest

from pipeline.cli.signals import SignalThread


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Begin with signals that are not ignored, as an earlier run in this process may have left them."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_that_does_not_disturb_the_main_threads_wait_is_acted_on() -> None:
    """As one does not that comes just before the wait begins: here it is sent to another thread."""
    acted: queue.SimpleQueue[int] = queue.SimpleQueue()

    def signal_itself() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    with SignalThread(acted.put, [signal.SIGTERM], "signals"):
        other = threading.Thread(target=signal_itself)
        other.start()
        assert acted.get(timeout=30) == signal.SIGTERM
        other.join()


def test_signals_are_acted_on_one_after_the_other_on_its_thread() -> None:
    acted: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()

    def act(number: int) -> None:
        acted.put((number, threading.current_thread().name))

    with SignalThread(act, [signal.SIGTERM, signal.SIGHUP], "totals/signals"):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
            signal.raise_signal(number)
            assert acted.get(timeout=30) == (number, "totals/signals")


def test_others_signals_are_not_acted_on() -> None:
    acted: list[int] = []
    with SignalThread(acted.append, [signal.SIGTERM], "signals"):
        signal.signal(signal.SIGHUP, lambda *_: None)
        signal.raise_signal(signal.SIGHUP)
    assert acted == []


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    acted: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with SignalThread(acted.append, [signal.SIGHUP], "signals"):
        signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert acted == []


def test_a_signal_after_the_block_has_no_effect() -> None:
    """Not that of the default handler either, which would end the process."""
    acted: list[int] = []
    with SignalThread(acted.append, [signal.SIGTERM], "signals"):
        pass
    signal.raise_signal(signal.SIGTERM)
    assert acted == []
    assert "signals" not in {thread.name for thread in threading.enumerate()}
