"""The generated chain does what the interpreted one does: outputs, calls and errors, in the same order."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.compiler import OperatorStage, Stage, StepStage, compile_chain
from pipeline.core.errors import PipelineError, UserFunctionError
from pipeline.core.policy import ErrorPolicy, SideTag
from pipeline.core.records import Batch, FailedRecord, OriginRange
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.map import Map
from pipeline.operators.map_batches import MapBatches
from pipeline.spi.operator import StreamOperator

KINDS = {"map": Map, "filter": Filter, "flat_map": FlatMap, "map_batches": MapBatches}


@dataclass(frozen=True)
class Behaviour:
    """A stage as data: both chains get functions of their own that behave like this.

    A call raises for values that leave `residue` modulo `modulus`, the first `failures` times that
    it is made with such a value. A lazy flat_map yields `given` results before it raises.
    """

    kind: str
    policy: ErrorPolicy
    is_async: bool
    lazy: bool
    modulus: int
    residue: int
    failures: int
    given: int
    error: type[BaseException]
    wrong_result: bool  # returns what it may not, instead of raising


class Cancelled(Exception):
    """A vertex's way out of a pause."""


@dataclass
class World:
    """Everything one chain does, in order; and the vertex it runs in."""

    loop: asyncio.AbstractEventLoop
    cancel_after: int
    job_name: str = "simulated"
    events: list[Any] = field(default_factory=list)
    failures: Counter[tuple[int, Any]] = field(default_factory=Counter)

    def side_output(self, tag: SideTag, values: Sequence[Any]) -> None:
        self.events.append(("side output", tag, list(values)))

    def count_failed(self, records: int, samples: Sequence[FailedRecord] = ()) -> None:
        self.events.append(("failed", records))

    def pause(self, delay: timedelta) -> None:
        self.events.append(("pause", delay))
        if sum(event[0] == "pause" for event in self.events) > self.cancel_after:
            raise Cancelled

    def run_async(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)


class RunningSum(StreamOperator[int, int]):
    """Depends on order and on nothing else, so that it sees a record lost, repeated or moved."""

    def __init__(self, world: World, *, expands: bool) -> None:
        self.expands = expands
        self.sum = 0
        self.world = world

    def process_batch(self, batch: Batch[int], input_index: int) -> Batch[int]:
        self.world.events.append(("batch", batch.values))
        outputs: list[int] = []
        for value in batch:
            self.sum = (self.sum * 3 + value) % 23
            outputs += [self.sum, value] if self.expands else [self.sum]
        if self.expands:
            return Batch(outputs)
        return Batch(outputs, batch.timestamps, batch.origins)

    def process_watermark(self, timestamp: int) -> Batch[int]:
        return Batch([self.sum], [timestamp])

    def finish(self) -> Batch[int]:
        return Batch([self.sum + 1])


def stage_of(index: int, behaviour: Behaviour, world: World) -> Stage:
    uid = f"{behaviour.kind}-{index}"
    if behaviour.kind == "operator":
        return OperatorStage(uid, RunningSum(world, expands=behaviour.lazy))
    return StepStage(uid, KINDS[behaviour.kind](_function(index, behaviour, world), behaviour.policy))


def _function(index: int, behaviour: Behaviour, world: World) -> Any:  # noqa: C901
    def refuse(value: Any) -> None:
        key = sum(value) if isinstance(value, list) else value
        if key % behaviour.modulus == behaviour.residue:
            world.failures[index, key] += 1
            if world.failures[index, key] <= behaviour.failures:
                raise behaviour.error(f"{value!r} at {index}, time {world.failures[index, key]}")

    def result(value: Any) -> Any:
        match behaviour.kind:
            case "map":
                return (value * 2 + index) % 17
            case "filter":
                return value % 4 if not behaviour.wrong_result else _Moody(refuse, value)
            case "map_batches":
                return value[::-1] + value[:1] if not behaviour.wrong_result else None
            case _:
                return (value, value + 1)[: 1 + value % 3] if not behaviour.wrong_result else value

    def called(value: Any) -> None:
        world.events.append((index, value))

    def plain(value: Any) -> Any:
        called(value)
        refuse(value)
        return result(value)

    async def plain_async(value: Any) -> Any:
        called(value)
        await asyncio.sleep(0)
        refuse(value)
        return result(value)

    def lazy(value: Any) -> Iterator[Any]:
        called(value)
        for step in range(3):
            if step == behaviour.given:
                refuse(value)
            yield value + step
            world.events.append((index, "resumed"))

    async def lazy_async(value: Any) -> Any:
        called(value)
        for step in range(3):
            if step == behaviour.given:
                refuse(value)
            await asyncio.sleep(0)
            yield value + step
            world.events.append((index, "resumed"))

    if behaviour.kind == "flat_map" and behaviour.lazy:
        return lazy_async if behaviour.is_async else lazy
    return plain_async if behaviour.is_async else plain


class _Moody:
    """A filter's result that raises when asked whether it is true."""

    def __init__(self, refuse: Any, value: Any) -> None:
        self.refuse, self.value = refuse, value

    def __bool__(self) -> bool:
        self.refuse(self.value)
        return True


finals = st.sampled_from([ErrorPolicy.fail(), ErrorPolicy.skip(), ErrorPolicy.dead_letter(SideTag("dead"))])
policies = st.one_of(
    finals,
    st.builds(ErrorPolicy.retry, st.integers(1, 3), st.just(timedelta(seconds=1)), finals),
)
# A StopIteration cannot leave a user's own generator or coroutine: Python itself turns it into another.
errors = st.sampled_from([ValueError, KeyError, StopIteration, RuntimeError, UserFunctionError, SystemExit])
behaviours = st.builds(
    Behaviour,
    kind=st.sampled_from(
        ["map", "map", "filter", "filter", "flat_map", "flat_map", "map_batches", "operator"]
    ),
    policy=policies,
    is_async=st.integers(0, 4).map(lambda n: n == 0),
    lazy=st.booleans(),
    modulus=st.sampled_from([1, 2, 3, 5, 100, 100, 100]),
    residue=st.integers(0, 2),
    failures=st.sampled_from([1, 2, 1000]),
    given=st.integers(0, 2),
    error=errors,
    wrong_result=st.integers(0, 9).map(lambda n: n == 0),
)
inputs = st.builds(
    lambda values, timestamps, origins: Batch(
        values,
        [10 * value for value in range(len(values))] if timestamps else None,
        OriginRange("split", 7, len(values)) if origins else None,
    ),
    st.lists(st.integers(0, 16), max_size=6),
    st.booleans(),
    st.booleans(),
)
# What the vertex does: process a batch at once, take it in portions, or let time pass.
actions = st.one_of(
    st.tuples(st.just("process"), inputs),
    st.tuples(st.just("iterate"), inputs, st.lists(st.integers(0, 7), min_size=1, max_size=4)),
    st.tuples(st.just("watermark"), st.integers(0, 100)),
)


@dataclass(frozen=True)
class Scenario:
    stages: list[Behaviour]
    actions: list[Any]
    carry_origins: bool
    cancel_after: int


scenarios = st.builds(
    Scenario,
    st.lists(behaviours, max_size=6),
    st.lists(actions, min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from([0, 2, 10_000, 10_000, 10_000]),
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def observe(scenario: Scenario, mode: str, loop: asyncio.AbstractEventLoop) -> list[Any]:
    """Run the scenario; return all that happened, in order."""
    world = World(loop, scenario.cancel_after)
    stages = [stage_of(index, behaviour, world) for index, behaviour in enumerate(scenario.stages)]
    chain = compile_chain(stages, world, mode=mode, carry_origins=scenario.carry_origins)
    world.events.append(("expands", chain.expands))
    with ending(world):
        for action in scenario.actions:
            name, *arguments = action
            if name == "iterate":
                batch, limits = arguments
                take_all(world, chain.iterate(batch), limits)
            else:
                world.events.append(seen(getattr(chain, name)(*arguments)))
        world.events.append(seen(chain.finish()))
    return world.events


def take_all(world: World, run: Any, limits: list[int]) -> None:
    turns = iter(limits)
    while not run.exhausted:
        limit = next(turns, 5)
        taken = run.take(limit)
        assert len(taken) == limit or (len(taken) < limit and run.exhausted)
        world.events.append((seen(taken), run.exhausted))


@contextmanager
def ending(world: World) -> Generator[None]:
    try:
        yield
    except PipelineError as error:
        places = (error.job, error.operator, error.function, error.position)
        world.events.append(
            (type(error), error.message, *places, type(error.__cause__), str(error.__cause__))
        )
    except (Cancelled, SystemExit) as error:
        world.events.append((type(error), str(error)))


def seen(batch: Batch[Any]) -> Any:
    tracks = (batch.timestamps, batch.origins) if len(batch) else ()
    return [list(batch.values), *(track if track is None else list(track) for track in tracks)]


simulated = settings(
    max_examples=700,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@given(scenario=scenarios)
@simulated
def test_both_implementations_do_the_same(scenario, loop):
    assert observe(scenario, "generated", loop) == observe(scenario, "interpreted", loop)


@given(
    stages=st.lists(behaviours.filter(lambda behaviour: behaviour.kind != "map_batches"), max_size=5),
    batch=inputs,
    limits=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    mode=st.sampled_from(["generated", "interpreted"]),
)
@simulated
def test_taken_in_portions_a_batch_yields_what_it_yields_at_once(stages, batch, limits, mode, loop):
    """Only the order of the calls differs, and only where operators are between loops."""

    def totals(action: Any) -> tuple[bool, list[Any], Counter[str]]:
        events = observe(Scenario(stages, [action], carry_origins=True, cancel_after=10_000), mode, loop)
        *outputs, _ = [event for event in events if is_output(event)] or [None]
        calls = [repr(event) for event in events if not is_output(event) and event[0] != "batch"]
        return (
            is_output(events[-1]),
            [value for output in outputs for value in values_of(output)],
            Counter(calls),
        )

    completed, values, calls = totals(("process", batch))
    if completed:  # else the job has failed, and how far it got is not to be compared
        assert totals(("iterate", batch, limits)) == (True, values, calls)


def is_output(event: Any) -> bool:
    return isinstance(event, list) or isinstance(event[0], list)


def values_of(output: Any) -> list[Any]:
    return output[0] if isinstance(output, list) else output[0][0]
