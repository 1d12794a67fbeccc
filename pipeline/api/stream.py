"""Stream: the output of an operator, and what can be done with it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from pipeline.api.call_site import call_site
from pipeline.api.handle import Handle
from pipeline.core.config import BackpressureStrategy, JobConfig
from pipeline.core.errors import GraphError
from pipeline.core.functions import function_ref, is_async, is_async_generator, is_opened
from pipeline.core.policy import ErrorPolicy, SideTag
from pipeline.graph.buffers import DEFAULT_SIZE, check_size
from pipeline.graph.builder import Output
from pipeline.operators.assign_timestamps import AssignTimestamps
from pipeline.operators.backpressure import Backpressure
from pipeline.operators.base import Function, OperatorSpec
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.key_by import KeyBy
from pipeline.operators.map import Map
from pipeline.operators.map_batches import MapBatches
from pipeline.operators.union import Union
from pipeline.spi.sink import AnySink
from pipeline.windows.watermarks import WatermarkStrategy

if TYPE_CHECKING:
    from pipeline.api.job import StreamJob
    from pipeline.api.keyed_stream import KeyedStream

T = TypeVar("T")
U = TypeVar("U")
Key = str | int | bytes | tuple[Any, ...]
"""What a key may be: str, int, bytes, bool, or tuples of them."""

K = TypeVar("K", bound=Key)

_FAIL = ErrorPolicy()


class Stream(Handle, Generic[T]):
    """The records of type `T` that an operator emits; each method adds an operator and returns its output.

    A stream may be read more than once: each reader gets every record.

    The function of `map`, `filter`, `flat_map` and `map_batches` may be plain or `async def`. It may also
    be an object with `__call__`, `open(ctx)` and `close()`, each plain or `async def`: each subtask has its
    own copy, opens it in its thread before the first record and closes it there at the end, whatever failed.
    `ctx` is a `FunctionContext`. Create what belongs to a thread or an event loop, such as a session or a
    connection, in `open`. A subtask awaits the calls of an `async def` function one after another.

    A function must return something new instead of changing its argument: records are passed on, not
    copied, so other readers of the stream, a buffer, a retry or the next result of a fold would see the
    change. Nothing checks this.
    """

    @overload
    def map(
        self, function: Callable[[T], Awaitable[U]], *, on_error: ErrorPolicy = ..., uid: str | None = ...
    ) -> Stream[U]: ...
    @overload
    def map(
        self, function: Callable[[T], U], *, on_error: ErrorPolicy = ..., uid: str | None = ...
    ) -> Stream[U]: ...
    def map(
        self, function: Function, *, on_error: ErrorPolicy = _FAIL, uid: str | None = None
    ) -> Stream[Any]:
        """Replace each record by the result of `function`.

        Args:
            function: takes a record and returns one. To change a record, return a changed copy: other
                readers of this stream have the same object.
            on_error: what happens to a record on which `function` raises; by default the job fails.
            uid: identifies the operator in checkpoints; default `map:` and the name of `function`.

        Returns:
            The stream of results, in the order of the records.

        Raises:
            GraphError: `function` is not callable, or is an async generator.

        Example:
            with_tax = orders.map(lambda order: {**order, "tax": order["total"] // 5})
        """
        refuse_async_generator("map", function)
        return self._then(Map(function, on_error), uid)

    def filter(
        self, function: Callable[[T], object], *, on_error: ErrorPolicy = _FAIL, uid: str | None = None
    ) -> Stream[T]:
        """Keep the records for which `function` returns a true value.

        Args:
            function: takes a record.
            on_error: what happens to a record on which `function` raises; by default the job fails.
            uid: identifies the operator in checkpoints; default `filter:` and the name of `function`.

        Returns:
            The stream of the records kept, in their order.

        Raises:
            GraphError: `function` is not callable, or is an async generator.

        Example:
            large = orders.filter(lambda order: order["total"] >= 40)
        """
        refuse_async_generator("filter", function)
        return self._then(Filter(function, on_error), uid)

    @overload
    def flat_map(
        self, function: Callable[[T], Iterable[U]], *, on_error: ErrorPolicy = ..., uid: str | None = ...
    ) -> Stream[U]: ...
    @overload
    def flat_map(
        self, function: Callable[[T], AsyncIterable[U]], *, on_error: ErrorPolicy = ..., uid: str | None = ...
    ) -> Stream[U]: ...
    @overload
    def flat_map(
        self,
        function: Callable[[T], Awaitable[Iterable[U]]],
        *,
        on_error: ErrorPolicy = ...,
        uid: str | None = ...,
    ) -> Stream[U]: ...
    def flat_map(
        self, function: Function, *, on_error: ErrorPolicy = _FAIL, uid: str | None = None
    ) -> Stream[Any]:
        """Replace each record by any number of records.

        Args:
            function: takes a record and returns an iterable, or is a generator or an async generator. A
                lazy result is read one record at a time, as downstream requests them.
            on_error: what happens to a record on which `function` or its iterator raises; by default the
                job fails.
            uid: identifies the operator in checkpoints; default `flat_map:` and the name of `function`.

        Returns:
            The stream of all results, in the order of the records.

        Raises:
            GraphError: `function` is not callable.

        Example:
            words = lines.flat_map(str.split)
        """
        return self._then(FlatMap(function, on_error), uid)

    @overload
    def map_batches(
        self,
        function: Callable[[list[T]], Awaitable[Sequence[U]]],
        *,
        on_error: ErrorPolicy = ...,
        uid: str | None = ...,
    ) -> Stream[U]: ...
    @overload
    def map_batches(
        self,
        function: Callable[[list[T]], Sequence[U]],
        *,
        on_error: ErrorPolicy = ...,
        uid: str | None = ...,
    ) -> Stream[U]: ...
    def map_batches(
        self, function: Function, *, on_error: ErrorPolicy = _FAIL, uid: str | None = None
    ) -> Stream[Any]:
        """Replace the records that are pending at a time by the list that `function` returns for them.

        Args:
            function: takes a list of 1 to 2,048 records and returns a sequence of any length. For calls
                that are cheaper in bulk; how records are divided into lists is not defined.
            on_error: what happens to the records of a list on which `function` raises; by default the job
                fails.
            uid: identifies the operator in checkpoints; default `map_batches:` and the name of `function`.

        Returns:
            The stream of all results. If the numbers of records differ, they have no event time.

        Raises:
            GraphError: `function` is not callable, or is an async generator.

        Example:
            scored = events.map_batches(lambda batch: model.predict(batch))
        """
        refuse_async_generator("map_batches", function)
        return self._then(MapBatches(function, on_error), uid)

    def assign_timestamps_and_watermarks(
        self, strategy: WatermarkStrategy, *, uid: str | None = None
    ) -> Stream[T]:
        """Let event time begin here: with the times that `strategy` says, whatever they were upstream.

        Watermarks from upstream end here, too; the end of the input passes. Use it where the time of a
        record is known only after a `map`, or where records without one are filtered out first.

        Args:
            strategy: with `timestamp=`, and with `on_error=` for records that have no time. Each subtask
                counts as one split: its records come out of order by no more than the bound.
            uid: what its state is filed under; needed in a checkpointed job where `timestamp` is a lambda.

        Returns:
            The stream with these times.

        Raises:
            GraphError: it is not a strategy, or it has no timestamp function.

        Example:
            lines.map(parse).assign_timestamps_and_watermarks(
                WatermarkStrategy.bounded_out_of_orderness(
                    timedelta(seconds=5), timestamp=time_of, on_error=ErrorPolicy.skip()
                )
            )
        """
        if not isinstance(strategy, WatermarkStrategy) or strategy.timestamp is None:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise GraphError(
                "assign_timestamps_and_watermarks needs a strategy with a timestamp function, "
                f"found {strategy!r}",
                hint="write WatermarkStrategy.bounded_out_of_orderness(timedelta(seconds=1), timestamp=fn)",
            )
        return self._then(AssignTimestamps(strategy), uid)

    def key_by(self, selector: Callable[[T], K], *, uid: str | None = None) -> KeyedStream[K, T]:
        """Partition the stream by key, so that one subtask gets all records of a key.

        Args:
            selector: a plain function that returns the key: str, int, bytes, bool, or a tuple of them.
            uid: identifies the partitioning in checkpoints.

        Returns:
            The keyed stream, which has `reduce`, `aggregate` and `window`.

        Raises:
            GraphError: `selector` is not a plain function.

        Example:
            by_customer = orders.key_by(lambda order: order["customer"])
        """
        from pipeline.api.keyed_stream import KeyedStream  # it knows Stream, which comes first

        require_plain("key_by", selector)
        return KeyedStream(self.job, self._add(KeyBy(selector), uid), selector)

    def backpressure(
        self,
        strategy: BackpressureStrategy,
        *,
        buffer_size: int | None = DEFAULT_SIZE,
        on_drop: Callable[[T], object] | None = None,
        value_type: Any = None,
        accept_loss: bool = False,
        uid: str | None = None,
    ) -> Stream[T]:
        """Add a buffer: choose what happens when downstream is slower than upstream.

        A checkpoint overtakes the buffered records and stores them, so a restart loses nothing that the
        buffer has accepted.

        Args:
            strategy: BUFFER holds back upstream and loses nothing; DROP drops the newest records, LATEST
                all but the newest, both counted; ERROR fails the job, which restarts from its last
                checkpoint.
            buffer_size: records that it may hold; None lets a BUFFER grow without a bound. LATEST
                holds one.
            on_drop: called with each dropped record, in the upstream thread.
            value_type: declares your own classes that occur in records, so that they can be stored.
            accept_loss: required if dropped records would be missing in an exactly-once sink.
            uid: identifies the buffer in checkpoints; default `backpressure:` and the strategy.

        Returns:
            The same records, after the buffer.

        Raises:
            ConfigError: the strategy does not allow this size.
            GraphError: `on_drop` is not a plain function.

        Example:
            events.backpressure(BackpressureStrategy.LATEST).sink(dashboard)
        """
        size = _checked_size(strategy, buffer_size)
        if on_drop is not None:
            require_plain("backpressure(on_drop=…)", on_drop)
        return self._then(Backpressure(strategy, size, on_drop, value_type, accept_loss), uid)

    def union(self, *others: Stream[U], uid: str | None = None) -> Stream[T | U]:
        """Merge with other streams of the job.

        Args:
            others: one or more streams of the same job.
            uid: identifies the operator in checkpoints.

        Returns:
            The records of all streams, in the order in which they arrive.

        Raises:
            GraphError: no other stream is given, or one belongs to another job.

        Example:
            orders = web.union(shop, phone)
        """
        if not others:
            raise GraphError("union needs another stream", hint="write stream.union(other)")
        for other in others:
            if other.job is not self.job:
                raise GraphError(
                    f"union of streams of two jobs: {self.job!r} and {other.job!r}",
                    hint="take both streams from the same StreamJob",
                )
        inputs = [self.output, *(other.output for other in others)]
        return Stream(self.job, self.job.graph.add_operator(Union(), inputs, uid=uid, written_at=call_site()))

    def side_output(self, tag: SideTag[U]) -> Stream[U]:
        """Return a side output of the last operator.

        Args:
            tag: names the side output: `DEAD_LETTERS`, or a tag given to an error policy or a window.

        Returns:
            The stream of records sent to `tag`, typed by the tag.

        Example:
            parsed = events.map(parse, on_error=ErrorPolicy.dead_letter())
            parsed.side_output(DEAD_LETTERS).sink(FileSink("rejected.jsonl"))
        """
        return Stream(self.job, Output(self.output.node, tag))

    def sink(self, sink: AnySink[T], *, uid: str | None = None) -> SinkHandle:
        """Write the stream to a sink; a stream may have several.

        Args:
            sink: where the records go.
            uid: identifies the sink in checkpoints; default its kind and target.

        Returns:
            The end of the chain, which has `build`.

        Example:
            job = StreamJob.builder().name("copy").source(source).sink(FileSink("copy.csv")).build()
        """
        output = self.job.graph.add_sink(sink, self.output, uid=uid, written_at=call_site())
        return SinkHandle(self.job, output)

    def _then(self, spec: OperatorSpec, uid: str | None) -> Stream[Any]:
        return Stream(self.job, self._add(spec, uid))

    def _add(self, spec: OperatorSpec, uid: str | None) -> Output:
        return self.job.graph.add_operator(spec, [self.output], uid=uid, written_at=call_site())


class SinkHandle(Handle):
    """The end of a chain; returned by `stream.sink`."""

    def build(self) -> StreamJob:
        """Check the job and return it.

        Returns:
            The job of this chain.

        Raises:
            GraphError: the job has no name or no sink, two operators share a uid, or a stateful operator
                of a checkpointed job has only a lambda to be named by.
            ConfigError: a setting is wrong.

        Example:
            StreamJob.builder().name("copy").source(source).sink(sink).build().execute()
        """
        self.job.stream_graph()
        return self.job


def _checked_size(strategy: BackpressureStrategy, size: int | None) -> int | None:
    """Return the size, checked with the strategy as the job's own settings are."""
    JobConfig(backpressure=strategy, buffer_size=size)
    return check_size(strategy, size)


def require_plain(method: str, function: Function) -> None:
    """Raise unless `function` is a plain function: not async, and not an object with `open`."""
    if not callable(function):
        raise GraphError(
            f"{method} needs a function, found {function!r}",
            hint="pass the function itself, without calling it",
        )
    if is_opened(function):
        raise GraphError(
            f"{method} needs a plain function, but {function_ref(function).name} is an object with open()",
            hint="map, filter, flat_map and map_batches open their functions: use one of them upstream",
        )
    if is_async(function) or is_async_generator(function):
        raise GraphError(
            f"{method} needs a plain function, but {function_ref(function)} is async",
            hint="compute its input in an async map upstream",
        )


def refuse_async_generator(method: str, function: Function) -> None:
    """Raise for an async generator in an operator that would not iterate it."""
    if is_async_generator(function):
        raise GraphError(
            f"{method} needs a function that returns its result, but {function_ref(function)} is an async "
            "generator",
            hint="use flat_map, which emits everything it yields",
        )
