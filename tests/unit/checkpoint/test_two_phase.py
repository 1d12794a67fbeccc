"""TwoPhaseDriver: what is committed, what stays pending, what is aborted (Flink's tests, SEMANTICS B6)."""

import threading
from typing import Any

import pytest

from checkpoint.two_phase import FAILED, RETRY, TwoPhaseDriver
from pipeline.core.errors import InternalError, SinkError
from pipeline.spi.sink import CommitOutcome


class RecordingSink:
    """Transactions are numbers; an empty one pre-commits to None. Errors are planted by handle."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.outcomes: dict[int, Any] = {}
        self.empty: set[int] = set()
        self.begun = 0

    def begin_transaction(self) -> int:
        self.begun += 1
        self.calls.append(("begin", self.begun))
        return self.begun

    def pre_commit(self, txn: int) -> int | None:
        self.calls.append(("pre_commit", txn))
        return None if txn in self.empty else txn

    def join(self, older: int, younger: int) -> int | None:
        return None

    def _end(self, call: str, txn: int) -> str:
        self.calls.append((call, txn))
        outcome = self.outcomes.get(txn, CommitOutcome.COMMITTED)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def commit(self, txn: int) -> str:
        return self._end("commit", txn)

    def recover_and_commit(self, txn: int) -> str:
        return self._end("recover_and_commit", txn)

    def abort(self, txn: int) -> None:
        self._end("abort", txn)

    def recover_and_abort(self, keep) -> None:
        self.calls.append(("recover_and_abort", list(keep)))

    def of(self, call: str) -> list[int]:
        return [txn for name, txn in self.calls if name == call]


@pytest.fixture
def sink():
    return RecordingSink()


@pytest.fixture
def driver(sink):
    driver = TwoPhaseDriver(sink, "file:out")
    driver.begin(keep=())
    return driver


def test_outcomes_are_those_of_the_sink_contract():
    """The driver knows the sink's words without importing them."""
    assert RETRY == CommitOutcome.RETRY
    assert FAILED == CommitOutcome.FAILED


def test_each_epoch_has_its_transaction(driver, sink):
    """The barrier ends one transaction and begins the next; nothing is committed by it."""
    assert driver.current == 1
    assert driver.pre_commit(1) == [1]
    assert driver.current == 2
    assert sink.calls == [("recover_and_abort", []), ("begin", 1), ("pre_commit", 1), ("begin", 2)]


def test_notify_of_completed_checkpoint(driver, sink):
    """testNotifyOfCompletedCheckpoint: completing 1 commits its epoch and leaves the later ones."""
    driver.pre_commit(1)
    driver.pre_commit(2)

    assert driver.commit(1) == []

    assert sink.of("commit") == [1]
    assert driver.pre_commit(3) == [2, 3]


def test_subsumed_notification_of_previous_checkpoint(driver, sink):
    """testSubsumedNotificationOfPreviousCheckpoint: 2, then late word of 1, commits each once, in order."""
    driver.pre_commit(1)
    driver.pre_commit(2)

    driver.commit(2)
    driver.commit(1)

    assert sink.of("commit") == [1, 2]


def test_fail_before_notify_leaves_the_decision_to_the_recovery(driver, sink):
    """testFailBeforeNotify: what may be in a manifest is not aborted; another process commits it."""
    handles = driver.pre_commit(1)

    driver.close(undecided_from=2)

    assert sink.of("abort") == [2]
    recovered = TwoPhaseDriver(sink, "file:out")
    recovered.recover(1, handles)
    assert recovered.commit(1) == []
    recovered.begin(keep=handles)
    assert sink.calls[-3:] == [("recover_and_commit", 1), ("recover_and_abort", [1]), ("begin", 3)]


def test_a_declined_checkpoint_aborts_nothing_and_is_covered_by_the_next(driver, sink):
    """The next manifest lists the older transaction again, before its own."""
    driver.pre_commit(1)
    driver.declined(1)

    assert sink.of("abort") == []
    assert driver.pre_commit(2) == [1, 2]
    driver.commit(2)
    assert sink.of("commit") == [1, 2]


def test_an_empty_epoch_leaves_nothing_to_commit(driver, sink):
    """A sink that got no records returns no handle."""
    sink.empty.add(1)

    assert driver.pre_commit(1) == []
    driver.commit(1)
    assert sink.of("commit") == []
    assert driver.current == 2


def test_committing_continues_after_an_error_and_raises_the_first_at_the_end(driver, sink):
    """One broken transaction does not hold back the others; what raised stays pending."""
    for checkpoint_id in (1, 2, 3):
        driver.pre_commit(checkpoint_id)
    sink.outcomes = {1: OSError("first"), 2: OSError("second")}

    with pytest.raises(OSError, match="first"):
        driver.commit(3)

    assert sink.of("commit") == [1, 2, 3]
    assert driver.pre_commit(4) == [1, 2, 4]


def test_a_passing_fault_is_given_back_to_be_tried_again(driver, sink):
    """RETRY keeps the transaction pending until a later call commits it; the others are done once."""
    driver.pre_commit(1)
    driver.pre_commit(2)
    sink.outcomes = {1: CommitOutcome.RETRY}

    assert driver.commit(2) == [1]
    assert driver.commit(2) == [1]
    sink.outcomes.clear()
    assert driver.commit(2) == []
    assert sink.of("commit") == [1, 2, 1, 1]


def test_already_committed_is_committed(driver, sink):
    """A second commit reports that, and the job continues."""
    driver.pre_commit(1)
    sink.outcomes = {1: CommitOutcome.ALREADY_COMMITTED}

    assert driver.commit(1) == []
    assert driver.pre_commit(2) == [2]


def test_a_transaction_that_can_never_be_committed_stops_the_job(driver, sink):
    """FAILED is data lost: not retryable, and the error names sink, transaction and checkpoint."""
    driver.pre_commit(7)
    sink.outcomes = {1: CommitOutcome.FAILED}

    with pytest.raises(SinkError, match=r"file:out can never commit 1, which checkpoint 7") as caught:
        driver.commit(7)

    assert not caught.value.retryable
    assert driver.pre_commit(8) == [1, 2]


def test_close_aborts_the_current_and_the_undecided_only(driver, sink):
    """Pending transactions that a manifest may name are left to the next recovery."""
    for checkpoint_id in (1, 2, 3):
        driver.pre_commit(checkpoint_id)

    driver.close(undecided_from=2)

    assert sink.of("abort") == [2, 3, 4]
    with pytest.raises(InternalError, match="outside of a transaction"):
        _ = driver.current


def test_close_aborts_everything_it_should_even_if_one_abort_fails(driver, sink):
    """Cleaning up continues; its first error is not lost."""
    driver.pre_commit(1)
    sink.outcomes = {1: OSError("first"), 2: OSError("second")}

    with pytest.raises(OSError, match="first"):
        driver.close(undecided_from=1)

    assert sink.of("abort") == [1, 2]


def test_close_after_everything_is_committed_aborts_the_empty_current_one(driver, sink):
    """A run that ends well leaves no open transaction, and closing twice is harmless."""
    driver.pre_commit(1)
    driver.commit(1)

    driver.close(undecided_from=2)
    driver.close(undecided_from=2)

    assert sink.of("abort") == [2]


def test_a_begin_that_fails_leaves_the_epoch_pending(driver, sink):
    """What was pre-committed is not mistaken for the unfinished transaction."""

    def refuse():
        raise OSError("no space")

    sink.begin_transaction = refuse
    with pytest.raises(OSError, match="no space"):
        driver.pre_commit(1)

    driver.close(undecided_from=2)
    assert sink.of("abort") == []


def test_recovery_must_be_done_before_the_first_transaction(sink):
    """What a manifest has decided is committed before anything else happens."""
    driver = TwoPhaseDriver(sink, "file:out")
    driver.recover(5, [51, 52])
    sink.outcomes = {52: CommitOutcome.RETRY}
    assert driver.commit(5) == [52]

    with pytest.raises(InternalError, match="1 recovered commits"):
        driver.begin(keep=[51, 52])

    driver.close(undecided_from=6)
    assert sink.of("abort") == []


def test_commit_runs_beside_the_next_epoch():
    """A slow commit holds up neither the next pre-commit nor is its transaction lost or done twice."""
    entered, released = threading.Event(), threading.Event()

    class SlowSink(RecordingSink):
        def commit(self, txn: int) -> str:
            entered.set()
            assert released.wait(10)
            return super().commit(txn)

    sink = SlowSink()
    driver = TwoPhaseDriver(sink, "file:out")
    driver.begin(keep=())
    driver.pre_commit(1)
    thread = threading.Thread(target=driver.commit, args=(1,), name="committer")
    thread.start()
    assert entered.wait(10)

    assert driver.pre_commit(2) == [1, 2]
    released.set()
    thread.join()

    assert driver.pre_commit(3) == [2, 3]
    assert sink.of("commit") == [1]


class JoiningSink(RecordingSink):
    """Keeps one epoch waiting: those that follow it are put into it."""

    def join(self, older: int, younger: int) -> int:
        self.calls.append(("join", (older, younger)))
        return older * 10 + younger


def test_declined_epochs_are_joined_where_the_sink_wants_it():
    """The older epoch absorbs the younger, again and again, and is committed once, with the last."""
    sink = JoiningSink()
    driver = TwoPhaseDriver(sink, "kafka:out")
    driver.begin(keep=())

    assert driver.pre_commit(1) == [1]
    assert driver.pre_commit(2) == [12]
    sink.empty.add(3)
    assert driver.pre_commit(3) == [12]
    assert driver.pre_commit(4) == [124]
    driver.commit(3)
    assert sink.of("commit") == [], "checkpoint 4 is not decided"
    driver.commit(4)

    assert sink.of("commit") == [124]
    assert sink.calls.index(("join", (1, 2))) < sink.calls.index(("begin", 3))


def test_joined_epochs_are_aborted_with_the_younger():
    """No manifest names them before that of its checkpoint, though older ones have been tried."""
    sink = JoiningSink()
    driver = TwoPhaseDriver(sink, "kafka:out")
    driver.begin(keep=())
    driver.pre_commit(1)
    driver.pre_commit(2)

    driver.close(undecided_from=2)
    assert sink.of("abort") == [12, 3]


def test_a_committed_epoch_is_not_joined():
    """What waits for nothing any more stays as it is."""
    sink = JoiningSink()
    driver = TwoPhaseDriver(sink, "kafka:out")
    driver.begin(keep=())
    driver.pre_commit(1)
    driver.commit(1)

    assert driver.pre_commit(2) == [2]
    assert sink.of("join") == []


def test_a_pre_commit_that_fails_leaves_the_epoch_open(sink, driver):
    """The checkpoint is declined; the same transaction continues and is pre-committed with the next."""

    class Full(Exception):
        pass

    real, tries = sink.pre_commit, iter((True, False))

    def pre_commit(txn):
        if next(tries):
            raise Full
        return real(txn)

    sink.pre_commit = pre_commit
    with pytest.raises(Full):
        driver.pre_commit(1)
    assert driver.current == 1

    assert driver.pre_commit(2) == [1]
