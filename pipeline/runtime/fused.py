"""A vertex's chain as one operator of the stream: records through the compiled function, demand kept."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from pipeline.compiler.chain import Chain, Run
from pipeline.core.elements import EndOfInput
from pipeline.core.errors import InternalError
from pipeline.core.records import Batch
from pipeline.reactive.demand import MAX_BOUND, UNBOUNDED, add_cap, produced
from pipeline.reactive.subscriber import Subscriber


class Head(Protocol):
    """What feeds a chain: a subscription whose thread can be told to look again."""

    def request(self, n: int) -> None: ...
    def cancel(self) -> None: ...
    def wake(self) -> None: ...


class FusedChain:
    """Subscriber to a vertex's input and subscription of its output.

    A chain that never gives more than it takes passes demand through and makes up for what it
    filtered out. A chain that expands asks for few records at a time and is *suspended* when its
    output has used up the demand: it then holds one resumable run, and the head's thread calls
    `resume` once `resumable`. Nothing else runs the chain, so its operators need no locks.

    Args:
        chain: the compiled operators.
        downstream: takes the output.
        on_barrier: called with each control element that is a barrier, before it goes on.
    """

    def __init__(
        self,
        chain: Chain,
        downstream: Subscriber[Any],
        on_control: Callable[[object], None],
    ) -> None:
        self._chain = chain
        self._process = chain.process
        self._direct = not chain.expands
        self._downstream = downstream
        self._before_control = on_control
        self._head: Head | None = None
        self._lock = threading.Lock()
        self._requested = 0
        self._asked = 0
        self._expansion = 1.0
        self._run: _Running | None = None
        self._waiting: deque[Batch[Any]] = deque()
        self._deferred: deque[object] = deque()

    # --- subscription: any thread --------------------------------------------------------------

    def request(self, n: int) -> None:
        with self._lock:
            self._requested = add_cap(self._requested, n)
        if self._direct:
            self._upstream.request(n)
        elif self._run is not None:
            self._upstream.wake()
        else:
            self._ask()

    def cancel(self) -> None:
        self._upstream.cancel()

    # --- the head's thread -----------------------------------------------------------------------

    @property
    def suspended(self) -> bool:
        """Whether records or control elements are held until there is demand."""
        return self._run is not None

    @property
    def resumable(self) -> bool:
        """Whether `resume` would get on."""
        return self._requested > 0

    def on_subscribe(self, subscription: Any) -> None:
        self._head = subscription
        self._downstream.on_subscribe(self)

    def on_next_batch(self, values: Any) -> None:
        batch: Batch[Any] = values
        if self._direct and self._run is None:
            self._pass(batch)
            return
        with self._lock:
            self._asked = produced(self._asked, len(batch))
        self._waiting.append(batch)
        if self._run is None:
            self.resume()

    def on_control(self, element: object) -> None:
        if isinstance(element, EndOfInput):
            self._run = _Running(_Given(self._chain.finish()), 0)
            self._deferred.append(element)
            self.resume()
        elif self._run is not None:
            raise InternalError("a control element overtook records that wait for demand")
        else:
            self._forward(element)

    def on_error(self, error: Exception) -> None:
        self._downstream.on_error(error)

    def on_completed(self) -> None:
        self._downstream.on_completed()

    def resume(self) -> None:
        """Give out held records as far as demand reaches, then the control elements behind them."""
        while True:
            if self._run is None:
                if not self._waiting:
                    break
                batch = self._waiting.popleft()
                self._run = _Running(self._chain.iterate(batch), len(batch))
            if not self._advance(self._run):
                return
            self._learn(self._run)
            self._run = None
        while self._deferred:
            self._forward(self._deferred.popleft())
        if not self._direct:
            self._ask()

    # --- steps -------------------------------------------------------------------------------------

    def _pass(self, batch: Batch[Any]) -> None:
        out = self._process(batch)
        count = len(out)
        missing = len(batch) - count
        with self._lock:
            self._requested = produced(self._requested, count)
        if count:
            self._downstream.on_next_batch(out)
        if missing:
            self._upstream.request(missing)

    def _advance(self, run: _Running) -> bool:
        """Give out the run's records; False if demand ended first."""
        while True:
            room = min(self._requested, MAX_BOUND)
            if room == 0 and not run.is_exhausted():
                return False
            out = run.take(room)
            count = len(out)
            if count:
                with self._lock:
                    self._requested = produced(self._requested, count)
                self._downstream.on_next_batch(out)
            if run.exhausted:
                return True

    def _learn(self, run: _Running) -> None:
        if run.inputs:
            self._expansion = (self._expansion + run.outputs / run.inputs) / 2

    def _ask(self) -> None:
        """Ask for about as many records as will give what is wanted; one request at a time."""
        with self._lock:
            if self._asked or self._requested == 0 or self._run is not None:
                return
            wanted = MAX_BOUND if self._requested == UNBOUNDED else self._requested
            self._asked = max(1, min(MAX_BOUND, int(wanted / max(self._expansion, 0.01))))
            asked = self._asked
        self._upstream.request(asked)

    def _forward(self, element: object) -> None:
        self._before_control(element)
        self._downstream.on_control(element)

    @property
    def _upstream(self) -> Head:
        if self._head is None:
            raise InternalError("a chain was used before it was subscribed")
        return self._head


class _Running:
    """A run with one record of look-ahead, to know that it is over without demand for more."""

    __slots__ = ("_ahead", "_run", "inputs", "outputs")

    def __init__(self, run: Run, inputs: int) -> None:
        self._run = run
        self._ahead: Batch[Any] | None = None
        self.inputs = inputs
        self.outputs = 0

    @property
    def exhausted(self) -> bool:
        return self._run.exhausted and self._ahead is None

    def is_exhausted(self) -> bool:
        """Look one record ahead if the run does not know by itself."""
        if self._ahead is None and not self._run.exhausted:
            ahead = self._run.take(1)
            self._ahead = ahead if len(ahead) else None
        return self.exhausted

    def take(self, limit: int) -> Batch[Any]:
        if limit == 0:
            return Batch(())
        if self._ahead is not None:
            out, self._ahead = self._ahead, None
        else:
            out = self._run.take(limit)
        self.outputs += len(out)
        return out


class _Given:
    """A run over records that are there already."""

    __slots__ = ("_batch",)

    def __init__(self, batch: Batch[Any]) -> None:
        self._batch = batch

    @property
    def exhausted(self) -> bool:
        return not len(self._batch)

    def take(self, limit: int) -> Batch[Any]:
        out = self._batch[:limit]
        self._batch = self._batch[limit:]
        return out
