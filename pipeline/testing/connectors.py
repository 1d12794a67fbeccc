"""What every source and every sink owes the engine, as suites that a connector's tests inherit.

    class TestMySource(SourceVerification[dict[str, str]]):
        def create_source(self, records: int) -> MySource: ...
        def expected(self, records: int) -> list[dict[str, str]]: ...

pytest collects the subclass; the suites themselves are not collected.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice, product
from typing import Any, ClassVar, Generic, TypeVar

from pipeline.spi.sink import AnySink, CommitOutcome, TwoPhaseCommitSink
from pipeline.spi.source import Source
from pipeline.testing.drivers import LogShelf, SinkJob, VerificationSinkContext
from pipeline.testing.source_driver import SourceDriver, SourceSnapshot, loaded, stored

T = TypeVar("T")

__all__ = [
    "SinkJob",
    "SinkVerification",
    "SourceDriver",
    "SourceSnapshot",
    "SourceVerification",
    "TwoPhaseSinkVerification",
]


class SourceVerification(ABC, Generic[T]):
    """The contract of `pipeline.spi.source.Source`, for a bounded source that can resume."""

    RECORDS: ClassVar = 7

    @abstractmethod
    def create_source(self, records: int) -> Source[T]:
        """Create a source of that many records; every call returns the same ones."""

    @abstractmethod
    def expected(self, records: int) -> list[T]:
        """Return the records of `create_source(records)`, in their order."""

    def test_every_record_arrives_once_and_in_order(self) -> None:
        """Whatever the demand is cut into, and whatever is worth reading at once."""
        for demand, limit in ((1, 1024), (3, 2), (1000, 1024)):
            with SourceDriver(self.create_source(self.RECORDS), batch_limit=limit) as driver:
                while driver.take(demand):
                    pass
                assert driver.ended
                assert driver.emitted == self.expected(self.RECORDS)

    def test_an_empty_input_ends(self) -> None:
        """A source of no records returns from run when it is asked for the first."""
        with SourceDriver(self.create_source(0)) as driver:
            assert driver.take(1) == []
            assert driver.ended

    def test_no_more_is_emitted_than_was_asked_for(self) -> None:
        """A source that has given what was wanted waits, and its end is not an emission."""
        with SourceDriver(self.create_source(self.RECORDS)) as driver:
            for wanted in range(1, self.RECORDS):
                driver.request(1)
                driver.wait_until_idle()
                assert len(driver.emitted) == wanted

    def test_restore_continues_with_the_next_record(self) -> None:
        """A stop after any record, the first and the last included, neither loses nor repeats one."""
        expected = self.expected(self.RECORDS)
        for read in range(self.RECORDS + 1):
            snapshot = self._read(read)
            with SourceDriver(self.create_source(self.RECORDS), snapshot) as driver:
                assert driver.take(self.RECORDS + 1) == expected[read:], f"after {read} records"

    def test_a_restored_source_without_demand_keeps_its_position(self) -> None:
        """A checkpoint right after a restore is as good as the one restored from."""
        snapshot = self._read(3)
        with SourceDriver(self.create_source(self.RECORDS), snapshot) as driver:
            driver.wait_until_idle()
            again = driver.snapshot()
        with SourceDriver(self.create_source(self.RECORDS), again) as driver:
            assert driver.take(self.RECORDS) == self.expected(self.RECORDS)[3:]

    def test_a_snapshot_at_any_moment_is_the_next_record_not_yet_emitted(self) -> None:
        """Position and emission change together: a barrier while records flow sees both or none."""
        expected = self.expected(self.RECORDS)
        with SourceDriver(self.create_source(self.RECORDS), batch_limit=3, barriers=True) as driver:
            driver.take(self.RECORDS + 1)
            moments = set(driver.moments)
        for moment in moments:
            with SourceDriver(self.create_source(self.RECORDS), moment) as driver:
                assert driver.take(self.RECORDS) == expected[moment.emitted :]

    def test_a_snapshot_does_not_change_afterwards(self) -> None:
        """The engine may store it while the source continues."""
        with SourceDriver(self.create_source(self.RECORDS)) as driver:
            driver.take(2)
            driver.wait_until_idle()
            state = driver.source.snapshot_state()
            before = stored(state)
            driver.take(3)
            assert stored(state) == before

    def test_attempts_share_nothing(self) -> None:
        """One instance serves several attempts, each from the beginning unless it is restored."""
        source = self.create_source(self.RECORDS)
        for read in (3, self.RECORDS + 1, 1):
            with SourceDriver(source) as driver:
                assert driver.take(read) == self.expected(self.RECORDS)[:read]

    def test_cancel_ends_a_source_that_waits(self) -> None:
        """It returns from run though nothing is asked for; a second cancel does no harm."""
        with SourceDriver(self.create_source(self.RECORDS)) as driver:
            driver.take(1)
            driver.wait_until_idle()
            driver.cancel()
            driver.cancel()
            driver.join()
            assert len(driver.emitted) == 1

    def test_origins_tell_records_apart(self) -> None:
        """A source that says where a record was read says it of each, and of no two the same."""
        with SourceDriver(self.create_source(self.RECORDS)) as driver:
            driver.take(self.RECORDS)
            assert len(driver.origins) in (0, self.RECORDS)
            assert len(set(driver.origins)) == len(driver.origins)

    def test_the_estimate_is_a_number_of_records_or_nothing(self) -> None:
        estimate = self.create_source(self.RECORDS).estimated_records()
        assert estimate is None or estimate >= 0

    def _read(self, records: int) -> SourceSnapshot:
        with SourceDriver(self.create_source(self.RECORDS)) as driver:
            if records:
                driver.take(records)
            driver.wait_until_idle()
            return driver.snapshot()


class SinkVerification(ABC):
    """The contract of `pipeline.spi.sink.AnySink`."""

    @abstractmethod
    def create_sink(self) -> AnySink[Any]:
        """Make the sink, always for the same target, as each start of a process does."""

    @abstractmethod
    def record(self, index: int) -> Any:
        """Return a record, another one for each index."""

    @abstractmethod
    def visible(self) -> Sequence[Any]:
        """Return what a reader of the target sees, in the form that `record` has."""

    def records(self, first: int, last: int) -> list[Any]:
        """Return the records from index `first` up to, not including, `last`."""
        return [self.record(index) for index in range(first, last)]

    def job(self, *sizes: int) -> SinkJob:
        """Return a job of epochs of these sizes."""
        ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
        epochs = [self.records(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        return SinkJob(self.create_sink, epochs)

    def test_every_record_arrives_once_and_in_order(self) -> None:
        """Over several epochs, large, small and empty ones."""
        job = self.job(5, 1, 0, 300)
        job.run()
        assert list(self.visible()) == self.records(0, 306)

    def test_a_sink_that_got_nothing_closes(self) -> None:
        """Open and close, twice, leave nothing that a reader would take for records."""
        for attempt in (1, 2):
            sink = self.create_sink()
            sink.open(VerificationSinkContext(attempt=attempt))
            sink.close()
        assert list(self.visible()) == []

    def test_info_names_the_guarantee(self) -> None:
        assert self.create_sink().info.guarantee in ("exactly-once", "at-least-once", "none")


class TwoPhaseSinkVerification(SinkVerification):
    """The contract of `pipeline.spi.sink.TwoPhaseCommitSink`.

    Attributes:
        ALL_AT_ONCE: whether everything becomes visible with the last epoch, instead of each with
            its own.
        EVERY: of the pairs of crashes that are tried: 1 is all, 7 every seventh, for a target that
            takes its time to start.
    """

    ALL_AT_ONCE: ClassVar = False
    EVERY: ClassVar = 1

    @abstractmethod
    def create_sink(self) -> TwoPhaseCommitSink[Any, Any]: ...

    @abstractmethod
    def clear(self) -> None:
        """Remove all that is at the target, for the next round of a test."""

    def left_behind(self) -> Sequence[Any]:
        """Return what lies about at the target that no reader sees; after a job it must be empty."""
        return ()

    def abandon(self) -> None:
        """Release what the operating system would take back from a killed process."""

    def test_nothing_is_visible_before_its_commit(self) -> None:
        """At each step a reader sees whole committed epochs and nothing else."""
        job = self.job(4, 0, 3, 5)
        for step in job.attempt():
            if step != "committed":  # visible, but not yet known to be
                assert list(self.visible()) == self._committed(job), step
        assert list(self.visible()) == self.records(0, 12)
        assert list(self.left_behind()) == []

    def test_a_commit_can_be_repeated(self) -> None:
        """The second one says that it is done already, and changes nothing."""
        sink, handle = self._pre_committed()
        assert sink.commit(handle) is CommitOutcome.COMMITTED
        assert sink.commit(handle) is CommitOutcome.ALREADY_COMMITTED
        assert sink.recover_and_commit(handle) is CommitOutcome.ALREADY_COMMITTED
        assert list(self.visible()) == self.records(0, 4)
        sink.close()

    def test_another_process_can_commit(self) -> None:
        """A stored handle is enough; committing it once more is harmless for either."""
        first, handle = self._pre_committed()
        other = self.create_sink()
        other.open(self._context(attempt=2))
        assert other.recover_and_commit(handle) is CommitOutcome.COMMITTED
        assert first.commit(handle) is CommitOutcome.ALREADY_COMMITTED
        assert list(self.visible()) == self.records(0, 4)
        first.close()
        other.close()

    def test_an_epoch_without_records_needs_no_commit(self) -> None:
        sink = self.create_sink()
        sink.open(self._context())
        sink.recover_and_abort([])
        assert sink.pre_commit(sink.begin_transaction()) is None
        sink.close()

    def test_an_aborted_epoch_is_never_visible(self) -> None:
        """Neither one that was being written nor one that was pre-committed; twice is once."""
        for pre_commit in (False, True):
            with self._opened(attempt=1) as sink:
                ctx = self._context()
                txn = sink.begin_transaction()
                sink.invoke_batch(txn, self.records(0, 4), ctx)
                if pre_commit:
                    sink.finish()
                    txn = sink.pre_commit(txn)
                sink.abort(txn)
                sink.abort(txn)
            assert list(self.visible()) == []
        with self._opened(attempt=2):
            pass
        assert list(self.left_behind()) == []
        assert list(self.visible()) == []

    def test_a_declined_checkpoint_is_committed_with_the_next(self) -> None:
        """Its handle stays good while later epochs are written."""
        with self._opened(attempt=1) as sink:
            ctx = self._context()
            handles: list[Any] = []
            for first in (0, 4):
                txn = sink.begin_transaction()
                sink.invoke_batch(txn, self.records(first, first + 4), ctx)
                if first:
                    sink.finish()
                sink.flush()
                handles += [loaded(stored(handle)) for handle in [sink.pre_commit(txn)] if handle is not None]
                sink.snapshot_state()
            assert list(self.visible()) == []
            assert {sink.commit(handle) for handle in handles} == {CommitOutcome.COMMITTED}
        assert list(self.visible()) == self.records(0, 8)

    def test_a_crash_between_any_two_steps_loses_and_repeats_nothing(self) -> None:
        """Killed there and started again, the job ends with every record once."""
        for crash in range(self._count_steps()):
            job = self._fresh_job()
            self._run_until(job, crash)
            self._complete(job, f"killed after step {crash}")

    def test_a_crash_during_recovery_loses_and_repeats_nothing(self) -> None:
        """Killed once anywhere and once more at each of the first steps of the recovery."""
        pairs = product(range(self._count_steps()), range(5))
        for crash, second in islice(pairs, 0, None, self.EVERY):
            job = self._fresh_job()
            self._run_until(job, crash)
            self._run_until(job, second)
            self._complete(job, f"killed after step {crash}, then after step {second}")

    # --- inside ------------------------------------------------------------------------------------

    @cached_property
    def _logs(self) -> LogShelf:
        return LogShelf()

    def _context(self, attempt: int = 1) -> VerificationSinkContext:
        """Return the context of an attempt; all of a test have the same logs."""
        return VerificationSinkContext(attempt=attempt, logs=self._logs)

    def _fresh_job(self) -> SinkJob:
        self.clear()
        return self.job(4, 3, 5)

    def _count_steps(self) -> int:
        return sum(1 for _ in self._fresh_job().attempt())

    def _run_until(self, job: SinkJob, step: int) -> None:
        for number, _ in enumerate(job.attempt()):
            if number == step:
                break
        self.abandon()

    def _complete(self, job: SinkJob, what: str) -> None:
        assert list(self.visible()) in self._whole_epochs(), f"{what}: a torn epoch is visible"
        job.run()
        assert list(self.visible()) == self.records(0, 12), what
        assert list(self.left_behind()) == [], what

    def _whole_epochs(self) -> list[list[Any]]:
        lengths = [0, 12] if self.ALL_AT_ONCE else [0, 4, 7, 12]
        return [self.records(0, length) for length in lengths]

    def _committed(self, job: SinkJob) -> list[Any]:
        epochs = job.visible_epochs
        if self.ALL_AT_ONCE and epochs < len(job.epochs):
            return []
        return [record for epoch in job.epochs[:epochs] for record in epoch]

    def _pre_committed(self) -> tuple[TwoPhaseCommitSink[Any, Any], Any]:
        """Return an open sink with an epoch of four records that waits for its commit."""
        sink = self.create_sink()
        ctx = self._context()
        sink.open(ctx)
        sink.recover_and_abort([])
        txn = sink.begin_transaction()
        sink.invoke_batch(txn, self.records(0, 4), ctx)
        sink.finish()
        sink.flush()
        return sink, loaded(stored(sink.pre_commit(txn)))

    @contextmanager
    def _opened(self, attempt: int) -> Generator[TwoPhaseCommitSink[Any, Any]]:
        sink = self.create_sink()
        sink.open(self._context(attempt))
        sink.recover_and_abort([])
        try:
            yield sink
        finally:
            sink.close()
