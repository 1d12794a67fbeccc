"""FusedChain under any schedule of requests, batches and control elements: nothing lost, nothing early."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compiler import StepStage, compile_chain
from pipeline.core.elements import END_OF_INPUT, EndOfInput
from pipeline.core.records import FailedRecord
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.map_batches import MapBatches
from tests.unit.pipeline.runtime.stage import Consumer, EagerRun, FakeChain, Head, LazyRun

HELD_BACK = ("last", "very last")


def filtering(value: int) -> Sequence[Any]:
    return () if value % 3 == 0 else (value,)


def expanding(value: int) -> Sequence[Any]:
    return [(value, part) for part in range((0, 1, 7, 2, 0, 30)[value % 6])]


class Vertex:
    job_name = "simulated"

    def side_output(self, tag: Any, values: Any) -> None: ...
    def count_failed(self, records: int, samples: Sequence[FailedRecord] = ()) -> None: ...
    def pause(self, delay: timedelta) -> None: ...
    def run_async(self, coroutine: Any) -> Any: ...


def compiled(mode: str, *steps: Any) -> Any:
    stages = [StepStage(f"step-{index}", step) for index, step in enumerate(steps)]
    return compile_chain(stages, Vertex(), mode=mode)


@dataclass(frozen=True)
class Kind:
    """A chain, and what a record becomes in it."""

    make: Callable[[], Any]
    function: Callable[[int], Sequence[Any]]
    held_back: Sequence[Any] = ()


def fake(function: Callable[[int], Sequence[Any]], **options: Any) -> Kind:
    return Kind(lambda: FakeChain(function, held_back=HELD_BACK, **options), function, HELD_BACK)


KINDS = {
    "direct": fake(filtering, expands=False),
    "lazy": fake(expanding, expands=True, run=LazyRun),
    "eager": fake(expanding, expands=True, run=EagerRun),
    "filtering, but cannot say so": fake(filtering, expands=True, run=LazyRun),
    "generated": Kind(lambda: compiled("generated", FlatMap(expanding)), expanding),
    "interpreted": Kind(lambda: compiled("interpreted", FlatMap(expanding)), expanding),
    "compiled filter": Kind(lambda: compiled("generated", Filter(lambda x: x % 3)), filtering),
    "piped": Kind(
        lambda: compiled("generated", FlatMap(expanding), MapBatches(lambda values: values)), expanding
    ),
}


@dataclass(frozen=True)
class Control:
    """A control element, numbered."""

    number: int


class Simulation:
    """One schedule, and what has to have come of it."""

    def __init__(self, kind: Kind, refill: int) -> None:
        self.kind = kind
        self.chain = kind.make()
        self.consumer = Consumer(refill)
        self.head = Head(self.chain, self.consumer)
        self.expected: list[Any] = []
        self._next = 0

    def feed(self, records: int) -> None:
        values = list(range(self._next, self._next + records))
        self._next += records
        self.head.feed(values)
        self.expected += [output for value in values for output in self.kind.function(value)]

    def control(self) -> None:
        self.head.feed(Control(len(self.expected)))
        self.expected.append(Control(len(self.expected)))

    def end(self) -> None:
        self.head.feed(END_OF_INPUT)
        self.expected += [*self.kind.held_back, END_OF_INPUT]

    def check(self) -> None:
        """Look at everything, once the head has found nothing more to do."""
        heard, head = self.consumer.heard, self.head
        assert heard == self.expected[: len(heard)], "lost, repeated or out of order"
        if self.consumer.wanted:
            assert heard == self.expected, "a stall: records are wanted and there are some"
        if head.fused.suspended:
            assert not is_control(self.expected[len(heard)]), "suspended, although all records are out"
        else:
            assert not (head.inputs and is_control(head.inputs[0])), "a control element waits for demand"
        if isinstance(self.chain, FakeChain):
            self.check_accounts(self.chain)

    def check_accounts(self, chain: FakeChain) -> None:
        if not chain.expands and not chain.finished:
            assert self.head.requested == self.consumer.wanted, "demand was lost or made up twice"
        if chain.expands and chain.run is LazyRun:
            records = sum(not is_control(item) and item not in HELD_BACK for item in self.consumer.heard)
            assert chain.given <= records + 1, "the user's function was run ahead of demand"


def is_control(item: Any) -> bool:
    return isinstance(item, Control | EndOfInput)


def actions() -> st.SearchStrategy[list[tuple[str, int]]]:
    action = st.one_of(
        st.tuples(st.just("request"), st.integers(1, 12)),
        st.tuples(st.just("request"), st.sampled_from([1, 100, 2**63])),
        st.tuples(st.just("feed"), st.integers(1, 25)),
        st.tuples(st.just("control"), st.just(0)),
        st.tuples(st.just("run"), st.just(0)),
    )
    return st.lists(action, max_size=60)


@settings(max_examples=400)
@given(st.sampled_from(sorted(KINDS)), actions(), st.booleans(), st.sampled_from([0, 0, 1, 5]))
def test_records_come_once_in_order_and_only_as_asked(
    kind: str, schedule: list[tuple[str, int]], run_at_once: bool, refill: int
) -> None:
    """The consumer itself refuses what it did not ask for; `check` looks for all else."""
    simulation = Simulation(KINDS[kind], refill)
    for action, n in (*schedule, ("end", 0), ("control", 0), ("run", 0)):
        if action == "request":
            simulation.consumer.request(n)
        elif action == "feed":
            simulation.feed(n)
        elif action == "control":
            simulation.control()
        elif action == "end":
            simulation.end()
        if run_at_once or action == "run":
            simulation.head.run()
            simulation.check()
    for _ in drain(simulation):
        simulation.head.run()
        simulation.check()
    assert simulation.consumer.heard == simulation.expected


def drain(simulation: Simulation) -> Iterator[None]:
    """Ask for a few records at a time until all are out; each request must bring something."""
    while simulation.consumer.heard != simulation.expected:
        before = len(simulation.consumer.heard)
        simulation.consumer.request(3)
        yield
        assert len(simulation.consumer.heard) > before, "no progress in spite of demand"
