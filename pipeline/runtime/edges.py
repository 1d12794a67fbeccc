"""What can be seen of the hand-overs into a subtask while it runs."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.reactive.channel import Channel
from pipeline.runtime.edge_buffer import EdgeBuffer
from pipeline.runtime.inner_subtask import InnerSubtask
from pipeline.runtime.result import EdgeProgress


def edges_into(inner: InnerSubtask) -> Iterator[EdgeProgress]:
    """Yield the plain hand-overs of a subtask together, and each buffer with a strategy by itself."""
    plain = [channel for channel in inner.channels if isinstance(channel, Channel)]
    if plain:
        yield EdgeProgress(
            f"→{inner.participant.vertex}",
            sum(channel.buffered for channel in plain),
            sum(channel.capacity for channel in plain),
            active=any(channel.is_full for channel in plain),
            request_rate=sum(channel.request_rate for channel in plain),
        )
    for buffer in inner.buffers:
        yield _of_buffer(buffer)


def _of_buffer(buffer: EdgeBuffer) -> EdgeProgress:
    return EdgeProgress(
        buffer.uid,
        buffer.buffered,
        buffer.buffer.size,
        buffer.buffer.strategy,
        buffer.dropped,
        buffer.active,
        buffer.request_rate,
    )
