"""LocalCheckpointStorage: what only a folder can get wrong — order of syncs, full disks, crashes, locks."""

import errno
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from checkpoint.storage.attempt import LocalAttempt
from checkpoint.storage.layout import JobFolder
from checkpoint.storage.local import LocalCheckpointStorage
from pipeline.core.errors import CheckpointError, Fenced, JobAlreadyRunning
from tests.unit.checkpoint.parts import manifest_of, store


@pytest.fixture
def storage(tmp_path):
    storage = LocalCheckpointStorage(tmp_path / "a" / "b", "job")
    storage.lock()
    yield storage
    storage.close()


@pytest.fixture
def attempt(storage):
    attempt = storage.claim()
    attempt.begin(execution_id="x-1", lineage="l-1", restored=None)
    return attempt


@pytest.fixture
def folder(storage):
    return storage.path


def file_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# --- durability ---


@pytest.fixture
def disk(monkeypatch, folder):
    """What is done to the disk, in order: `sync NAME`, `link NAME`, `rename NAME`, `unlink NAME`."""
    events: list[str] = []
    fsync, link, rename, unlink = os.fsync, os.link, Path.rename, Path.unlink

    def named(path) -> str:
        return str(Path(path).relative_to(folder))

    def record(event, path, call):
        call()
        events.append(f"{event} {named(path)}")

    monkeypatch.setattr(os, "fsync", lambda fd: record("sync", file_of(fd), lambda: fsync(fd)))
    monkeypatch.setattr(os, "link", lambda src, dst: record("link", dst, lambda: link(src, dst)))
    monkeypatch.setattr(Path, "rename", lambda src, dst: record("rename", dst, lambda: rename(src, dst)))
    monkeypatch.setattr(
        Path,
        "unlink",
        lambda path, missing_ok=False: record("unlink", path, lambda: unlink(path, missing_ok)),
    )
    return events


def test_everything_is_on_the_disk_before_the_manifest_is_and_the_manifest_before_anybody_hears(
    attempt, disk
):
    """Sync, publish, sync the folder, parts first: a power failure at any moment loses nothing decided."""
    part = store(attempt, 1, b"state")
    attempt.write_manifest(manifest_of(attempt, 1, part))
    attempt.note(1)

    staging = "attempts/1/staging/"
    assert disk == [
        f"sync {staging}2",
        f"rename parts/{part.name}",
        "sync parts",
        f"sync {staging}3",
        "link manifests/000000000001.json",
        "sync manifests",
        f"unlink {staging}3",
        f"sync {staging}4",
        "link notes/000000000001.json",
        "sync notes",
        f"unlink {staging}4",
    ]


def test_cleaning_deletes_manifests_durably_before_the_parts_they_name(attempt, disk):
    """No crash leaves a manifest whose parts are gone."""
    part = store(attempt, 1, b"state")
    attempt.write_manifest(manifest_of(attempt, 1, part))
    attempt.note(1)
    attempt.write_manifest(manifest_of(attempt, 2))
    attempt.note(2)
    disk.clear()

    attempt.clean(1)

    assert disk == [
        "unlink manifests/000000000001.json",
        "sync manifests",
        f"unlink parts/{part.name}",
        "sync parts",
        "unlink notes/000000000001.json",
        "sync notes",
    ]


def test_a_claim_is_durable_and_makes_durable_what_it_will_act_on(storage, attempt, disk):
    """A number is used once, power failure or not; what a dead creator had not synced is synced."""
    storage.claim()

    assert disk == ["sync attempts", "rename attempts/1/fenced", "sync manifests"]


@pytest.mark.parametrize("failing", range(1, 5))
def test_a_failed_fsync_ends_the_attempt_and_is_not_tried_again(attempt, folder, monkeypatch, failing):
    """The kernel may have dropped the data: the error is not retryable, and each file is synced once."""
    synced: list[str] = []
    fsync = os.fsync

    def fail(fd):
        synced.append(file_of(fd))
        if len(synced) == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError, match=r"cannot sync .*: Input/output error") as caught:
        attempt.write_manifest(manifest_of(attempt, 1, store(attempt, 1, b"x")))

    assert not caught.value.retryable
    assert len(synced) == failing == len(set(synced))
    assert isinstance(caught.value.__cause__, OSError)


# --- no room, no right ---


def test_a_full_disk_leaves_nothing_behind_and_the_next_try_succeeds(attempt, folder):
    """A file-size limit stands for it: named, retryable, no half file, no manifest."""
    before = files(folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(CheckpointError) as caught:
            store(attempt, 1, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert f"cannot write {folder}" in caught.value.message
    assert "File too large" in caught.value.message
    assert caught.value.retryable
    assert "free space" in str(caught.value)
    assert files(folder) == before
    attempt.write_manifest(manifest_of(attempt, 1, store(attempt, 1, bytes(2000))))
    attempt.load(1)


@pytest.mark.parametrize(
    ("number", "retryable", "hint"),
    [
        (errno.EACCES, False, "let this user write there"),
        (errno.EROFS, False, "let this user write there"),
        (errno.ENOSPC, True, "free space"),
        (errno.EDQUOT, True, "free space"),
        (errno.ENOTSUP, False, "hard links"),
        (errno.EIO, True, ""),
    ],
)
def test_errors_say_what_was_refused_and_whether_a_retry_can_help(
    attempt, monkeypatch, number, retryable, hint
):
    """Path, the system's own words, and advice."""

    def refuse(src, dst):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(CheckpointError) as caught:
        attempt.write_manifest(manifest_of(attempt, 1))

    assert f"000000000001.json: {os.strerror(number)}" in caught.value.message
    assert caught.value.retryable is retryable
    assert hint in (caught.value.hint or "")
    assert not isinstance(caught.value, Fenced)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """The checkpoint folder is checked before anything starts."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(CheckpointError, match=r"cannot create .*/file: File exists"):
        LocalCheckpointStorage(tmp_path / "file", "job").lock()


# --- crashes ---

CHECKPOINTS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_local import manifest_of
from tests.unit.checkpoint.parts import manifest_of
from tests.unit.checkpoint.parts import store
from checkpoint.storage.local import LocalCheckpointStorage

storage = LocalCheckpointStorage(Path(sys.argv[1]), "job")
storage.lock()
attempt = storage.claim()
attempt.begin(execution_id="x-1", lineage="l-1", restored=None)
for n in (1, 2, 3):
    parts = [store(attempt, n, b"state", subtask=subtask) for subtask in (0, 1)]
    attempt.write_manifest(manifest_of(attempt, n, *parts))
    attempt.note(n)
    attempt.clean(1)
"""


@pytest.mark.parametrize(
    ("point", "checkpoints", "noted"),
    [
        ("P5:3", (1,), 1),  # one of two parts of checkpoint 2 is stored
        ("P6:2", (1,), 1),
        ("P7:2", (1, 2), 1),
        ("P15:2", (2,), 2),
    ],
)
def test_a_kill_at_any_point_leaves_whole_checkpoints_and_is_cleaned_up_by_the_next(
    tmp_path, point, checkpoints, noted
):
    """Before the link there is no checkpoint, after it a whole one; the lock of the dead is free."""
    done = subprocess.run(
        [sys.executable, "-c", CHECKPOINTS, str(tmp_path), str(Path(__file__).parent)],
        env={**os.environ, "PIPELINE_FAULTPOINT": point},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, "the point was not reached"
    storage = LocalCheckpointStorage(tmp_path, "job")
    storage.lock()

    attempt = storage.claim()

    assert attempt.history.checkpoints == checkpoints
    assert attempt.history.noted == noted
    newest = attempt.latest()
    assert newest is not None
    assert newest.checkpoint_id == checkpoints[-1]
    following = attempt.history.next_checkpoint_id
    part = store(attempt, following, b"state")
    attempt.write_manifest(manifest_of(attempt, following, part))
    attempt.note(following)
    attempt.clean(1)
    assert files(storage.path) == {
        "lock",
        "attempts/1/claim.json",
        f"manifests/{following:012d}.json",
        f"parts/{part.name}",
        f"notes/{following:012d}.json",
    }
    storage.close()


def test_nothing_is_left_in_staging(attempt, folder):
    """A checkpoint leaves what it stored and nothing else."""
    attempt.write_manifest(manifest_of(attempt, 1, store(attempt, 1, b"x")))
    attempt.note(1)
    attempt.finish("COMPLETED")

    assert not [name for name in files(folder) if "staging" in name]


def test_attempts_do_not_pile_up(storage, attempt):
    """A job that restarts all day keeps the records of a few attempts, and its numbers continue."""
    newest = attempt
    for _ in range(30):
        newest = storage.claim()
        newest.begin(execution_id="x", lineage="l", restored=None)

    newest.clean(1)

    numbers = sorted(int(path.name) for path in (storage.path / "attempts").iterdir())
    assert numbers == list(range(11, 32))
    assert storage.claim().number == 32


# --- the lock ---


def test_the_lock_names_its_holder(storage, tmp_path):
    """Process, host and since when, for a person and in the file."""
    holder = json.loads((storage.path / "lock").read_text())

    assert holder["pid"] == os.getpid()
    with pytest.raises(
        JobAlreadyRunning, match=rf"process {os.getpid()} on {holder['host']}, since 2\d\d\d-"
    ):
        LocalCheckpointStorage(tmp_path / "a" / "b", "job").lock()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"pid": 1}', b'{"pid": 1, "host": "h", "since_ms": "x"}']
)
def test_a_holder_that_has_not_written_its_name_yet_still_holds(storage, tmp_path, content):
    """The lock is the flock, not the text."""
    (storage.path / "lock").write_bytes(content)

    with pytest.raises(JobAlreadyRunning, match="has not given its name"):
        LocalCheckpointStorage(tmp_path / "a" / "b", "job").lock()


def test_taking_over_a_free_lock_is_an_ordinary_start(tmp_path):
    """`--take-over` does no harm where nobody runs, even with a leftover of a dead process in the way."""
    storage = LocalCheckpointStorage(tmp_path, "job")
    storage.lock(take_over=True)
    other = LocalCheckpointStorage(tmp_path, "job")
    (storage.path / f"lock.{os.getpid()}").write_text("left over")
    other.lock(take_over=True)
    other.close()
    storage.close()

    storage.lock()
    assert {name for name in files(storage.path) if "lock" in name} == {"lock"}
    storage.close()


def test_a_lock_file_replaced_between_opening_and_locking_is_not_the_lock(storage, tmp_path, monkeypatch):
    """A run is taken over and dies while we open its file: we find the taker's lock, not the orphan."""
    taker = LocalCheckpointStorage(tmp_path / "a" / "b", "job")
    flock = fcntl.flock

    def overtaken(descriptor, operation):
        monkeypatch.setattr(fcntl, "flock", flock)
        taker.lock(take_over=True)
        storage.close()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    with pytest.raises(JobAlreadyRunning):
        LocalCheckpointStorage(tmp_path / "a" / "b", "job").lock()
    taker.close()


def test_a_claim_that_is_overtaken_half_way_is_begun_again(storage, tmp_path, monkeypatch):
    """Another claims and fences between our number and our staging folder: we must not slip through."""
    other = LocalCheckpointStorage(tmp_path / "a" / "b", "job")
    between: list[LocalAttempt] = []
    mkdir = Path.mkdir

    def overtaken(path, *args, **kwargs):
        mkdir(path, *args, **kwargs)
        if path.name == "1":
            monkeypatch.setattr(Path, "mkdir", mkdir)
            between.append(other.claim())

    monkeypatch.setattr(Path, "mkdir", overtaken)
    attempt = storage.claim()

    assert (between[0].number, attempt.number) == (2, 3)
    attempt.ensure_newest()
    with pytest.raises(Fenced, match="attempt 3 has taken"):
        between[0].ensure_newest()


def test_what_the_older_run_decides_until_it_is_fenced_is_part_of_the_history(storage, attempt, monkeypatch):
    """A claim fences, then reads: a manifest created between the two must be committed by its heir."""
    rename = Path.rename

    def decided_first(path, target):
        monkeypatch.setattr(Path, "rename", rename)
        attempt.write_manifest(manifest_of(attempt, 1))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", decided_first)
    newer = storage.claim()

    assert newer.history.checkpoints == (1,)
    assert newer.latest() is not None
    with pytest.raises(Fenced):
        attempt.write_manifest(manifest_of(attempt, 2))


# --- names ---


@pytest.mark.parametrize(
    "job",
    [
        "../x",
        ".",
        "..",
        "a/b",
        "a\0b",
        "日報" * 80,
        "x" * 300,
        "carrier-report",
        "name with space",
        ".hidden",
    ],
)
def test_any_job_name_is_one_folder_of_its_own(tmp_path, job):
    """No name leads elsewhere, is too long, or meets another's."""
    storage = LocalCheckpointStorage(tmp_path, job)
    storage.lock()

    assert storage.path.parent == tmp_path
    assert storage.path.is_dir()
    assert not storage.path.name.startswith(".")
    storage.close()


def test_different_jobs_have_different_folders():
    """Encoding and shortening keep names apart."""
    jobs = ["a/b", "a%2Fb", "a_b", "x" * 300, "x" * 301, ".", "%2E", "日" * 100, "日" * 101]

    assert len({JobFolder(Path(), job).root for job in jobs}) == len(jobs)


def test_a_plain_job_name_is_its_folder_s_name(tmp_path):
    """A person finds the job's folder."""
    assert LocalCheckpointStorage(tmp_path, "carrier-report").path == tmp_path / "carrier-report"


def test_what_others_put_into_the_folder_is_let_be(storage, attempt, folder):
    """A stray file is not a checkpoint, not a part, and not ours to delete."""
    for stray in ("manifests/notes.txt", "parts/README", "attempts/old", "notes/.keep"):
        (folder / stray).write_text("?")
    attempt.write_manifest(manifest_of(attempt, 1))
    attempt.note(1)

    attempt.clean(1)

    assert storage.claim().history.checkpoints == (1,)
    assert {"manifests/notes.txt", "parts/README", "attempts/old", "notes/.keep"} <= files(folder)
