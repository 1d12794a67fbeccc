"""A vertex's chain as one operator of the stream: records through the compiled function, demand kept."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, NamedTuple, Protocol

from pipeline.compiler.chain import Chain
from pipeline.compiler.runs import CutRun, Run
from pipeline.core.elements import EndOfInput, EndOfOneInput, Idle, Watermark
from pipeline.core.errors import InternalError
from pipeline.core.records import Batch
from pipeline.reactive.demand import MAX_BATCH, MAX_BOUND, UNBOUNDED, add_cap, produced
from pipeline.reactive.producer import Interrupted
from pipeline.reactive.subscriber import BatchSubscriber
from pipeline.runtime.fanout import Fanout

StreamElement = Watermark | Idle | EndOfInput | EndOfOneInput
"""Control elements between records; a barrier waits until all of these are out."""


class Fed(NamedTuple):
    """Records that were fed to a chain, and the input of its first operator that they came from."""

    batch: Batch[Any]
    input_index: int


class Head(Protocol):
    """What feeds a chain: a subscription whose thread can be woken to look again."""

    def request(self, n: int) -> None: ...
    def cancel(self) -> None: ...
    def wake(self) -> None: ...


class FusedChain(ABC):
    """Subscriber to a vertex's input and subscription of its output.

    Where an element lets out more than is asked for, the chain holds one resumable run. It is then
    *suspended*: the head feeds it nothing and calls `resume`, from its own thread, once it is
    `resumable`. So it is while a side output has all it asked for. Nothing but the head runs the
    chain, so its operators need no locks.

    Args:
        chain: the compiled operators.
        downstream: takes the output.
        finished: whether its input had ended already when the job was checkpointed, so that the end
            is only passed on: its operators have let out what they held back.

    Attributes:
        input_index: the input of its first operator that the next batch comes from; the head sets it.
    """

    def __init__(self, chain: Chain, downstream: BatchSubscriber[Any], *, finished: bool = False) -> None:
        self._chain = chain
        self._has_finished = finished
        self._downstream = downstream
        self._fanout = downstream if isinstance(downstream, Fanout) else None
        self._head: Head | None = None
        self._lock = threading.Lock()
        self._requested = 0
        self._run: _Running | None = None
        self._waiting: deque[Fed | StreamElement] = deque()
        self._following: StreamElement | None = None
        self._cancelled = False
        self.input_index = 0

    # --- subscription: any thread --------------------------------------------------------------

    def request(self, n: int) -> None:
        if n <= 0:
            self._upstream.request(n)  # the head ends the stream with rule 3.9's error
            return
        with self._lock:
            self._requested = add_cap(self._requested, n)
        self._ask_upstream(n)

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
        """Whether `resume` would make progress."""
        return not self._side_is_full and (self._run is None or self._requested > 0)

    @property
    def _side_is_full(self) -> bool:
        return self._fanout is not None and self._fanout.sides.exhausted

    @property
    def next_timer(self) -> int | None:
        """The wall time at which to call `pass_time`; None for never."""
        return self._chain.next_timer()

    def pass_time(self, now_ms: int) -> None:
        """Emit what the wall time lets out; only while nothing is suspended."""
        self._let_out(self._chain.process_timer(now_ms))
        if self._run is None and self._chain.assigns_time:
            self._pass_time_on()
        self.resume()

    def on_subscribe(self, subscription: Any) -> None:
        self._head = subscription
        if self._fanout is not None:
            self._fanout.sides.on_refilled = self._upstream.wake
        self._downstream.on_subscribe(self)

    @abstractmethod
    def on_next_batch(self, values: Any) -> None:
        """Process a batch that was asked for."""

    def on_control(self, element: object) -> None:
        if isinstance(element, StreamElement):
            self._enqueue(element)
        elif self._run is not None:
            raise InternalError(f"{element!r} overtook records that wait for demand")
        else:
            self._downstream.on_control(element)

    def on_error(self, error: Exception) -> None:
        self._downstream.on_error(error)

    def on_completed(self) -> None:
        self._downstream.on_completed()

    def resume(self) -> None:
        """Emit held records as far as demand reaches, then the control elements that follow them."""
        while self._run is not None or self._begin_next():
            run = self._run
            if run is not None:
                if not self._advance(run):
                    return
                self._finished(run)
                self._run = None
            element, self._following = self._following, None
            if self._chain.assigns_time:
                self._pass_time_on()
                if isinstance(element, (Watermark, Idle)):
                    element = None  # that of upstream ends inside the chain
            if element is not None:
                self._downstream.on_control(element)

    def close(self) -> None:
        """Give up held records, closing the user's code that is suspended in them."""
        run, self._run = self._run, None
        self._waiting.clear()
        if run is not None:
            run.close()

    # --- steps -------------------------------------------------------------------------------------

    @abstractmethod
    def _ask_upstream(self, n: int) -> None:
        """Have records fed, now that `n` more outputs are wanted; any thread."""

    def _finished(self, run: _Running) -> None:
        """Learn from a run that is over."""

    def _enqueue(self, item: Fed | StreamElement) -> None:
        self._waiting.append(item)
        if self._run is None:
            self.resume()

    def _begin_next(self) -> bool:
        """Begin with what waits first, if anything does; what an element lets out goes before it."""
        if not self._waiting:
            return False
        item = self._waiting.popleft()
        if isinstance(item, Fed):
            self._run = _Running(self._chain.iterate(*item), len(item.batch))
            return True
        if isinstance(item, EndOfOneInput):
            self._let_out(self._chain.end_input(item.input_index))
            return True
        self._following = item
        if isinstance(item, Watermark):
            self._let_out(self._chain.watermark(item.timestamp))
        elif isinstance(item, EndOfInput) and not self._has_finished:
            self._let_out(self._chain.finish())
        return True

    def _let_out(self, held: Batch[Any]) -> None:
        self._flush_aside()
        if len(held):
            self._run = _Running(CutRun(_unchanged, held), 0)

    def _advance(self, run: _Running) -> bool:
        """Emit the run's records; False if demand ended first."""
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
            if len(out.values):
                self._emit(out)
            if run.exhausted:
                return True

    def _emit(self, out: Batch[Any]) -> None:
        with self._lock:
            self._requested = produced(self._requested, len(out.values))
        self._downstream.on_next_batch(out)

    def _pass_time_on(self) -> None:
        for element in self._chain.take_time():
            self._downstream.on_control(element)

    def _flush_aside(self) -> None:
        if self._fanout is not None:
            self._fanout.flush_aside()

    @property
    def _upstream(self) -> Head:
        if self._head is None:
            raise InternalError("a chain was used before it was subscribed")
        return self._head


class DirectChain(FusedChain):
    """A chain that never emits more than it takes: passes demand through and makes up for what it drops."""

    def __init__(self, chain: Chain, downstream: BatchSubscriber[Any], *, finished: bool = False) -> None:
        super().__init__(chain, downstream, finished=finished)
        self._process = chain.process

    def on_next_batch(self, values: Any) -> None:
        batch: Batch[Any] = values
        if self._run is not None:
            raise InternalError("records after the end of the input")
        out = self._process(batch, self.input_index)
        self._flush_aside()
        count = len(out.values)
        missing = len(batch.values) - count
        if missing < 0:
            raise InternalError(
                f"a chain that does not expand emitted {count} records for {len(batch)}",
                hint="an operator that expands must declare it: expands = True",
            )
        if count:
            self._emit(out)
        if self._chain.assigns_time:
            self._pass_time_on()
        if missing:
            self._upstream.request(missing)

    def _ask_upstream(self, n: int) -> None:
        self._upstream.request(n)


class ExpandingChain(FusedChain):
    """A chain whose records may become many: asks for about as many as will yield what is wanted.

    It begins with one record and at most doubles, until it is known how many outputs a record has:
    a barrier waits for all outputs of what has been fed. One request is outstanding at a time.
    """

    def __init__(self, chain: Chain, downstream: BatchSubscriber[Any], *, finished: bool = False) -> None:
        super().__init__(chain, downstream, finished=finished)
        self._asked = 0
        self._expansion = Expansion()

    def on_next_batch(self, values: Any) -> None:
        batch: Batch[Any] = values
        with self._lock:
            self._asked -= len(batch.values)
        self._enqueue(Fed(batch, self.input_index))

    def resume(self) -> None:
        super().resume()
        self._ask()

    def _ask_upstream(self, n: int) -> None:
        if self._run is not None:
            self._upstream.wake()
        else:
            self._ask()

    def _finished(self, run: _Running) -> None:
        self._expansion.learn(run.inputs, run.outputs)

    def _ask(self) -> None:
        with self._lock:
            if self._asked or self._requested == 0 or self._run is not None:
                return
            self._asked = asked = self._expansion.inputs_for(self._requested)
        self._upstream.request(asked)


class Expansion:
    """How many records a chain emits for one it takes, as far as it is known."""

    def __init__(self) -> None:
        self._ratio = 1.0
        self._most = 1

    def learn(self, inputs: int, outputs: int) -> None:
        """Take a finished run into account; one without inputs let out what had been held back."""
        if inputs:
            self._ratio = (self._ratio + outputs / inputs) / 2
            self._most = min(MAX_BOUND, 2 * self._most)

    def inputs_for(self, outputs: int) -> int:
        """Return how many records to request for that many outputs, at least one."""
        wanted = MAX_BOUND if outputs == UNBOUNDED else outputs
        return max(1, min(self._most, int(wanted / max(self._ratio, 0.01))))


def fuse(chain: Chain, downstream: BatchSubscriber[Any], *, finished: bool = False) -> FusedChain:
    """Put a compiled chain between its input and `downstream`; see `FusedChain`."""
    return (ExpandingChain if chain.expands else DirectChain)(chain, downstream, finished=finished)


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
            out = Batch.concat([ahead, out])
        self.outputs += len(out.values)
        return out

    def close(self) -> None:
        """Give up what has not been taken."""
        self._ahead = None
        self._run.close()


def _unchanged(batch: Batch[Any]) -> Batch[Any]:
    return batch
