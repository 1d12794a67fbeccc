"""The life of a source in an attempt: its states, what happens to it, and which follows from which.

Two rules for this file:

- Whatever may happen to a source in any state is in the table, and happens nowhere else. What is not
  in the table is a defect of the engine, and raises.
- The table is looked up; nothing else in here depends on the state.

The life begins READING, before the thread has been started, and the questions asked of a state are:

==========  ===================  ===================  ================================================
state       may emit             a barrier may pass   why it is left
==========  ===================  ===================  ================================================
READING     yes                  yes                  all that follow
STOPPED     no                   yes                  the last barrier of a stop has passed
ENDED       no                   yes                  the input has ended, downstream was notified
BROKEN      no                   no                   a batch is out in part: the chain has raised
FINISHED    no                   no                   the last checkpoint is committed
CANCELLED   no                   no                   the attempt ends, wherever the source is
==========  ===================  ===================  ================================================

A checkpoint that is declined is tried again, so in STOPPED another barrier may stop the source once more.
In ENDED there is nothing to stop: a barrier that stops the others passes, and the source stays ENDED, as its
snapshot says so. A chain that raises has broken the stream in ENDED too: the end of the input lets out what
operators had held back. What happens after a cancel is of no consequence.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pipeline.core.errors import InternalError


class SourceState(StrEnum):
    """Where a source is in its life."""

    READING = "reading"
    STOPPED = "stopped"
    ENDED = "ended"
    BROKEN = "broken"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class SourceEvent(StrEnum):
    """What happens to a source."""

    STOP = "stop"
    END = "end"
    BREAK = "break"
    FINISH = "finish"
    CANCEL = "cancel"


_S, _E = SourceState, SourceEvent

TRANSITIONS: Final[Mapping[SourceState, Mapping[SourceEvent, SourceState]]] = {
    _S.READING: {
        _E.STOP: _S.STOPPED,
        _E.END: _S.ENDED,
        _E.BREAK: _S.BROKEN,
        _E.CANCEL: _S.CANCELLED,
    },
    _S.STOPPED: {_E.STOP: _S.STOPPED, _E.CANCEL: _S.CANCELLED},
    _S.ENDED: {
        _E.STOP: _S.ENDED,
        _E.BREAK: _S.BROKEN,
        _E.FINISH: _S.FINISHED,
        _E.CANCEL: _S.CANCELLED,
    },
    _S.BROKEN: {_E.BREAK: _S.BROKEN, _E.CANCEL: _S.CANCELLED},
    _S.FINISHED: {_E.CANCEL: _S.CANCELLED},
    _S.CANCELLED: dict.fromkeys(SourceEvent, _S.CANCELLED),
}

_PASSABLE: Final = frozenset({_S.READING, _S.STOPPED, _S.ENDED})


class SourceLife:
    """The state of one source; it changes by any thread, one change at a time.

    Args:
        uid: of the source, for the message of what may not happen.

    Attributes:
        state: where it is.
        may_emit: whether it may emit records; if not, it should return from `run`. Kept, as it is
            asked for several times in each batch.

    Example:
        >>> life = SourceLife("numbers")
        >>> life.happens(SourceEvent.END)
        >>> life.may_emit, life.lets_barriers_pass
        (False, True)
    """

    def __init__(self, uid: str) -> None:
        self._uid = uid
        self._changing = threading.Lock()
        self.state = SourceState.READING
        self.may_emit = True

    def happens(self, event: SourceEvent) -> None:
        """Go to the state that follows.

        Raises:
            InternalError: it cannot happen in this state.
        """
        with self._changing:
            follows = TRANSITIONS[self.state].get(event)
            if follows is None:
                raise InternalError(f"source {self._uid} is {self.state}: {event} cannot happen to it")
            self.state = follows
            self.may_emit = follows is SourceState.READING

    @property
    def lets_barriers_pass(self) -> bool:
        """Whether what it has emitted is all out, so that its position is that of a barrier."""
        return self.state in _PASSABLE

    def __repr__(self) -> str:
        return f"<SourceLife of {self._uid}: {self.state}>"
