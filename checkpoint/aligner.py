"""Alignment of barriers at an operator with several inputs: pure, it only says who must wait."""

from __future__ import annotations

from dataclasses import dataclass

from checkpoint.barrier import Barrier
from pipeline.core.errors import InternalError


@dataclass(frozen=True, slots=True)
class Aligned:
    """All channels have delivered the barrier: take the snapshot, pass the barrier on, read on."""

    barrier: Barrier


@dataclass(frozen=True, slots=True)
class Blocked:
    """Read nothing more from the channel until the barrier is aligned or abandoned."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A late barrier of a checkpoint that is over: continue as if it had not arrived."""


Alignment = Aligned | Blocked | Ignored


class Aligner:
    """Waits until the same barrier has come on every channel.

    A channel that has delivered the barrier is blocked, or records of the next epoch would enter
    the snapshot. A newer barrier shows that the older checkpoint was given up: it supersedes it.
    A channel whose records have ended still delivers barriers, until the run is over: its source
    waits for the last checkpoint too.

    Args:
        channels: how many inputs there are; they are numbered from 0.
    """

    def __init__(self, channels: int) -> None:
        if channels < 1:
            raise InternalError(f"an aligner needs at least one channel, not {channels}")
        self._channels = channels
        self._current: Barrier | None = None
        self._arrived: set[int] = set()
        self._over = 0  # every checkpoint up to this one is aligned, abandoned or superseded

    @property
    def blocked(self) -> frozenset[int]:
        """The channels that must not be read now."""
        return frozenset(self._arrived)

    def on_barrier(self, channel: int, barrier: Barrier) -> Alignment:
        """Take a barrier that was read from `channel`.

        Raises:
            InternalError: the channel is blocked, so nothing may be read from it.
        """
        if barrier.checkpoint_id <= self._over:
            return Ignored()
        if channel in self._arrived:
            raise InternalError(
                f"channel {channel} is blocked, yet barrier {barrier.checkpoint_id} came from it"
            )
        if barrier != self._current:
            self._supersede(barrier)
        self._arrived.add(channel)
        if len(self._arrived) < self._channels:
            return Blocked()
        self._over = barrier.checkpoint_id
        self._forget_current()
        return Aligned(barrier)

    def abandon(self, checkpoint_id: int) -> None:
        """Give up a checkpoint that was declined: unblock, and ignore what still comes of it."""
        if self._current is not None and self._current.checkpoint_id <= checkpoint_id:
            self._forget_current()
        self._over = max(self._over, checkpoint_id)

    def _supersede(self, barrier: Barrier) -> None:
        self._forget_current()
        self._current = barrier
        self._over = barrier.checkpoint_id - 1

    def _forget_current(self) -> None:
        self._current = None
        self._arrived.clear()
