"""What a type checker must make of a chain; read by `test_typing.py`, never run.

Each line marked `refused` must be an error, every other line must be right: for pyright the comment that
silences an error is itself an error where there is none. Where mypy infers something wider it says so.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true, reportUnusedCallResult=false, reportPrivateUsage=false

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from typing import Any, assert_type

from connectors import CollectionSource, CollectSink, FileSource, GeneratorSource, KafkaSource, SqlQuerySource
from connectors.kafka import Json, KafkaRecord, Text
from pipeline import (
    DEAD_LETTERS,
    DeadLetter,
    ErrorPolicy,
    FunctionContext,
    JobConfig,
    KeyedStream,
    SideTag,
    Stream,
    StreamJob,
    TumblingTimeWindows,
    WatermarkStrategy,
    WindowedStream,
)
from pipeline.spi.sink import AnySink, Sink, SinkContext, SinkInfo


class Order:
    user: str
    amount: int


class Mean:
    """An aggregate of whole numbers with a result of another type than its accumulator."""

    def create_accumulator(self) -> tuple[int, int]:
        return 0, 0

    def add(self, value: int, accumulator: tuple[int, int]) -> tuple[int, int]:
        return accumulator[0] + value, accumulator[1] + 1

    def get_result(self, accumulator: tuple[int, int]) -> float:
        return accumulator[0] / accumulator[1]


class Count:
    """An aggregate whose parameters have other names."""

    def create_accumulator(self) -> int:
        return 0

    def add(self, order: Order, acc: int) -> int:
        return acc + 1

    def get_result(self, acc: int) -> int:
        return acc


class Printer(Sink[int]):
    """A connector whose parameters have other names."""

    @property
    def info(self) -> SinkInfo:
        return SinkInfo("printer", "paper", "none")

    def open(self, context: SinkContext) -> None: ...

    def invoke(self, number: int, context: SinkContext) -> None:
        print(number)


class Fetch:
    """A function with a session for each subtask."""

    async def open(self, ctx: FunctionContext) -> None: ...
    async def __call__(self, number: int) -> bytes: ...
    async def close(self) -> None: ...


async def fetch(number: int) -> bytes: ...
async def is_even(number: int) -> bool: ...
async def fetch_list(number: int) -> list[bytes]: ...
async def fetch_each(number: int) -> AsyncIterator[bytes]:
    yield b""


async def fetch_batch(numbers: list[int]) -> list[bytes]: ...
def repeat(number: int) -> Iterator[str]: ...
def sort(numbers: list[int]) -> list[int]: ...
def shout(text: str) -> str: ...
def add(first: int, second: int) -> int: ...
def concat(first: str, second: str) -> str: ...


def a_chain(orders: Stream[Order], numbers: Stream[int]) -> None:
    assert_type(orders.map(lambda order: order.amount), Stream[int])
    assert_type(orders.filter(lambda order: order.amount > 3), Stream[Order])
    assert_type(numbers.flat_map(repeat), Stream[str])
    assert_type(numbers.flat_map(lambda number: [number, str(number)]), Stream[int | str])  # wider for mypy
    assert_type(numbers.map_batches(sort), Stream[int])
    assert_type(numbers.map(str, on_error=ErrorPolicy.skip(), uid="text").map(shout), Stream[str])


def async_functions(numbers: Stream[int]) -> None:
    assert_type(numbers.map(fetch), Stream[bytes])
    assert_type(numbers.map(Fetch()), Stream[bytes])
    assert_type(numbers.filter(is_even), Stream[int])
    assert_type(numbers.flat_map(fetch_list), Stream[bytes])
    assert_type(numbers.flat_map(fetch_each), Stream[bytes])
    assert_type(numbers.map_batches(fetch_batch), Stream[bytes])


def keyed(orders: Stream[Order], numbers: Stream[int]) -> None:
    assert_type(orders.key_by(lambda order: order.user), KeyedStream[str, Order])
    assert_type(orders.key_by(lambda order: (order.user, order.amount)), KeyedStream[tuple[str, int], Order])
    assert_type(numbers.key_by(lambda number: number % 3).reduce(add), Stream[int])
    assert_type(numbers.key_by(str).aggregate(Mean()), Stream[float])


def windowed(numbers: Stream[int]) -> None:
    windows = numbers.key_by(str).window(TumblingTimeWindows.of(timedelta(minutes=5)))
    assert_type(windows, WindowedStream[str, int])
    assert_type(windows.reduce(add), Stream[int])
    assert_type(windows.aggregate(Mean()), Stream[float])


def joined_and_side_outputs(orders: Stream[Order], numbers: Stream[int], texts: Stream[str]) -> None:
    assert_type(numbers.union(numbers), Stream[int])
    assert_type(numbers.union(texts), Stream[int | str])
    assert_type(orders.side_output(DEAD_LETTERS), Stream[DeadLetter])
    assert_type(orders.side_output(SideTag[int]("late")), Stream[int])
    assert_type(orders.side_output(SideTag("anything")), Stream[Any])


def untyped_records(events: Stream[dict[str, Any]]) -> None:
    """Rows and JSON hold anything: that passes through without an error in strict mode."""
    assert_type(events.map(lambda event: event["amount"]), Stream[Any])
    assert_type(events.map(lambda event: {**event, "vat": 1}), Stream[dict[str, Any | int]])  # wider for mypy
    assert_type(events.key_by(lambda event: event["user"]).reduce(lambda a, b: a | b), Stream[dict[str, Any]])


def whole_jobs(collected: CollectSink[int]) -> None:
    built = (
        StreamJob.builder()
        .name("squares")
        .source(
            CollectionSource([1, 2]),
            watermarks=WatermarkStrategy.monotonic(timestamp=lambda e: e["ts"]).with_idleness(timedelta(1)),
        )
        .map(lambda number: number * number)
        .named("Square")
        .with_parallelism(2)
        .sink(collected)
        .config(JobConfig())
        .build()
    )
    assert_type(built, StreamJob)
    assert_type(StreamJob("handles").source(CollectionSource(["a"])), Stream[str])


def sources(job: StreamJob) -> None:
    assert_type(job.source(KafkaSource("events")), Stream[Any])
    assert_type(job.source(KafkaSource(["a", "b"], stop="latest")), Stream[Any])
    assert_type(job.source(KafkaSource("events", value=Json(Order))), Stream[Order])
    assert_type(job.source(KafkaSource("events", value=len)), Stream[int])
    assert_type(job.source(KafkaSource("events", metadata=True)), Stream[KafkaRecord[bytes | None, Any]])
    assert_type(job.source(KafkaSource("events", key=Text(), metadata=True)), Stream[KafkaRecord[str, Any]])
    assert_type(job.source(SqlQuerySource("SELECT 1 AS id", key="id")), Stream[dict[str, Any]])
    assert_type(job.source(FileSource("orders.csv")), Stream[Any])
    assert_type(job.source(GeneratorSource(str, count=3)), Stream[str])
    StreamJob.builder().source(KafkaSource("events")).map(lambda event: event["n"]).sink(
        CollectSink()
    ).build()


def users_own_classes(orders: Stream[Order], numbers: Stream[int]) -> None:
    assert_type(orders.key_by(lambda order: order.user).aggregate(Count()), Stream[int])
    numbers.sink(Printer())
    anything = CollectSink()
    numbers.sink(anything)
    assert_type(anything.values, list[Any])


def a_sink_may_take_more_than_it_gets(
    rows: Stream[dict[str, int]], sink: AnySink[Mapping[str, object]]
) -> None:
    rows.sink(sink)
    rows.sink(CollectSink())


def refused(orders: Stream[Order], numbers: Stream[int], texts: AnySink[str], late: SideTag[int]) -> None:
    numbers.map(shout)  # pyright: ignore[reportCallIssue, reportArgumentType] - refused: takes str
    numbers.filter(shout)  # pyright: ignore[reportArgumentType] - refused: takes str
    numbers.flat_map(add)  # pyright: ignore[reportCallIssue, reportArgumentType] - refused: takes two
    numbers.flat_map(abs)  # pyright: ignore[reportCallIssue, reportArgumentType] - refused: not iterable
    numbers.map_batches(abs)  # pyright: ignore[reportCallIssue, reportArgumentType] - refused: takes one
    numbers.map(5)  # pyright: ignore[reportCallIssue, reportArgumentType] - refused: no function
    orders.map(lambda order: order.price)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownLambdaType, reportUnknownMemberType] - refused: no such field
    numbers.reduce(add)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - refused: no key_by
    numbers.concat(numbers)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - refused: not there
    orders.key_by(lambda order: [order.user])  # pyright: ignore[reportArgumentType] - refused: not a key
    numbers.key_by(float)  # pyright: ignore[reportArgumentType] - refused: not a key
    numbers.key_by(str).reduce(concat)  # pyright: ignore[reportArgumentType] - refused: folds str
    orders.key_by(lambda order: order.user).aggregate(Mean())  # pyright: ignore[reportArgumentType] - refused: of int
    numbers.sink(texts)  # pyright: ignore[reportArgumentType] - refused: a sink of str
    orders.side_output(late).sink(texts)  # pyright: ignore[reportArgumentType] - refused: a sink of str
    numbers.key_by(str).window(timedelta(minutes=5))  # pyright: ignore[reportArgumentType] - refused: no assigner
    numbers.build()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - refused: no sink
    StreamJob.builder().source([1, 2])  # pyright: ignore[reportArgumentType] - refused: no source
    StreamJob("job").execute(True)  # pyright: ignore[reportArgumentType] - refused: not options
