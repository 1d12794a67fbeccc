"""FileSink, one file: it appears whole at the end, and continues after a crash from its checkpoint."""

from __future__ import annotations

import copy
import errno
import fcntl
import json
import os
import stat
import struct
from pathlib import Path

import pytest

from connectors import FileSink, RollingPolicy
from connectors.files import staging
from pipeline.core.errors import Fault, Fenced, JobAlreadyRunning, SinkError
from pipeline.spi.sink import CommitOutcome, RecoveryChoices
from pipeline.testing.drivers import VerificationSinkContext


def row(n: int) -> dict[str, int]:
    return {"n": n}


@pytest.fixture
def report(out: Path) -> FileSink:
    return FileSink(out / "report.csv")


def test_the_file_appears_only_at_the_end(report, out, start, names) -> None:
    """Until the commit of the last epoch there is a hidden file beside it; missing folders are made."""
    attempt = start(report)
    for n in range(3):
        attempt.write(row(n))
        assert attempt.barrier()[1] is None
        assert names() == ["staged"]
    attempt.complete(row(3))
    assert names() == ["report.csv"]
    assert (out / "report.csv").read_bytes() == b"n\n0\n1\n2\n3\n"


def test_a_report_without_rows_is_an_empty_file(out, start) -> None:
    """With its header, if the fields are known."""
    start(FileSink(out / "none.csv")).complete()
    start(FileSink(out / "named.csv", fields=["a", "b"])).complete()
    start(FileSink(out / "none.jsonl")).complete()
    assert (out / "none.csv").read_bytes() == b""
    assert (out / "named.csv").read_bytes() == b"a,b\n"
    assert (out / "none.jsonl").read_bytes() == b""


def test_the_snapshot_says_what_is_written(report, out, start) -> None:
    """The names of the metadata tables, and what a restore needs."""
    attempt = start(report)
    attempt.write(row(1), row(2))
    state = json.loads(attempt.barrier()[0])
    assert {key: state[key] for key in ("type", "file_path", "bytes_written", "rows_written")} == {
        "type": "file",
        "file_path": str(out / "report.csv"),
        "bytes_written": 6,
        "rows_written": 2,
    }
    assert Path(state["staged"]).read_bytes() == b"n\n1\n2\n"


def inodes(out: Path) -> dict[int, int]:
    """The size of each staged file, by its inode."""
    return {path.stat().st_ino: path.stat().st_size for path in out.glob(".*.staged")}


class TestContinuing:
    """What is staged is continued where it is: a report of half the disk needs no second half."""

    def test_in_place_once_nobody_else_can_write_to_it(self, report, out, start) -> None:
        first = start(report)
        first.write(row(1))
        state, _ = first.barrier()
        first.write(row(2), row(3))
        first.sink.flush()
        (before,) = inodes(out)
        first.sink.close()
        second = start(report, 2, state)
        assert inodes(out) == {before: len(b"n\n1\n")}  # what is beyond the checkpoint is gone
        second.complete(row(2))
        assert (out / "report.csv").read_bytes() == b"n\n1\n2\n"
        assert (out / "report.csv").stat().st_ino == before

    def test_attempts_that_die_before_a_checkpoint_find_it_under_its_new_names(
        self, report, out, start, names
    ) -> None:
        first = start(report)
        first.write(row(1))
        state, _ = first.barrier()
        first.sink.close()
        before = inodes(out)
        for attempt in (2, 3):
            dying = start(report, attempt, state)
            dying.write(row(666))
            dying.sink.flush()
            dying.sink.close()
        last = start(report, 4, state)
        assert inodes(out) == before
        last.complete(row(2))
        assert (out / "report.csv").read_bytes() == b"n\n1\n2\n"
        assert names() == ["report.csv"]

    def test_an_earlier_attempt_that_wakes_up_in_its_clean_up_does_not_remove_it(
        self, report, out, start
    ) -> None:
        first = start(report)
        first.write(row(1))
        state, _ = first.barrier()
        first.sink.close()
        stopped = copy.copy(report)
        stopped.open(VerificationSinkContext(attempt=2))
        heir = start(report, 3, state)
        stopped.recover_and_abort([])
        heir.complete(row(2))
        assert (out / "report.csv").read_bytes() == b"n\n1\n2\n"
        stopped.close()

    def test_a_copy_where_the_file_system_has_no_locks(self, report, out, start, monkeypatch) -> None:
        """Nothing tells there whether the process that wrote it lives."""

        def flock(descriptor: int, operation: int) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", flock)
        first = start(report)
        first.write(row(1))
        state, _ = first.barrier()
        (before,) = inodes(out)
        first.sink.close()
        start(report, 2, state).complete(row(2))
        assert (out / "report.csv").read_bytes() == b"n\n1\n2\n"
        assert (out / "report.csv").stat().st_ino != before

    def test_a_copy_that_finds_no_room_says_both_sizes(self, report, out, start, monkeypatch) -> None:
        """Before a byte is written; with the process that may write to it gone, none is needed."""
        zombie = start(report)
        zombie.write(row(1), row(2))
        state, _ = zombie.barrier()
        space = os.statvfs(out)
        full = os.statvfs_result((*space[:4], 0, *space[5:]))
        monkeypatch.setattr(os, "statvfs", lambda path: full)
        with pytest.raises(SinkError, match=r"its 6 bytes have to be copied, and 0 bytes are free") as caught:
            start(report, 2, state)
        assert caught.value.retryable
        zombie.sink.close()
        start(report, 3, state).complete(row(3))
        assert (out / "report.csv").read_bytes() == b"n\n1\n2\n3\n"

    def test_a_link_in_its_place_is_not_followed(self, report, out, start) -> None:
        """To write in place through it would change the file it leads to."""
        first = start(report)
        first.write(row(1))
        state, _ = first.barrier()
        first.sink.close()
        staged = Path(json.loads(state)["staged"])
        staged.rename(out / "kept")
        staged.symlink_to(out / "kept")
        start(report, 2, state).complete(row(2))
        assert (out / "report.csv").read_bytes() == b"n\n1\n2\n"
        assert (out / "kept").read_bytes() == b"n\n1\n"


class TestRights:
    """A report that replaces another may be read by the same people, before and after."""

    @pytest.fixture
    def secret(self, out) -> Path:
        out.mkdir()
        path = out / "report.csv"
        path.write_text("yesterday")
        path.chmod(0o640)
        return path

    def staged(self, out: Path) -> Path:
        (path,) = out.glob(".*.staged")
        return path

    def test_the_mode_of_what_is_replaced_is_kept(self, secret, report, out, start) -> None:
        """While it is staged too: what is secret tomorrow is secret today."""
        secret.chmod(0o600)
        attempt = start(report)
        assert stat.S_IMODE(self.staged(out).stat().st_mode) == 0o600
        secret.chmod(0o440)  # by somebody, meanwhile
        attempt.complete(row(1))
        assert secret.read_bytes() == b"n\n1\n"
        assert stat.S_IMODE(secret.stat().st_mode) == 0o440

    def test_owner_and_group_are_kept_as_far_as_they_can_be_given(
        self, secret, report, start, monkeypatch
    ) -> None:
        """Root may give both, others neither: the mode is kept all the same."""
        given: list[tuple[int, int]] = []
        path_stat = Path.stat

        def of_others(path: Path, **options: bool) -> os.stat_result:
            found = path_stat(path, **options)
            return found if path != secret else os.stat_result((*found[:4], 4242, 4343, *found[6:]))

        def chown(path: object, uid: int, gid: int) -> None:
            given.append((uid, gid))
            if uid != -1:
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(Path, "stat", of_others)
        monkeypatch.setattr(os, "chown", chown)
        start(report).complete(row(1))
        assert set(given) == {(-1, 4343), (4242, -1)}
        assert stat.S_IMODE(path_stat(secret).st_mode) == 0o640

    def test_an_access_list_is_kept(self, secret, report, start) -> None:
        """Without it the mode would mean more: there the group's bits are the most that anybody gets."""
        everyone = 0xFFFFFFFF
        entries = [(1, 6, everyone), (2, 4, 4242), (4, 0, everyone), (16, 4, everyone), (32, 0, everyone)]
        listed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
        os.setxattr(secret, "system.posix_acl_access", listed)
        start(report).complete(row(1))
        assert os.getxattr(secret, "system.posix_acl_access") == listed

    def test_a_new_file_has_the_mode_of_any_new_file(self, report, out, start) -> None:
        before = os.umask(0o027)
        try:
            start(report).complete(row(1))
        finally:
            os.umask(before)
        assert stat.S_IMODE((out / "report.csv").stat().st_mode) == 0o640


def test_what_is_after_the_checkpoint_is_written_again(report, out, start) -> None:
    """The writer may still live: the restored attempt continues a copy of what the checkpoint covers."""
    first = start(report)
    first.write(row(1))
    state, _ = first.barrier()
    first.write(row(2), row(3))
    first.sink.flush()
    second = start(report, 2, state)
    second.complete(row(2))
    assert (out / "report.csv").read_bytes() == b"n\n1\n2\n"


def test_what_a_stopped_process_writes_later_does_not_show(report, out, start, names) -> None:
    """A zombie has the old inode; what it does to it, or to its own staged name, changes nothing."""
    zombie = start(report)
    zombie.write(row(1))
    state, _ = zombie.barrier()
    heir = start(report, 2, state)
    heir.write(row(2))
    zombie.write(row(666))
    zombie.sink.flush()
    zombie.sink.abort(zombie.txn)
    zombie.sink.close()
    heir.complete()
    assert (out / "report.csv").read_bytes() == b"n\n1\n2\n"
    assert names() == ["report.csv"]


def test_the_file_restored_from_stays_until_the_next_attempt(report, out, start, names) -> None:
    """Until the restored attempt has a checkpoint of its own, the newest one names the old file."""
    first = start(report)
    first.write(row(1))
    state, _ = first.barrier()
    for attempt in (2, 3):  # each dies before its first checkpoint
        start(report, attempt, state).write(row(2))
    assert names().count("staged") == 2  # the first and the third
    start(report, 4, state).complete(row(2))
    assert (out / "report.csv").read_bytes() == b"n\n1\n2\n"
    assert names() == ["report.csv"]


def test_an_older_checkpoint_finds_its_bytes_in_a_younger_file(report, out, start) -> None:
    """Going back further than the newest checkpoint works although its own file is cleaned away."""
    first = start(report)
    first.write(row(1))
    old, _ = first.barrier()
    second = start(report, 2, old)
    second.write(row(2))
    young, _ = second.barrier()
    third = start(report, 3, young)
    assert not Path(json.loads(old)["staged"]).exists()
    third.write(row(3))
    start(report, 4, old).complete(row(9))
    assert (out / "report.csv").read_bytes() == b"n\n1\n9\n"


@pytest.mark.parametrize("damage", ["flipped", "truncated", "removed"])
def test_a_damaged_staged_file_is_found_before_anything_is_written(damage, report, out, start) -> None:
    """Nothing else takes its place: not even yesterday's report under the final name."""
    (out).mkdir()
    (out / "report.csv").write_bytes(b"n\n9\n9\n")
    first = start(report)
    first.write(row(1), row(2))
    state, _ = first.barrier()
    first.sink.close()
    staged = Path(json.loads(state)["staged"])
    if damage == "removed":
        staged.unlink()
    else:
        staged.write_bytes(b"n\n1\n3\n" if damage == "flipped" else b"n\n1\n")
    with pytest.raises(SinkError, match="no longer holds the 6 bytes") as caught:
        start(report, 2, state)
    assert not caught.value.retryable
    assert str(staged) in str(caught.value)


def test_yesterdays_report_is_never_taken_for_todays(report, out, start) -> None:
    """With the staged file gone, a file of the final name proves nothing; the error names both."""
    out.mkdir()
    (out / "report.csv").write_bytes(b"yesterday")
    attempt = start(report)
    attempt.write(row(1))
    attempt.sink.finish()
    _, handle = attempt.barrier()
    staged = Path(handle["files"][0]["staged"])
    staged.unlink()
    for commit in (attempt.sink.commit, attempt.sink.recover_and_commit):
        with pytest.raises(
            SinkError, match=rf"report\.csv cannot be written: .*{staged.name}.* is gone"
        ) as lost:
            commit(handle)
        assert not lost.value.retryable
    assert (out / "report.csv").read_bytes() == b"yesterday"


def test_a_recovered_commit_checks_every_byte(report, out, start) -> None:
    """A staged file that rotted while nobody looked is not published."""
    attempt = start(report)
    attempt.write(row(1))
    attempt.sink.finish()
    _, handle = attempt.barrier()
    Path(handle["files"][0]["staged"]).write_bytes(b"n\n2\n")
    with pytest.raises(SinkError, match="does not hold what was written"):
        start(report, 2, decided=[handle])
    assert not (out / "report.csv").exists()


def test_a_finished_file_is_handed_over_once(report, start) -> None:
    """Later barriers, for other parts of the job, have nothing of it to commit."""
    attempt = start(report)
    attempt.write(row(1))
    attempt.sink.finish()
    assert attempt.barrier()[1] is not None
    assert attempt.barrier()[1] is None


def test_a_finished_file_stays_finished(report, out, start, names) -> None:
    """Restored from a checkpoint after its end, it writes and commits nothing more."""
    first = start(report)
    first.write(row(1))
    first.sink.finish()
    state, handle = first.barrier()
    second = start(report, 2, state, [handle])
    third = start(report, 3, state, [handle])
    assert second.recovered == [CommitOutcome.COMMITTED]
    assert third.recovered == [CommitOutcome.ALREADY_COMMITTED]
    third.sink.finish()
    again, nothing = third.barrier()
    assert nothing is None
    assert again == state
    with pytest.raises(SinkError, match="is complete"):
        third.write(row(2))
    for attempt in (second, third):
        attempt.sink.close()
    assert names() == ["report.csv"]


def test_what_no_checkpoint_can_name_is_removed_at_once(report, start, names) -> None:
    """A job without checkpoints that fails leaves no file."""
    attempt = start(report)
    attempt.write(row(1))
    attempt.sink.abort(attempt.txn)
    attempt.sink.close()
    assert names() == []


def test_each_epoch_is_durable_before_its_pre_commit_returns(report, start, monkeypatch) -> None:
    """One fsync of the file for an epoch with data, none for one without; the folder's once."""
    synced: list[str] = []
    fsync = os.fsync

    def record(fd: int) -> None:
        synced.append("folder" if Path(f"/proc/self/fd/{fd}").resolve().is_dir() else "file")
        fsync(fd)

    attempt = start(report)
    monkeypatch.setattr(os, "fsync", record)
    attempt.write(row(1))
    attempt.sink.flush()
    assert synced == []
    attempt.barrier()
    assert synced == ["file", "folder"]
    attempt.barrier()
    assert synced == ["file", "folder"]
    attempt.write(row(2))
    attempt.barrier()
    assert synced == ["file", "folder", "file"]
    attempt.complete()
    assert synced[3:] == ["folder"]


def test_the_bytes_are_written_before_they_are_made_durable(report, start, monkeypatch) -> None:
    """P3 lies between the two: a crash there has the bytes in the file and no fsync after them."""
    attempt = start(report)
    attempt.write(row(1))
    at_p3: list[bytes] = []

    def crash(name: str) -> None:
        assert name == "P3"
        at_p3.append(attempt.sink._output._file.path.read_bytes())
        raise KeyboardInterrupt

    monkeypatch.setattr(staging, "faultpoint", crash)
    monkeypatch.setattr(os, "fsync", lambda fd: pytest.fail("fsync before P3"))
    with pytest.raises(KeyboardInterrupt):
        attempt.barrier()
    assert at_p3 == [b"n\n1\n"]


@pytest.mark.parametrize(
    ("call", "code", "retryable", "word"),
    [
        ("write", errno.ENOSPC, True, "free some space"),
        ("write", errno.EDQUOT, True, "free some space"),
        ("write", errno.EFBIG, True, "ulimit"),
        ("fsync", errno.EIO, True, "make durable"),
        ("write", errno.EACCES, False, "right"),
    ],
)
def test_a_failed_write_or_fsync_ends_the_attempt(
    call, code, retryable, word, report, start, monkeypatch
) -> None:
    """It is not tried again: the next fsync would report success for bytes that are lost."""
    attempt = start(report)
    attempt.write(row(1))

    def fail(*arguments: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(SinkError, match=r"report\.csv") as caught:
        attempt.barrier()
    assert caught.value.retryable is retryable
    assert word in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    monkeypatch.undo()
    with pytest.raises(SinkError):
        attempt.barrier()


def test_a_write_may_take_several_calls(report, out, start, monkeypatch) -> None:
    """The operating system may take fewer bytes than it is given."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    start(report).complete(*map(row, range(10)))
    assert (out / "report.csv").read_bytes() == b"n\n" + b"".join(b"%d\n" % n for n in range(10))


def test_a_passing_fault_of_a_commit_asks_for_another_try(report, out, start, monkeypatch) -> None:
    attempt = start(report)
    attempt.write(row(1))
    attempt.sink.finish()
    _, handle = attempt.barrier()
    for code in (errno.ENOSPC, errno.EACCES):

        def fail(self: Path, target: str, code: int = code) -> None:
            raise OSError(code, os.strerror(code), str(self))

        monkeypatch.setattr(Path, "replace", fail)
        if code == errno.ENOSPC:
            assert attempt.sink.commit(handle) is CommitOutcome.RETRY
        else:
            with pytest.raises(SinkError, match="cannot commit"):
                attempt.sink.commit(handle)
    monkeypatch.undo()
    assert attempt.sink.commit(handle) is CommitOutcome.COMMITTED


class TestChangedSettings:
    """A checkpoint is continued with the settings it was taken with, or not at all."""

    @pytest.fixture
    def state(self, report, start):
        attempt = start(report)
        attempt.write(row(1))
        return attempt.barrier()[0]

    def test_rolling(self, state, out, start) -> None:
        with pytest.raises(SinkError, match="without rolling="):
            start(FileSink(out / "report.csv", rolling=RollingPolicy()), 2, state)

    def test_not_rolling(self, report, out, start) -> None:
        parts = start(FileSink(out / "report.csv", rolling=RollingPolicy()))
        parts.write(row(1))
        with pytest.raises(SinkError, match="with rolling="):
            start(report, 2, parts.barrier()[0])

    def test_format(self, state, out, start) -> None:
        with pytest.raises(SinkError, match="taken as csv, the sink now writes jsonl"):
            start(FileSink(out / "report.jsonl"), 2, state)

    def test_fields(self, state, out, start) -> None:
        with pytest.raises(SinkError, match="has the fields n, the sink now has n, m"):
            start(FileSink(out / "report.csv", fields=["n", "m"]), 2, state)

    def test_another_path_is_fine(self, state, out, start) -> None:
        """The file moves there; the fields stay those of the checkpoint."""
        moved = start(FileSink(out / "elsewhere" / "new.csv"), 2, state)
        with pytest.raises(SinkError, match="lacks n and also has m"):
            moved.write({"m": 1})
        moved.complete(row(2))
        assert (out / "elsewhere" / "new.csv").read_bytes() == b"n\n1\n2\n"


class TestOpen:
    """What cannot be written is refused before anything is read, with path, reason and advice."""

    def test_a_folder_of_that_name(self, out, start) -> None:
        (out / "report.csv").mkdir(parents=True)
        with pytest.raises(SinkError, match=r"report\.csv: it is a folder") as caught:
            start(FileSink(out / "report.csv"))
        assert not caught.value.retryable

    def test_a_file_in_the_place_of_a_folder(self, out, start) -> None:
        out.touch()
        with pytest.raises(SinkError, match="cannot create the folder") as caught:
            start(FileSink(out / "deep" / "report.csv"))
        assert not caught.value.retryable
        assert caught.value.hint

    def test_a_folder_without_permission(self, out, start, monkeypatch) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        with pytest.raises(SinkError, match=r"cannot write to the folder .*: Permission denied") as caught:
            start(FileSink(out / "report.csv"))
        assert not caught.value.retryable
        assert caught.value.hint

    def test_a_device(self, start) -> None:
        with pytest.raises(SinkError, match="not a regular file"):
            start(FileSink("/dev/null", "csv"))

    def test_a_link_is_followed(self, out, start) -> None:
        """As `open` does: the link stays a link."""
        (out / "real").mkdir(parents=True)
        (out / "latest.csv").symlink_to(out / "real" / "report.csv")
        start(FileSink(out / "latest.csv")).complete(row(1))
        assert (out / "latest.csv").is_symlink()
        assert (out / "real" / "report.csv").read_bytes() == b"n\n1\n"

    def test_names_of_any_length_and_kind(self, out, start, names) -> None:
        """A staged name never gets too long for the file system."""
        name = "ü" * 120 + ".csv"
        start(FileSink(out / name)).complete(row(1))
        assert names() == [name]


def test_a_record_that_cannot_be_written_says_its_number(report, start) -> None:
    """Counted from one over the whole output, since where it came from is not known any more."""
    attempt = start(report)
    attempt.write(row(1), row(2))
    with pytest.raises(SinkError, match=r"'other': 5.*\[record 4 for report\.csv\]"):
        attempt.write(row(3), {"other": 5}, row(6))


class TestTwoRuns:
    """Of one job at once, with no checkpoints in common that would keep them apart."""

    def test_the_second_is_refused_and_the_first_not_disturbed(self, report, out, start, names) -> None:
        first = start(report)
        first.write(row(1))
        first.sink.flush()
        with pytest.raises(JobAlreadyRunning, match=rf"process {os.getpid()} on .*--take-over"):
            start(report)
        first.complete(row(2))
        assert (out / "report.csv").read_bytes() == b"n\n1\n2\n"
        assert [path.name for path in out.iterdir()] == ["report.csv"]

    def test_an_attempt_number_of_other_checkpoints_confers_no_right(self, report, start) -> None:
        """Each of two runs counts its own attempts: the larger number is not the later one."""
        start(report)
        stranger = VerificationSinkContext(attempt=7, lineage="other")
        with pytest.raises(JobAlreadyRunning):
            copy.copy(report).open(stranger)

    def test_one_that_takes_over_continues_and_the_other_commits_nothing(self, report, out, start) -> None:
        zombie = start(report)
        zombie.write(row(666))
        zombie.sink.finish()
        _, handle = zombie.barrier()
        heir = copy.copy(report)
        ctx = VerificationSinkContext(lineage="other", choices=RecoveryChoices(take_over=True))
        heir.open(ctx)
        heir.recover_and_abort([])
        with pytest.raises(Fenced, match="another run has taken over"):
            zombie.sink.commit(handle)
        zombie.sink.close()
        with pytest.raises(JobAlreadyRunning):  # the zombie has not taken the lock of its heir away
            start(report)
        heir.invoke_batch(heir.begin_transaction(), [row(1)], ctx)
        heir.finish()
        heir.commit(heir.pre_commit({"files": []}))
        heir.close()
        assert (out / "report.csv").read_bytes() == b"n\n1\n"

    def test_a_dead_run_holds_nothing(self, report, out, start) -> None:
        """Its lock file may lie there, but the lock went with the process."""
        first = start(report)
        locks = list(out.glob(".*.lock"))
        first.sink.close()
        assert len(locks) == 2
        for lock in locks:
            lock.write_text("{}")
        start(report).complete(row(1))
        assert [path.name for path in out.iterdir()] == ["report.csv"]

    def test_between_two_epochs_parts_are_locked_too(self, out, start) -> None:
        """A part that waits for its commit belongs to a living run, though nobody has it open."""
        rolling = FileSink(out / "report.csv", rolling=RollingPolicy())
        first = start(rolling)
        first.write(row(1))
        _, handle = first.barrier()
        with pytest.raises(JobAlreadyRunning):
            start(rolling)
        assert first.sink.commit(handle) is CommitOutcome.COMMITTED

    @pytest.mark.parametrize("rolling", [None, RollingPolicy()])
    @pytest.mark.parametrize("take_over", [False, True])
    def test_another_job_is_refused_whatever_it_asks_for(self, out, start, names, rolling, take_over) -> None:
        """Both would commit, and one overwrite what the other has written; other outputs are free."""
        report = FileSink(out / "report.csv", rolling=rolling)
        first = start(report)
        choices = RecoveryChoices(take_over=take_over)
        stranger = VerificationSinkContext(job_name="stranger", lineage="other", choices=choices)
        with pytest.raises(SinkError, match=f"job verification writes .*: process {os.getpid()}") as caught:
            copy.copy(report).open(stranger)
        assert (caught.value.retryable, caught.value.fault) == (False, Fault.CONFIG)
        another = FileSink(out / "another.csv", rolling=rolling)
        another.open(stranger)
        another.close()
        first.complete(row(1))
        assert not list(out.glob(".*"))
        opened = copy.copy(report)
        opened.open(stranger)
        opened.close()

    def test_without_locks_the_log_says_so(self, report, out, start, monkeypatch, caplog) -> None:
        """As on some network folders: the job runs."""

        def flock(descriptor: int, operation: int) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", flock)
        start(report).complete(row(1))
        assert "cannot be locked" in caplog.text
        assert [path.name for path in out.iterdir()] == ["report.csv"]


def test_nobody_else_reads_what_replaces_a_secret(report, out, start, monkeypatch) -> None:
    """Not even for the moment before the staged file has the rights of the one it replaces."""
    out.mkdir()
    (out / "report.csv").write_text("")
    (out / "report.csv").chmod(0o600)
    modes: list[int] = []

    def copied(final: Path, target: int | Path) -> None:
        modes.append(os.stat(target).st_mode & 0o777)  # noqa: PTH116 - a descriptor, it may be

    monkeypatch.setattr(staging, "copy_rights", copied)
    start(report)
    assert modes == [0o600]
