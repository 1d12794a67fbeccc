"""The form of an epoch log: every payload comes back, and nothing that was not written."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkpoint.epoch_log import HEADER, frame, read_frames
from pipeline.core.errors import CheckpointCorrupted, CheckpointError

PAYLOADS = [b"first", b"", bytes(300)]


def log_of(payloads):
    return HEADER + b"".join(frame(payload) for payload in payloads)


def read(data):
    log = io.BytesIO(data)
    log.name = "log"
    return list(read_frames(log))


@given(payloads=st.lists(st.binary(max_size=50), max_size=8))
def test_payloads_come_back_in_their_order(payloads):
    """Of any size, none included."""
    assert read(log_of(payloads)) == payloads


def test_any_flipped_bit_is_found():
    """In the header, a length, a checksum or a payload: never other payloads than were written."""
    data = log_of(PAYLOADS)
    for index in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[index] ^= 1 << bit
            with pytest.raises(CheckpointError, match=r"^log "):
                read(bytes(flipped))


def test_a_log_that_ends_within_a_frame_is_refused():
    """A cut between two frames is seen by the length in the manifest."""
    data = log_of(PAYLOADS)
    ends = {len(log_of(PAYLOADS[:n])) for n in range(len(PAYLOADS) + 1)}
    for length in set(range(len(data))) - ends:
        with pytest.raises(CheckpointCorrupted):
            read(data[:length])


def test_another_version_is_refused_by_name():
    """A later release's log is not corrupt, and is not guessed at."""
    with pytest.raises(
        CheckpointError, match="version 2 of the log format, this release reads version 1"
    ) as e:
        read(b"pipeline epoch log 2\n")

    assert not isinstance(e.value, CheckpointCorrupted)
    assert not e.value.retryable
