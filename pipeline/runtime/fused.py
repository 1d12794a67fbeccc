"""A vertex's chain as one operator of the stream: records through the compiled function, demand kept."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from pipeline.compiler.chain import Chain
from pipeline.compiler.runs import CutRun, Run
from pipeline.compiler.tracks import joined
from pipeline.core.elements import EndOfInput, Idle, Watermark
from pipeline.core.errors import InternalError
from pipeline.core.records import Batch
from pipeline.reactive.demand import MAX_BATCH, MAX_BOUND, UNBOUNDED, add_cap, produced
from pipeline.reactive.producer import Interrupted
from pipeline.reactive.subscriber import BatchSubscriber
from pipeline.runtime.fanout import Fanout

StreamElement = Watermark | Idle | EndOfInput
"""Control elements that stand between records; a barrier waits until all of these are out."""


class Head(Protocol):
    """What feeds a chain: a subscription whose thread can be told to look again."""

    def request(self, n: int) -> None: ...
    def cancel(self) -> None: ...
    def wake(self) -> None: ...


class FusedChain:
    """Subscriber to a vertex's input and subscription of its output.

    A chain that never gives more than it takes passes demand through and makes up for what it
    filtered out. A chain that expands asks for few records at a time and, when its output has used
    up the demand, holds one resumable run. It is then *suspended*: the head feeds it nothing and
    calls `resume`, from its own thread, once it is `resumable`. So it is while a side output has
    all it asked for. Nothing but the head runs the chain, so its operators need no locks.

    Args:
        chain: the compiled operators.
        downstream: takes the output.
        before_control: called with each control element before it goes on.
    """

    def __init__(
        self,
        chain: Chain,
        downstream: BatchSubscriber[Any],
        before_control: Callable[[object], None],
    ) -> None:
        self._chain = chain
        self._process = chain.process
        self._direct = not chain.expands
        self._downstream = downstream
        self._fanout = downstream if isinstance(downstream, Fanout) else None
        self._before_control = before_control
        self._head: Head | None = None
        self._lock = threading.Lock()
        self._requested = 0
        self._asked = 0
        self._expansion = 1.0
        self._most = 1
        self._run: _Running | None = None
        self._waiting: deque[Batch[Any] | StreamElement] = deque()
        self._behind: StreamElement | None = None
        self._cancelled = False

    # --- subscription: any thread --------------------------------------------------------------

    def request(self, n: int) -> None:
        if n <= 0:
            self._upstream.request(n)  # the head ends the stream with rule 3.9's error
            return
        with self._lock:
            self._requested = add_cap(self._requested, n)
        if self._direct:
            self._upstream.request(n)
        elif self._run is not None:
            self._upstream.wake()
        else:
            self._ask()

    def cancel(self) -> None:
        self._cancelled = True
        self._upstream.cancel()

    # --- the head's thread -----------------------------------------------------------------------

    @property
    def suspended(self) -> bool:
        """Whether nothing may be fed until `resume`, neither records nor control elements."""
        return self._run is not None or self._side_is_full

    @property
    def resumable(self) -> bool:
        """Whether `resume` would get on."""
        return not self._side_is_full and (self._run is None or self._requested > 0)

    @property
    def _side_is_full(self) -> bool:
        return self._fanout is not None and self._fanout.sides.exhausted

    @property
    def next_timer(self) -> int | None:
        """The wall time at which to call `pass_time`; None for never."""
        return self._chain.next_timer()

    def pass_time(self, now_ms: int) -> None:
        """Give out what the wall time lets out; only while nothing is suspended."""
        self._let_out(self._chain.process_timer(now_ms))
        self.resume()

    def on_subscribe(self, subscription: Any) -> None:
        self._head = subscription
        if self._fanout is not None:
            self._fanout.sides.on_refilled = self._upstream.wake
        self._downstream.on_subscribe(self)

    def on_next_batch(self, values: Any) -> None:
        batch: Batch[Any] = values
        if self._direct:
            self._pass(batch)
            return
        with self._lock:
            self._asked -= len(batch.values)
        self._enqueue(batch)

    def on_control(self, element: object) -> None:
        if isinstance(element, (Watermark, Idle, EndOfInput)):
            self._enqueue(element)
        elif self._run is not None:
            raise InternalError(f"{element!r} overtook records that wait for demand")
        else:
            self._forward(element)

    def on_error(self, error: Exception) -> None:
        self._downstream.on_error(error)

    def on_completed(self) -> None:
        self._downstream.on_completed()

    def resume(self) -> None:
        """Give out held records as far as demand reaches, then the control elements behind them."""
        while self._run is not None or self._begin_next():
            run = self._run
            if run is not None:
                if not self._advance(run):
                    return
                self._learn(run)
                self._run = None
            element, self._behind = self._behind, None
            if element is not None:
                self._forward(element)
        if not self._direct:
            self._ask()

    def close(self) -> None:
        """Give up held records, closing the user's code that is suspended in them."""
        run, self._run = self._run, None
        self._waiting.clear()
        if run is not None:
            run.close()

    # --- steps -------------------------------------------------------------------------------------

    def _pass(self, batch: Batch[Any]) -> None:
        if self._run is not None:
            raise InternalError("records behind the end of the input")
        out = self._process(batch)
        self._flush_aside()
        count = len(out.values)
        missing = len(batch.values) - count
        if missing < 0:
            raise InternalError(
                f"a chain that does not expand gave {count} records for {len(batch)}",
                hint="an operator that does must say so: expands = True",
            )
        with self._lock:
            self._requested = produced(self._requested, count)
        if count:
            self._downstream.on_next_batch(out)
        if missing:
            self._upstream.request(missing)

    def _enqueue(self, item: Batch[Any] | StreamElement) -> None:
        self._waiting.append(item)
        if self._run is None:
            self.resume()

    def _begin_next(self) -> bool:
        """Begin with what waits first, if anything does; what an element lets out goes before it."""
        if not self._waiting:
            return False
        item = self._waiting.popleft()
        if isinstance(item, Batch):
            self._run = _Running(self._chain.iterate(item), len(item.values))
            return True
        self._behind = item
        if isinstance(item, Watermark):
            self._let_out(self._chain.watermark(item.timestamp))
        elif isinstance(item, EndOfInput):
            self._let_out(self._chain.finish())
        return True

    def _let_out(self, held: Batch[Any]) -> None:
        self._flush_aside()
        if len(held):
            self._run = _Running(CutRun(_unchanged, held), 0)

    def _advance(self, run: _Running) -> bool:
        """Give out the run's records; False if demand ended first."""
        while True:
            if self._cancelled:  # a sink's demand never ends by itself, and neither may the run
                raise Interrupted
            room = 0 if self._side_is_full else min(self._requested, MAX_BATCH)
            if room == 0:
                is_over = run.is_over()
                self._flush_aside()
                return is_over
            out = run.take(room)
            self._flush_aside()
            if count := len(out.values):
                with self._lock:
                    self._requested = produced(self._requested, count)
                self._downstream.on_next_batch(out)
            if run.exhausted:
                return True

    def _flush_aside(self) -> None:
        if self._fanout is not None:
            self._fanout.flush_aside()

    def _learn(self, run: _Running) -> None:
        if run.inputs:
            self._expansion = (self._expansion + run.outputs / run.inputs) / 2
            self._most = min(MAX_BOUND, 2 * self._most)

    def _ask(self) -> None:
        """Ask for about as many records as will give what is wanted; one request at a time.

        It begins with one record and at most doubles, until it is known how many outputs a record
        has: a barrier waits for all outputs of what has been fed.
        """
        with self._lock:
            if self._asked or self._requested == 0 or self._run is not None:
                return
            wanted = MAX_BOUND if self._requested == UNBOUNDED else self._requested
            self._asked = max(1, min(self._most, int(wanted / max(self._expansion, 0.01))))
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
        """Whether it is known that nothing more will come."""
        return self._ahead is None and self._run.exhausted

    def is_over(self) -> bool:
        """Whether nothing more will come; looks one record ahead if the run does not know by itself."""
        if self._ahead is None and not self._run.exhausted:
            ahead = self._run.take(1)
            self._ahead = ahead if len(ahead) else None
        return self.exhausted

    def take(self, limit: int) -> Batch[Any]:
        """Return the next records, at most `limit`, which is not 0."""
        ahead, self._ahead = self._ahead, None
        out = self._run.take(limit if ahead is None else limit - 1)
        if ahead is not None:
            out = joined([ahead, out])
        self.outputs += len(out.values)
        return out

    def close(self) -> None:
        """Give up what has not been taken."""
        self._ahead = None
        self._run.close()


def _unchanged(batch: Batch[Any]) -> Batch[Any]:
    return batch
