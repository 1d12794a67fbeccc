"""Writing a loop's steps as Python source, each call on a line of its own.

A loop whose functions are plain and whose errors fail the job becomes a comprehension, which beats
a loop with append; every other becomes nested statements, with a `try` around each guarded call:

    return [                                    for v0 in feed.records:
        f2(v1)                                      v1 = f0(v0)
        for v0 in feed.records                      try:
        for v1 in [f0(v0)]                              if not f1(v1):
        if f1(v1)                                           continue
    ]                                               except Exception as error: ...

`for v1 in [f0(v0)]` is Python's own idiom for an assignment, and compiled as one.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pipeline.compiler.plan import Calling, PlannedStep
from pipeline.core.functions import function_ref
from pipeline.operators.base import Yields

INDENT: Final = "    "


@dataclass(frozen=True, slots=True)
class Emitted:
    """Generated source, and whose calls are on its lines.

    Args:
        text: the source of one module.
        steps: the index of the step that is called on a line, by 1-based line.
        comprehensions: the lines on which a comprehension begins.
    """

    text: str
    steps: Mapping[int, int]
    comprehensions: frozenset[int]


def emit(steps: Sequence[PlannedStep]) -> Emitted:
    """Write the functions of a loop.

    They take a `Feed` and are `process` and, where the loop can be suspended, `iterate`; both also
    as `…_marked`, unless each record produces exactly one output. Names they expect, i being a
    step's index: `fi` its function, `recoveri` what to call when it is guarded and raised, `fail`
    what to call when it is not, and `DROPPED`.
    """
    return _Emitter(steps).emit()


class _Emitter:
    def __init__(self, steps: Sequence[PlannedStep]) -> None:
        self._plan = steps
        self._variables = _variables(steps)
        self._async = any(step.is_async for step in steps)
        self._bare = not self._async and not any(step.is_guarded for step in steps)
        self._lines: list[str] = []
        self._depth = 0
        self._steps: dict[int, int] = {}
        self._comprehensions: set[int] = set()
        self._output: tuple[str, ...] = ()

    def emit(self) -> Emitted:
        one_to_one = all(step.keeps_every_record for step in self._plan)
        for suffix in ("",) if one_to_one else ("", "_marked"):
            if self._bare:
                self._comprehension(f"process{suffix}", marked=bool(suffix))
            else:
                self._loop(f"process{suffix}", "append({})", marked=bool(suffix))
            if any(step.expands for step in self._plan):
                self._loop(f"iterate{suffix}", "yield {}", marked=bool(suffix))
        return Emitted("\n".join(self._lines) + "\n", self._steps, frozenset(self._comprehensions))

    # A comprehension's functions are globals: as locals of the function around it they would be
    # cells, which are slower.

    def _comprehension(self, name: str, *, marked: bool) -> None:
        *clauses, last = range(len(self._plan))
        if self._plan[last].yields is not Yields.ONE:
            clauses.append(last)
        with self._block(f"def {name}(feed):"):
            if marked:
                self._line("keep = feed.kept.append")
            with self._failing():
                self._comprehensions.add(self._line("return ["))
                with self._indented():
                    if last in clauses:
                        self._line(self._variables[-1])
                    else:
                        self._call(last, "{}")
                    self._line(_input(marked=marked))
                    for index in clauses:
                        self._call(index, self._clause(index))
                    if marked:
                        self._line("if keep(mark) is None  # always")
                self._line("]")
        self._line("")

    def _clause(self, index: int) -> str:
        variable = self._variables[index + 1]
        match self._plan[index].yields:
            case Yields.ONE:
                return f"for {variable} in [{{}}]"
            case Yields.FILTER:
                return "if {}"
            case _:
                return f"for {variable} in {{}}"

    def _loop(self, name: str, output: str, *, marked: bool) -> None:
        self._output = (*(("keep(mark)",) if marked else ()), output.format(self._variables[-1]))
        appends = output.startswith("append")
        with self._block(f"{'async ' if self._async else ''}def {name}(feed, {self._bindings()}):"):
            if marked:
                self._line("keep = feed.kept.append")
            if appends:
                self._line("outputs = []")
                self._line("append = outputs.append")
            with self._failing(), self._block(f"{_input(marked=marked)}:"):
                self._statements(0)
            if appends:
                self._line("return outputs")
        self._line("")

    def _bindings(self) -> str:
        """Bind every name as a default argument, so that the loop looks up locals only."""
        names = ["DROPPED"]
        for index, step in enumerate(self._plan):
            names.append(f"f{index}")
            if step.is_guarded:
                names.append(f"recover{index}")
        return ", ".join(f"{name}={name}" for name in names)

    def _statements(self, index: int) -> None:
        """Write what happens to a value from step `index` on."""
        while index < len(self._plan):
            step = self._plan[index]
            if step.expands:
                self._many(index)  # everything that follows is inside
                return
            (self._guarded if step.is_guarded else self._unguarded)(index)
            index += 1
        for line in self._output:
            self._line(line)

    def _unguarded(self, index: int) -> None:
        if self._plan[index].yields is Yields.FILTER:
            self._call(index, "if not {}:")
            self._line(INDENT + "continue")
        else:
            self._call(index, f"{self._variables[index + 1]} = {{}}")

    def _guarded(self, index: int) -> None:
        value, result = self._variables[index], self._variables[index + 1]
        awaiting = "await " if self._plan[index].is_async else ""
        recovered = f"{awaiting}recover{index}(error, {value}, feed)"
        with self._block("try:"):
            self._unguarded(index)
        with self._block("except Exception as error:"):
            if self._plan[index].yields is Yields.FILTER:
                self._line(f"if {recovered} is not True:")
            else:
                self._line(f"{result} = {recovered}")
                self._line(f"if {result} is DROPPED:")
            self._line(INDENT + "continue")

    def _many(self, index: int) -> None:
        if self._plan[index].is_guarded:
            self._guarded_many(index)
        else:
            self._results(index)

    def _guarded_many(self, index: int) -> None:
        """Write the loop over the results inside a `try`, and both inside a loop that repeats the call.

        The `try` sees the errors of the later steps as well; the line shows whose they are.
        """
        value, result = self._variables[index], self._variables[index + 1]
        self._line(f"attempts{index} = 0")
        with self._block("while True:"):
            self._line(f"{result} = DROPPED")
            with self._block("try:"):
                line = self._results(index)
            with self._block("except Exception as error:"):
                self._line(f"if error.__traceback__.tb_lineno != {line}:")
                self._line(INDENT + "raise")
                self._line(f"attempts{index} += 1")
                given = f"{result} is not DROPPED"
                self._line(f"if recover{index}(error, {value}, feed, attempts{index}, {given}):")
                self._line(INDENT + "continue")
            self._line("break")

    def _results(self, index: int) -> int:
        """Write the loop over the results of a flat_map, with all that follows; return its line."""
        loop = "async for" if self._plan[index].calling is Calling.ASYNC_GENERATOR else "for"
        line = self._call(index, f"{loop} {self._variables[index + 1]} in {{}}:")
        with self._indented():
            self._statements(index + 1)
        return line

    def _call(self, index: int, text: str) -> int:
        """Write a line with the call of step `index` at `{}`."""
        step = self._plan[index]
        awaiting = "await " if step.calling is Calling.COROUTINE else ""
        call = f"{awaiting}f{index}({self._variables[index]})"
        label = f"{step.stage.uid} = {function_ref(step.stage.step.function)}"
        line = self._line(f"{text.format(call)}  # {printable(label)}")
        self._steps[line] = index
        return line

    @contextmanager
    def _failing(self) -> Generator[None]:
        """Catch what an unguarded call raises.

        Here and not in the caller, who would see a generator's StopIteration as another error.
        """
        with self._block("try:"):
            yield
        with self._block("except Exception as error:"):
            self._line("fail(error, feed)")
            self._line("raise")

    @contextmanager
    def _block(self, header: str) -> Generator[None]:
        self._line(header)
        with self._indented():
            yield

    @contextmanager
    def _indented(self) -> Generator[None]:
        self._depth += 1
        yield
        self._depth -= 1

    def _line(self, text: str) -> int:
        """Write a line; return its number."""
        self._lines.append(INDENT * self._depth + text if text else "")
        return len(self._lines)


def _variables(steps: Sequence[PlannedStep]) -> list[str]:
    """Name the value before each step and after the last; a filter passes on the one it got."""
    names = ["v0"]
    for index, step in enumerate(steps):
        names.append(names[-1] if step.yields is Yields.FILTER else f"v{index + 1}")
    return names


def _input(*, marked: bool) -> str:
    return "for v0, mark in zip(feed.records, feed.marks)" if marked else "for v0 in feed.records"


def printable(text: str) -> str:
    """Escape what would break a line of source, or could not be encoded."""
    return repr(text)[1:-1]
