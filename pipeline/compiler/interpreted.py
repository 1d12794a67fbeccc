"""A loop over records as composed closures: slow, and plain enough to be the oracle of the generated one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from typing import Any, Final

from pipeline.compiler.attempts import Attempt, attempting, persist
from pipeline.compiler.plan import Calling, PlannedStep
from pipeline.compiler.runs import GeneratorRun, Run
from pipeline.compiler.segments import Segment
from pipeline.compiler.stages import ChainContext
from pipeline.core.records import Batch, Origin
from pipeline.operators.base import Yields
from pipeline.operators.failure import Failures

_END: Final = object()

# From a value and the origin of the record it came from to what it becomes in the end.
Body = Callable[[Any, Origin | None], Generator[Any, None, None]]


class InterpretedLoop(Segment):
    """Runs each record through closures, one for each step, that call one another."""

    def __init__(self, steps: Sequence[PlannedStep], ctx: ChainContext, *, carry_origins: bool) -> None:
        self.expands = any(step.expands for step in steps)
        self._carry_origins = carry_origins
        self._body: Body = _give
        for step in reversed(steps):
            self._body = _compose(step, self._body, ctx)

    def process(self, batch: Batch[Any], input_index: int = 0) -> Batch[Any]:
        return self._collect(batch, list(self._outputs(batch)))

    def iterate(self, batch: Batch[Any], input_index: int = 0) -> Run:
        if not self.expands:
            return super().iterate(batch)
        return GeneratorRun(self._outputs(batch), lambda outputs: self._collect(batch, outputs))

    def _outputs(self, batch: Batch[Any]) -> Generator[tuple[Any, int], None, None]:
        """Yield each output with the index of the record it came from."""
        for index, value in enumerate(batch.values):
            origin = None if batch.origins is None else batch.origins[index]
            for output in self._body(value, origin):
                yield output, index

    def _collect(self, batch: Batch[Any], outputs: list[tuple[Any, int]]) -> Batch[Any]:
        timestamps, origins = batch.timestamps, batch.origins
        return Batch(
            [value for value, _ in outputs],
            None if timestamps is None else [timestamps[index] for _, index in outputs],
            None if origins is None or not self._carry_origins else [origins[i] for _, i in outputs],
        )


def _give(value: Any, _: Origin | None) -> Generator[Any, None, None]:
    yield value


def _compose(step: PlannedStep, rest: Body, ctx: ChainContext) -> Body:
    failures = step.stage.failures(ctx)
    if step.yields is Yields.ONE:
        return _one(attempting(step.call, _itself, step.calling, ctx), failures, rest)
    if step.yields is Yields.FILTER:
        return _filter(attempting(step.call, bool, step.calling, ctx), failures, rest)
    start = attempting(
        step.call, aiter if step.calling is Calling.ASYNC_GENERATOR else iter, step.calling, ctx
    )
    return _many(start, _advancing(step.calling, ctx), failures, rest)


def _one(attempt: Attempt, failures: Failures, rest: Body) -> Body:
    def body(value: Any, origin: Origin | None) -> Generator[Any, None, None]:
        outcome = persist(attempt, value, failures)
        if outcome.error is not None:
            _give_up(failures, outcome.error, value, origin)
        else:
            yield from rest(outcome.value, origin)

    return body


def _filter(attempt: Attempt, failures: Failures, rest: Body) -> Body:
    def body(value: Any, origin: Origin | None) -> Generator[Any, None, None]:
        outcome = persist(attempt, value, failures)
        if outcome.error is not None:
            _give_up(failures, outcome.error, value, origin)
        elif outcome.value:
            yield from rest(value, origin)

    return body


def _many(start: Attempt, advance: Attempt, failures: Failures, rest: Body) -> Body:
    def results(value: Any, origin: Origin | None) -> Iterator[Any]:
        repetitions = failures.repetitions
        while True:
            given = False
            iterator = start(value)
            outcome = iterator if iterator.error is not None else advance(iterator.value)
            while outcome.error is None and outcome.value is not _END:
                given = True
                yield outcome.value
                outcome = advance(iterator.value)
            if outcome.error is None:
                return
            if given or not repetitions:  # what was given cannot be taken back
                _give_up(failures, outcome.error, value, origin)
                return
            repetitions -= 1
            failures.pause()

    def body(value: Any, origin: Origin | None) -> Generator[Any, None, None]:
        for result in results(value, origin):
            yield from rest(result, origin)

    return body


def _advancing(calling: Calling, ctx: ChainContext) -> Attempt:
    if calling is not Calling.ASYNC_GENERATOR:
        return attempting(lambda iterator: next(iterator, _END), _itself, Calling.PLAIN, ctx)

    async def advance(iterator: AsyncIterator[Any]) -> Any:
        return await anext(iterator, _END)

    return attempting(advance, _itself, Calling.COROUTINE, ctx)


def _itself(value: Any) -> Any:
    return value


def _give_up(failures: Failures, error: Exception, value: Any, origin: Origin | None) -> None:
    failures.give_up(error, [value], None if origin is None else [origin])
