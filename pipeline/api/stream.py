"""Stream: the records behind an operator, and what can be done with them."""

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
from pipeline.operators.backpressure import Backpressure
from pipeline.operators.base import Function, OperatorSpec
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.key_by import KeyBy
from pipeline.operators.map import Map
from pipeline.operators.map_batches import MapBatches
from pipeline.operators.union import Union
from pipeline.spi.sink import AnySink

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
    """Records of type `T` on their way; each method adds an operator and returns the stream behind it.

    A stream may be read more than once: each reader gets every record. Functions may be plain or
    `async def` where it says so; `on_error` is what happens to a record that the function cannot
    handle (default: the job fails), `uid` what the operator is filed under (default: its kind and
    the name of its function).

    The function of `map`, `filter`, `flat_map` and `map_batches` may be an object with `__call__`,
    `open(ctx)` and `close()`, each plain or `async def`: each subtask calls its own copy, opens it in
    its thread before the first record and closes it there at the end, whatever failed. `ctx` is a
    `FunctionContext`. What belongs to a thread or an event loop, a session or a connection, is made in
    `open`: calls of an `async def` function are awaited one after another, on the subtask's own event loop.

    A function must not change what it is given, but return something new: records are handed on, not
    copied, so that other readers of the stream, a buffer, a retry or the next result of a fold would see
    the change, too. Nothing checks that.
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
        """Replace each record by what `function`, plain or async, returns for it.

        To change a record, return a changed copy: `lambda order: {**order, "tax": 5}`. Other readers of
        this stream have the very same record.
        """
        refuse_async_generator("map", function)
        return self._then(Map(function, on_error), uid)

    def filter(
        self, function: Callable[[T], object], *, on_error: ErrorPolicy = _FAIL, uid: str | None = None
    ) -> Stream[T]:
        """Keep the records for which `function`, plain or async, returns something true."""
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
        """Replace each record by those that `function` gives: an iterable, or an async generator."""
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
        """Replace the records that are there at a time, a list, by the list `function` returns for it."""
        refuse_async_generator("map_batches", function)
        return self._then(MapBatches(function, on_error), uid)

    def key_by(self, selector: Callable[[T], K], *, uid: str | None = None) -> KeyedStream[K, T]:
        """Bring the records of one key to one place.

        Args:
            selector: a plain function that returns the key: str, int, bytes, bool, or a tuple of them.
            uid: what the partitioning is filed under.

        Raises:
            GraphError: `selector` is no plain function.
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
        """Put a buffer here: say what happens while what is behind it is slower than what is before it.

        A checkpoint overtakes what the buffer holds and keeps it, so that nothing it has accepted is
        lost by a restart.

        Args:
            strategy: BUFFER holds back what is before it and loses nothing; DROP drops the newest
                records, LATEST all but the newest, both counted; ERROR fails the job, which restarts
                from its last checkpoint.
            buffer_size: records that it may hold; None lets a BUFFER grow without a bound. LATEST
                holds one.
            on_drop: called with each record that is dropped, in the thread before the buffer.
            value_type: declares classes of your own that occur in records, so that they can be stored.
            accept_loss: needed where records that may be dropped go to a sink that promises exactly-once.
            uid: what the buffer is filed under; default `backpressure:` and the strategy.

        Raises:
            ConfigError: the size does not go with the strategy.
            GraphError: `on_drop` is no plain function.
        """
        size = _checked_size(strategy, buffer_size)
        if on_drop is not None:
            require_plain("backpressure(on_drop=…)", on_drop)
        return self._then(Backpressure(strategy, size, on_drop, value_type, accept_loss), uid)

    def union(self, *others: Stream[U], uid: str | None = None) -> Stream[T | U]:
        """Merge with other streams of the job, in the order in which records arrive.

        Raises:
            GraphError: no other stream is given, or one belongs to another job.
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
        """Return what the last operator sends to the side output `tag`.

        Example:
            parsed = events.map(parse, on_error=ErrorPolicy.dead_letter())
            parsed.side_output(DEAD_LETTERS).sink(FileSink("rejected.jsonl"))
        """
        return Stream(self.job, Output(self.output.node, tag))

    def sink(self, sink: AnySink[T], *, uid: str | None = None) -> SinkHandle:
        """End the stream here; a stream may end in several sinks."""
        output = self.job.graph.add_sink(sink, self.output, uid=uid, written_at=call_site())
        return SinkHandle(self.job, output)

    def _then(self, spec: OperatorSpec, uid: str | None) -> Stream[Any]:
        return Stream(self.job, self._add(spec, uid))

    def _add(self, spec: OperatorSpec, uid: str | None) -> Output:
        return self.job.graph.add_operator(spec, [self.output], uid=uid, written_at=call_site())


class SinkHandle(Handle):
    """What stands behind a sink: the end of a chain."""

    def build(self) -> StreamJob:
        """Check the job and return it.

        Raises:
            ConfigError: a setting is wrong, or the job's shape (`GraphError`): no name, no sink, two
                operators of one uid, a stateful operator that has only a lambda to be named by.
        """
        self.job.stream_graph()
        return self.job


def _checked_size(strategy: BackpressureStrategy, size: int | None) -> int | None:
    """Refuse a strategy or a size that does not exist, with the words of the job's own settings."""
    JobConfig(backpressure=strategy, buffer_size=size)
    return check_size(strategy, size)


def require_plain(method: str, function: Function) -> None:
    """Refuse what is not a function, and one that is async or has to be opened."""
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
            hint="compute what it needs in an async map before",
        )


def refuse_async_generator(method: str, function: Function) -> None:
    """Refuse an async generator where its results would not be taken from it."""
    if is_async_generator(function):
        raise GraphError(
            f"{method} needs a function that returns its result, but {function_ref(function)} is an async "
            "generator",
            hint="use flat_map, which takes all that it yields",
        )
