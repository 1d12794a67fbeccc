"""Where a vertex's output goes: to one consumer, to several, or split by key over subtasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from pipeline.core.errors import InternalError, PipelineError, StateError
from pipeline.core.functions import function_ref
from pipeline.core.policy import SideTag
from pipeline.core.raised import user_error
from pipeline.core.records import Batch
from pipeline.reactive.demand import SharedDemand, SideDemand
from pipeline.reactive.subscriber import BatchSubscriber, Subscription
from state.keys import key_groups, subtask_of


class Partitioner(Protocol):
    """Says which consumer of an edge gets which records of a batch."""

    def split(self, batch: Batch[Any]) -> Sequence[tuple[int, Batch[Any]]]:
        """Return (consumer within the edge, records) pairs, in order; a consumer may be left out."""
        ...


class Forward:
    """Everything to one consumer."""

    def split(self, batch: Batch[Any]) -> Sequence[tuple[int, Batch[Any]]]:
        return ((0, batch),)


class Broadcast:
    """Everything to each consumer."""

    def __init__(self, consumers: int) -> None:
        self._consumers = consumers

    def split(self, batch: Batch[Any]) -> Sequence[tuple[int, Batch[Any]]]:
        return [(consumer, batch) for consumer in range(self._consumers)]


class Rebalance:
    """As many records to each consumer: batches are cut evenly, the remainder is dealt round robin.

    Whole batches round robin would leave the others idle while one processes all the demand.
    """

    def __init__(self, consumers: int) -> None:
        self._consumers = consumers
        self._next = 0

    def split(self, batch: Batch[Any]) -> Sequence[tuple[int, Batch[Any]]]:
        share, left_over = divmod(len(batch), self._consumers)
        parts: list[tuple[int, Batch[Any]]] = []
        start = 0
        for turn in range(self._consumers if share else left_over):
            end = start + share + (turn < left_over)
            parts.append(((self._next + turn) % self._consumers, batch[start:end]))
            start = end
        self._next = (self._next + left_over) % self._consumers
        return parts


class ByKey:
    """Records of one key to one consumer, by the key's group.

    Args:
        consumers: subtasks of the target.
        max_parallelism: how many key groups there are.
        selector: the user's key function.
        uid: of the `key_by`, for errors.
    """

    def __init__(
        self, consumers: int, max_parallelism: int, selector: Callable[[Any], Any], uid: str
    ) -> None:
        self._max_parallelism = max_parallelism
        self._owners = [subtask_of(group, consumers, max_parallelism) for group in range(max_parallelism)]
        self._consumers = consumers
        self._selector = selector
        self._uid = uid

    def split(self, batch: Batch[Any]) -> Sequence[tuple[int, Batch[Any]]]:
        if self._consumers == 1:
            return ((0, batch),)
        owners = self._owners
        targets = [owners[group] for group in self._groups(self._keys(batch))]
        wanted = sorted(set(targets))
        if len(wanted) == 1:
            return ((wanted[0], batch),)
        return [
            (consumer, batch.select([index for index, target in enumerate(targets) if target == consumer]))
            for consumer in wanted
        ]

    def _groups(self, keys: list[Any]) -> list[int]:
        try:
            return key_groups(keys, self._max_parallelism)
        except StateError as error:  # what the selector returned cannot be a key
            error.located(operator=self._uid, function=str(function_ref(self._selector)))
            raise

    def _keys(self, batch: Batch[Any]) -> list[Any]:
        keys: list[Any] = []
        try:
            for value in batch.values:
                keys.append(self._selector(value))  # noqa: PERF401 - the error needs to know how far it got
        except PipelineError:
            raise
        except Exception as error:
            ref = function_ref(self._selector)
            origin = None if batch.origins is None else str(batch.origins[len(keys)])
            raise user_error(ref.name, error).located(
                operator=self._uid, function=str(ref), position=origin
            ) from error
        return keys


class SideOutput(NamedTuple):
    """A side output: the uid of the operator that writes it, and its tag."""

    writer: str
    tag: SideTag


class Output:
    """One edge out of a vertex.

    Args:
        consumers: the downstream subscribers, in the order of the target's subtasks.
        partitioner: splits batches over them.
        side: the side output it carries; None for the main output.
    """

    def __init__(
        self,
        consumers: Sequence[BatchSubscriber[Any]],
        partitioner: Partitioner,
        side: SideOutput | None = None,
    ) -> None:
        self.consumers = consumers
        self.partitioner = partitioner
        self.side = side


class Fanout:
    """Takes a vertex's output and hands it to all its edges; asks for what the neediest still takes.

    Records of side outputs come on top of what was asked for, a batch's worth at most: the chain
    before it rests while `sides` is exhausted. A consumer that cancels ends the stream for all, as
    a job runs as a whole or not at all.

    Args:
        outputs: the edges, at least one of them of the main output: a graph without is refused.

    Attributes:
        sides: the demand of the consumers of side outputs.
    """

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._main = [output for output in outputs if output.side is None]
        self._aside = [output for output in outputs if output.side is not None]
        self._subscription: Subscription | None = None
        self._demand = SharedDemand(_consumers(self._main), self._request)
        self.sides = SideDemand(_consumers(self._aside))
        self._pending: dict[SideOutput, list[Any]] = {
            output.side: [] for output in self._aside if output.side is not None
        }

    def on_subscribe(self, subscription: Subscription) -> None:
        self._subscription = subscription
        for demand, outputs in ((self._demand, self._main), (self.sides, self._aside)):
            for first, output in _numbered(outputs):
                for index, consumer in enumerate(output.consumers):
                    consumer.on_subscribe(_Share(demand, first + index, subscription))

    def on_next_batch(self, values: Any) -> None:
        for first, output in _numbered(self._main):
            _send(self._demand, first, output, values)
        self._demand.arrived(len(values))

    def send_side(self, side: SideOutput, values: Sequence[Any]) -> None:
        """Take records for a side output; they are emitted, together, with the next `flush_aside`.

        Raises:
            InternalError: nobody reads it, so they would be lost; such a graph is refused.
        """
        pending = self._pending.get(side)
        if pending is None:
            raise InternalError(f"side output {side.tag.name!r} of {side.writer} has no reader")
        pending.extend(values)

    def flush_aside(self) -> None:
        """Emit what was sent aside while a batch was processed: dead letters come one at a time."""
        for side, pending in self._pending.items():
            if not pending:
                continue
            self._pending[side] = []
            for first, output in _numbered(self._aside):
                if output.side == side:
                    _send(self.sides, first, output, Batch(pending))

    def on_control(self, element: object) -> None:
        for consumer in self._all():
            consumer.on_control(element)

    def on_error(self, error: Exception) -> None:
        for consumer in self._all():
            consumer.on_error(error)

    def on_completed(self) -> None:
        for consumer in self._all():
            consumer.on_completed()

    def _all(self) -> list[BatchSubscriber[Any]]:
        return [consumer for output in (*self._main, *self._aside) for consumer in output.consumers]

    def _request(self, n: int) -> None:
        if self._subscription is not None:
            self._subscription.request(n)


def _consumers(outputs: Sequence[Output]) -> int:
    return sum(len(output.consumers) for output in outputs)


def _numbered(outputs: Sequence[Output]) -> Iterator[tuple[int, Output]]:
    """Yield each output with the number of its first consumer among those of all."""
    first = 0
    for output in outputs:
        yield first, output
        first += len(output.consumers)


def _send(demand: SharedDemand | SideDemand, first: int, output: Output, batch: Batch[Any]) -> None:
    for index, part in output.partitioner.split(batch):
        demand.delivered(first + index, len(part))
        output.consumers[index].on_next_batch(part)


class _Share:
    """One consumer's subscription to a stream it shares with others."""

    __slots__ = ("_consumer", "_demand", "_subscription")

    def __init__(self, demand: SharedDemand | SideDemand, consumer: int, subscription: Subscription) -> None:
        self._demand = demand
        self._consumer = consumer
        self._subscription = subscription

    def request(self, n: int) -> None:
        if n > 0:
            self._demand.request(self._consumer, n)
        else:
            self._subscription.request(n)  # the producer ends the stream with rule 3.9's error

    def cancel(self) -> None:
        self._subscription.cancel()
