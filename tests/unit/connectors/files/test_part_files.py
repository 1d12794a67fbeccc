"""FileSink with rolling: parts of whole epochs, numbered once and for all."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from connectors import FileSink, RollingPolicy
from connectors.files import commit, sink, staging
from connectors.files.part_numbers import PartNumbers
from pipeline.core.errors import ConfigError, Fault, SinkError
from pipeline.spi.sink import CommitOutcome, RecoveryChoices
from pipeline.testing.drivers import VerificationSinkContext, loaded


def row(n: int) -> dict[str, int]:
    return {"n": n}


def parts(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.csv"))}


@pytest.fixture
def rolling(out: Path) -> FileSink:
    return FileSink(out / "report.csv", rolling=RollingPolicy())


def committed(attempt) -> Any:
    state, handle = attempt.barrier()
    if handle is not None:
        attempt.sink.commit(handle)
    return state


def test_each_epoch_with_data_is_a_part_with_a_header(rolling, out, start) -> None:
    """An epoch without data makes no part and uses up no number."""
    attempt = start(rolling)
    for values in ([row(1), row(2)], [], [row(3)]):
        attempt.write(*values)
        committed(attempt)
    assert parts(out) == {"report-0-000000.csv": b"n\n1\n2\n", "report-0-000001.csv": b"n\n3\n"}


def test_a_part_holds_exactly_as_many_rows_as_allowed(out, start) -> None:
    """However the records were batched."""
    attempt = start(FileSink(out / "report.csv", rolling=RollingPolicy(max_rows=2)))
    attempt.write(row(1))
    attempt.write(*map(row, range(2, 6)))
    committed(attempt)
    assert list(parts(out).values()) == [b"n\n1\n2\n", b"n\n3\n4\n", b"n\n5\n"]


def test_a_part_ends_with_the_batch_that_fills_it(out, start) -> None:
    attempt = start(FileSink(out / "report.csv", rolling=RollingPolicy(max_bytes=6)))
    for n in range(1, 6):
        attempt.write(row(n))
    committed(attempt)
    assert list(parts(out).values()) == [b"n\n1\n2\n", b"n\n3\n4\n", b"n\n5\n"]


def test_a_restored_attempt_continues_with_the_next_number(rolling, out, start, names) -> None:
    """What was staged and not decided is cleaned away, and its number is used for the same rows."""
    first = start(rolling)
    first.write(row(1))
    state = committed(first)
    first.write(row(2))
    first.barrier()  # decided by no manifest
    second = start(rolling, 2, state)
    assert names() == ["report-0-000000.csv"]
    second.write(row(2))
    committed(second)
    assert parts(out) == {"report-0-000000.csv": b"n\n1\n", "report-0-000001.csv": b"n\n2\n"}


def test_a_part_of_another_job_is_not_overwritten(rolling, out, start) -> None:
    """It was written while this one was down, after the parts that were there: no lock was held."""
    first = start(rolling)
    first.write(row(1))
    state = committed(first)
    first.sink.close()
    stranger = copy.copy(rolling)
    ctx = VerificationSinkContext(job_name="stranger", lineage="other")
    stranger.open(ctx)
    stranger.recover_and_abort([])
    txn = stranger.begin_transaction()
    stranger.invoke_batch(txn, [row(5)], ctx)
    stranger.commit(stranger.pre_commit(txn))
    stranger.close()
    before = parts(out)
    with pytest.raises(
        SinkError, match=r"report-0-000001\.csv is there, and this job has not written it"
    ) as e:
        start(rolling, 2, state)
    assert (e.value.retryable, e.value.fault) == (False, Fault.CONFIG)
    assert parts(out) == before == {"report-0-000000.csv": b"n\n1\n", "report-0-000001.csv": b"n\n5\n"}


def test_one_that_goes_back_writes_its_later_parts_again(rolling, out, start) -> None:
    first = start(rolling)
    first.write(row(1))
    state = committed(first)
    first.write(row(2))
    committed(first)
    first.sink.close()
    back = copy.copy(rolling)
    ctx = VerificationSinkContext(attempt=2, choices=RecoveryChoices(accept_duplicates=True))
    back.open(ctx)
    back.restore_state(loaded(state))
    back.recover_and_abort([])
    txn = back.begin_transaction()
    back.invoke_batch(txn, [row(2), row(3)], ctx)
    back.commit(back.pre_commit(txn))
    back.close()
    assert parts(out) == {"report-0-000000.csv": b"n\n1\n", "report-0-000001.csv": b"n\n2\n3\n"}


def test_a_number_is_not_given_again_though_its_part_has_been_taken_away(rolling, out, start) -> None:
    """Somebody may move parts elsewhere as they appear: two of one name would meet there."""
    first = start(rolling)
    first.write(row(1))
    state = committed(first)
    (out / "report-0-000000.csv").unlink()
    second = start(rolling, 2, state)
    second.write(row(2))
    committed(second)
    assert list(parts(out)) == ["report-0-000001.csv"]


def test_an_aborted_epoch_leaves_nothing_behind(rolling, start, names) -> None:
    """Whether it was pre-committed or not."""
    attempt = start(rolling)
    attempt.write(row(1))
    _, handle = attempt.barrier()
    attempt.write(row(2))
    attempt.sink.abort(handle)
    attempt.sink.abort(attempt.txn)
    attempt.sink.close()
    assert names() == []


def test_a_job_that_starts_over_never_replaces_a_part(rolling, out, start) -> None:
    """It continues after the highest number present; names that only look alike do not count."""
    for name in ("report-0-000007.csv", "report-0-x.csv", "report-0-9.txt", "report-1-000050.csv"):
        out.mkdir(exist_ok=True)
        (out / name).write_bytes(b"before")
    attempt = start(rolling)
    attempt.write(row(1))
    committed(attempt)
    assert parts(out)["report-0-000008.csv"] == b"n\n1\n"
    assert parts(out)["report-0-000007.csv"] == b"before"


def test_the_number_counts_before_the_epoch_is_pre_committed_too(rolling, start) -> None:
    """A snapshot taken while a part is open already covers its number."""
    attempt = start(rolling)
    attempt.write(row(1))
    assert attempt.sink.snapshot_state()["next_part"] == 1


def test_subtasks_have_parts_of_their_own(rolling, out) -> None:
    for subtask in (0, 1):
        ctx = VerificationSinkContext(subtask=subtask, parallelism=2)
        one = copy.copy(rolling)
        one.open(ctx)
        one.recover_and_abort([])
        txn = one.begin_transaction()
        one.invoke(txn, row(subtask), ctx)
        assert one.commit(one.pre_commit(txn)) is CommitOutcome.COMMITTED
        one.close()
    assert list(parts(out)) == ["report-0-000000.csv", "report-1-000000.csv"]


def test_an_epoch_with_a_lost_part_is_not_committed_by_halves(out, start) -> None:
    """If one part can never become visible, none does."""
    attempt = start(FileSink(out / "report.csv", rolling=RollingPolicy(max_rows=1)))
    attempt.write(row(1), row(2))
    _, handle = attempt.barrier()
    Path(handle["files"][1]["staged"]).unlink()
    with pytest.raises(SinkError, match="is gone"):
        attempt.sink.commit(handle)
    assert parts(out) == {}


def test_a_crash_between_two_renames_is_continued(out, start, monkeypatch) -> None:
    """P12: the first part has its name, the process dies; the next one commits the rest."""
    attempt = start(FileSink(out / "report.csv", rolling=RollingPolicy(max_rows=1)))
    attempt.write(row(1), row(2))
    _, handle = attempt.barrier()

    def crash(name: str) -> None:
        assert name == "P12"
        raise KeyboardInterrupt

    monkeypatch.setattr(commit, "faultpoint", crash)
    with pytest.raises(KeyboardInterrupt):
        attempt.sink.commit(handle)
    assert len(parts(out)) == 1
    monkeypatch.undo()
    rolling = FileSink(out / "report.csv", rolling=RollingPolicy(max_rows=1))
    assert start(rolling, 2, decided=[handle]).recovered == [CommitOutcome.COMMITTED]
    assert start(rolling, 3, decided=[handle]).recovered == [CommitOutcome.ALREADY_COMMITTED]
    assert list(parts(out).values()) == [b"n\n1\n", b"n\n2\n"]


def test_a_crash_while_cleaning_up_is_continued(rolling, start, names, monkeypatch) -> None:
    """P16c: some of what was left behind is gone, the next attempt removes the rest."""
    first = start(rolling)
    for n in range(3):
        first.write(row(n))
        first.barrier()
    passed: list[str] = []

    def crash(name: str) -> None:
        passed.append(name)
        if len(passed) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(staging, "faultpoint", crash)
    with pytest.raises(KeyboardInterrupt):
        start(rolling, 2)
    assert passed == ["P16c", "P16c"]
    assert names() == ["staged", "staged"]
    monkeypatch.undo()
    start(rolling, 3)
    assert names() == []


def test_what_cannot_be_cleaned_away_is_logged(rolling, start, names, monkeypatch, caplog) -> None:
    """It costs space and nothing else: the job continues."""
    first = start(rolling)
    first.write(row(1))
    first.barrier()

    def fail(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", fail)
    start(rolling, 2)
    monkeypatch.undo()
    assert names() == ["staged"]
    assert "cannot remove" in caplog.text


def test_a_later_attempts_files_are_not_touched(rolling, start, names) -> None:
    """An attempt that was suspended in its recovery and resumes cleans up after earlier ones only."""
    stopped = start(rolling, 4)
    later = start(rolling, 5)
    later.write(row(1))
    stopped.sink.recover_and_abort([])
    assert names() == ["staged"]


class TestExisting:
    """Parts that are there when a run starts from the beginning."""

    @pytest.fixture
    def earlier(self, rolling, out, start) -> None:
        attempt = start(rolling)
        for n in (1, 2):
            attempt.write(row(n))
            committed(attempt)
        attempt.sink.close()

    def sink(self, out: Path, existing: Any) -> FileSink:
        return FileSink(out / "report.csv", rolling=RollingPolicy(existing=existing))

    def test_they_stay_by_default_and_that_is_said(self, earlier, rolling, out, start) -> None:
        attempt = start(rolling, 2)
        attempt.write(row(3))
        committed(attempt)
        assert len(parts(out)) == 3
        assert attempt.sink.remarks == [f"{out}/report-*.csv: 2 parts are from before this run"]

    def test_they_are_replaced_with_the_first_commit(self, earlier, out, start, monkeypatch) -> None:
        """Not before: a run that fails early has taken nothing away. Numbers are not given again."""
        attempt = start(self.sink(out, "replace"), 2)
        attempt.write(row(3))
        _, handle = attempt.barrier()
        assert len(parts(out)) == 2
        monkeypatch.setattr(Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            attempt.sink.commit(handle)
        monkeypatch.undo()
        heir = start(self.sink(out, "replace"), 3, json.dumps(attempt.sink.snapshot_state()), [handle])
        assert heir.recovered == [CommitOutcome.COMMITTED]
        assert parts(out) == {"report-0-000002.csv": b"n\n3\n"}
        heir.write(row(4))
        committed(heir)
        assert len(parts(out)) == 2
        assert heir.sink.remarks == []

    def test_a_run_without_records_replaces_them_too(self, earlier, out, start) -> None:
        attempt = start(self.sink(out, "replace"), 2)
        committed(attempt)
        assert parts(out) == {}

    def test_they_are_refused_before_anything_is_read(self, earlier, out, start) -> None:
        with pytest.raises(SinkError, match=r"2 parts of .*report\.csv already exist") as caught:
            start(self.sink(out, "refuse"), 2)
        assert caught.value.fault is Fault.CONFIG
        assert not caught.value.retryable

    def test_no_such_choice(self) -> None:
        with pytest.raises(ConfigError, match="existing must be one of append, replace, refuse, not 'keep'"):
            RollingPolicy(existing="keep")  # type: ignore[arg-type]


@pytest.mark.parametrize("existing", ["append", "replace", "refuse"])
def test_parts_of_a_run_that_is_given_up_are_replaced(existing, out, start) -> None:
    """Those alone: what an earlier complete run made follows the choice."""
    policy: Any = RollingPolicy(existing=existing)
    if existing == "append":
        (out).mkdir()
        (out / "report-0-000004.csv").write_bytes(b"complete")
    first = start(FileSink(out / "report.csv", rolling=policy))
    first.write(row(1))
    state = json.loads(committed(first))  # type: ignore[arg-type]
    first.sink.close()
    second = copy.copy(first.sink)
    ctx = VerificationSinkContext(attempt=2)
    second.open(ctx)
    second.give_up(state)
    second.recover_and_abort([])
    txn = second.begin_transaction()
    second.invoke(txn, row(2), ctx)
    second.commit(second.pre_commit(txn))
    second.close()
    kept = {"report-0-000004.csv": b"complete", "report-0-000006.csv": b"n\n2\n"}
    assert parts(out) == (kept if existing == "append" else {"report-0-000001.csv": b"n\n2\n"})


def crash(*arguments: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("limits", [{"max_rows": 0}, {"max_bytes": -1}])
def test_limits_out_of_range_are_refused(limits) -> None:
    with pytest.raises(ConfigError, match=r"RollingPolicy: max_(rows|bytes) must be at least 1"):
        RollingPolicy(**limits)


def test_a_whole_file_runs_as_one_subtask_and_parts_as_any_number(rolling, out) -> None:
    assert sink.FileSink(out / "report.csv").info.max_parallelism == 1
    assert rolling.info.max_parallelism > 100


def test_two_ways_to_say_a_path_are_one_output(tmp_path, monkeypatch) -> None:
    """So that two sinks of a job cannot replace each other's file, or each other's parts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    whole = {sink.FileSink(path).info.owns for path in ("o.csv", "./o.csv", tmp_path / "link" / "o.csv")}
    parts = {
        sink.FileSink(path, rolling=RollingPolicy(max_rows=rows)).info.owns
        for path, rows in (("o.csv", 1), (tmp_path / "o.csv", 2))
    }
    assert len(whole) == len(parts) == 1
    assert whole != parts


def test_parts_of_subtasks_that_are_no_more_are_seen_to_as_well(out) -> None:
    """A run of one subtask replaces, or refuses, what an earlier one of two has written."""
    out.mkdir()
    for subtask in (0, 1, 2):
        (out / f"report-{subtask}-000000.csv").write_text("n\n")
    final = out / "report.csv"
    first, second = (PartNumbers(final, subtask, 2, "replace") for subtask in (0, 1))
    assert [path.name for path in first.begin()] == ["report-0-000000.csv", "report-2-000000.csv"]
    assert [path.name for path in second.begin()] == ["report-1-000000.csv"]
    with pytest.raises(SinkError, match="3 parts of"):
        PartNumbers(final, 0, 1, "refuse").begin()


def test_a_run_that_is_given_up_takes_no_part_of_another_subtask_along(out) -> None:
    """Each subtask has numbers of its own: the same one may be from before."""
    out.mkdir()
    for subtask, number in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        (out / f"report-{subtask}-{number:06d}.csv").write_text("n\n")
    numbers = PartNumbers(out / "report.csv", 0, 1, "append")
    given_up = {"file_path": str(out / "report.csv"), "subtask": 0, "first_part": 1, "next_part": 2}
    numbers.give_up(given_up)
    assert [path.name for path in numbers.begin()] == ["report-0-000001.csv"]
