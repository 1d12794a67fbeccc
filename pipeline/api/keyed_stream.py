"""KeyedStream and WindowedStream: records gathered by key, and by key and time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pipeline.api.call_site import call_site
from pipeline.api.handle import Handle
from pipeline.api.job import StreamJob
from pipeline.api.stream import Stream, require_plain
from pipeline.core.errors import GraphError
from pipeline.core.policy import ErrorPolicy
from pipeline.graph.builder import Output
from pipeline.operators.aggregate import Aggregate
from pipeline.operators.base import Function, OperatorSpec
from pipeline.operators.reduce import Reduce
from pipeline.operators.window import AssignWindows, WindowAggregate, WindowReduce
from pipeline.windows.assigners import WindowAssigner
from state.descriptors import AggregateFunction

K = TypeVar("K")
T = TypeVar("T")
Acc = TypeVar("Acc")
Out = TypeVar("Out")

_FAIL = ErrorPolicy()


class KeyedStream(Handle, Generic[K, T]):
    """Records of type `T` partitioned by a key of type `K`; made by `stream.key_by`."""

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
        """Fold the records of each key into one, and give the result so far for every record.

        Args:
            function: takes the result so far and a record, returns the new result; plain, not async.
            on_error: what happens to a record that `function` cannot handle.
            uid: what the state is filed under; needed in a checkpointed job where `function` is a lambda.
            value_type: declares classes of your own that occur in results, so that they can be stored.
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
        """Fold the records of each key into an accumulator, and give its result for every record.

        `value_type` declares classes of your own that occur in accumulators, so that they can be stored.
        """
        require_aggregate(aggregate)
        return self._then(Aggregate(aggregate, self._selector, on_error, value_type), uid)

    def window(self, assigner: WindowAssigner, *, uid: str | None = None) -> WindowedStream[K, T]:
        """Divide the records of each key by time.

        Without `watermarks=` at the source the time is that of processing; `explain()` says so.
        """
        if not isinstance(assigner, WindowAssigner):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise GraphError(
                f"window needs an assigner, found {assigner!r}",
                hint="write TumblingTimeWindows.of(timedelta(minutes=5)), for example",
            )
        return WindowedStream(self.job, self._add(AssignWindows(assigner, self._selector), uid))

    def _then(self, spec: OperatorSpec, uid: str | None) -> Stream[Any]:
        return Stream(self.job, self._add(spec, uid))

    def _add(self, spec: OperatorSpec, uid: str | None) -> Output:
        return self.job.graph.add_operator(spec, [self.output], uid=uid, written_at=call_site())


class WindowedStream(Handle, Generic[K, T]):
    """Records of type `T` divided by key and time; made by `keyed.window`."""

    def reduce(
        self, function: Callable[[T, T], T], *, on_error: ErrorPolicy = _FAIL, uid: str | None = None
    ) -> Stream[T]:
        """Fold the records of each window into one; the result comes when the window closes."""
        require_plain("reduce", function)
        return self._then(WindowReduce(function, on_error), uid)

    def aggregate(
        self,
        aggregate: AggregateFunction[T, Acc, Out],
        *,
        on_error: ErrorPolicy = _FAIL,
        uid: str | None = None,
    ) -> Stream[Out]:
        """Fold the records of each window into an accumulator; its result comes when the window closes."""
        require_aggregate(aggregate)
        return self._then(WindowAggregate(aggregate, on_error), uid)

    def _then(self, spec: OperatorSpec, uid: str | None) -> Stream[Any]:
        output = self.job.graph.add_operator(spec, [self.output], uid=uid, written_at=call_site())
        return Stream(self.job, output)


def require_aggregate(aggregate: object) -> None:
    """Refuse what does not have the methods of an `AggregateFunction`, and a class instead of an instance."""
    if isinstance(aggregate, type):
        raise GraphError(
            f"aggregate needs an instance, found the class {aggregate.__name__}",
            hint=f"call it: {aggregate.__name__}(…)",
        )
    wanted = ("create_accumulator", "add", "get_result")
    missing = [name for name in wanted if not callable(getattr(aggregate, name, None))]
    if missing:
        raise GraphError(
            f"aggregate needs an AggregateFunction, but {aggregate!r} has no {', '.join(missing)}",
            hint="give it create_accumulator, add, get_result and merge; for one function use reduce",
        )
