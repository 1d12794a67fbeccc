"""Where a vertex's output goes: to one consumer, to several, or split by key over subtasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from pipeline.core.errors import PipelineError, UserFunctionError
from pipeline.core.functions import function_ref
from pipeline.core.policy import SideTag
from pipeline.core.records import Batch
from pipeline.reactive.demand import SharedDemand
from pipeline.reactive.subscriber import Subscriber, Subscription
from state.keys import key_groups, subtask_of


class Partitioner(Protocol):
    """Says which consumer of an edge gets which records of a batch."""

    def split(self, batch: Batch[Any]) -> Sequence[tuple[int, Batch[Any]]]:
        """Return (consumer within the edge, records) pairs; a consumer may be left out."""
        ...


class Forward:
    """Everything to one consumer."""

    def __init__(self, consumer: int = 0) -> None:
        self._consumer = consumer

    def split(self, batch: Batch[Any]) -> Sequence[tuple[int, Batch[Any]]]:
        return ((self._consumer, batch),)


class Broadcast:
    """Everything to each consumer."""

    def __init__(self, consumers: int) -> None:
        self._consumers = consumers

    def split(self, batch: Batch[Any]) -> Sequence[tuple[int, Batch[Any]]]:
        return [(consumer, batch) for consumer in range(self._consumers)]


class Rebalance:
    """Whole batches to the consumers in turn."""

    def __init__(self, consumers: int) -> None:
        self._consumers = consumers
        self._next = 0

    def split(self, batch: Batch[Any]) -> Sequence[tuple[int, Batch[Any]]]:
        consumer, self._next = self._next, (self._next + 1) % self._consumers
        return ((consumer, batch),)


class ByKey:
    """Records of one key to one consumer, by the key's group."""

    def __init__(
        self, consumers: int, max_parallelism: int, selector: Callable[[Any], Any], uid: str
    ) -> None:
        self._consumers = consumers
        self._max_parallelism = max_parallelism
        self._selector = selector
        self._uid = uid

    def split(self, batch: Batch[Any]) -> Sequence[tuple[int, Batch[Any]]]:
        if self._consumers == 1:
            return ((0, batch),)
        groups = key_groups(self._keys(batch), self._max_parallelism)
        targets = [subtask_of(group, self._consumers, self._max_parallelism) for group in groups]
        return [(consumer, _select(batch, targets, consumer)) for consumer in sorted(set(targets))]

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
            raise UserFunctionError(f"{ref.name} raised {type(error).__name__}: {error}").located(
                operator=self._uid, function=str(ref), position=origin
            ) from error
        return keys


def _select(batch: Batch[Any], targets: Sequence[int], consumer: int) -> Batch[Any]:
    chosen = [index for index, target in enumerate(targets) if target == consumer]
    timestamps, origins = batch.timestamps, batch.origins
    return Batch(
        [batch.values[index] for index in chosen],
        None if timestamps is None else [timestamps[index] for index in chosen],
        None if origins is None else [origins[index] for index in chosen],
    )


class SideOutput(NamedTuple):
    """A side output: the uid of the operator that writes it, and its tag."""

    writer: str
    tag: SideTag


class Output:
    """One edge out of a vertex.

    Args:
        consumers: the subscribers behind it, in the order of the target's subtasks.
        partitioner: splits batches over them.
        side: the side output it carries; None for the main output.
    """

    def __init__(
        self,
        consumers: Sequence[Subscriber[Any]],
        partitioner: Partitioner,
        side: SideOutput | None = None,
    ) -> None:
        self.consumers = consumers
        self.partitioner = partitioner
        self.side = side


class Fanout:
    """Takes a vertex's output and hands it to all its edges; asks for what the neediest still takes."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = outputs
        self._first = self._number(outputs)
        self._subscription: Subscription | None = None
        self._demand = SharedDemand(sum(len(output.consumers) for output in outputs), self._request)

    @staticmethod
    def _number(outputs: Sequence[Output]) -> list[int]:
        firsts: list[int] = []
        total = 0
        for output in outputs:
            firsts.append(total)
            total += len(output.consumers)
        return firsts

    def on_subscribe(self, subscription: Subscription) -> None:
        self._subscription = subscription
        for first, output in zip(self._first, self._outputs, strict=True):
            for index, consumer in enumerate(output.consumers):
                consumer.on_subscribe(_Share(self._demand, first + index, subscription))

    def on_next_batch(self, values: Any) -> None:
        self._demand.arrived(len(values))
        for first, output in zip(self._first, self._outputs, strict=True):
            if output.side is None:
                self._send(first, output, values)
        self._demand.settle()

    def send_side(self, side: SideOutput, values: Sequence[Any]) -> None:
        """Hand records to a side output; they come on top of what was asked for, a batch's worth at most."""
        for first, output in zip(self._first, self._outputs, strict=True):
            if output.side == side:
                self._send(first, output, Batch(values))

    def _send(self, first: int, output: Output, batch: Batch[Any]) -> None:
        for index, part in output.partitioner.split(batch):
            self._demand.delivered(first + index, len(part))
            output.consumers[index].on_next_batch(part)

    def on_control(self, element: object) -> None:
        for consumer in self._all():
            consumer.on_control(element)

    def on_error(self, error: Exception) -> None:
        for consumer in self._all():
            consumer.on_error(error)

    def on_completed(self) -> None:
        for consumer in self._all():
            consumer.on_completed()

    def _all(self) -> list[Subscriber[Any]]:
        return [consumer for output in self._outputs for consumer in output.consumers]

    def _request(self, n: int) -> None:
        if self._subscription is not None:
            self._subscription.request(n)


class _Share:
    """One consumer's subscription to a stream it shares with others."""

    __slots__ = ("_consumer", "_demand", "_subscription")

    def __init__(self, demand: SharedDemand, consumer: int, subscription: Subscription) -> None:
        self._demand = demand
        self._consumer = consumer
        self._subscription = subscription

    def request(self, n: int) -> None:
        self._demand.request(self._consumer, n)

    def cancel(self) -> None:
        self._subscription.cancel()
