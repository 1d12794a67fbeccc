"""Several steps in a row as one function written for them: a call less for each step of each record."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pipeline.reactive.nobody import NO_EMISSION
from pipeline.reactive.subscriber import Records

MAX_STEPS: Final = 32
"""In one function: each filter indents what follows, and Python allows a hundred levels."""


class Step(NamedTuple):
    """What one operator does with a record.

    Attributes:
        function: the user's.
        sifts: whether it says which records pass; otherwise it returns what takes a record's place.
    """

    function: Callable[[Any], Any]
    sifts: bool


class Row(NamedTuple):
    """The functions of one subscriber's steps; they share the counts of what upstream owes and was rejected.

    Attributes:
        on_next: takes one record through all steps and emits what becomes of it.
        change: takes several, puts what becomes of them into a list, and returns how many it rejected. What
            a step raises leaves those before it in the list.
        received: counts records that came from upstream, and those of them that were rejected.
        let_go: forgets what it emits to (rule 3.13).
    """

    on_next: Callable[[Any], None]
    change: Callable[[Records[Any], list[Any]], int]
    received: Callable[[int, int], None]
    let_go: Callable[[], None]


class Surroundings(NamedTuple):
    """What the functions of a row call.

    Attributes:
        emit: takes a record further.
        refuse: handles a record that must not be emitted.
        raised: is called with what a step or `emit` raised.
        settled: given what upstream owes, adds what it was asked for meanwhile.
        request: asks upstream.
    """

    emit: Callable[[Any], object]
    refuse: Callable[[Any], object]
    raised: Callable[[Exception], object]
    settled: Callable[[int], int]
    request: Callable[[int], object]


def row(steps: Sequence[Step], surroundings: Surroundings) -> Row:
    """Make the functions that do all `steps`, one after the other."""
    build = _builder(tuple(step.sifts for step in steps))
    return Row(*build(surroundings, [step.function for step in steps]))


@lru_cache(maxsize=256)
def _builder(sifts: tuple[bool, ...]) -> Callable[[Surroundings, list[Callable[[Any], Any]]], Any]:
    """Compile the source for steps of these kinds, once for all that are like them."""
    text = _source(sifts)
    file = f"<{', '.join('filter' if sift else 'map' for sift in sifts)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)  # for tracebacks
    namespace: dict[str, Any] = {"NO_EMISSION": NO_EMISSION, "null": _null}
    exec(compile(text, file, "exec"), namespace)  # noqa: S102 - our own source, nothing of the user's in it
    return namespace["build"]


def _source(sifts: tuple[bool, ...]) -> str:
    names = [f"step_{number}" for number in range(len(sifts))]
    return _TEMPLATE.format(
        functions=", ".join(names),
        one=_steps(names, sifts, "emit(value)", " " * 12),
        each=_steps(names, sifts, "append(value)", " " * 12),
    )


def _steps(names: list[str], sifts: tuple[bool, ...], last: str, indent: str) -> str:
    """Write the steps; after a filter everything is one level deeper, and its `else` comes last."""
    lines: list[str] = []
    rejections: list[str] = []
    for name, sift in zip(names, sifts, strict=True):
        if sift:
            lines.append(f"{indent}if {name}(value):")
            rejections += [f"{indent}    rejected += 1", f"{indent}else:"]
            indent += " "
        else:
            lines += [f"{indent}value = {name}(value)", f"{indent}if value is None: null()"]
    return "\n".join([*lines, indent + last, *reversed(rejections)])


def _null() -> None:
    raise TypeError("rule 2.13: map's function returned None")


_TEMPLATE: Final = '''
def build(surroundings, functions):
    emit, refuse, raised, settled, request = surroundings
    {functions}, = functions
    owed = rejected = 0

    def on_next(value, /):
        nonlocal owed, rejected
        if value is None or emit is NO_EMISSION:
            refuse(value)
            return
        try:
{one}
        except Exception as error:
            raised(error)
        owed -= 1
        if owed <= 0:
            settle()

    def change(values, results):
        rejected = 0
        append = results.append
        for value in values:
{each}
        return rejected

    def received(records, of_them_rejected):
        nonlocal owed, rejected
        owed -= records
        rejected += of_them_rejected
        if owed <= 0:
            settle()

    def settle():
        """Count what was asked for meanwhile as owed; if all has come, ask for what was rejected of it."""
        nonlocal owed, rejected
        owed = settled(owed)
        if owed <= 0 and rejected:
            again, rejected = rejected, 0
            request(again)

    def let_go():
        nonlocal emit
        emit = NO_EMISSION

    return on_next, change, received, let_go
'''
"""The counts are variables that the functions share: as attributes they would cost a record a tenth more."""
