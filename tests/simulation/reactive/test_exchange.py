"""Vertices in threads that race: a chain, an exchange by key and its consumers, all with random steps."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.elements import END_OF_INPUT
from pipeline.core.policy import SideTag
from pipeline.core.records import Batch
from pipeline.reactive.channel import Channel
from pipeline.reactive.producer import ThreadProducer
from pipeline.runtime.fanout import ByKey, Fanout, Forward, Output, SideOutput
from pipeline.runtime.fused import fuse
from state.keys import key_group, subtask_of
from tests.racing import switching_often
from tests.unit.pipeline.runtime.stage import FakeChain

SEEDS = 6
LONG = timedelta(seconds=20)
RECORDS = 6_000
CONTROL_EVERY = 500
KEYS = 40
GROUPS = 128
REJECTED = SideOutput("map:parse", SideTag[int]("rejected"))


@pytest.fixture(autouse=True)
def often_switched() -> Iterator[None]:
    with switching_often():
        yield


class Vertex:
    """A head and its chain, driven as the runtime drives them."""

    def __init__(self, chain: Any, downstream: Any, chance: random.Random) -> None:
        self._chance = chance
        self.producer = ThreadProducer[Any](self._run, "head")
        self.fused = fuse(chain, downstream)
        self.producer.connect(self.fused)

    def _run(self, producer: ThreadProducer[Any]) -> None:
        position = 0
        while position < RECORDS and self._settle() and (demand := producer.wait_demand()):
            next_control = position - position % CONTROL_EVERY + CONTROL_EVERY
            end = min(position + min(demand, self._chance.randint(1, 400)), next_control)
            producer.next_batch(Batch(range(position, end)))
            position = end
            if position == next_control and self._settle():
                producer.control(position)
        producer.control(END_OF_INPUT)
        self._settle()

    def _settle(self) -> bool:
        while self.fused.suspended:
            if not self.producer.wait_until(lambda: self.fused.resumable):
                return False
            self.fused.resume()
        return True


class Draining:
    """A consumer of one channel in its own thread; takes a few records at a time."""

    def __init__(self, name: str, size: int | None, chance: random.Random, *, aside: bool = False) -> None:
        self._chance = chance
        self._aside = aside
        self.heard: list[Any] = []
        self.overfull: list[tuple[int, int]] = []
        self._producer = ThreadProducer[Any](self._run, name)
        self._producer.flux.subscribe(lambda _: None)
        self.channel = Channel[Any](self._producer.condition, size)

    def start(self) -> None:
        self._producer.start()

    def join(self) -> bool:
        return self._producer.join(LONG)

    def cancel(self) -> None:
        self._producer.cancel()

    def _run(self, producer: ThreadProducer[Any]) -> None:
        channel, bound = self.channel, 0
        while producer.wait_until(lambda: channel.has_records or channel.has_control or channel.ended):
            if channel.ended:
                return
            bound = max(bound, channel.capacity)
            with producer.condition:
                if channel.buffered > bound and not self._aside:
                    self.overfull.append((channel.buffered, bound))
                if channel.has_control:
                    self.heard.append(channel.take_control())
                    continue
                batch = channel.take_records(self._chance.randint(1, 200))
            self.heard.extend(batch)
            channel.consumed(batch)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("expands", [False, True], ids=["filter", "flat_map"])
def test_an_exchange_loses_nothing_and_never_stops(seed: int, expands: bool) -> None:
    """Every output reaches the consumer of its key once, in order and on the right side of each control
    element; no main channel ever holds more than it asked for; rejected records arrive too."""
    chance = random.Random(seed)
    subtasks = chance.randint(1, 3)
    sizes = [chance.choice([3, 16, 300, None]) for _ in range(subtasks + 1)]
    consumers = [Draining(f"consumer-{i}", sizes[i], random.Random(seed + i)) for i in range(subtasks)]
    aside = Draining("aside", sizes[-1], random.Random(seed), aside=True)
    fanout = Fanout(
        [
            Output(
                [c.channel for c in consumers], ByKey(subtasks, GROUPS, lambda pair: pair[0] % KEYS, "key_by")
            ),
            Output([aside.channel], Forward(), REJECTED),
        ]
    )

    def function(value: int) -> Sequence[Any]:
        if value % 5 == 0:
            fanout.send_side(REJECTED, [("rejected", value)])
            return ()
        return [(value, part) for part in range(value % 4 if expands else 1)]

    vertex = Vertex(FakeChain(function, expands=expands, held_back=[(1, "held back")]), fanout, chance)
    everyone = [*consumers, aside]
    for consumer in everyone:
        consumer.start()
    vertex.producer.start()
    try:
        assert vertex.producer.join(LONG), "the stream stopped"
        assert all(consumer.join() for consumer in everyone), "a consumer waits for ever"
    finally:
        vertex.producer.cancel()
        for consumer in everyone:
            consumer.cancel()
    assert [consumer.overfull for consumer in consumers] == [[]] * subtasks
    assert [consumer.heard for consumer in consumers] == expected(function_of(expands), subtasks)
    assert aside.heard == in_epochs(lambda value: [("rejected", value)] if value % 5 == 0 else [])
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("consumer")]


def function_of(expands: bool) -> Any:
    return lambda value: [(value, part) for part in range(value % 4 if expands else 1)] if value % 5 else []


def in_epochs(function: Any, last: Sequence[Any] = ()) -> list[Any]:
    """What one channel that gets everything must receive."""
    heard: list[Any] = []
    for control in range(CONTROL_EVERY, RECORDS + 1, CONTROL_EVERY):
        for value in range(control - CONTROL_EVERY, control):
            heard += function(value)
        heard.append(control)
    return [*heard, *last, END_OF_INPUT]


def expected(function: Any, subtasks: int) -> list[list[Any]]:
    """Split what all must receive by key; control elements are for everyone."""
    heard: dict[int, list[Any]] = defaultdict(list)
    for item in in_epochs(function, [(1, "held back")]):
        for subtask in range(subtasks):
            if not isinstance(item, tuple) or subtask == owner(item[0] % KEYS, subtasks):
                heard[subtask].append(item)
    return [heard[subtask] for subtask in range(subtasks)]


def owner(key: int, subtasks: int) -> int:
    return subtask_of(key_group(key, GROUPS), subtasks, GROUPS)
