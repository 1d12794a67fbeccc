"""Manifest: readable, and either as it was written or refused."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkpoint.manifest import Manifest, Part
from checkpoint.sealed import seal, unseal
from pipeline.core.errors import CheckpointCorrupted, CheckpointError, InternalError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_what_is_written_comes_back_equal(manifest_of):
    """Every field survives, and a second writing produces the same bytes."""
    manifest = manifest_of()
    data = manifest.to_bytes()

    read = Manifest.from_bytes(data, "m.json")

    assert read == manifest
    assert read.to_bytes() == data
    assert read.size_bytes == 1234


@given(body=st.dictionaries(st.text().filter(lambda key: key != "sha256"), JSON, max_size=5))
def test_any_plain_json_comes_back_equal(body):
    """Text of every kind, numbers of every size."""
    assert unseal(seal(body), "f.json") == body


def test_it_is_readable(manifest_of):
    """A person, or a program that knows only JSON, finds everything by name."""
    text = manifest_of().to_bytes().decode()

    assert '\n  "checkpoint_id": 7,\n  "kind": "PERIODIC",\n' in text
    assert json.loads(text)["source_state"]["jdbc_query:flights"]["processed_rows"] == 70_000
    assert json.loads(text)["format"] == "pipeline-checkpoint"


def test_any_flipped_bit_is_found(manifest_of):
    """Also in the checksum itself, in white space, and where JSON sees no difference."""
    data = manifest_of().to_bytes()
    for index in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[index] ^= 1 << bit
            with pytest.raises(CheckpointCorrupted, match=r"^m\.json "):
                Manifest.from_bytes(bytes(flipped), "m.json")


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -2])
def test_a_truncated_manifest_is_refused(manifest_of, keep):
    """Half a file is not a file."""
    with pytest.raises(CheckpointCorrupted, match=r"m\.json is corrupt"):
        Manifest.from_bytes(manifest_of().to_bytes()[:keep], "m.json")


def test_an_unknown_version_is_refused_by_name():
    """A later release's manifest is not corrupt, and is not guessed at."""
    data = seal({"format": "pipeline-checkpoint", "version": 4, "new": "field"})

    with pytest.raises(CheckpointError, match=r"version 4 .*this release reads version 3") as caught:
        Manifest.from_bytes(data, "m.json")

    assert not isinstance(caught.value, CheckpointCorrupted)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "body",
    [
        {"format": "something-else", "version": 3},
        {"format": "pipeline-checkpoint", "version": 3, "kind": "PERIODIC", "parts": []},
        {"format": "pipeline-checkpoint", "version": 3, "kind": "SOMETIMES", "parts": []},
        {"format": "pipeline-checkpoint", "version": 3},
    ],
)
def test_a_sealed_file_that_is_not_a_manifest_is_refused(body):
    """A sound checksum does not make a manifest."""
    with pytest.raises(CheckpointCorrupted, match=r"m\.json is not a manifest"):
        Manifest.from_bytes(seal(body), "m.json")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a", "", "000000000001-a/b", "/000000000001-a", "000000000001-\n"]
)
def test_a_part_cannot_lead_out_of_its_folder(manifest_of, name):
    """Names with separators are refused however well they are sealed, of logs too."""
    part = (Part(name, "u", 0, "", 0),)
    for manifest in (manifest_of(parts=part), manifest_of(logs=part)):
        with pytest.raises(CheckpointCorrupted, match="cannot be a part's name"):
            Manifest.from_bytes(manifest.to_bytes(), "m.json")


@pytest.mark.parametrize("value", [float("nan"), b"bytes", {1, 2}, datetime(2013, 1, 1, tzinfo=UTC)])
def test_what_json_cannot_hold_is_an_engine_error(manifest_of, value):
    """The state encoding comes first; nothing is silently turned into something else."""
    with pytest.raises(InternalError, match="plain JSON only"):
        manifest_of(source_state={"s": value}).to_bytes()
