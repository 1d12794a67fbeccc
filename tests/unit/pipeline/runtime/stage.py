"""What is around a FusedChain in its tests: a head without a thread, chains, a strict consumer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from pipeline.compiler import Run
from pipeline.core.records import Batch
from pipeline.reactive.demand import add_cap, produced
from pipeline.runtime.fused import fuse

Function = Callable[[Any], Sequence[Any]]
"""What a record becomes."""


class LazyRun:
    """Like a suspended generator: it finds out that it is over with the next `take` only."""

    def __init__(self, chain: FakeChain, batch: Batch[Any]) -> None:
        self._outputs = chain.outputs(batch)
        self.exhausted = False
        self.closed = False

    def take(self, limit: int) -> Batch[Any]:
        values = list(islice(self._outputs, limit))
        self.exhausted = self.exhausted or len(values) < limit
        return Batch(values)

    def close(self) -> None:
        self.closed = True
        self.exhausted = True


class EagerRun:
    """Like a run over outputs that are there already: it knows when it is over."""

    def __init__(self, chain: FakeChain, batch: Batch[Any]) -> None:
        self._outputs = deque(chain.outputs(batch))
        self.exhausted = not self._outputs
        self.closed = False

    def take(self, limit: int) -> Batch[Any]:
        values = [self._outputs.popleft() for _ in range(min(limit, len(self._outputs)))]
        self.exhausted = not self._outputs
        return Batch(values)

    def close(self) -> None:
        self.closed = True


class FakeChain:
    """A chain whose records become what `function` says.

    Args:
        function: from a record to its outputs.
        expands: what the chain says of itself.
        run: of which kind its runs are.
        held_back: what it emits at the end of the input.
        fires: what it emits whenever time advances.

    Attributes:
        reached: how far time has come for it, each time it advanced.
        inputs: of each batch, the input that it came from.
        ended: the inputs that have ended.
    """

    source: str | None = None
    assigns_time = False

    def take_time(self) -> Sequence[Any]:
        return ()

    def __init__(
        self,
        function: Function,
        *,
        expands: bool,
        run: type[LazyRun | EagerRun] = LazyRun,
        held_back: Sequence[Any] = (),
        fires: Sequence[Any] = (),
    ) -> None:
        self.reached: list[int] = []
        self.inputs: list[int] = []
        self.ended: list[int] = []
        self._fires = fires
        self.expands = expands
        self.function = function
        self.runs: list[LazyRun | EagerRun] = []
        self.given = 0
        self.finished = 0
        self.run = run
        self._held_back = held_back

    def outputs(self, batch: Batch[Any]) -> Iterator[Any]:
        for value in batch:
            for output in self.function(value):
                self.given += 1
                yield output

    def process(self, batch: Batch[Any], input_index: int = 0) -> Batch[Any]:
        self.inputs.append(input_index)
        return Batch(list(self.outputs(batch)))

    def iterate(self, batch: Batch[Any], input_index: int = 0) -> Run:
        self.inputs.append(input_index)
        run = self.run(self, batch)
        self.runs.append(run)
        return run

    def watermark(self, timestamp: int) -> Batch[Any]:
        self.reached.append(timestamp)
        return Batch(self._fires)

    def next_timer(self) -> int | None:
        return None

    def process_timer(self, now_ms: int) -> Batch[Any]:
        self.reached.append(now_ms)
        return Batch(self._fires)

    def end_input(self, input_index: int) -> Batch[Any]:
        self.ended.append(input_index)
        return Batch(self._fires)

    def finish(self) -> Batch[Any]:
        self.finished += 1
        return Batch(self._held_back)


class Consumer:
    """Notes records and control elements in one list, and rejects a record that it did not request.

    Args:
        refill: requested whenever a batch has come, from within `on_next_batch`, as a sink does.
    """

    def __init__(self, refill: int = 0) -> None:
        self._refill = refill
        self.subscription: Any = None
        self.wanted = 0
        self.heard: list[Any] = []
        self.batches: list[int] = []
        self.ends: list[Exception | None] = []

    def request(self, n: int) -> None:
        self.wanted = add_cap(self.wanted, n)
        self.subscription.request(n)

    def on_subscribe(self, subscription: Any) -> None:
        self.subscription = subscription

    def on_next_batch(self, values: Any) -> None:
        assert 0 < len(values) <= self.wanted, f"{len(values)} records for a demand of {self.wanted}"
        self.wanted = produced(self.wanted, len(values))
        self.batches.append(len(values))
        self.heard.extend(values)
        if self._refill:
            self.request(self._refill)

    def on_control(self, element: object) -> None:
        self.heard.append(element)

    def on_error(self, error: Exception) -> None:
        self.ends.append(error)

    def on_completed(self) -> None:
        self.ends.append(None)


class SideConsumer(Consumer):
    """A consumer of a side output, which must take what comes on top of its demand."""

    def on_next_batch(self, values: Any) -> None:
        self.batches.append(len(values))
        self.heard.extend(values)


class Head:
    """Feeds a chain as the heads of the runtime do, but only when told to `run`.

    Records are fed under demand and not while the chain is suspended; neither are control elements,
    which need no demand otherwise.
    """

    def __init__(self, chain: Any, downstream: Any, *, finished: bool = False) -> None:
        self.inputs: deque[Any] = deque()
        self.fed: list[Any] = []
        self.requested = 0
        self.requests: list[int] = []
        self.wakes = 0
        self.cancels = 0
        self.fused = fuse(chain, downstream, finished=finished)
        self.fused.on_subscribe(self)

    def request(self, n: int) -> None:
        self.requests.append(n)
        if n > 0:
            self.requested = add_cap(self.requested, n)

    def cancel(self) -> None:
        self.cancels += 1

    def wake(self) -> None:
        self.wakes += 1

    def feed(self, *inputs: Any) -> None:
        """Put batches (lists) and control elements (anything else) into the queue."""
        self.inputs.extend(list(item) if isinstance(item, list) else item for item in inputs)

    def run(self) -> None:
        """Continue until there is nothing to do: no input, or no demand for it."""
        while True:
            if self.fused.suspended:
                if not self.fused.resumable:
                    return
                self.fused.resume()
            elif not self.inputs:
                return
            elif not isinstance(self.inputs[0], list):
                self.fused.on_control(self.inputs.popleft())
            elif not self.inputs[0]:
                self.inputs.popleft()
            elif not self.requested:
                return
            else:
                self._feed_records(self.inputs[0])

    def _feed_records(self, records: list[Any]) -> None:
        part = records[: self.requested]
        del records[: len(part)]
        self.requested = produced(self.requested, len(part))
        self.fed.extend(part)
        self.fused.on_next_batch(Batch(part))
