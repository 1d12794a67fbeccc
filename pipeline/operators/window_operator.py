"""What the folds of windows share while they run: which records are late, when windows fire, when they go."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence, Sized
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from operator import length_hint
from typing import Any

from pipeline.core.counts import LATE
from pipeline.core.elements import BEGINNING
from pipeline.core.errors import Fault, GraphError, StateError
from pipeline.core.policy import ErrorPolicy, SideTag
from pipeline.core.records import Batch
from pipeline.operators.base import Function
from pipeline.operators.failure import DROPPED, Failures
from pipeline.operators.key_selection import KeySelection
from pipeline.operators.window_summary import summary
from pipeline.spi.operator import DueTimers, OperatorContext, StreamOperator
from pipeline.windows.assigners import Window, WindowAssigner
from state.backend import WindowKey
from state.descriptors import WindowStateDescriptor

State = MutableMapping[Any, Any]
"""What each key has in one window."""


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
    """Folds each record into the value of its key in each of its windows, and emits it when time is up.

    A window [start, end) fires when event time reaches end - 1, before event time is forwarded; with an
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

    _windows: Sized = ()
    """The table of windows, once the operator is open; it may be looked at before."""

    def __init__(
        self,
        windowing: Windowing,
        window_function: Callable[[Any, Window, Any], Any] | None,
        policy: ErrorPolicy,
        value_type: Any,
    ) -> None:
        self._windowing = windowing
        self._window_function = window_function
        self._policy = policy
        self._value_type = value_type
        self._watermark = BEGINNING

    @property
    def open_windows(self) -> int:
        return len(self._windows)

    def open(self, ctx: OperatorContext) -> None:
        self._ctx = ctx
        self._timers = ctx.event_timers if ctx.event_time else ctx.wall_timers
        self._table = self._windows = ctx.keyed_state.window_table(
            WindowStateDescriptor(name="windows", value_type=self._value_type)
        )
        self._keys = KeySelection(self._windowing.selector, self._policy, ctx.uid, ctx)
        if self._window_function is not None:
            self._finishing = Failures(self._window_function, self._policy, ctx.uid, ctx)

    def initialize_state(self, state: Any) -> None:
        self._watermark = state["watermark"]
        for stored in self._table.windows():
            self._await(self._known(stored))

    def _known(self, stored: WindowKey) -> Window:
        """Return a restored window, if the job still divides time so that it can be one."""
        assigner = self._windowing.assigner
        if len(stored) == len(Window._fields) and assigner.has(window := Window(*stored)):
            return window
        error = StateError(
            f"the checkpoint has the window {stored}, which is none of those that the job has: "
            f"{assigner.describe()}",
            hint="put the windows back as they were; with another uid the operator begins with empty ones",
        )
        error.fault = Fault.USER
        raise error.located(operator=self._ctx.uid)

    def snapshot_state(self) -> Any:
        return {"watermark": self._watermark, **summary(self._table, self._value_type)}

    # --- records -----------------------------------------------------------------------------------

    def process_batch(self, batch: Batch[Any], input_index: int) -> Batch[Any]:
        fired = _Fired()
        if not self._ctx.event_time:
            now = max(self._ctx.clock.now_ms(), self._watermark + 1)
            self._watermark = now - 1
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

    def _take(self, batch: Batch[Any], keys: list[Any], fired: _Fired) -> None:
        timestamps = batch.timestamps
        assert timestamps is not None
        assigner, open_window = self._windowing.assigner, self._table.batch(keys)
        records = Batch(batch.values, None, batch.origins)  # a fold needs no times: do not pick them
        in_list = timestamps if isinstance(timestamps, list) else list(timestamps)
        for start, part in assigner.panes.divide(in_list):
            if isinstance(part, slice):
                some, their_keys = records[part], keys[part]
            else:
                some, their_keys = records.select(part), [keys[index] for index in part]
            windows = [each for each in assigner.assign(start) if self._gone_at(each) > self._watermark]
            if not windows:
                self._pass_late(some.values)
            for window in windows:
                self._await(window)
                state = open_window(window)
                if window.max_timestamp > self._watermark:
                    self._fold(state, their_keys, some)
                else:
                    self._fold_again(window, state, their_keys, some, fired)

    def _fold_again(
        self, window: Window, state: State, keys: Sequence[Any], batch: Batch[Any], fired: _Fired
    ) -> None:
        """Take records into a window that has fired: it does so again for each of them."""
        for index, key in enumerate(keys):
            if not self._fold(state, [key], batch[index : index + 1]):
                self._fire(window, [key], [state[key]], fired)

    @abstractmethod
    def _fold(self, state: State, keys: Sequence[Any], batch: Batch[Any]) -> int:
        """Take each record into what its key has in one window; return how many the policy dropped."""

    def _pass_late(self, late: Sequence[Any]) -> None:
        if late and self._windowing.late is not None:
            self._ctx.side_output(self._windowing.late, late)
        else:
            self._ctx.count(LATE, len(late))

    def _untimed(self) -> GraphError:
        return GraphError(
            "records without event time reach the window",
            hint="event time is lost by a map_batches that returns another number of records, and by a side "
            "output: use map, filter or flat_map before the window",
        ).located(operator=self._ctx.uid)

    # --- time ----------------------------------------------------------------------------------------

    def process_watermark(self, timestamp: int) -> None:
        if self._ctx.event_time:
            self._watermark = max(self._watermark, timestamp)

    def process_timers(self, due: DueTimers) -> Batch[Any]:
        """Fire a window that ends now; drop it as soon as no record can reach it any more."""
        window: Window = due.name
        instant = due.timestamp - due.by_clock
        fired = _Fired()
        if due.by_clock:
            self._watermark = max(self._watermark, instant)
        if instant == window.max_timestamp:
            self._fire(window, *self._table.columns(window), fired)
        if instant == self._gone_at(window):
            self._table.drop(window)
        else:
            self._call_at(self._gone_at(window), window)
        return fired.batch()

    def _await(self, window: Window) -> None:
        """Have a window looked at when it ends or, if it has ended, when it is no longer needed."""
        ended = window.max_timestamp <= self._watermark
        self._call_at(self._gone_at(window) if ended else window.max_timestamp, window)

    def _call_at(self, instant: int, window: Window) -> None:
        # A clock must be past the last instant of a window; a watermark is, by definition.
        self._timers.call_at(instant if self._ctx.event_time else instant + 1, window)

    def _gone_at(self, window: Window) -> int:
        return window.max_timestamp + self._windowing.lateness_ms

    # --- results ---------------------------------------------------------------------------------------

    def _fire(self, window: Window, keys: Sequence[Any], folded: Sequence[Any], fired: _Fired) -> None:
        keys, results = self._conclude(keys, folded)
        function = self._window_function
        if function is not None:
            calls = zip(keys, repeat(window), results)
            _, results = self._call_each(function, self._finishing, keys, results, calls)
        fired.add(results, window.max_timestamp)

    def _conclude(self, keys: Sequence[Any], folded: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """Make results of what was folded; keys whose result cannot be made are left out."""
        return keys, folded

    @staticmethod
    def _call_each(
        function: Callable[..., Any],
        failures: Failures,
        keys: Sequence[Any],
        values: Sequence[Any],
        arguments: Iterable[tuple[Any, ...]],
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """Call `function` for each key; where it raises, the policy decides on the value of that key."""
        kept: list[Any] = []
        results: list[Any] = []
        for key, value, given in zip(keys, values, arguments, strict=False):
            try:
                result = function(*given)
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises
                result = failures.recover(error, partial(function, *given), value, None)
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
