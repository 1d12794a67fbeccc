"""A loop over records as generated Python: what a good programmer would write by hand for these steps."""

from __future__ import annotations

import linecache
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import CodeType, TracebackType
from typing import Any

from pipeline.compiler.emit import Emitted, emit, printable
from pipeline.compiler.feed import Feed
from pipeline.compiler.plan import PlannedStep
from pipeline.compiler.recovery import Recovery
from pipeline.compiler.runs import AsyncGeneratorRun, GeneratorRun, Run
from pipeline.compiler.segments import Segment
from pipeline.compiler.stages import ChainContext
from pipeline.core.records import Batch
from pipeline.operators.failure import DROPPED


class GeneratedLoop(Segment):
    """Runs records through functions that were written for exactly these steps."""

    def __init__(self, steps: Sequence[PlannedStep], ctx: ChainContext, *, carry_origins: bool) -> None:
        emitted = emit(steps)
        self.expands = any(step.expands for step in steps)
        self.source = emitted.text
        self._one_to_one = all(step.keeps_every_record for step in steps)
        self._async = any(step.is_async for step in steps)
        self._carry_origins = carry_origins
        self._ctx = ctx
        self._functions = _load(emitted, steps, ctx)

    def process(self, batch: Batch[Any], input_index: int = 0) -> Batch[Any]:
        feed = self._feed(batch)
        outputs = self._function("process", feed)(feed)
        return feed.collect(self._ctx.run_async(outputs) if self._async else outputs)

    def iterate(self, batch: Batch[Any], input_index: int = 0) -> Run:
        if not self.expands:
            return super().iterate(batch)
        feed = self._feed(batch)
        outputs = self._function("iterate", feed)(feed)
        if self._async:
            return AsyncGeneratorRun(outputs, feed.collect, self._ctx)
        return GeneratorRun(outputs, feed.collect)

    def _feed(self, batch: Batch[Any]) -> Feed:
        return Feed(batch, one_to_one=self._one_to_one, carry_origins=self._carry_origins)

    def _function(self, name: str, feed: Feed) -> Callable[[Feed], Any]:
        return self._functions[name if feed.marks is None else f"{name}_marked"]


def _load(emitted: Emitted, steps: Sequence[PlannedStep], ctx: ChainContext) -> dict[str, Any]:
    """Compile the source and give it the functions it calls; tracebacks find it by its file name."""
    # The checksum keeps apart what two jobs of one name generate; the same chain takes the same place again.
    uids = dict.fromkeys((steps[0].stage.uid, steps[-1].stage.uid))
    checksum = zlib.crc32(emitted.text.encode())
    file = f"<chain {printable(ctx.job_name)}: {printable(' … '.join(uids))} {checksum:08x}>"
    linecache.cache[file] = (len(emitted.text), None, emitted.text.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"DROPPED": DROPPED, "fail": _failing(emitted, file, steps, ctx)}
    for index, step in enumerate(steps):
        namespace[f"f{index}"] = step.call
        if step.is_guarded:
            namespace[f"recover{index}"] = _recovering(step, ctx)
    exec(_compiled(emitted.text, file), namespace)  # noqa: S102 - our own source, no user's text in it but comments
    return namespace


@lru_cache(maxsize=256)
def _compiled(text: str, file: str) -> CodeType:
    """Compile once what each subtask and each attempt runs."""
    return compile(text, file, "exec")


def _recovering(step: PlannedStep, ctx: ChainContext) -> Callable[..., Any]:
    recovery = Recovery(step, ctx)
    if step.expands:
        return recovery.repeats
    return recovery.recover_async if step.is_async else recovery.recover


def _failing(
    emitted: Emitted, file: str, steps: Sequence[PlannedStep], ctx: ChainContext
) -> Callable[[Exception, Feed], None]:
    failures = [step.stage.failures(ctx) for step in steps]

    def fail(error: Exception, feed: Feed) -> None:
        """Raise what fails the job if a step's call let `error` out; one of the engine's stays as it is."""
        index = _raising_step(error, file, emitted)
        if index is not None:
            raise failures[index].error(error, feed.origin()) from error

    return fail


def _raising_step(error: Exception, file: str, emitted: Emitted) -> int | None:
    """Return the index of the step whose call let `error` out; None if none did."""
    entry = error.__traceback__
    assert entry is not None, "it has been raised"
    while entry.tb_next is not None and entry.tb_next.tb_frame.f_code.co_filename == file:
        entry = entry.tb_next  # a comprehension is a frame of its own up to Python 3.11
    if entry.tb_lineno in emitted.comprehensions:
        return _step_before(entry, emitted)
    return emitted.steps.get(entry.tb_lineno)


def _step_before(entry: TracebackType, emitted: Emitted) -> int | None:
    """Return the step called last before the instruction that raised.

    Python attributes to the comprehension's first line what it does between the calls: taking the next
    result of a flat_map, or testing the truth of a filter's. The clauses are in their order,
    though, so that the call just before it is the one that made the result.
    """
    step: int | None = None
    for unit, position in enumerate(entry.tb_frame.f_code.co_positions()):
        if 2 * unit > entry.tb_lasti:  # an instruction and each of its cache entries is one unit of two bytes
            break
        if position[0] is not None:
            step = emitted.steps.get(position[0], step)
    return step
