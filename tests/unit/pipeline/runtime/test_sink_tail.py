"""SinkTail: a sink is closed whatever becomes of its transactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from pipeline.core.errors import SinkError
from pipeline.runtime.contexts import RunningSinkContext
from pipeline.runtime.sink_tail import SinkTail
from pipeline.spi.sink import CommitOutcome, Sink, SinkContext, SinkInfo, TwoPhaseCommitSink


class Context:
    """As much of a sink's context as is asked for without a record."""

    job_name = "job"
    uid = "sink"
    subtask = 0


class Transactions(TwoPhaseCommitSink[Any, int]):
    """A sink of which each call is written down, and one may raise.

    Args:
        fails: the call that raises.
    """

    def __init__(self, fails: str = "") -> None:
        self.calls: list[str] = []
        self._fails = fails

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name == self._fails:
            raise ConnectionError(f"{name} failed")

    @property
    def info(self) -> SinkInfo:
        return SinkInfo("transactions", "memory", "exactly-once")

    def open(self, ctx: SinkContext) -> None:
        self._called("open")

    def begin_transaction(self) -> int:
        return 1

    def pre_commit(self, txn: int) -> int:
        return txn

    def commit(self, txn: int) -> CommitOutcome:
        return CommitOutcome.COMMITTED

    def abort(self, txn: int) -> None:
        self._called("abort")

    def recover_and_abort(self, keep: Sequence[int]) -> None:
        pass

    def close(self) -> None:
        self._called("close")


class Plain(Sink[Any]):
    """A sink without transactions that cannot be closed."""

    @property
    def info(self) -> SinkInfo:
        return SinkInfo("plain", "memory", "none")

    def close(self) -> None:
        raise ConnectionError("close failed")


def tail_of(sink: Any) -> SinkTail:
    return SinkTail(sink, cast("RunningSinkContext", Context()), None, lambda event: None)


def begun(sink: Transactions) -> SinkTail:
    """Return the sink's tail, open and with a transaction."""
    tail = tail_of(sink)
    tail.open()
    tail.begin([])
    return tail


def test_an_open_transaction_is_aborted_and_the_sink_closed() -> None:
    sink = Transactions()
    begun(sink).close(1)
    assert sink.calls == ["open", "abort", "close"]


def test_an_abort_that_fails_leaves_no_sink_open() -> None:
    """Its connection would stay open for as long as the process lives."""
    sink = Transactions(fails="abort")
    with pytest.raises(SinkError, match="Transactions raised ConnectionError: abort failed") as raised:
        begun(sink).close(1)
    assert sink.calls == ["open", "abort", "close"]
    assert (raised.value.job, raised.value.operator) == ("job", "sink")


def test_a_sink_that_could_not_be_opened_is_closed() -> None:
    sink = Transactions(fails="open")
    tail = tail_of(sink)
    with pytest.raises(SinkError, match="open failed"):
        tail.open()
    tail.close(1)
    assert sink.calls == ["open", "close"]


def test_a_sink_is_closed_once_and_only_if_it_was_opened() -> None:
    """Also where closing it has failed: what is released must not be released again."""
    sink = Transactions(fails="close")
    tail_of(sink).close(1)
    assert sink.calls == []
    tail = begun(sink)
    with pytest.raises(SinkError, match="close failed"):
        tail.close(1)
    tail.close(1)
    assert sink.calls == ["open", "abort", "close"]


def test_a_plain_sink_that_cannot_be_closed_is_named() -> None:
    tail = tail_of(Plain())
    tail.open()
    with pytest.raises(SinkError, match="Plain raised ConnectionError: close failed"):
        tail.close(1)


@pytest.mark.parametrize(("subtask", "given"), [(0, ["a", "c"]), (1, ["b"])])
def test_what_a_run_left_that_had_more_subtasks_is_shared(subtask: int, given: list[str]) -> None:
    """Somebody must replace what the subtasks left that are no more; one without a state left nothing."""

    class Giving(Plain):
        def __init__(self) -> None:
            self.states: list[Any] = []

        def give_up(self, state: Any) -> None:
            self.states.append(state)

    class Second(Context):
        parallelism = 2

    Second.subtask = subtask
    sink = Giving()
    tail = SinkTail(sink, cast("RunningSinkContext", Second()), None, lambda event: None)
    tail.give_up(["a", "b", "c", None])
    assert sink.states == given
