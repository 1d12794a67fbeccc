"""What the running folds of windows share: which records are late, when windows fire, when they go."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import length_hint
from typing import Any, Final

from pipeline.core.elements import BEGINNING
from pipeline.core.errors import GraphError, StateError
from pipeline.core.policy import ErrorPolicy, SideTag
from pipeline.core.records import Batch
from pipeline.operators.base import Function
from pipeline.operators.failure import DROPPED, Failures
from pipeline.operators.key_selection import KeySelection
from pipeline.operators.window_summary import summary
from pipeline.spi.operator import OperatorContext, StreamOperator
from pipeline.windows.assigners import Window, WindowAssigner
from state.descriptors import WindowStateDescriptor

NEVER: Final = 2**63 - 1
"""Later than any timestamp."""

OpenWindow = Callable[[int], MutableMapping[Any, Any]]
"""Gives the values by key of the window that starts at an instant."""


@dataclass(frozen=True, slots=True)
class Windowing:
    """Which windows there are, of which keys, and what becomes of records that come after their end.

    Args:
        assigner: which windows a record belongs to.
        selector: the key of a record.
        lateness_ms: for how long after its end a window still takes records.
        late: where records go that come even later; None to count them.
    """

    assigner: WindowAssigner
    selector: Function
    lateness_ms: int = 0
    late: SideTag | None = None


class WindowOperator(StreamOperator[Any, Any]):
    """Folds each record into what its key has in each of its windows, and gives that when time is up.

    A window [start, end) fires when event time comes to end - 1, before event time goes on; with an
    allowed lateness it is kept for that long and fires again for each record that still comes.
    Without event time, records have the time at which they are processed, and a window fires when
    the clock comes to its end.

    Args:
        window_function: makes the result from key, window and what was folded.
        policy: for the calls that raise.
        value_type: declares what is folded.
    """

    expands = True
    same_in_all_subtasks = True

    def __init__(
        self,
        windowing: Windowing,
        window_function: Callable[[Any, Window, Any], Any] | None,
        policy: ErrorPolicy,
        value_type: Any,
    ) -> None:
        self._windowing = windowing
        self._assigner = windowing.assigner
        self._lateness_ms = windowing.lateness_ms
        self._window_function = window_function
        self._policy = policy
        self._value_type = value_type
        self._watermark = BEGINNING
        self._next_due = NEVER

    def open(self, ctx: OperatorContext) -> None:
        self._ctx = ctx
        self._table = ctx.keyed_state.window_table(
            WindowStateDescriptor(name="windows", value_type=self._value_type)
        )
        self._keys = KeySelection(self._windowing.selector, self._policy, ctx.uid, ctx)
        if self._window_function is not None:
            self._finishing = Failures(self._window_function, self._policy, ctx.uid, ctx)

    def initialize_state(self, state: Any) -> None:
        self._watermark = state["watermark"]
        for start in self._table.windows():
            self._await(self._assigner.starting_at(start))

    def snapshot_state(self) -> Any:
        return {"watermark": self._watermark, **summary(self._table, self._assigner, self._value_type)}

    # --- records -----------------------------------------------------------------------------------

    def process_batch(self, batch: Batch[Any]) -> Batch[Any]:
        fired = _Fired()
        if not self._ctx.event_time:
            now = max(self._ctx.clock.now_ms(), self._watermark + 1)
            self._advance(now - 1, fired)
            batch = Batch(batch.values, [now] * len(batch), batch.origins)
        elif batch.timestamps is None:
            raise self._untimed()
        batch, keys = self._keys.select(batch)
        if keys:
            try:
                self._take(batch, keys, fired)
            except StateError as error:  # what cannot be a key, or cannot be stored
                error.located(operator=self._ctx.uid)
                raise
        return fired.batch()

    def _take(self, batch: Batch[Any], keys: Sequence[Any], fired: _Fired) -> None:
        timestamps = batch.timestamps
        assert timestamps is not None
        columns = self._assigner.starts(timestamps)
        if columns is not None:
            first = self._assigner.starting_at(min(columns[0]))
            if first.max_timestamp > self._watermark:  # all windows are still open, which is the rule
                self._await(first)
                open_window = self._table.batch(keys)
                for starts in columns:
                    self._fold(open_window, keys, batch, starts)
                return
        self._take_one_by_one(batch, keys, fired)

    def _take_one_by_one(self, batch: Batch[Any], keys: Sequence[Any], fired: _Fired) -> None:
        """Take records some of which may come after the end of a window of theirs."""
        assert batch.timestamps is not None
        open_window = self._table.batch(keys)
        late: list[Any] = []
        for index, timestamp in enumerate(batch.timestamps):
            windows = [
                window
                for window in self._assigner.assign(timestamp)
                if self._gone_at(window) > self._watermark
            ]
            if not windows:
                late.append(batch.values[index])
            key, record = keys[index], batch[index : index + 1]
            for window in windows:
                self._await(window)
                dropped = self._fold(open_window, [key], record, [window.start])
                if window.max_timestamp <= self._watermark and not dropped:
                    self._fire(window, [key], [open_window(window.start)[key]], fired)
        self._pass_late(late)

    @abstractmethod
    def _fold(
        self, open_window: OpenWindow, keys: Sequence[Any], batch: Batch[Any], starts: Sequence[int]
    ) -> int:
        """Take each record into the window of its start; return how many were dropped by the policy."""

    def _pass_late(self, late: Sequence[Any]) -> None:
        if late and self._windowing.late is not None:
            self._ctx.side_output(self._windowing.late, late)
        else:
            self._ctx.count_late(len(late))

    def _untimed(self) -> GraphError:
        return GraphError(
            "records without event time reach the window",
            hint="a map_batches that gives more or fewer records than it takes loses it, and so does a side "
            "output: use map, filter or flat_map before the window",
        ).located(operator=self._ctx.uid)

    # --- time ----------------------------------------------------------------------------------------

    def process_watermark(self, timestamp: int) -> Batch[Any] | None:
        return self._come_to(timestamp) if self._ctx.event_time else None

    def next_timer(self) -> int | None:
        return None if self._ctx.event_time or self._next_due == NEVER else self._next_due + 1

    def process_timer(self, now_ms: int) -> Batch[Any] | None:
        return None if self._ctx.event_time else self._come_to(now_ms - 1)

    def finish(self) -> Batch[Any] | None:
        return self._come_to(NEVER)

    def _come_to(self, timestamp: int) -> Batch[Any] | None:
        fired = _Fired()
        self._advance(timestamp, fired)
        return fired.batch()

    def _advance(self, watermark: int, fired: _Fired) -> None:
        """Fire the windows that end by `watermark`, and drop those that no record can reach any more."""
        before = self._watermark
        if watermark <= before:
            return
        self._watermark = watermark
        if watermark < self._next_due:
            return
        self._next_due = NEVER
        for start in self._table.windows():
            window = self._assigner.starting_at(start)
            if before < window.max_timestamp <= watermark:
                self._fire(window, *self._table.columns(start), fired)
            if self._gone_at(window) <= watermark:
                self._table.drop(start)
            else:
                self._await(window)

    def _await(self, window: Window) -> None:
        """Look at the windows again when this one ends or, if it has ended, is no longer needed."""
        ended = window.max_timestamp <= self._watermark
        self._next_due = min(self._next_due, self._gone_at(window) if ended else window.max_timestamp)

    def _gone_at(self, window: Window) -> int:
        return window.max_timestamp + self._lateness_ms

    # --- results ---------------------------------------------------------------------------------------

    def _fire(self, window: Window, keys: Sequence[Any], folded: Sequence[Any], fired: _Fired) -> None:
        keys, results = self._conclude(keys, folded)
        function = self._window_function
        if function is not None:
            keys, results = self._each(
                self._finishing, lambda key, result: function(key, window, result), keys, results
            )
        fired.add(results, window.max_timestamp)

    def _conclude(self, keys: Sequence[Any], folded: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """Make results of what was folded; keys whose result cannot be made are left out."""
        return keys, folded

    @staticmethod
    def _each(
        failures: Failures, function: Callable[[Any, Any], Any], keys: Sequence[Any], values: Sequence[Any]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """Call a function with each key and value, by the policy for calls that raise."""
        kept: list[Any] = []
        results: list[Any] = []
        for key, value in zip(keys, values, strict=True):
            try:
                result = function(key, value)
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises
                result = failures.recover(error, partial(function, key, value), value, None)
                if result is DROPPED:
                    continue
            kept.append(key)
            results.append(result)
        return kept, results

    @staticmethod
    def _recover(
        failures: Failures, error: Exception, again: Callable[[], Any], batch: Batch[Any], left: Iterator[Any]
    ) -> Any:
        """Apply the policy to the record that was last taken from the iterator `left`."""
        index = len(batch) - length_hint(left) - 1
        origin = None if batch.origins is None else batch.origins[index]
        return failures.recover(error, again, batch.values[index], origin)


class _Fired:
    """Results of windows, each with the last instant of its window."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._timestamps: list[int] = []

    def add(self, results: Sequence[Any], timestamp: int) -> None:
        self._values += results
        self._timestamps += [timestamp] * len(results)

    def batch(self) -> Batch[Any]:
        return Batch(self._values, self._timestamps)
