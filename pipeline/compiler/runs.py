"""Taking a chain's outputs a few at a time: what is handed out is what downstream has asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from itertools import islice
from typing import Any, Final, Protocol

from pipeline.compiler.stages import ChainContext
from pipeline.core.records import Batch

CHUNK: Final = 1024
"""Records handed from one segment to the next at a time; bounds what an endless flat_map puts in between."""

Process = Callable[[Batch[Any]], Batch[Any]]
Collect = Callable[[list[Any]], Batch[Any]]


class Run(Protocol):
    """One batch on its way through a chain, suspended between two calls of `take`.

    Attributes:
        exhausted: nothing more will come. Where the last outputs were taken exactly, a run that
            expands finds out with the next `take` only, which is then empty.
    """

    exhausted: bool

    def take(self, limit: int) -> Batch[Any]:
        """Return the next outputs, at most `limit`; fewer only when the input is exhausted."""
        ...

    def close(self) -> None:
        """Give up what has not been taken; suspended user code is closed."""
        ...


class CutRun:
    """A run in which a record produces at most one output: the input is cut to the demand."""

    __slots__ = ("_batch", "_position", "_process", "exhausted")

    def __init__(self, process: Process, batch: Batch[Any]) -> None:
        self._process = process
        self._batch = batch
        self._position = 0
        self.exhausted = len(batch) == 0

    def take(self, limit: int) -> Batch[Any]:
        pieces: list[Batch[Any]] = []
        while limit > 0 and not self.exhausted:
            piece = self._process(self._next_cut(limit))
            pieces.append(piece)
            limit -= len(piece)
        return Batch.concat(pieces)

    def close(self) -> None:
        self.exhausted = True

    def _next_cut(self, limit: int) -> Batch[Any]:
        start, self._position = self._position, min(self._position + limit, len(self._batch))
        self.exhausted = self._position == len(self._batch)
        if start == 0 and self.exhausted:
            return self._batch
        return self._batch[start : self._position]


class HeldRun:
    """A run whose outputs come all at once and are held until they are asked for."""

    __slots__ = ("_input", "_outputs", "_process", "exhausted")

    def __init__(self, process: Process, batch: Batch[Any]) -> None:
        self._process = process
        self._input: Batch[Any] | None = batch
        self._outputs = CutRun(_unchanged, Batch[Any](()))
        self.exhausted = len(batch) == 0

    def take(self, limit: int) -> Batch[Any]:
        if limit > 0 and self._input is not None:
            batch, self._input = self._input, None
            self._outputs = CutRun(_unchanged, self._process(batch))
        taken = self._outputs.take(limit)
        self.exhausted = self._input is None and self._outputs.exhausted
        return taken

    def close(self) -> None:
        self._input = None
        self._outputs.close()
        self.exhausted = True


class GeneratorRun:
    """A run of a suspended generator of outputs."""

    __slots__ = ("_collect", "_outputs", "exhausted")

    def __init__(self, outputs: Generator[Any, None, None], collect: Collect) -> None:
        self._outputs = outputs
        self._collect = collect
        self.exhausted = False

    def take(self, limit: int) -> Batch[Any]:
        values = list(islice(self._outputs, max(limit, 0)))
        self.exhausted = self.exhausted or len(values) < limit
        return self._collect(values)

    def close(self) -> None:
        self._outputs.close()
        self.exhausted = True


class AsyncGeneratorRun:
    """A run of a suspended asynchronous generator of outputs, resumed on the vertex's event loop."""

    __slots__ = ("_collect", "_ctx", "_outputs", "exhausted")

    def __init__(self, outputs: AsyncGenerator[Any, None], collect: Collect, ctx: ChainContext) -> None:
        self._outputs = outputs
        self._collect = collect
        self._ctx = ctx
        self.exhausted = False

    def take(self, limit: int) -> Batch[Any]:
        values: list[Any] = []
        if limit > 0 and not self.exhausted:
            values = self._ctx.run_async(self._next(limit))
            self.exhausted = len(values) < limit
        return self._collect(values)

    def close(self) -> None:
        if not self.exhausted:
            self._ctx.run_async(self._aclose())
            self.exhausted = True

    async def _next(self, limit: int) -> list[Any]:
        values: list[Any] = []
        async for value in self._outputs:
            values.append(value)
            if len(values) == limit:
                break
        return values

    async def _aclose(self) -> None:
        await self._outputs.aclose()


class PipedRun:
    """A run whose input is taken, chunk by chunk, from the run before it."""

    __slots__ = ("_current", "_start", "_upstream", "exhausted")

    def __init__(self, upstream: Run, start: Callable[[Batch[Any]], Run]) -> None:
        self._upstream = upstream
        self._start = start
        self._current: Run | None = None
        self.exhausted = upstream.exhausted

    def take(self, limit: int) -> Batch[Any]:
        pieces: list[Batch[Any]] = []
        while limit > 0 and not self.exhausted:
            piece = self._advance(limit)
            pieces.append(piece)
            limit -= len(piece)
        return Batch.concat(pieces)

    def close(self) -> None:
        if self._current is not None:
            self._current.close()
        self._upstream.close()
        self.exhausted = True

    def _advance(self, limit: int) -> Batch[Any]:
        if self._current is None:
            chunk = self._upstream.take(min(limit, CHUNK))
            self.exhausted = not len(chunk)
            if self.exhausted:  # all that was left has been filtered out: no segment is given nothing
                return chunk
            self._current = self._start(chunk)
        piece = self._current.take(limit)
        if self._current.exhausted:
            self._current = None
        self.exhausted = self._current is None and self._upstream.exhausted
        return piece


def _unchanged(batch: Batch[Any]) -> Batch[Any]:
    return batch
