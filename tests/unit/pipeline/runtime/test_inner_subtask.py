"""A subtask with several channels: none of them keeps the others waiting."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from pipeline.core.records import Batch
from pipeline.reactive.channel import Channel
from pipeline.runtime.contexts import Identity, VertexContext
from pipeline.runtime.fused import fuse
from pipeline.runtime.inner_subtask import InnerSubtask, InputPlan
from pipeline.runtime.snapshot import Participant
from pipeline.testing import ManualClock
from tests.unit.pipeline.runtime.stage import Consumer, FakeChain

PATIENCE_S = 20


class Upstream:
    """Sends what it likes, whatever it is asked for."""

    def request(self, n: int) -> None:
        pass

    def cancel(self) -> None:
        pass


class Heard(Consumer):
    """Lets the test wait for a number of records."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = threading.Condition()

    def on_next_batch(self, values: Any) -> None:
        super().on_next_batch(values)
        with self.changed:
            self.changed.notify_all()


def test_channels_that_are_all_full_are_read_alternately() -> None:
    """A source that is always ahead must not shut another one out."""
    consumer = Heard()
    subtask = InnerSubtask(
        Participant("Inner", 0),
        VertexContext(Identity("job", "lineage", 1), 0, 1, ManualClock()),
        [],
        lambda event: None,
        lambda checkpoint_id, snapshot: None,
        name="inner",
        inputs=[InputPlan(0, lambda condition: Channel[Any](condition, 64)) for _ in range(3)],
    )
    subtask.wire(fuse(FakeChain(lambda value: [value], expands=False), consumer))
    for number, channel in enumerate(subtask.channels):
        channel.on_subscribe(Upstream())
        for _ in range(3):
            channel.on_next_batch(Batch([number]))
    consumer.request(9)
    subtask.start()
    with consumer.changed:
        assert consumer.changed.wait_for(lambda: len(consumer.heard) == 9, PATIENCE_S)
    subtask.cancel()
    assert subtask.join(timedelta(seconds=PATIENCE_S))
    assert consumer.heard == [0, 1, 2] * 3
