"""Parts as rows of objects: uploads while they grow, refusals, and what is left of those discarded."""

import threading

import pytest

from checkpoint.storage.objects import part as module
from checkpoint.storage.objects.job import JobObjects
from checkpoint.storage.objects.keys import JobKeys
from checkpoint.storage.objects.part import CHUNK_BYTES, Chunks, ObjectPartReader, ObjectPartWriter
from checkpoint.storage.objects.uploads import Uploads
from pipeline.core.errors import CheckpointCorrupted, CheckpointError, Fenced

from .memory_store import MemoryStore

HALF = bytes(CHUNK_BYTES // 2)


class Attempt:
    """What a part asks of its attempt."""

    def __init__(self):
        self.fenced = False
        self.told = []

    def ensure_newest(self):
        if self.fenced:
            raise Fenced("taken over")

    def sealed(self, name, checkpoint_id):
        self.told.append((name, checkpoint_id))

    def discarded(self, name):
        self.told.append((name, None))


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def job(store):
    uploads = Uploads("job/upload")
    yield JobObjects(store, JobKeys("", "job"), uploads)
    uploads.close()


@pytest.fixture
def attempt():
    return Attempt()


@pytest.fixture
def writer(job, attempt):
    return ObjectPartWriter(Chunks(job, "000000000001-1-1-u-0"), "u", 0, attempt)


def test_a_part_is_a_row_of_objects(job, store, writer):
    """Full ones go out while it grows; the last is as long as it is."""
    for _ in range(5):
        writer.write(HALF)
    part = writer.seal(1)

    assert [len(store.get(key)) for key in store.list("job/parts/")] == [CHUNK_BYTES, CHUNK_BYTES, len(HALF)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_BYTES", 1)  # what another release may have
        assert ObjectPartReader(job, part).read() == 5 * HALF


def test_it_is_read_in_any_pieces(job, writer):
    """Across the ends of objects too."""
    data = bytes(range(256)) * (2 * CHUNK_BYTES // 256) + b"end"
    writer.write(data)
    part = writer.seal(1)

    for size in (1 << 20, CHUNK_BYTES - 1, 3 * CHUNK_BYTES):
        reader = ObjectPartReader(job, part)
        pieces = []
        while piece := reader.read(size):
            pieces.append(piece)
        assert b"".join(pieces) == data


def test_a_store_that_refuses_for_a_while_costs_nothing(store, writer):
    """What was refused is kept and tried again when the part is sealed."""
    refused = []

    def refuse(action, key):
        if action == "put" and len(refused) < 2:
            refused.append(key)
            raise CheckpointError("not now")

    store.before = refuse
    for _ in range(6):
        writer.write(HALF)
    part = writer.seal(1)

    assert sum(len(store.get(key)) for key in store.list("job/parts/")) == part.size_bytes == 6 * len(HALF)


def test_a_refused_seal_may_be_tried_again(store, writer):
    """For a later checkpoint."""
    writer.write(b"state")
    store.before = refuse_puts
    with pytest.raises(CheckpointError, match="not now"):
        writer.seal(1)
    store.before = lambda action, key: None

    assert writer.seal(2).size_bytes == 5


def test_memory_is_bounded_while_the_store_refuses(store, writer):
    """An endless refusal ends the part, not the process."""
    store.before = refuse_puts

    def write_without_end():
        for _ in range(100):
            writer.write(HALF)

    with pytest.raises(CheckpointError, match="not now"):
        write_without_end()


def test_one_that_was_taken_over_is_not_sealed(attempt, writer):
    """Its name is never given out."""
    writer.write(b"late")
    attempt.fenced = True

    with pytest.raises(Fenced):
        writer.seal(1)
    assert attempt.told == []


def test_what_is_discarded_while_it_is_on_its_way_is_deleted(job, store, attempt, writer):
    """The upload that was under way deletes what it wrote."""
    under_way, go_on = threading.Event(), threading.Event()

    def hold(action, key):
        if action == "put":
            under_way.set()
            assert go_on.wait(30)

    store.before = hold
    writer.write(2 * HALF)
    assert under_way.wait(30)
    writer.discard()
    go_on.set()
    job.uploads.submit(lambda: None).result(30)
    job.uploads.close()

    assert list(store.list("job/parts/")) == []
    assert attempt.told == [("000000000001-1-1-u-0", None)]


@pytest.mark.parametrize("index", [0, 1])
def test_a_missing_object_is_found(index, job, store, writer):
    """And named, with the operator."""
    writer.write(3 * HALF)
    part = writer.seal(1)
    key = job.keys.chunk(part.name, index)
    store.delete([key])

    with pytest.raises(CheckpointCorrupted, match=f"memory:/{key} is missing: a part of operator u"):
        ObjectPartReader(job, part).read()


def refuse_puts(action, key):
    if action == "put":
        raise CheckpointError("not now")
