"""What every checkpoint storage promises: one decision for each number, nothing read that was not written."""

import threading
from dataclasses import replace

import pytest

from checkpoint.barrier import CheckpointKind
from checkpoint.storage.base import History
from pipeline.core.errors import (
    CheckpointCorrupted,
    CheckpointError,
    Fenced,
    InternalError,
    JobAlreadyRunning,
)
from tests.unit.checkpoint.parts import read, store


def next_attempt(storage, restored=None, lineage="l-1"):
    attempt = storage.claim()
    attempt.begin(execution_id="x-1", lineage=lineage, restored=restored)
    return attempt


# --- attempts, locks, fencing ---


def test_an_empty_storage_has_no_history(attempt):
    """The first run starts from the beginning, with attempt 1 and checkpoint 1."""
    assert attempt.number == 1
    assert attempt.history == History((), 0, None)
    assert attempt.history.next_checkpoint_id == 1
    assert attempt.history.resume_from is None
    assert attempt.latest() is None


def test_a_checkpoint_comes_back_whole(storage, attempt, take):
    """Manifest and parts are read back equal, by another attempt too."""
    manifest = take(attempt, 1, b"state of 0", b"")

    again = next_attempt(storage, restored=1)

    assert again.latest() == manifest
    assert again.load(1) == manifest
    assert [read(again, part) for part in manifest.parts] == [b"state of 0", b""]


def test_attempts_are_numbered_upwards_and_leave_word(storage, attempt, take):
    """The next one knows who was before it, what it worked on and how it ended."""
    take(attempt, 1)
    attempt.finish("CANCELLED")

    second = next_attempt(storage, restored=1, lineage="l-2")
    assert second.number == 2
    last = second.history.last
    assert (last.number, last.execution_id, last.lineage, last.restored, last.status) == (
        1,
        "x-1",
        "l-1",
        None,
        "CANCELLED",
    )

    third = storage.claim()
    assert third.history.last.number == 2
    assert third.history.last.lineage == "l-2"
    assert third.history.last.restored == 1
    assert third.history.last.first_checkpoint_id == 2
    assert third.history.last.status is None, "it never said how it ended"


def test_an_attempt_that_died_before_it_began_is_not_asked(storage, attempt):
    """Claimed, not started (P17): the word of the one before still counts."""
    storage.claim()

    assert storage.claim().history.last.number == 1


def test_a_second_run_is_refused_with_the_name_of_the_first(harness, storage):
    """Two runs of a job at once would fight over its output."""
    with pytest.raises(
        JobAlreadyRunning, match=r"job job is running already: process \d+ on .*since"
    ) as caught:
        harness.open().lock()

    assert "--take-over" in str(caught.value)


def test_runs_of_different_jobs_do_not_meet(harness, storage):
    """The lock is the job's."""
    harness.open("other").lock()


def test_closing_lets_the_next_run_in(harness, storage):
    """A run that has left holds nobody up."""
    storage.close()

    harness.open().lock()


def test_after_a_takeover_the_lock_is_the_new_run_s(harness, storage):
    """The death of the run that was taken over lets no third one in."""
    taker = harness.open()
    taker.lock(take_over=True)
    storage.close()

    with pytest.raises(JobAlreadyRunning):
        harness.open().lock()
    taker.close()
    harness.open().lock()


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda attempt, manifest: store(attempt, 2, b"x"), id="part"),
        pytest.param(lambda attempt, manifest: attempt.write_manifest(manifest), id="manifest"),
        pytest.param(lambda attempt, manifest: attempt.note(1), id="note"),
        pytest.param(lambda attempt, manifest: attempt.clean(1), id="clean"),
        pytest.param(lambda attempt, manifest: attempt.finish("COMPLETED"), id="finish"),
        pytest.param(lambda attempt, manifest: attempt.ensure_newest(), id="ensure_newest"),
    ],
)
def test_a_fenced_attempt_can_write_nothing(harness, attempt, take, write):
    """A run that was stopped, taken over and continued decides nothing, notes nothing, deletes nothing."""
    manifest = replace(take(attempt, 1, noted=False), checkpoint_id=2)
    taker = harness.open()
    taker.lock(take_over=True)
    newer = next_attempt(taker, restored=1)
    before = harness.names()

    with pytest.raises(Fenced, match="attempt 1 may write no more: attempt 2 has taken the job over"):
        write(attempt, manifest)

    assert harness.names() == before
    history = taker.claim().history
    assert (history.checkpoints, history.noted) == ((1,), 0)
    assert history.last.number == newer.number


def test_an_attempt_is_fenced_by_the_claim_not_by_its_beginning(storage, attempt, take):
    """From the moment a newer one reads the history nothing is added to it."""
    newer = storage.claim()

    with pytest.raises(Fenced):
        take(attempt, 1)

    assert newer.history.checkpoints == ()


def test_of_many_claims_at_once_all_numbers_differ_and_only_the_highest_may_write(harness):
    """The claim is exclusive and fencing misses nobody, whatever the interleaving."""
    storages = [harness.open() for _ in range(6)]
    for storage in storages:
        storage.lock(take_over=True)
    for _ in range(10):
        attempts = []
        start = threading.Barrier(len(storages))

        def claim(storage, start=start, attempts=attempts):
            start.wait()
            attempts.append(storage.claim())

        threads = [threading.Thread(target=claim, args=(s,), name="claimer") for s in storages]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        attempts.sort(key=lambda attempt: attempt.number)
        assert len({attempt.number for attempt in attempts}) == len(storages)
        *older, newest = attempts
        for attempt in older:
            with pytest.raises(Fenced):
                attempt.note(1)
        newest.ensure_newest()
        newest.begin(execution_id="x", lineage="l", restored=None)


# --- the decision ---


def test_a_manifest_is_never_written_over_another(storage, attempt, take):
    """Another attempt's manifest of the same number: it has decided, we have not."""
    taken = take(attempt, 1)
    newer = next_attempt(storage, restored=None)

    with pytest.raises(Fenced, match="checkpoint 1 was decided by attempt 1 already, this is attempt 2"):
        newer.write_manifest(replace(taken, attempt=2))

    assert newer.load(1) == taken


def test_writing_the_same_manifest_again_is_a_success(attempt, take):
    """The answer to the first try may have been lost."""
    manifest = take(attempt, 1)

    attempt.write_manifest(manifest)

    assert attempt.load(1) == manifest


def test_parts_without_a_manifest_are_no_checkpoint(storage, attempt):
    """A crash before the manifest goes back to the one before."""
    store(attempt, 1, b"x")

    assert storage.claim().history.checkpoints == ()


def test_parts_of_two_attempts_for_the_same_number_do_not_meet(storage, attempt, take):
    """What a crashed attempt left for checkpoint 1 is not taken for this one's."""
    store(attempt, 1, b"of the crashed attempt", uid="reduce:a/b")
    newer = next_attempt(storage)

    manifest = take(newer, 1, b"of the new one")

    assert read(newer, newer.load(1).parts[0]) == b"of the new one"
    assert newer.latest() is None, "that is where this attempt began"
    assert newer.load(1) == manifest


def test_a_note_is_remembered(storage, attempt, take):
    """Noted or not is what the recovery asks first; a note covers all below it."""
    take(attempt, 1)
    take(attempt, 2, noted=False)

    history = storage.claim().history

    assert history.checkpoints == (1, 2)
    assert history.is_noted(1)
    assert not history.is_noted(2)


def test_noting_twice_is_a_success(attempt, take):
    """The answer to the first try may have been lost."""
    take(attempt, 1)

    attempt.note(1)


def test_an_attempt_begins_once(attempt):
    """A second beginning would change what others go by."""
    with pytest.raises(InternalError, match="attempt 1 has written"):
        attempt.begin(execution_id="x-2", lineage="l-2", restored=None)


# --- where to continue ---


def test_the_next_start_continues_from_the_newest_checkpoint(storage, attempt, take):
    """Numbers continue after it."""
    take(attempt, 1)
    take(attempt, 5)

    history = storage.claim().history

    assert history.resume_from == 5
    assert history.next_checkpoint_id == 6


def test_a_fresh_start_that_died_early_is_not_overruled_by_older_checkpoints(storage, attempt, take):
    """`--fresh`, killed before its first checkpoint, starts from the beginning again."""
    take(attempt, 1)
    next_attempt(storage, restored=None, lineage="l-2")

    history = storage.claim().history

    assert history.resume_from is None
    assert history.next_checkpoint_id == 2


def test_going_back_that_died_early_goes_back_again(storage, attempt, take):
    """`--restore 1`, killed before its first checkpoint, starts from checkpoint 1 again."""
    take(attempt, 1)
    take(attempt, 2)
    back = next_attempt(storage, restored=1, lineage="l-2")

    assert next_attempt(storage, restored=1, lineage="l-2").latest().checkpoint_id == 1
    again = next_attempt(storage, restored=1, lineage="l-2")
    take(again, 3)
    assert storage.claim().history.resume_from == 3
    assert back.number < again.number


# --- damage ---


def flipped(data: bytes, index: int) -> bytes:
    return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]


def test_any_damage_to_the_newest_checkpoint_is_found_and_the_older_one_offered(
    harness, storage, attempt, take
):
    """A flipped bit anywhere, a lost byte, a missing file: found by `latest`, before anything is used."""
    take(attempt, 1, b"old")
    take(attempt, 2, b"older than the newest")
    newest = take(attempt, 3, b"first part", b"second part")
    again = next_attempt(storage, restored=3)
    stored = [harness.manifest(3), *(harness.part(part.name) for part in newest.parts)]
    for name in stored:
        sound = harness.read(name)
        damages = [flipped(sound, index) for index in range(0, len(sound), 7)]
        for damaged in [*damages, sound[:-1], sound + b"x", b"", None]:
            harness.damage(name, damaged)
            with pytest.raises(CheckpointCorrupted) as caught:
                again.latest()
            assert name in caught.value.message
            assert "--restore 2 " in str(caught.value)
            assert "sound as well: 1" in str(caught.value)
            assert "--accept-duplicates" in str(caught.value)
            harness.damage(name, sound)
    assert again.latest() == newest


def test_only_sound_older_checkpoints_are_offered(harness, storage, attempt, take):
    """The hint must not lead to the next error."""
    take(attempt, 1, b"a")
    two = take(attempt, 2, b"b")
    take(attempt, 3, b"c")
    harness.damage(harness.part(two.parts[0].name), b"")
    harness.damage(harness.manifest(3), b"")

    with pytest.raises(CheckpointCorrupted) as caught:
        storage.claim().latest()
    assert "--restore 1 " in str(caught.value)

    harness.damage(harness.manifest(1), None)
    with pytest.raises(CheckpointCorrupted) as caught:
        storage.claim().latest()
    assert "--fresh" in str(caught.value)


def test_a_noted_checkpoint_whose_manifest_is_gone_is_missed(harness, storage, attempt, take):
    """Falling back silently would write committed output again."""
    take(attempt, 1)
    take(attempt, 2)
    harness.damage(harness.manifest(2), None)

    with pytest.raises(CheckpointCorrupted, match="is missing"):
        storage.claim().latest()


def test_a_restored_checkpoint_that_is_gone_is_missed(harness, storage, attempt, take):
    """The attempt that was restored from it made none of its own."""
    take(attempt, 1)
    next_attempt(storage, restored=1)
    harness.damage(harness.manifest(1), None)

    with pytest.raises(CheckpointCorrupted, match="is missing"):
        storage.claim().latest()


def test_a_manifest_in_the_wrong_place_is_refused(harness, storage, attempt, take):
    """A copy under another number is not that checkpoint."""
    take(attempt, 1)
    take(attempt, 2)
    harness.damage(harness.manifest(2), harness.read(harness.manifest(1)))

    with pytest.raises(CheckpointCorrupted, match="does not belong here: it is checkpoint 1 of job"):
        storage.claim().latest()


def test_damaged_word_of_the_last_attempt_is_found(harness, storage, attempt):
    """It names where to continue from: a guess could repeat or skip epochs."""
    name = harness.claim_word(1)
    harness.damage(name, flipped(harness.read(name), 90))

    with pytest.raises(CheckpointCorrupted, match=r"corrupt") as caught:
        storage.claim()
    assert "--restore" in str(caught.value)


def test_a_part_damaged_after_loading_is_found_when_it_is_read(harness, attempt, take):
    """Verified once is not verified for ever."""
    manifest = take(attempt, 1, b"state")
    harness.damage(harness.part(manifest.parts[0].name), b"stale")

    with pytest.raises(CheckpointCorrupted, match="is corrupt: expected 5 bytes"):
        read(attempt, manifest.parts[0])


def test_a_checkpoint_that_never_was_is_refused(attempt):
    """`--restore 99`: nothing of that number."""
    with pytest.raises(CheckpointError, match="000099"):
        attempt.load(99)


# --- cleaning ---


def test_cleaning_keeps_the_newest_and_what_they_need(harness, attempt, take):
    """Older checkpoints go with their parts."""
    manifests = [take(attempt, n, b"state %d" % n) for n in range(1, 6)]

    deletions = attempt.clean(2)

    assert deletions.checkpoints == (1, 2, 3)
    assert deletions.parts == tuple(m.parts[0].name for m in manifests[:3])
    assert harness.names() == {
        *(f"{n:012d}.json" for n in (4, 5)),
        *(m.parts[0].name for m in manifests[3:]),
    }
    assert attempt.load(4) == manifests[3]
    assert attempt.clean(2).checkpoints == ()


def test_cleaning_keeps_savepoints_and_what_is_not_noted(storage, attempt, take):
    """By an attempt that has not written them too."""
    take(attempt, 1, kind=CheckpointKind.SAVEPOINT)
    for n in (2, 3):
        take(attempt, n)
    take(attempt, 4, noted=False)
    later = next_attempt(storage, restored=4)

    assert later.clean(1).checkpoints == (2, 3)

    assert storage.claim().history.checkpoints == (1, 4)


def test_cleaning_removes_the_parts_of_crashed_attempts(harness, storage, attempt, take):
    """Once their number is decided otherwise, and no sooner."""
    orphan = store(attempt, 1, b"orphan")
    newer = next_attempt(storage)
    assert newer.clean(1).parts == ()

    take(newer, 1, b"mine")

    assert newer.clean(1).parts == (orphan.name,)
    newer.load(1)


def test_cleaning_spares_the_parts_of_a_checkpoint_being_taken(attempt, take):
    """Savepoints and cleaning may overlap with what comes next."""
    take(attempt, 1, b"a")
    part = store(attempt, 2, b"in flight")

    assert attempt.clean(1).parts == ()
    assert read(attempt, part) == b"in flight"


def test_cleaning_spares_what_it_cannot_read(harness, storage, attempt, take):
    """A damaged manifest is evidence, and its parts may be needed to repair it."""
    for n in (1, 2, 3):
        take(attempt, n, b"x%d" % n)
    harness.damage(harness.manifest(2), b"?")

    later = next_attempt(storage, restored=3)

    deletions = later.clean(1)
    assert deletions.checkpoints == (1,)
    assert deletions.parts == ()


def test_the_note_outlives_the_cleaning(storage, attempt, take):
    """Numbers continue after it, and nothing noted is committed again."""
    for n in range(1, 6):
        take(attempt, n)
        attempt.clean(1)

    history = storage.claim().history

    assert history.noted == 5
    assert history.checkpoints == (5,)
    assert history.next_checkpoint_id == 6


def test_a_discarded_job_starts_over_and_its_numbers_continue(harness, storage, attempt, take):
    """Nothing of it is left but savepoints; the next start is fresh and uses no number twice."""
    take(attempt, 1, b"one")
    attempt.note(1)
    take(attempt, 2, b"two", kind=CheckpointKind.SAVEPOINT)
    take(attempt, 3, b"three")
    attempt.note(3)

    attempt.discard()

    after = storage.claim()
    assert after.history.checkpoints == (2,)
    assert after.history.resume_from is None
    assert after.history.next_checkpoint_id == 4
    assert [read(after, part) for part in after.load(2).parts] == [b"two"]


# --- epoch logs ---


def sealed_log(attempt, checkpoint_id, *payloads):
    log = attempt.open_part("kafka:a/b", 0)
    for payload in payloads:
        log.write(payload)
    return log.seal(checkpoint_id)


def test_a_log_comes_back_byte_by_byte(storage, attempt, take):
    """Small pieces, empty ones, and more than is ever held back in memory."""
    payloads = [b"a", b"", *(bytes([n]) * 300_000 for n in range(12))]
    part = sealed_log(attempt, 1, *payloads)
    manifest = take(attempt, 1, noted=False, logs=(part,))

    again = next_attempt(storage, restored=1)

    assert again.latest() == manifest
    assert manifest.logs == (part,)
    assert read(again, part) == b"".join(payloads)
    assert part.size_bytes == sum(map(len, payloads))


def test_the_size_of_a_log_is_known_while_it_grows(attempt):
    """By it a sink knows when an epoch is too long."""
    log = attempt.open_part("u", 0)
    log.write(bytes(100))

    assert log.size_bytes == 100
    assert log.seal(1).size_bytes == log.size_bytes


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data[:-1] + b"?", lambda data: None])
def test_a_damaged_log_is_found_before_anything_is_written_from_it(harness, storage, attempt, take, change):
    """A missing, cut or altered log of an epoch that waits for its commit: the checkpoint is not sound."""
    part = sealed_log(attempt, 1, b"payload")
    take(attempt, 1, noted=False, logs=(part,))
    name = harness.part(part.name)
    harness.damage(name, change(harness.read(name)))

    with pytest.raises(CheckpointCorrupted, match=r"operator kafka:a/b|is corrupt"):
        next_attempt(storage, restored=1).latest()


def test_a_log_is_not_asked_for_once_its_commit_is_noted(harness, storage, attempt, take):
    """The clean-up drops it and keeps the checkpoint, which stays one to start from."""
    part = sealed_log(attempt, 1, b"payload")
    manifest = take(attempt, 1, b"state", noted=False, logs=(part,))
    assert attempt.clean(3).parts == ()
    attempt.note(1)

    assert attempt.clean(3).parts == (part.name,)
    assert part.name not in harness.names()
    assert next_attempt(storage, restored=1).latest() == manifest


def test_the_log_of_a_declined_checkpoint_is_kept_for_the_next(attempt, take):
    """A manifest with a higher number may list it; the clean-up of an older one leaves it alone."""
    take(attempt, 1)
    part = sealed_log(attempt, 2, b"declined")
    assert attempt.clean(1).parts == ()

    take(attempt, 3, noted=False, logs=(part,))
    assert attempt.clean(1).parts == ()
    assert read(attempt, part) == b"declined"


def test_a_discarded_log_leaves_nothing(harness, attempt):
    """The epoch was aborted, or held nothing."""
    log = attempt.open_part("u", 0)
    log.write(bytes(3_000_000))
    log.discard()
    log.discard()

    assert harness.names() == set()


def test_a_log_of_an_attempt_that_was_overtaken_is_never_a_part(harness, storage, attempt):
    """A process that was stopped and resumes finds out when it seals a part or begins another."""
    log = attempt.open_part("u", 0)
    log.write(b"late")
    storage.claim()

    with pytest.raises(Fenced):
        log.seal(1)
    with pytest.raises(Fenced):
        attempt.open_part("u", 0)
    assert harness.names() == set()
