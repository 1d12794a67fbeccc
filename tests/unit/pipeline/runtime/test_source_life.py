"""SourceLife: each event in each state, those that cannot happen too."""

from __future__ import annotations

import itertools

import pytest

from pipeline.core.errors import InternalError
from pipeline.runtime.source_life import TRANSITIONS, SourceEvent, SourceLife, SourceState

S, E = SourceState, SourceEvent

WAYS: dict[SourceState, list[SourceEvent]] = {
    S.READING: [],
    S.STOPPED: [E.STOP],
    S.ENDED: [E.END],
    S.BROKEN: [E.BREAK],
    S.FINISHED: [E.END, E.FINISH],
    S.CANCELLED: [E.CANCEL],
}
"""How a source comes to each state."""

FOLLOWS = {
    (S.READING, E.STOP): S.STOPPED,
    (S.READING, E.END): S.ENDED,
    (S.READING, E.BREAK): S.BROKEN,
    (S.READING, E.CANCEL): S.CANCELLED,
    (S.STOPPED, E.STOP): S.STOPPED,  # the last checkpoint is tried again
    (S.STOPPED, E.CANCEL): S.CANCELLED,
    (S.ENDED, E.STOP): S.ENDED,  # other sources are stopped
    (S.ENDED, E.BREAK): S.BROKEN,  # by what operators had held back
    (S.ENDED, E.FINISH): S.FINISHED,
    (S.ENDED, E.CANCEL): S.CANCELLED,
    (S.BROKEN, E.BREAK): S.BROKEN,  # by both threads
    (S.BROKEN, E.CANCEL): S.CANCELLED,
    (S.FINISHED, E.CANCEL): S.CANCELLED,
    **{(S.CANCELLED, event): S.CANCELLED for event in E},
}


def life_in(state: SourceState) -> SourceLife:
    life = SourceLife("numbers")
    for event in WAYS[state]:
        life.happens(event)
    assert life.state is state
    return life


@pytest.mark.parametrize(("state", "event"), list(itertools.product(S, E)))
def test_what_follows(state: SourceState, event: SourceEvent) -> None:
    """What is not listed here is refused, and changes nothing."""
    life = life_in(state)
    follows = FOLLOWS.get((state, event))
    if follows is not None:
        life.happens(event)
        assert life.state is follows
        return
    with pytest.raises(InternalError, match=f"source numbers is {state}: {event} cannot happen"):
        life.happens(event)
    assert life.state is state


def test_every_state_has_its_line() -> None:
    assert set(TRANSITIONS) == set(S) == set(WAYS)


@pytest.mark.parametrize("state", list(S))
def test_what_a_state_allows(state: SourceState) -> None:
    """Records go out while it reads, barriers also once nothing more does, unless the chain is broken."""
    life = life_in(state)
    assert life.may_emit == (state is S.READING)
    assert life.lets_barriers_pass == (state in {S.READING, S.STOPPED, S.ENDED})
    assert str(state) in repr(life)
