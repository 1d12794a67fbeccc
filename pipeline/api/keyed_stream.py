"""KeyedStream and WindowedStream: records grouped by key, and by key and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Generic, TypeVar, overload

from pipeline.api.call_site import call_site
from pipeline.api.handle import Handle
from pipeline.api.job import StreamJob
from pipeline.api.stream import Stream, require_plain
from pipeline.core.durations import milliseconds
from pipeline.core.errors import GraphError
from pipeline.core.functions import is_opened
from pipeline.core.policy import ErrorPolicy, SideTag
from pipeline.graph.builder import Output
from pipeline.operators.aggregate import Aggregate
from pipeline.operators.base import Function, OperatorSpec
from pipeline.operators.reduce import Reduce
from pipeline.operators.window import AssignWindows
from pipeline.operators.window_aggregate import WindowAggregate
from pipeline.operators.window_operator import Windowing
from pipeline.operators.window_reduce import WindowReduce
from pipeline.windows.assigners import Window, WindowAssigner
from state.descriptors import AggregateFunction

K = TypeVar("K")
T = TypeVar("T")
Acc = TypeVar("Acc")
Out = TypeVar("Out")
R = TypeVar("R")

_FAIL = ErrorPolicy()


class KeyedStream(Handle, Generic[K, T]):
    """Records of type `T` partitioned by a key of type `K`; returned by `stream.key_by`."""

    def __init__(self, job: StreamJob, output: Output, selector: Function) -> None:
        super().__init__(job, output)
        self._selector = selector

    def reduce(
        self,
        function: Callable[[T, T], T],
        *,
        on_error: ErrorPolicy = _FAIL,
        uid: str | None = None,
        value_type: Any = None,
    ) -> Stream[T]:
        """Fold the records of each key into one, and emit the result so far for every record.

        The first record of a key is its first result.

        Args:
            function: takes the result so far and a record, returns the new result; plain, not async. It
                must not change either: the result so far has already been emitted, and a sink that writes
                it later would write the change.
            on_error: what happens to a record on which `function` raises; the result so far stays as it was.
            uid: identifies the state in checkpoints; required in a checkpointed job if `function` is a
                lambda.
            value_type: declares your own classes that occur in results, so that they can be stored.

        Returns:
            One result for each record.

        Raises:
            GraphError: `function` is not a plain function.

        Example:
            totals = orders.key_by(customer).reduce(lambda sum, order: {**order, "n": sum["n"] + order["n"]})
        """
        require_plain("reduce", function)
        return self._then(Reduce(function, self._selector, on_error, value_type), uid)

    def aggregate(
        self,
        aggregate: AggregateFunction[T, Acc, Out],
        *,
        on_error: ErrorPolicy = _FAIL,
        uid: str | None = None,
        value_type: Any = None,
    ) -> Stream[Out]:
        """Fold the records of each key into an accumulator, and emit its result for every record.

        Args:
            aggregate: has `create_accumulator`, `add` and `get_result`. `add` may change the accumulator,
                so `get_result` must return a copy; otherwise every result would show the final value.
            on_error: what happens to a record on which `aggregate` raises.
            uid: identifies the state in checkpoints; default `aggregate:` and the class of `aggregate`.
            value_type: declares your own classes that occur in accumulators, so that they can be stored.

        Returns:
            One result for each record.

        Raises:
            GraphError: a method is missing, or `aggregate` is a class instead of an instance.

        Example:
            means = readings.key_by(lambda reading: reading["sensor"]).aggregate(Mean())
        """
        require_aggregate(aggregate)
        return self._then(Aggregate(aggregate, self._selector, on_error, value_type), uid)

    def window(self, assigner: WindowAssigner, *, uid: str | None = None) -> WindowedStream[K, T]:
        """Group the records of each key by time.

        Windows use event time if the source has `watermarks=`, else processing time; `explain()` shows
        which.

        Args:
            assigner: `TumblingTimeWindows.of(…)` or `SlidingTimeWindows.of(…)`.
            uid: names the windows in graphs; their state has the uid of the fold that follows.

        Returns:
            The windowed stream, which has `reduce` and `aggregate`.

        Raises:
            GraphError: `assigner` is not a window assigner.

        Example:
            windows = by_user.window(TumblingTimeWindows.of(timedelta(minutes=5)))
        """
        if not isinstance(assigner, WindowAssigner):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise GraphError(
                f"window needs an assigner, found {assigner!r}",
                hint="write TumblingTimeWindows.of(timedelta(minutes=5)), for example",
            )
        output = self._add(AssignWindows(assigner, self._selector), uid)
        return WindowedStream(self.job, output, Windowing(assigner, self._selector))

    def _then(self, spec: OperatorSpec, uid: str | None) -> Stream[Any]:
        return Stream(self.job, self._add(spec, uid))

    def _add(self, spec: OperatorSpec, uid: str | None) -> Output:
        return self.job.graph.add_operator(spec, [self.output], uid=uid, written_at=call_site())


class WindowedStream(Handle, Generic[K, T]):
    """Records of type `T` grouped by key and time; returned by `keyed.window`.

    A window emits one result for each of its keys when it closes.
    """

    def __init__(self, job: StreamJob, output: Output, windowing: Windowing) -> None:
        super().__init__(job, output)
        self._windowing = windowing

    def allowed_lateness(self, lateness: timedelta) -> WindowedStream[K, T]:
        """Keep each window for some time after its end, so that it fires again for each late record.

        Readers of the results must expect several for one window and key; the last one is valid.

        Args:
            lateness: 0 or more, in event time.

        Returns:
            The same windows, kept longer.

        Raises:
            ConfigError: `lateness` is negative, or not a timedelta of whole milliseconds.

        Example:
            windows.allowed_lateness(timedelta(minutes=1)).reduce(add)
        """
        lateness_ms = milliseconds("the allowed lateness", lateness, least=0)
        return self._with(replace(self._windowing, lateness_ms=lateness_ms))

    def side_output_late_data(self, tag: SideTag[T]) -> WindowedStream[K, T]:
        """Send records that are too late for all their windows to a side output.

        Without this they are counted in `JobResult.late_records`.

        Args:
            tag: names the side output of the fold that follows.

        Returns:
            The same windows, with that side output.

        Example:
            windows = keyed.window(TumblingTimeWindows.of(timedelta(minutes=5)))
            sums = windows.side_output_late_data(LATE).reduce(add)
            sums.side_output(LATE).sink(FileSink("late.jsonl"))
        """
        return self._with(replace(self._windowing, late=tag))

    @overload
    def reduce(
        self,
        function: Callable[[T, T], T],
        *,
        window_function: Callable[[K, Window, T], R],
        on_error: ErrorPolicy = ...,
        uid: str | None = ...,
        value_type: Any = ...,
    ) -> Stream[R]: ...
    @overload
    def reduce(
        self,
        function: Callable[[T, T], T],
        *,
        on_error: ErrorPolicy = ...,
        uid: str | None = ...,
        value_type: Any = ...,
    ) -> Stream[T]: ...
    def reduce(
        self,
        function: Callable[[T, T], T],
        *,
        window_function: Callable[[K, Window, T], Any] | None = None,
        on_error: ErrorPolicy = _FAIL,
        uid: str | None = None,
        value_type: Any = None,
    ) -> Stream[Any]:
        """Fold the records of each window and key into one record of the same type.

        Args:
            function: takes the folded record and a record, returns both in one; plain, not async. It must
                not change either: the first record of a window may be in other windows, too.
            window_function: takes the key, the window and the folded record, returns the result; without
                it, the folded record is the result.
            on_error: what happens to the argument of a call that raises.
            uid: identifies the state in checkpoints; required in a checkpointed job if `function` is a
                lambda.
            value_type: declares your own classes that occur in records, so that they can be stored.

        Returns:
            One result for each window and key, with the last instant of the window as its time.

        Raises:
            GraphError: a function is not a plain function.

        Example:
            sums = windows.reduce(add, window_function=lambda user, window, sum: (user, window.start, sum))
        """
        require_plain("reduce", function)
        self._require_window_function(window_function)
        fold = WindowReduce(self._windowing, window_function, on_error, value_type, function=function)
        return self._then(fold, uid)

    @overload
    def aggregate(
        self,
        aggregate: AggregateFunction[T, Acc, Out],
        *,
        window_function: Callable[[K, Window, Out], R],
        on_error: ErrorPolicy = ...,
        uid: str | None = ...,
        value_type: Any = ...,
    ) -> Stream[R]: ...
    @overload
    def aggregate(
        self,
        aggregate: AggregateFunction[T, Acc, Out],
        *,
        on_error: ErrorPolicy = ...,
        uid: str | None = ...,
        value_type: Any = ...,
    ) -> Stream[Out]: ...
    def aggregate(
        self,
        aggregate: AggregateFunction[T, Acc, Out],
        *,
        window_function: Callable[[K, Window, Out], Any] | None = None,
        on_error: ErrorPolicy = _FAIL,
        uid: str | None = None,
        value_type: Any = None,
    ) -> Stream[Any]:
        """Fold the records of each window and key into an accumulator, and emit its result.

        Args:
            aggregate: has `create_accumulator`, `add` and `get_result`.
            window_function: takes the key, the window and what `get_result` returned, returns the result.
            on_error: what happens to the argument of a call that raises.
            uid: identifies the state in checkpoints; default `aggregate:` and the class of `aggregate`.
            value_type: declares your own classes that occur in accumulators, so that they can be stored.

        Returns:
            One result for each window and key, with the last instant of the window as its time.

        Raises:
            GraphError: a method is missing, or `window_function` is not a plain function.

        Example:
            delays = windows.aggregate(MeanDelay(), window_function=alert)
        """
        require_aggregate(aggregate)
        self._require_window_function(window_function)
        fold = WindowAggregate(self._windowing, window_function, on_error, value_type, aggregate=aggregate)
        return self._then(fold, uid)

    @staticmethod
    def _require_window_function(function: Function | None) -> None:
        if function is not None:
            require_plain("window_function", function)

    def _with(self, windowing: Windowing) -> WindowedStream[K, T]:
        return WindowedStream(self.job, self.output, windowing)

    def _then(self, spec: OperatorSpec, uid: str | None) -> Stream[Any]:
        output = self.job.graph.add_operator(spec, [self.output], uid=uid, written_at=call_site())
        return Stream(self.job, output)


def require_aggregate(aggregate: object) -> None:
    """Raise unless `aggregate` is an instance with the methods of an `AggregateFunction`."""
    if isinstance(aggregate, type):
        raise GraphError(
            f"aggregate needs an instance, found the class {aggregate.__name__}",
            hint=f"call it: {aggregate.__name__}(…)",
        )
    if is_opened(aggregate):
        raise GraphError(
            f"aggregate needs a plain object, but {type(aggregate).__name__} has open()",
            hint="map, filter, flat_map and map_batches open their functions: use one of them upstream",
        )
    wanted = ("create_accumulator", "add", "get_result")
    missing = [name for name in wanted if not callable(getattr(aggregate, name, None))]
    if missing:
        raise GraphError(
            f"aggregate needs an AggregateFunction, but {aggregate!r} has no {', '.join(missing)}",
            hint="define create_accumulator, add and get_result; for a single function use reduce",
        )
