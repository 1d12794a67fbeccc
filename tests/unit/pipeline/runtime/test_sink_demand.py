"""SinkDemand: what a sink asks for, and what it holds back while its epoch is full."""

from __future__ import annotations

from pipeline.runtime.sink_demand import SinkDemand


class Scene:
    """A sink of which the test says whether its epoch has room."""

    def __init__(self) -> None:
        self.has_room = True
        self.filled = 0
        self.requested: list[int] = []
        self.demand = SinkDemand(None, lambda: self.has_room, self._fill)
        self.demand.subscribe(self)

    def request(self, n: int) -> None:
        self.requested.append(n)

    def cancel(self) -> None:
        raise AssertionError("a sink does not cancel")

    def _fill(self) -> None:
        self.filled += 1


def test_a_full_epoch_is_reported_once_and_its_demand_asked_for_afterwards() -> None:
    """Each report hastens a checkpoint: a second one would bring about another, of an empty epoch."""
    scene = Scene()
    (first,) = scene.requested
    scene.has_room = False
    scene.demand.consumed(first, 0.001)
    scene.demand.look_again()
    scene.demand.look_again()
    assert (scene.filled, scene.requested) == (1, [first])
    scene.has_room = True
    scene.demand.look_again()
    assert len(scene.requested) == 2
    assert scene.requested[1] >= first
    scene.demand.look_again()
    assert len(scene.requested) == 2
    scene.has_room = False
    scene.demand.look_again()
    assert scene.filled == 2
