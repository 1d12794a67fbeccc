"""Which changes of a job a checkpoint survives: the job of the manifest against the job of the next run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Manifest, Part
from checkpoint.storage.base import StorageAttempt
from connectors import CollectionSource, CollectSink
from pipeline.api.job import StreamJob
from pipeline.core.errors import CheckpointError, Fault
from pipeline.core.job import JobMode
from pipeline.runtime.manifests import Execution, ManifestWriter
from pipeline.runtime.matching import check_matches
from pipeline.runtime.snapshot import (
    EncodedState,
    OperatorSnapshot,
    Participant,
    SinkSnapshot,
    SubtaskSnapshot,
)
from pipeline.testing.clock import ManualClock
from pipeline.windows.assigners import SlidingTimeWindows, TumblingTimeWindows, WindowAssigner
from pipeline.windows.watermarks import WatermarkStrategy


class Storage:
    """Takes what a writer stores and forgets it."""

    number = 1

    def write_manifest(self, manifest: Manifest) -> None:
        pass


def job(source: str = "in", operator: str | None = "sum", sink: str = "out") -> StreamJob:
    """One chain, its uids chosen; without an operator it goes straight into the sink."""
    made = StreamJob("totals", mode=JobMode.SQL_TASK)
    stream: Any = made.source(CollectionSource([1]), uid=source)
    if operator is not None:
        stream = stream.key_by(str).reduce(max, uid=operator)
    stream.sink(CollectSink(), uid=sink)
    return made


def chains(*uids: tuple[str, str]) -> StreamJob:
    """Sources and sinks side by side, each pair a chain of its own."""
    made = StreamJob("totals", mode=JobMode.SQL_TASK)
    for source, sink in uids:
        made.source(CollectionSource([1]), uid=source).sink(CollectSink(), uid=sink)
    return made


def united(*sources: str, sinks: tuple[str, ...] = ("out",)) -> StreamJob:
    """Sources that meet, and the sinks of what they make together."""
    made = StreamJob("totals", mode=JobMode.SQL_TASK)
    first, *others = [made.source(CollectionSource([1]), uid=uid) for uid in sources]
    stream = first.union(*others) if others else first
    for sink in sinks:
        stream.sink(CollectSink(), uid=sink)
    return made


def execution(of: StreamJob, **parallelism: int) -> Execution:
    graph = of.stream_graph()
    return Execution(graph, "e", "l", 128, {node.uid: parallelism.get(node.uid, 1) for node in graph.nodes})


def manifest_of(of: StreamJob, handles: Mapping[str, Any] | None = None) -> Manifest:
    """Return checkpoint 7 of a job; `handles` are what its sinks have to commit."""
    graph = of.stream_graph()
    operators = [node.uid for node in graph.nodes if node.spec and node.keeps_state]
    snapshot = SubtaskSnapshot(
        Participant("all", 0),
        sources={node.uid: 1 for node in graph.sources},
        operators=[OperatorSnapshot(uid, 0, EncodedState(b"state"), None) for uid in operators],
        parts=[Part("000000000007-part", uid, 0, "digest", 5) for uid in operators],
        sinks=[SinkSnapshot(node.uid, 0, 1, (handles or {}).get(node.uid, [])) for node in graph.sinks],
    )
    writer = ManifestWriter(cast("StorageAttempt", Storage()), execution(of), None, ManualClock())
    return writer.write(7, CheckpointKind.PERIODIC, [snapshot])


def refusal(before: StreamJob, after: StreamJob, *, allowed: bool) -> CheckpointError | None:
    """Continue one job as another; return why that is refused, None if it is not."""
    try:
        check_matches(manifest_of(before), execution(after), noted=True, allow_unmatched=allowed)
    except CheckpointError as error:
        return error
    return None


@pytest.mark.parametrize("noted", [True, False])
def test_the_same_job_matches(noted: bool) -> None:
    check_matches(manifest_of(job()), execution(job()), noted=noted, allow_unmatched=False)


def test_an_operator_may_be_new() -> None:
    """It begins with empty state."""
    assert refusal(job(operator=None), job(), allowed=False) is None


def test_state_that_no_operator_wants_is_refused_unless_told_otherwise() -> None:
    error = refusal(job(operator="gone"), job(), allowed=False)
    assert error is not None
    assert "checkpoint 7 holds state of 'gone', which the job does not have" in error.message
    assert "--allow-unmatched-state" in str(error.hint)
    assert not error.retryable
    assert refusal(job(operator="gone"), job(), allowed=True) is None


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        (job("old.csv"), job("new.csv"), "sum, out"),
        (job("old.csv", None), job("new.csv", None), "out"),
        (job("old.csv", sink="old"), job("new.csv", sink="new"), "sum"),
        (united("a", "old.csv"), united("a", "new.csv"), "out"),
        (united("a", "old.csv"), united("a"), "out"),
    ],
    ids=["chain", "no state", "state without its sink", "one of two", "one of two, without another"],
)
def test_a_position_is_not_dropped_under_what_its_records_became(
    before: StreamJob, after: StreamJob, kept: str, allowed: bool
) -> None:
    """Else the output holds a part of the old input and all of the new, with exit status 0."""
    error = refusal(before, after, allowed=allowed)
    assert error is not None
    assert "holds the position of source 'old.csv', which the job does not have" in error.message
    assert f"{kept} would keep what was made of its records" in error.message
    assert_hint_is_fresh(error)


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (job(sink="old.csv"), job(sink="new.csv")),
        (united("a", "b", sinks=("old.csv",)), united("a", "b", sinks=("new.csv",))),
        (united("a", sinks=("kept", "old.csv")), united("a", sinks=("kept", "new.csv"))),
    ],
    ids=["chain", "two sources", "one of two"],
)
def test_what_a_sink_has_written_is_not_dropped_for_another_in_its_place(
    before: StreamJob, after: StreamJob, allowed: bool
) -> None:
    """Else the new output lacks what went to the old one."""
    error = refusal(before, after, allowed=allowed)
    assert error is not None
    assert "holds what sink 'old.csv' has written, which the job does not have" in error.message
    assert "new.csv would get only the records that are left" in error.message
    assert_hint_is_fresh(error)


def assert_hint_is_fresh(error: CheckpointError) -> None:
    assert "start over with --fresh: all input is read again" in str(error.hint)
    assert "--allow-unmatched-state" not in str(error.hint)
    assert error.fault is Fault.USER


def test_an_output_that_nothing_replaces_can_end() -> None:
    """The others have what they had and continue; it takes the flag, since what was staged is given up."""
    before, after = united("a", sinks=("kept", "gone")), united("a", sinks=("kept",))
    error = refusal(before, after, allowed=False)
    assert error is not None
    assert "--allow-unmatched-state" in str(error.hint)
    assert "--fresh" in str(error.hint)
    assert refusal(before, after, allowed=True) is None


def test_a_chain_of_its_own_can_go_and_another_come() -> None:
    """Source and sink together: nothing of the old is mixed with anything of the new."""
    before = chains(("a", "a.csv"), ("b", "b.csv"))
    for after in (chains(("a", "a.csv")), chains(("a", "a.csv"), ("c", "c.csv"))):
        assert refusal(before, after, allowed=False) is not None
        assert refusal(before, after, allowed=True) is None


def test_a_checkpoint_that_does_not_say_who_fed_whom_keeps_all_together() -> None:
    """As one of an earlier release."""
    manifest = manifest_of(chains(("a", "a.csv"), ("b", "b.csv")))
    graph = {
        uid: {key: fact for key, fact in facts.items() if key != "sources"}
        for uid, facts in manifest.graph.items()
    }
    with pytest.raises(CheckpointError, match=r"a\.csv would keep what was made"):
        check_matches(
            replace(manifest, graph=graph),
            execution(chains(("a", "a.csv"))),
            noted=True,
            allow_unmatched=True,
        )


@pytest.mark.parametrize("allowed", [True, False])
def test_an_epoch_that_is_not_committed_yet_is_never_dropped(allowed: bool) -> None:
    """Its sink is gone: even allowed, dropping it would lose output that is decided."""
    before, after = united("a", sinks=("kept", "gone")), execution(united("a", sinks=("kept",)))
    manifest = manifest_of(before, {"gone": ["handle"]})
    with pytest.raises(CheckpointError) as raised:
        check_matches(manifest, after, noted=False, allow_unmatched=allowed)
    assert raised.value.hint == "its last epoch is not committed yet: run the job once as it was"
    check_matches(manifest, after, noted=True, allow_unmatched=True)
    check_matches(manifest_of(before), after, noted=False, allow_unmatched=True)


def described(change: Callable[[dict[str, Any]], None]) -> Manifest:
    """Return checkpoint 7 of the job, its operator `sum` described otherwise."""
    manifest = manifest_of(job())
    graph = {uid: {**facts} for uid, facts in manifest.graph.items()}
    change(graph["sum"])
    return replace(manifest, graph=graph)


def test_another_operator_under_the_uid_is_refused() -> None:
    manifest = described(lambda facts: facts.update(kind="aggregate"))
    with pytest.raises(
        CheckpointError, match="state of 'sum' as aggregate, the job has it as reduce"
    ) as raised:
        check_matches(manifest, execution(job()), noted=True, allow_unmatched=True)
    assert raised.value.fault is Fault.USER


MINUTE = timedelta(minutes=1)
MINUTES = "tumbling 1 min, event time"


def windowed(windows: WindowAssigner | None, *, event_time: bool = True) -> StreamJob:
    """A fold of the uid `sum`, in windows or without any."""
    made = StreamJob("totals", mode=JobMode.SQL_TASK)
    strategy = WatermarkStrategy.monotonic(timestamp=int) if event_time else None
    keyed = made.source(CollectionSource([1]), strategy, uid="in").key_by(str)
    folded = keyed.reduce(max, uid="sum") if windows is None else keyed.window(windows).reduce(max, uid="sum")
    folded.sink(CollectSink(), uid="out")
    return made


@pytest.mark.parametrize(
    ("after", "described"),
    [
        (windowed(TumblingTimeWindows.of(MINUTE / 3)), "in windows (tumbling 20 s, event time)"),
        (windowed(TumblingTimeWindows.of(MINUTE * 2)), "in windows (tumbling 2 min, event time)"),
        (
            windowed(TumblingTimeWindows.of(MINUTE, MINUTE / 2)),
            "in windows (tumbling 1 min, offset 30 s, event time)",
        ),
        (
            windowed(SlidingTimeWindows.of(MINUTE, MINUTE / 2)),
            "in windows (sliding 1 min every 30 s, event time)",
        ),
        (
            windowed(TumblingTimeWindows.of(MINUTE), event_time=False),
            "in windows (tumbling 1 min, processing time)",
        ),
        (windowed(None), "without windows"),
    ],
)
def test_state_is_not_taken_into_other_windows(after: StreamJob, described: str) -> None:
    """Records would vanish or be counted in windows that never were: refused, with what the state has."""
    before = windowed(TumblingTimeWindows.of(MINUTE))
    check_matches(manifest_of(before), execution(before), noted=True, allow_unmatched=False)
    for here, there in ((before, after), (after, before)):
        with pytest.raises(CheckpointError) as raised:
            check_matches(manifest_of(here), execution(there), noted=True, allow_unmatched=True)
        assert f"in windows ({MINUTES})" in raised.value.message
        assert described in raised.value.message
        assert "--allow-unmatched-state" in str(raised.value.hint)
        assert raised.value.fault is Fault.USER


def test_a_checkpoint_that_says_nothing_of_windows_is_accepted() -> None:
    """Older releases did not store it."""
    before = windowed(TumblingTimeWindows.of(MINUTE))
    manifest = manifest_of(before)
    old = {uid: {k: v for k, v in each.items() if k != "windows"} for uid, each in manifest.graph.items()}
    check_matches(replace(manifest, graph=old), execution(before), noted=True, allow_unmatched=False)


def test_the_number_of_key_groups_cannot_change() -> None:
    with pytest.raises(CheckpointError, match="kept in 128 key groups, max_parallelism is 64") as raised:
        check_matches(
            manifest_of(job()),
            replace(execution(job()), max_parallelism=64),
            noted=True,
            allow_unmatched=False,
        )
    assert raised.value.hint == "set max_parallelism=128"


def test_where_nothing_is_kept_by_key_it_may() -> None:
    plain = job(operator=None)
    check_matches(
        manifest_of(plain), replace(execution(plain), max_parallelism=64), noted=True, allow_unmatched=False
    )


def test_keyed_state_may_be_spread_otherwise_but_not_a_sink() -> None:
    """Keys move with their groups; what a sink's subtask has written is its own."""
    check_matches(manifest_of(job()), execution(job(), sum=5), noted=True, allow_unmatched=False)
    with pytest.raises(
        CheckpointError, match="sink 'out' was written by 1 subtasks, the job has 3"
    ) as raised:
        check_matches(manifest_of(job()), execution(job(), out=3), noted=True, allow_unmatched=False)
    assert raised.value.hint == "keep its parallelism at 1"


def test_a_buffer_keeps_its_queues() -> None:
    """A record in another queue would come out of order."""
    before = replace(execution(job()), lanes={"backpressure:in": 2})
    manifest = replace(manifest_of(job()), graph=before.describe_graph())
    check_matches(manifest, before, noted=True, allow_unmatched=False)
    after = replace(before, lanes={"backpressure:in": 3})
    with pytest.raises(CheckpointError, match="'backpressure:in' was kept in 2 queues, the job has 3"):
        check_matches(manifest, after, noted=True, allow_unmatched=False)
