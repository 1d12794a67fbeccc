"""The log of a job: what a claim takes over, and what an attempt may still write after one."""

import json

import pytest

from checkpoint.storage.objects.history import ATTEMPTS_KEPT, Kind
from checkpoint.storage.objects.keys import JobKeys
from checkpoint.storage.objects.log import claim, read
from pipeline.core.errors import CheckpointCorrupted, CheckpointError, Fenced

from .memory_store import MemoryStore

KEYS = JobKeys("checkpoints", "job")
WORD = {
    "execution_id": "x",
    "lineage": "l",
    "restored": None,
    "first_checkpoint_id": 1,
    "host": "h",
    "pid": 1,
    "started_ms": 0,
}


@pytest.fixture
def store():
    return MemoryStore()


def entries(store):
    return [json.loads(store.get(key))["kind"] for key in store.list(KEYS.log)]


def test_a_claim_takes_the_slot_that_its_victim_writes_next(store):
    """So whatever the victim still sends, an hour later too, finds its place taken."""
    first, _ = claim(store, KEYS)
    first.append(Kind.DECISION, checkpoint_id=1)
    _, before = claim(store, KEYS)

    with pytest.raises(Fenced, match="attempt 1 may write no more: attempt 2"):
        first.append(Kind.DECISION, checkpoint_id=2)

    assert before.decided == {1: 1}
    assert entries(store) == ["claim", "decision", "claim"]


def test_a_victim_that_was_quicker_has_decided(store):
    """The claim finds the slot taken, counts what is there, and takes the next."""
    first, _ = claim(store, KEYS)

    def overtake(action, key):
        if action == "create":
            store.before = lambda *_: None
            first.append(Kind.DECISION, checkpoint_id=1)

    store.before = overtake
    _, before = claim(store, KEYS)

    assert before.decided == {1: 1}
    assert entries(store) == ["claim", "decision", "claim"]


def test_an_entry_whose_answer_was_lost_is_written_once(store):
    """The same entry again finds itself and is a success."""
    log, _ = claim(store, KEYS)

    def lose(action, key):
        if action == "create":
            store.before = lambda *_: None
            store.create(key, data)
            raise CheckpointError("no answer")

    store.before = lose
    data = b""

    def remember(key, given):
        nonlocal data
        data = given
        return MemoryStore.create(store, key, given)

    store.create = remember
    with pytest.raises(CheckpointError, match="no answer"):
        log.append(Kind.DECISION, checkpoint_id=1)
    log.append(Kind.DECISION, checkpoint_id=1)

    assert entries(store) == ["claim", "decision"]


def test_an_entry_that_came_after_all_stays_in_its_slot(store):
    """A decision whose checkpoint was given up appears late: the next entry goes after it."""
    log, _ = claim(store, KEYS)
    late = MemoryStore(store.objects)
    twin = claim.__globals__["JobLog"](late, KEYS, 1, 1)
    twin.append(Kind.DECISION, checkpoint_id=1)

    assert log.append(Kind.DECISION, checkpoint_id=2) == 3
    assert read(store, KEYS)[1].decided == {1: 1, 2: 1}


def test_a_start_reads_back_to_the_newest_claim_and_no_further(store):
    """However long the job's history is."""
    for _ in range(50):
        log, _ = claim(store, KEYS)
        log.append(Kind.BEGIN, **WORD)
    asked = []
    store.before = lambda action, key: asked.append((action, key))

    _, found = read(store, KEYS)

    assert [action for action, _ in asked] == ["list", "get", "get"]
    assert [one.number for one in found.past] == list(range(51 - ATTEMPTS_KEPT, 51))


def test_claims_are_never_named_as_superseded(store):
    """One of them occupies the slot that an attempt stopped long ago would write next."""
    for checkpoint_id in range(1, 4):
        log, _ = claim(store, KEYS)
        log.append(Kind.BEGIN, **WORD)
        log.append(Kind.DECISION, checkpoint_id=checkpoint_id)

    _, found = claim(store, KEYS)

    kinds = {slot: json.loads(store.get(KEYS.slot(slot)))["kind"] for slot in found.superseded}
    assert len(kinds) == 6
    assert "claim" not in kinds.values()


def test_what_is_superseded_may_be_gone(store):
    """The sum that a claim carries stays what it is."""
    log, _ = claim(store, KEYS)
    log.append(Kind.DECISION, checkpoint_id=1)
    log.append(Kind.NOTE, checkpoint_id=1, noted_ms=0)
    _, second = claim(store, KEYS)
    store.delete(KEYS.slot(slot) for slot in second.superseded)

    _, third = claim(store, KEYS)

    assert (third.decided, third.noted, third.superseded) == ({1: 1}, 1, ())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff"])
def test_a_damaged_claim_is_found(data, store):
    """Nothing is guessed from what lies below it."""
    claim(store, KEYS)
    store.put(KEYS.slot(1), data)

    with pytest.raises(CheckpointCorrupted) as caught:
        claim(store, KEYS)
    assert "memory:/checkpoints/job/log/000000000001.json" in caught.value.message
