"""assign_timestamps_and_watermarks: event time restarts here, whatever it was upstream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.core.elements import BEGINNING, IDLE, TimeElement, Watermark
from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch
from pipeline.operators.base import Function, OperatorFactory
from pipeline.operators.timestamps import Timestamps
from pipeline.operators.watermarking import Watermarking
from pipeline.spi.operator import DueTimers, OperatorContext, TimeOperator
from pipeline.windows.watermarks import WatermarkStrategy


@dataclass(frozen=True, slots=True)
class AssignTimestamps(OperatorFactory):
    """Give each record the time that a strategy says, and place the watermarks that follow from it.

    Watermarks from upstream end here (Flink's `assignTimestampsAndWatermarks`), as does the idleness of
    upstream; the end of the input passes. Each subtask counts as one split.

    Args:
        strategy: with a timestamp function; what happens to a record without a time is its `on_error`.
    """

    kind: ClassVar[str] = "assign_timestamps_and_watermarks"
    keeps_records: ClassVar[bool] = True
    assigns_time: ClassVar[bool] = True

    strategy: WatermarkStrategy

    @property
    def functions(self) -> Sequence[Function]:
        return () if self.strategy.timestamp is None else (self.strategy.timestamp,)

    @property
    def on_error(self) -> ErrorPolicy:
        return self.strategy.on_error

    @property
    def keeps_state(self) -> bool:
        return True  # how far event time has come

    @property
    def uses_clock(self) -> bool:
        return self.strategy.idleness_ms is not None

    def describe(self) -> str:
        return f"watermarks {self.strategy.describe()}"

    def create_operator(self) -> TimeOperator:
        return AssignTimestampsOperator(self.strategy)


class AssignTimestampsOperator(TimeOperator):
    """The running part of `AssignTimestamps`."""

    def __init__(self, strategy: WatermarkStrategy) -> None:
        self._strategy = strategy
        self._reached = BEGINNING
        self._idle = False
        self._heard_ms = 0
        self._awaited = False
        self._pending: list[TimeElement] = []

    def open(self, ctx: OperatorContext) -> None:
        self._ctx = ctx
        self._timestamps = Timestamps(self._strategy, ctx.uid, ctx, ctx.clock)
        self._watermarking = Watermarking(self._strategy, ctx.clock)

    def initialize_state(self, state: Any) -> None:
        self._reached = state["watermark"]
        self._watermarking = Watermarking(
            self._strategy, self._ctx.clock, state["greatest"], state["records"]
        )

    def snapshot_state(self) -> Any:
        known = self._watermarking
        return {"watermark": self._reached, "greatest": known.greatest, "records": known.records}

    def process_timed(self, batch: Batch[Any]) -> Iterator[Batch[Any] | TimeElement]:
        stamped, greatest = self._timestamps.stamp(batch)
        if len(stamped):
            yield from self._hear()
        for piece in self._watermarking.pieces(stamped):
            moving = self._watermarking.moving(piece, greatest if piece is stamped else None)
            yield piece
            watermark = self._watermarking.moved(moving)
            if watermark is not None and watermark > self._reached:
                self._reached = watermark
                yield Watermark(watermark)

    def process_timers(self, due: DueTimers) -> None:
        self._awaited = False
        timeout, now = self._strategy.idleness_ms, self._ctx.clock.now_ms()
        if timeout is None or self._idle:
            return
        silent_since = max(self._heard_ms, due.timestamp - timeout)
        if now - due.timestamp > timeout // 2:  # this thread was held up, and records may wait in its queues
            silent_since = now
        if now - silent_since >= timeout:
            self._idle = True
            self._pending.append(IDLE)
        else:
            self._await(silent_since + timeout)

    def take_time(self) -> list[TimeElement]:
        pending, self._pending = self._pending, []
        return pending

    def _hear(self) -> Iterator[TimeElement]:
        """Count silence from now on, and wake what no longer waits for this stream."""
        if self._strategy.idleness_ms is None:
            return
        self._heard_ms = self._ctx.clock.now_ms()
        if not self._awaited:
            self._await(self._heard_ms + self._strategy.idleness_ms)
        if self._idle:
            self._idle = False
            yield Watermark(self._reached)

    def _await(self, instant: int) -> None:
        self._awaited = True
        self._ctx.wall_timers.call_at(instant, "silence")
