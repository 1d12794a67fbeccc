"""An error policy applies to the call that raised: the records around it are neither lost nor done twice."""

from __future__ import annotations

import pickle
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.errors import ConfigError, UserFunctionError
from pipeline.core.functions import function_ref
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy, SideTag
from pipeline.core.records import Batch, DeadLetter, Origin, OriginRange
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.map import Map
from pipeline.operators.map_batches import MapBatches

DELAY = timedelta(milliseconds=250)
BAD = 2
VALUES = [1, BAD, 3]


class Flaky:
    """Functions that raise for `BAD`, the first `failures` times; each counts its calls."""

    def __init__(self, failures: int = 10**9) -> None:
        self.left = failures
        self.calls: Counter[int] = Counter()

    def check(self, value: int) -> None:
        self.calls[value] += 1
        if value == BAD and self.left:
            self.left -= 1
            raise ValueError(f"bad {value}")

    def same(self, value: int) -> int:
        self.check(value)
        return value

    async def same_async(self, value: int) -> int:
        self.check(value)
        return value

    def accept(self, value: int) -> bool:
        self.check(value)
        return True

    async def accept_async(self, value: int) -> bool:
        self.check(value)
        return True

    def truth(self, value: int) -> Any:
        flaky = self

        class Truth:
            def __bool__(self) -> bool:
                flaky.check(value)
                return True

        return Truth()

    def one(self, value: int) -> list[int]:
        self.check(value)
        return [value]

    async def one_async(self, value: int) -> list[int]:
        self.check(value)
        return [value]

    def lazy(self, value: int):
        self.check(value)
        yield value

    async def lazy_async(self, value: int):
        self.check(value)
        yield value

    def step(self, name: str, policy: ErrorPolicy) -> Any:
        kind = Filter if name in ("accept", "accept_async", "truth") else Map if "same" in name else FlatMap
        return kind(getattr(self, name), policy)


FUNCTIONS = [
    "same", "same_async", "accept", "accept_async", "truth", "one", "one_async", "lazy", "lazy_async",
]  # fmt: skip
every_function = pytest.mark.parametrize("name", FUNCTIONS)
both_ways = pytest.mark.parametrize("suspended", [False, True])


def run(chain, batch, suspended):
    if not suspended:
        return list(chain.process(batch).values)
    outputs, run = [], chain.iterate(batch)
    while not run.exhausted:
        outputs += run.take(1).values
    return outputs


def feed() -> Batch[int]:
    return Batch(VALUES, None, OriginRange("file", 100, len(VALUES)))


@every_function
@both_ways
def test_fail_names_job_operator_function_and_record(build, ctx, name, suspended):
    flaky = Flaky()
    chain = build(Map(lambda x: x), flaky.step(name, ErrorPolicy.fail()), Map(lambda x: x))

    with pytest.raises(UserFunctionError) as caught:
        run(chain, feed(), suspended)

    error, ref = caught.value, function_ref(getattr(flaky, name))
    assert error.message == f"{ref.name} raised ValueError: bad 2"
    assert (error.job, error.operator, error.function) == ("test-job", "s1", str(ref))
    assert error.position == "file@101"
    assert error.hint
    assert isinstance(error.__cause__, ValueError)
    assert flaky.calls == {1: 1, BAD: 1}
    assert ctx.failed == 0
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@every_function
@both_ways
def test_skip_drops_and_counts(build, ctx, name, suspended):
    flaky = Flaky()
    chain = build(flaky.step(name, ErrorPolicy.skip()), Map(lambda x: x * 10))

    assert run(chain, feed(), suspended) == [10, 30]
    assert ctx.failed == 1
    assert flaky.calls == {1: 1, BAD: 1, 3: 1}
    assert ctx.pauses == []
    assert ctx.side_outputs == {}


@every_function
@both_ways
def test_retry_repeats_only_the_call_that_raised(build, ctx, name, suspended):
    before, flaky, after = Flaky(0), Flaky(2), Flaky(0)
    chain = build(Map(before.same), flaky.step(name, ErrorPolicy.retry(3, DELAY)), Map(after.same))

    assert run(chain, feed(), suspended) == VALUES
    assert before.calls == after.calls == {1: 1, BAD: 1, 3: 1}
    assert flaky.calls == {1: 1, BAD: 3, 3: 1}
    assert ctx.pauses == [DELAY, DELAY]
    assert ctx.failed == 0


@every_function
@both_ways
def test_retry_ends_with_what_it_says(build, ctx, name, suspended):
    skipping, failing = Flaky(), Flaky()

    chain = build(skipping.step(name, ErrorPolicy.retry(2, DELAY, then=ErrorPolicy.skip())))
    assert run(chain, feed(), suspended) == [1, 3]
    assert skipping.calls[BAD] == 3
    assert ctx.failed == 1

    chain = build(failing.step(name, ErrorPolicy.retry(1)))
    with pytest.raises(UserFunctionError) as caught:
        run(chain, feed(), suspended)
    assert failing.calls == {1: 1, BAD: 2}
    assert caught.value.position == "file@101"
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("kind", [Map, Filter, FlatMap, MapBatches])
@pytest.mark.parametrize("is_async", [False, True])
def test_the_error_told_is_that_of_the_last_attempt(build, kind, is_async):
    attempts: list[int] = []

    def fail(x: Any) -> Any:
        attempts.append(1)
        raise ValueError(f"time {len(attempts)}")

    async def fail_async(x: Any) -> Any:
        return fail(x)

    with pytest.raises(UserFunctionError, match="raised ValueError: time 3"):
        build(kind(fail_async if is_async else fail, ErrorPolicy.retry(2))).process(Batch([1]))


@every_function
@both_ways
@pytest.mark.parametrize("with_origins", [True, False])
def test_dead_letters_carry_the_argument_of_the_call_and_its_origin(
    build, ctx, name, suspended, with_origins
):
    flaky, tag = Flaky(), SideTag("broken")
    chain = build(Map(lambda x: x - 5), flaky.step(name, ErrorPolicy.dead_letter(tag)))
    origins = OriginRange("file", 100, 3) if with_origins else None

    assert run(chain, Batch([6, 7, 8], None, origins), suspended) == [1, 3]
    assert ctx.side_outputs == {
        tag: [
            DeadLetter(
                value=BAD,
                error="ValueError: bad 2",
                operator="s1",
                function=str(function_ref(getattr(flaky, name))),
                origin=Origin("file", 101) if with_origins else None,
            )
        ]
    }
    assert ctx.failed == 1


def test_dead_letters_go_to_the_default_side_output(build, ctx):
    build(Map(Flaky().same, ErrorPolicy.dead_letter())).process(feed())

    assert [letter.value for letter in ctx.side_outputs[DEAD_LETTERS]] == [BAD]


def partly(value: int):
    yield value
    if value == BAD:
        raise ValueError("midway")
    yield -value


async def partly_async(value: int):
    yield value
    if value == BAD:
        raise ValueError("midway")
    yield -value


@both_ways
@pytest.mark.parametrize("function", [partly, partly_async])
@pytest.mark.parametrize("policy", [ErrorPolicy.skip(), ErrorPolicy.retry(5, DELAY, then=ErrorPolicy.skip())])
def test_a_flat_map_that_raises_midway_keeps_what_it_emitted_and_is_not_repeated(
    build, ctx, function, policy, suspended
):
    chain = build(FlatMap(function, policy), Map(lambda x: x * 10))

    assert run(chain, feed(), suspended) == [10, -10, 20, 30, -30]
    assert ctx.failed == 1
    assert ctx.pauses == []


@both_ways
@pytest.mark.parametrize("function", [partly, partly_async])
def test_a_flat_map_that_raises_midway_fails_by_name(build, function, suspended):
    with pytest.raises(UserFunctionError) as caught:
        run(build(FlatMap(function), Map(lambda x: x), Filter(bool)), feed(), suspended)

    assert (caught.value.operator, caught.value.position) == ("s0", "file@101")


async def five_async(value: int) -> int:
    return 5


@both_ways
@pytest.mark.parametrize("function", [lambda x: 5, five_async])
def test_a_flat_map_must_return_an_iterable(build, ctx, function, suspended):
    with pytest.raises(UserFunctionError, match="'int' object is not iterable") as caught:
        run(build(Map(lambda x: x), FlatMap(function)), feed(), suspended)
    assert (caught.value.operator, caught.value.position) == ("s1", "file@100")

    assert run(build(FlatMap(function, ErrorPolicy.skip())), feed(), suspended) == []
    assert ctx.failed == 3


@both_ways
@pytest.mark.parametrize(
    "outer", [ErrorPolicy.skip(), ErrorPolicy.dead_letter(), ErrorPolicy.retry(2), ErrorPolicy.fail()]
)
def test_a_guarded_flat_map_does_not_answer_for_the_steps_after(build, ctx, outer, suspended):
    """Their errors pass through its `try`, and keep their own policy."""
    chain = build(FlatMap(lambda x: [x], outer), Map(Flaky().same))
    with pytest.raises(UserFunctionError) as caught:
        run(chain, feed(), suspended)
    assert caught.value.operator == "s1"

    chain = build(FlatMap(lambda x: [x, x], outer), FlatMap(Flaky(1).one, ErrorPolicy.skip()))
    assert run(chain, feed(), suspended) == [1, 1, BAD, 3, 3]
    assert ctx.failed == 1
    assert ctx.side_outputs == {}


@both_ways
@pytest.mark.parametrize("kind", [Map, Filter, FlatMap])
@pytest.mark.parametrize("policy", [ErrorPolicy.fail(), ErrorPolicy.retry(1)])
def test_a_stop_iteration_is_an_error_like_any_other(build, kind, policy, suspended):
    def stop(x: int) -> Any:
        raise StopIteration("early")

    chain = build(FlatMap(lambda x: [x]), kind(stop, policy))
    with pytest.raises(UserFunctionError, match="stop raised StopIteration: early") as caught:
        run(chain, feed(), suspended)
    assert caught.value.operator == "s1"


@both_ways
@pytest.mark.parametrize("policy", [ErrorPolicy.skip(), ErrorPolicy.fail(), ErrorPolicy.retry(2)])
@pytest.mark.parametrize("kind", [Map, Filter, FlatMap, MapBatches])
def test_what_is_not_an_exception_passes(build, ctx, kind, policy, suspended):
    """An interrupt or an exit is nobody's bad record."""

    def leave(x: Any) -> Any:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        run(build(kind(leave, policy)), feed(), suspended)
    assert (ctx.failed, ctx.pauses) == (0, [])


@every_function
@both_ways
def test_a_cancelled_pause_ends_the_retry_as_it_is(build, ctx, name, suspended):
    """The cancel is the engine's: no policy, of this step or of another around it, may swallow it."""
    ctx.cancelled = RuntimeError("cancelled")
    flaky, then = Flaky(), ErrorPolicy.skip()
    chain = build(
        FlatMap(lambda x: [x], then), flaky.step(name, ErrorPolicy.retry(9, DELAY, then=then)), Map(str)
    )

    with pytest.raises(RuntimeError, match="cancelled"):
        run(chain, feed(), suspended)
    assert flaky.calls[BAD] == 1
    assert ctx.failed == 0


class FlakyBatches:
    def __init__(self, failures: int, results: Any = None) -> None:
        self.left = failures
        self.calls = 0
        self.results = results

    def batches(self, values: list[int]) -> Any:
        self.calls += 1
        values.append(99)  # what a failed call did to its list is gone with it
        if self.left:
            self.left -= 1
            raise ValueError("bad batch")
        return values

    async def batches_async(self, values: list[int]) -> Any:
        return self.batches(values)


@both_ways
@pytest.mark.parametrize("name", ["batches", "batches_async"])
class TestMapBatches:
    def test_fail_names_the_records(self, build, name, suspended):
        with pytest.raises(UserFunctionError, match="raised ValueError: bad batch") as caught:
            build(Map(abs), MapBatches(getattr(FlakyBatches(1), name))).process(feed())
        assert caught.value.operator == "s1"
        assert caught.value.position == "file@100 to file@102"
        assert isinstance(caught.value.__cause__, ValueError)

    def test_skip_drops_the_batch(self, build, ctx, name, suspended):
        function = getattr(FlakyBatches(1), name)
        assert run(build(MapBatches(function, ErrorPolicy.skip())), feed(), suspended) == []
        assert ctx.failed == 3

    def test_retry_starts_from_the_same_records(self, build, ctx, name, suspended):
        flaky = FlakyBatches(2)
        chain = build(MapBatches(getattr(flaky, name), ErrorPolicy.retry(2, DELAY)))
        assert run(chain, feed(), suspended) == [*VALUES, 99]
        assert flaky.calls == 3
        assert ctx.pauses == [DELAY, DELAY]

    def test_dead_letters_are_one_for_each_record(self, build, ctx, name, suspended):
        flaky = FlakyBatches(1)
        chain = build(MapBatches(getattr(flaky, name), ErrorPolicy.dead_letter()))
        assert run(chain, feed(), suspended) == []
        letters = ctx.side_outputs[DEAD_LETTERS]
        assert [letter.value for letter in letters] == VALUES
        assert [letter.origin for letter in letters] == list(OriginRange("file", 100, 3))
        assert {letter.error for letter in letters} == {"ValueError: bad batch"}
        assert ctx.failed == 3


@pytest.mark.parametrize("result", [5, "abc", None, (x for x in "abc"), {1, 2}])
def test_map_batches_must_return_a_list(build, result):
    with pytest.raises(UserFunctionError, match="expects a list of results, not"):
        build(MapBatches(lambda values: result)).process(feed())


def test_an_error_without_a_message_or_origins(build):
    def silent(x: int) -> int:
        raise KeyError

    with pytest.raises(UserFunctionError) as caught:
        build(Map(silent)).process(Batch([1]))

    assert caught.value.message.endswith("silent raised KeyError")
    assert caught.value.position is None


def test_positions_are_lost_after_an_operator_that_does_not_carry_them(build):
    chain = build(MapBatches(lambda values: [*values, 0]), Map(lambda x: 1 // x))

    with pytest.raises(UserFunctionError) as caught:
        chain.process(Batch([1, 2], None, OriginRange("f", 0, 2)))
    assert caught.value.position is None


def test_positions_survive_a_filter_in_an_earlier_segment(build):
    """They travel inside the chain even if they do not leave it."""
    chain = build(Filter(lambda x: x != 1), MapBatches(list), Map(lambda x: 1 // x))

    with pytest.raises(UserFunctionError) as caught:
        chain.process(Batch([1, 2, 0], None, OriginRange("f", 0, 3)))
    assert caught.value.position == "f@2"


def test_a_retry_needs_an_attempt():
    with pytest.raises(ConfigError):
        ErrorPolicy.retry(0)
