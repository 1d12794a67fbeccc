"""CheckpointCoordinator: when, in which order, and what a failure leads to."""

import pytest

from checkpoint.barrier import Barrier, CheckpointKind
from checkpoint.commands import Abandon, Clean, Command, Commit, Fail, Finished, Note, Persist, Trigger
from checkpoint.coordinator import CheckpointCoordinator
from checkpoint.schedule import CoordinatorSettings
from pipeline.core.errors import CheckpointError, Fenced, InternalError

PERIODIC, SAVEPOINT, STOP, FINAL = CheckpointKind


NO = CheckpointError("no")
FULL = CheckpointError("disk full")


def coordinator_of(*participants: str, **settings) -> CheckpointCoordinator:
    defaults = {"first_checkpoint_id": 1, "min_pause_ms": 0, "timeout_ms": 1000, "tolerable_failures": 2}
    return CheckpointCoordinator(participants or ("a",), CoordinatorSettings(**(defaults | settings)))


def trigger(checkpoint_id: int, kind: CheckpointKind = PERIODIC) -> Trigger:
    return Trigger(Barrier(checkpoint_id, kind))


def complete(coordinator: CheckpointCoordinator, checkpoint_id: int, now: int) -> list[Command]:
    """Carry a triggered checkpoint of the one participant `a` through to its note."""
    coordinator.acknowledge(checkpoint_id, "a", None, now)
    coordinator.manifest_written(checkpoint_id, now)
    coordinator.committed(checkpoint_id, now)
    return coordinator.noted(checkpoint_id, now)


def test_a_checkpoint_goes_through_its_steps_in_order():
    """Barrier, all answers, manifest, commit, note, cleaning: each step waits for the one before."""
    coordinator = coordinator_of("a", "b", interval_ms=100)

    assert coordinator.start(0) == []
    assert coordinator.in_flight is None
    assert coordinator.tick(100) == [trigger(1)]
    assert coordinator.in_flight == Barrier(1, PERIODIC)
    assert coordinator.acknowledge(1, "a", "A", 101) == []
    assert coordinator.acknowledge(1, "b", "B", 102) == [Persist(1, PERIODIC, {"a": "A", "b": "B"})]
    assert coordinator.manifest_written(1, 103) == [Commit(1)]
    assert coordinator.committed(1, 104) == [Note(1)]
    assert coordinator.noted(1, 105) == [Clean(1)]
    assert coordinator.in_flight is None


def test_a_first_checkpoint_may_be_wanted_at_once_until_it_succeeds():
    """It has what only this run knows: where it began. Pauses still count between two attempts at it."""
    coordinator = coordinator_of(interval_ms=1_000, min_pause_ms=50)
    assert coordinator.start(7, at_once=True) == [trigger(1)]
    assert coordinator.decline(1, "a", NO, 10) == [Abandon(1, "a declined: no")]
    assert coordinator.next_deadline() == 60
    assert coordinator.tick(60) == [trigger(2)]
    assert complete(coordinator, 2, 70) == [Clean(2)]
    assert coordinator.next_deadline() == 1_060, "from then on by the interval"


def test_it_is_wanted_without_an_interval_too():
    coordinator = coordinator_of()
    assert coordinator.start(0, at_once=True) == [trigger(1)]
    complete(coordinator, 1, 5)
    assert coordinator.next_deadline() is None


def test_only_one_epoch_is_between_its_barrier_and_its_note():
    """Whatever is due or asked for waits until the commit before it is noted."""
    coordinator = coordinator_of(interval_ms=10, rows=1)
    coordinator.start(0)
    coordinator.tick(10)

    for step in (
        lambda: coordinator.acknowledge(1, "a", None, 20),
        lambda: coordinator.manifest_written(1, 30),
        lambda: coordinator.committed(1, 40),
    ):
        assert coordinator.tick(500) == []
        assert coordinator.rows_emitted(1000, 500) == []
        assert coordinator.request(STOP, 500) == []
        step()

    assert coordinator.noted(1, 500) == [Clean(1), trigger(2, STOP)]


def test_nothing_is_triggered_before_the_start():
    """Requests that come early are kept until the run begins."""
    coordinator = coordinator_of(interval_ms=10, rows=1)

    assert coordinator.tick(50) == []
    assert coordinator.rows_emitted(100, 50) == []
    assert coordinator.request(SAVEPOINT, 50) == []
    assert coordinator.next_deadline() is None
    assert coordinator.start(60) == [trigger(1, SAVEPOINT)]


def test_the_interval_is_from_barrier_to_barrier():
    """A checkpoint that takes its time does not delay the next, one longer than the interval does."""
    coordinator = coordinator_of(interval_ms=100)
    coordinator.start(0)
    coordinator.tick(100)
    complete(coordinator, 1, 180)

    assert coordinator.next_deadline() == 200
    assert coordinator.tick(199) == []
    assert coordinator.tick(200) == [trigger(2)]
    assert complete(coordinator, 2, 350) == [Clean(2), trigger(3)]


def test_the_minimum_pause_delays_the_interval():
    """Between the end of one checkpoint and the next barrier the job gets some work done."""
    coordinator = coordinator_of(interval_ms=100, min_pause_ms=50)
    coordinator.start(0)
    coordinator.tick(100)
    complete(coordinator, 1, 180)

    assert coordinator.next_deadline() == 230
    assert coordinator.tick(229) == []
    assert coordinator.tick(230) == [trigger(2)]


def test_by_rows_counts_from_barrier_to_barrier():
    """Rows are counted over all sources since the last barrier."""
    coordinator = coordinator_of(rows=100)
    coordinator.start(0)

    assert coordinator.rows_emitted(99, 1) == []
    assert coordinator.next_deadline() is None
    assert coordinator.rows_emitted(150, 2) == [trigger(1)]
    complete(coordinator, 1, 3)
    assert coordinator.rows_emitted(249, 4) == []
    assert coordinator.rows_emitted(250, 5) == [trigger(2)]


def test_one_by_rows_that_is_declined_is_due_again_after_the_pause():
    """Its epoch continues: as many records more would make it twice as long, after hours in a slow stream."""
    coordinator = coordinator_of(rows=100, min_pause_ms=500)
    coordinator.start(0)
    assert coordinator.rows_emitted(120, 1000) == [trigger(1)]
    coordinator.rows_emitted(130, 1001)

    (abandon,) = coordinator.decline(1, "a", NO, 1010)

    assert isinstance(abandon, Abandon)
    assert coordinator.next_deadline() == 1510
    assert coordinator.tick(1510) == [trigger(2)]
    complete(coordinator, 2, 1520)
    assert coordinator.next_deadline() is None, "all 130 are covered"
    assert coordinator.rows_emitted(229, 3000) == []
    assert coordinator.rows_emitted(230, 3001) == [trigger(3)]


def test_one_that_a_full_sink_waits_for_is_due_again_after_the_pause():
    """And one that is asked for while another is under way comes after that."""
    coordinator = coordinator_of(min_pause_ms=500)
    coordinator.start(0)
    assert coordinator.hasten(1000) == [trigger(1)]
    coordinator.decline(1, "a", NO, 1010)
    assert coordinator.tick(1510) == [trigger(2)]
    coordinator.hasten(1515)
    complete(coordinator, 2, 1520)
    assert coordinator.tick(2020) == [trigger(3)]
    complete(coordinator, 3, 2030)
    assert coordinator.next_deadline() is None


def test_by_rows_never_more_often_than_the_minimum_pause():
    """A fast source does not turn the job into one checkpoint after the other, not even at its start."""
    coordinator = coordinator_of(rows=10, min_pause_ms=500)
    coordinator.start(1000)

    assert coordinator.rows_emitted(10, 1001) == []
    assert coordinator.next_deadline() == 1500
    assert coordinator.tick(1500) == [trigger(1)]
    coordinator.rows_emitted(5000, 1501)
    complete(coordinator, 1, 1600)
    assert coordinator.next_deadline() == 2100
    assert coordinator.rows_emitted(9000, 2099) == []
    assert coordinator.rows_emitted(9001, 2100) == [trigger(2)]


def test_by_rows_and_by_time_whichever_comes_first():
    """With both set a quiet stream still has its checkpoints."""
    coordinator = coordinator_of(rows=100, interval_ms=1000, timeout_ms=10_000)
    coordinator.start(0)

    assert coordinator.rows_emitted(100, 10) == [trigger(1)]
    complete(coordinator, 1, 20)
    assert coordinator.tick(1009) == []
    assert coordinator.tick(1010) == [trigger(2)]


@pytest.mark.parametrize("kind", [SAVEPOINT, STOP, FINAL])
def test_a_request_waits_for_no_interval_and_no_pause(kind):
    """Who asks is served as soon as nothing is in flight."""
    coordinator = coordinator_of(interval_ms=60_000, min_pause_ms=60_000)
    coordinator.start(0)

    assert coordinator.request(kind, 1) == [trigger(1, kind)]


def test_a_savepoint_lets_the_job_run_on():
    """Two requests before it begins are one savepoint; a later one is another."""
    coordinator = coordinator_of(interval_ms=100)
    coordinator.start(0)
    coordinator.tick(100)

    coordinator.request(SAVEPOINT, 101)
    coordinator.request(SAVEPOINT, 102)

    assert complete(coordinator, 1, 110) == [Clean(1), trigger(2, SAVEPOINT)]
    coordinator.request(SAVEPOINT, 115)
    assert complete(coordinator, 2, 120) == [Clean(2), trigger(3, SAVEPOINT)]
    assert complete(coordinator, 3, 130) == [Clean(3)]


@pytest.mark.parametrize("kind", [STOP, FINAL])
def test_after_the_ending_checkpoint_is_noted_the_run_is_finished(kind):
    """Finished comes after the note, and nothing comes after it."""
    coordinator = coordinator_of(interval_ms=100, rows=1)
    coordinator.start(0)
    coordinator.request(kind, 1)

    assert complete(coordinator, 1, 2) == [Clean(1), Finished(kind)]
    assert coordinator.tick(10_000) == []
    assert coordinator.rows_emitted(10_000, 10_000) == []
    assert coordinator.request(SAVEPOINT, 10_000) == []
    assert coordinator.next_deadline() is None


def test_a_savepoint_asked_for_before_the_stop_comes_first():
    """Nothing that was asked for is forgotten."""
    coordinator = coordinator_of(interval_ms=100)
    coordinator.start(0)
    coordinator.tick(100)
    coordinator.request(STOP, 101)
    coordinator.request(SAVEPOINT, 102)

    assert complete(coordinator, 1, 103) == [Clean(1), trigger(2, SAVEPOINT)]
    assert complete(coordinator, 2, 104) == [Clean(2), trigger(3, STOP)]


def test_the_end_of_input_outranks_a_stop():
    """A run that was stopped while its input ended is complete, whichever came first."""
    for first, second in ((STOP, FINAL), (FINAL, STOP)):
        coordinator = coordinator_of(interval_ms=100)
        coordinator.start(0)
        coordinator.tick(100)
        coordinator.request(first, 101)
        coordinator.request(second, 102)

        assert complete(coordinator, 1, 103) == [Clean(1), trigger(2, FINAL)]


def test_a_checkpoint_that_is_too_slow_is_declined():
    """The deadline is the timeout; the reason names who did not answer."""
    coordinator = coordinator_of("a", "b", interval_ms=100, timeout_ms=1000)
    coordinator.start(0)
    coordinator.tick(100)
    coordinator.acknowledge(1, "a", None, 200)

    assert coordinator.next_deadline() == 1100
    assert coordinator.tick(1099) == []
    assert coordinator.tick(1100) == [Abandon(1, "no answer from b within 1000 ms"), trigger(2)]


def test_a_store_that_is_too_slow_is_given_up_and_its_late_success_changes_nothing():
    """The manifest of a declined checkpoint may still appear; the next one covers it."""
    coordinator = coordinator_of(interval_ms=100)
    coordinator.start(0)
    coordinator.tick(100)
    coordinator.acknowledge(1, "a", None, 200)

    assert coordinator.tick(1100) == [Abandon(1, "no manifest within 1000 ms"), trigger(2)]
    assert coordinator.manifest_written(1, 1101) == []
    assert coordinator.persist_failed(1, CheckpointError("late"), 1102) == []
    assert coordinator.in_flight == Barrier(2, PERIODIC)


def test_no_timeout_takes_back_a_decision():
    """Once the manifest exists the epoch will be committed, however long that takes."""
    coordinator = coordinator_of(interval_ms=100)
    coordinator.start(0)
    coordinator.tick(100)
    coordinator.acknowledge(1, "a", None, 200)
    coordinator.manifest_written(1, 300)

    assert coordinator.next_deadline() is None
    assert coordinator.tick(999_999) == []
    assert coordinator.decline(1, "a", CheckpointError("too late"), 999_999) == []
    assert coordinator.committed(1, 999_999) == [Note(1)]
    assert coordinator.decline(1, "a", CheckpointError("too late"), 999_999) == []


def test_a_declined_checkpoint_is_retried_under_a_fresh_id_so_that_late_answers_are_not_mistaken():
    """Answers to checkpoint 1 never count for the one after it."""
    coordinator = coordinator_of("a", "b", interval_ms=100)
    coordinator.start(0)
    coordinator.tick(100)
    coordinator.acknowledge(1, "a", "old", 110)

    assert coordinator.decline(1, "b", FULL, 120) == [Abandon(1, "b declined: disk full")]
    assert coordinator.tick(200) == [trigger(2)]
    assert coordinator.acknowledge(1, "b", "old", 210) == []
    assert coordinator.decline(1, "b", CheckpointError("again"), 211) == []
    assert coordinator.acknowledge(2, "a", "new", 220) == []
    assert coordinator.acknowledge(2, "b", "new", 230) == [Persist(2, PERIODIC, {"a": "new", "b": "new"})]


def test_answers_that_come_twice_change_nothing():
    """The first snapshot of a participant counts, and no step happens twice."""
    coordinator = coordinator_of("a", "b", interval_ms=100)
    coordinator.start(0)
    coordinator.tick(100)
    coordinator.acknowledge(1, "a", "first", 110)

    assert coordinator.acknowledge(1, "a", "second", 111) == []
    assert coordinator.acknowledge(1, "b", "B", 112) == [Persist(1, PERIODIC, {"a": "first", "b": "B"})]
    assert coordinator.acknowledge(1, "b", "B", 113) == []
    assert coordinator.committed(1, 113) == []
    assert coordinator.manifest_written(1, 114) == [Commit(1)]
    assert coordinator.manifest_written(1, 115) == []
    assert coordinator.noted(1, 115) == []
    assert coordinator.committed(1, 116) == [Note(1)]
    assert coordinator.committed(1, 117) == []
    assert coordinator.noted(1, 118) == [Clean(1)]
    assert coordinator.noted(1, 119) == []


def test_strangers_and_answers_from_the_future_are_engine_errors():
    """Who is unknown, or answers what was never asked, shows a defect."""
    coordinator = coordinator_of("a", interval_ms=100)
    coordinator.start(0)
    coordinator.tick(100)

    with pytest.raises(InternalError, match="answered by stranger"):
        coordinator.acknowledge(1, "stranger", None, 110)
    with pytest.raises(InternalError, match="answered by stranger"):
        coordinator.decline(1, "stranger", NO, 110)
    with pytest.raises(InternalError, match="checkpoint 2 was answered"):
        coordinator.acknowledge(2, "a", None, 110)
    with pytest.raises(InternalError, match="at least one participant"):
        CheckpointCoordinator((), CoordinatorSettings(1))


def fail_once(coordinator: CheckpointCoordinator, checkpoint_id: int, now: int) -> list[Command]:
    coordinator.acknowledge(checkpoint_id, "a", None, now)
    return coordinator.persist_failed(checkpoint_id, FULL, now)


def test_more_failures_in_a_row_than_tolerated_fail_the_run():
    """The error says which failure it was, why, that a restart may help, and keeps its cause."""
    coordinator = coordinator_of(interval_ms=100, tolerable_failures=2)
    coordinator.start(0)
    for checkpoint_id in (1, 2):
        coordinator.tick(checkpoint_id * 100)
        assert fail_once(coordinator, checkpoint_id, checkpoint_id * 100) == [
            Abandon(checkpoint_id, "disk full")
        ]
    coordinator.tick(300)

    abandon, fail = fail_once(coordinator, 3, 300)

    assert abandon == Abandon(3, "disk full")
    assert isinstance(fail, Fail)
    assert isinstance(fail.error, CheckpointError)
    assert fail.error.retryable
    assert "checkpoint 3 failed: disk full; it is failure 3 in a row" in fail.error.message
    assert str(fail.error.__cause__) == "disk full"
    assert coordinator.tick(10_000) == []
    assert coordinator.next_deadline() is None


def test_a_success_forgives_the_failures_before_it():
    """Only consecutive failures count."""
    coordinator = coordinator_of(interval_ms=100, tolerable_failures=1)
    coordinator.start(0)
    for checkpoint_id in range(1, 10, 2):
        coordinator.tick(checkpoint_id * 100)
        assert fail_once(coordinator, checkpoint_id, checkpoint_id * 100) == [
            Abandon(checkpoint_id, "disk full")
        ]
        coordinator.tick(checkpoint_id * 100 + 100)
        assert complete(coordinator, checkpoint_id + 1, checkpoint_id * 100 + 100) == [
            Clean(checkpoint_id + 1)
        ]


def test_a_checkpoint_that_fails_twice_over_counts_once():
    """Two participants that decline the same checkpoint are one failure."""
    coordinator = coordinator_of("a", "b", interval_ms=100, tolerable_failures=1)
    coordinator.start(0)
    coordinator.tick(100)

    assert coordinator.decline(1, "a", NO, 110) == [Abandon(1, "a declined: no")]
    assert coordinator.decline(1, "b", NO, 110) == []
    assert coordinator.persist_failed(1, NO, 110) == []
    assert coordinator.tick(200) == [trigger(2)]


def test_an_error_that_no_retry_can_help_fails_the_run_at_once():
    """Who is fenced must leave, not try again."""
    coordinator = coordinator_of(interval_ms=100)
    coordinator.start(0)
    coordinator.tick(100)
    coordinator.acknowledge(1, "a", None, 110)
    fenced = Fenced("attempt 2 has taken over")

    assert coordinator.persist_failed(1, fenced, 120) == [Fail(fenced)]
    assert coordinator.tick(10_000) == []


@pytest.mark.parametrize("kind", [STOP, FINAL])
def test_an_ending_checkpoint_is_tried_again_until_the_tolerated_failures_are_used_up(kind):
    """A run ends with its last checkpoint, or fails with a name: it never ends silently."""
    coordinator = coordinator_of(tolerable_failures=2, min_pause_ms=60_000)
    coordinator.start(0)

    assert coordinator.request(kind, 1) == [trigger(1, kind)]
    assert coordinator.decline(1, "a", NO, 2) == [
        Abandon(1, "a declined: no"),
        trigger(2, kind),
    ]
    assert coordinator.decline(2, "a", NO, 3) == [
        Abandon(2, "a declined: no"),
        trigger(3, kind),
    ]
    assert [type(c) for c in coordinator.decline(3, "a", NO, 4)] == [Abandon, Fail]


def test_a_failed_savepoint_is_not_tried_again():
    """The caller that requested it gets the error, and decides."""
    coordinator = coordinator_of()
    coordinator.start(0)
    coordinator.request(SAVEPOINT, 1)

    assert coordinator.decline(1, "a", NO, 2) == [Abandon(1, "a declined: no")]


def test_without_interval_and_rows_only_requests_trigger():
    """A source that cannot resume makes the job one epoch: its only checkpoint is the final one."""
    coordinator = coordinator_of()
    coordinator.start(0)

    assert coordinator.next_deadline() is None
    assert coordinator.rows_emitted(1_000_000, 1_000_000) == []
    assert coordinator.tick(1_000_000) == []
    assert coordinator.request(FINAL, 1_000_000) == [trigger(1, FINAL)]


def test_ids_begin_where_the_storage_says():
    """Numbers never restart, and what was never persisted is undecided."""
    coordinator = coordinator_of(first_checkpoint_id=42, interval_ms=100)
    coordinator.start(0)
    assert coordinator.undecided_from == 42
    assert coordinator.tick(100) == [trigger(42)]
    assert coordinator.undecided_from == 42

    coordinator.acknowledge(42, "a", None, 110)

    assert coordinator.undecided_from == 43
    coordinator.persist_failed(42, CheckpointError("maybe it is there"), 120)
    coordinator.tick(200)
    assert coordinator.undecided_from == 43


def test_a_full_sink_hastens_the_checkpoint():
    """It comes before its interval, after the pause, once; where none is taken by time or rows too."""
    for settings in ({"interval_ms": 1000}, {"rows": 1000}):
        coordinator = coordinator_of(min_pause_ms=50, **settings)
        coordinator.start(0)

        assert coordinator.hasten(10) == []
        assert coordinator.next_deadline() == 50
        assert coordinator.tick(50) == [trigger(1)]
        assert complete(coordinator, 1, 60) == [Clean(1)]
        assert coordinator.tick(900) == []
        assert coordinator.hasten(900) == [trigger(2)]
