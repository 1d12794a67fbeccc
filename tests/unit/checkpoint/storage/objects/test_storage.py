"""ObjectCheckpointStorage: what only a row of requests can get wrong."""

import pytest

from checkpoint.storage.objects.storage import ObjectCheckpointStorage
from pipeline.core.errors import CheckpointError
from tests.unit.checkpoint.parts import manifest_of
from tests.unit.checkpoint.parts import store as store_part

from .memory_store import MemoryStore

MANIFESTS = "all/job/manifests/"


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def storage(store):
    storage = ObjectCheckpointStorage(store, "all", "job")
    yield storage
    storage.close()


def begun(storage):
    attempt = storage.claim()
    attempt.begin(execution_id="x-1", lineage="l-1", restored=None)
    return attempt


def refuse(action, prefix):
    def before(asked, key):
        if asked == action and key.startswith(prefix):
            raise CheckpointError("not now")

    return before


def test_a_manifest_that_never_counted_is_cleaned_up(store, storage):
    """Its attempt died between storing it and deciding."""
    first = begun(storage)
    part = store_part(first, 1, b"state")
    store.before = refuse("create", "all/job/log/")
    with pytest.raises(CheckpointError, match="not now"):
        first.write_manifest(manifest_of(first, 1, part))
    store.before = lambda action, key: None

    second = begun(storage)
    assert second.history.checkpoints == ()
    mine = store_part(second, 1, b"mine")
    second.write_manifest(manifest_of(second, 1, mine))
    second.note(1)
    second.clean(3)

    assert list(store.list(MANIFESTS)) == [f"{MANIFESTS}000000000001-2.json"]
    assert list(store.list("all/job/parts/")) == [f"all/job/parts/{mine.name}"]


def test_one_s_own_that_may_count_still_is_spared(store, storage):
    """The answer to its decision was lost, and the request may be on its way."""
    attempt = begun(storage)
    store.before = refuse("create", "all/job/log/")
    with pytest.raises(CheckpointError):
        attempt.write_manifest(manifest_of(attempt, 1))
    store.before = lambda action, key: None
    attempt.write_manifest(manifest_of(attempt, 2))
    attempt.note(2)

    attempt.clean(1)

    assert len(list(store.list(MANIFESTS))) == 2


def test_the_log_does_not_grow_with_the_checkpoints(store, storage):
    """A run of years keeps as many entries as checkpoints, and a start reads no more."""
    attempt = begun(storage)
    for checkpoint_id in range(1, 101):
        attempt.write_manifest(manifest_of(attempt, checkpoint_id))
        attempt.note(checkpoint_id)
        attempt.clean(3)

    assert len(list(store.list("all/job/log/"))) == 2 + 3 + 1, "claim, begin, decisions, note"
    history = storage.claim().history
    assert (history.checkpoints, history.noted) == ((98, 99, 100), 100)


def test_what_a_crashed_clean_up_left_is_found_by_the_next(store, storage):
    """Its log entries too."""
    first = begun(storage)
    for checkpoint_id in (1, 2):
        first.write_manifest(manifest_of(first, checkpoint_id, store_part(first, checkpoint_id, b"x")))
        first.note(checkpoint_id)
    store.before = refuse("delete", "all/job/parts/")
    with pytest.raises(CheckpointError):
        first.clean(1)
    store.before = lambda action, key: None

    second = begun(storage)
    assert second.history.checkpoints == (2,)
    second.write_manifest(manifest_of(second, 3, store_part(second, 3, b"x")))
    second.note(3)
    second.clean(1)

    assert len(list(store.list("all/job/parts/"))) == 1
    assert len(list(store.list("all/job/log/"))) == 2 + 3, (
        "two claims, and begin, decision and note of the second"
    )
