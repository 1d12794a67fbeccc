"""Generated code: what it looks like, and that its tracebacks and positions can be trusted."""

from __future__ import annotations

import itertools
import linecache
import traceback
from collections.abc import Sequence
from typing import Any

import pytest

from pipeline.compiler import StepStage, compile_chain
from pipeline.core.errors import UserFunctionError
from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch, OriginRange
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.map import Map
from pipeline.operators.map_batches import MapBatches


def parse(x: int) -> int:
    return 10 // x  # the user's own line


def chain_of(ctx, *steps, mode="generated"):
    stages = [StepStage(f"{step.kind}:{index}", step) for index, step in enumerate(steps)]
    return compile_chain(stages, ctx, mode=mode)


def failure(call) -> UserFunctionError:
    with pytest.raises(UserFunctionError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("policy", [ErrorPolicy.fail(), ErrorPolicy.retry(1)])
@pytest.mark.parametrize("flat", [False, True])
def test_a_traceback_shows_the_generated_line_and_the_users(ctx, policy, flat):
    steps = [Filter(lambda x: True), *([FlatMap(lambda x: [x])] if flat else []), Map(parse, policy)]
    chain = chain_of(ctx, *steps)

    for call in (chain.process, lambda batch: chain.iterate(batch).take(5)):
        text = "".join(traceback.format_exception(failure(lambda call=call: call(Batch([1, 0])))))

        assert 'File "<chain test-job: filter:0 … map:' in text
        assert "# map:" in text
        assert "parse (" in text
        assert "return 10 // x  # the user's own line" in text
        assert "The above exception was the direct cause" in text


class Moody:
    def __bool__(self) -> bool:
        raise RuntimeError("neither")


def midway(x: int):
    yield x
    raise RuntimeError("midway")


def bad(x: int) -> Any:
    raise RuntimeError("bad")


SAME, ONE, YES = Map(lambda x: x), FlatMap(lambda x: [x]), Filter(lambda x: True)


@pytest.mark.parametrize(
    "failing",
    [Map(bad), Filter(bad), FlatMap(bad), Filter(lambda x: Moody()), FlatMap(midway), FlatMap(lambda x: x)],
    ids=["map", "filter", "flat_map", "truth", "midway", "not iterable"],
)
@pytest.mark.parametrize(
    ("before", "after"),
    list(itertools.product([(), (SAME,), (YES,), (ONE,), (SAME, YES, ONE, YES)], repeat=2)),
)
@pytest.mark.parametrize("marked", [False, True])
def test_the_line_tells_the_step_wherever_it_stands(ctx, before, failing, after, marked):
    """A comprehension owns what it does between calls; the step is found all the same."""
    batch = Batch([7, 8], [1, 2] if marked else None, OriginRange("f", 3, 2))
    chain = chain_of(ctx, *before, failing, *after)

    for call in (chain.process, lambda batch: chain.iterate(batch).take(5)):
        error = failure(lambda call=call: call(batch))
        assert error.operator == f"{failing.kind}:{len(before)}"
        assert error.position == "f@3"


def test_the_record_is_found_in_any_sequence(ctx):
    """Not every iterator knows how much it has left."""

    class Column(Sequence[int]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: Any) -> Any:
            return range(3)[index]

    for values in (Column(), [0, 1, 2], (0, 1, 2), range(3), "012", b"\0\1\2"):
        batch = Batch[Any](values, None, OriginRange("f", 10, 3))
        chain = chain_of(ctx, Map(int), Map(lambda x: 1 // (x - 1)), FlatMap(lambda x: [x]))

        assert failure(lambda batch=batch, chain=chain: chain.process(batch)).position == "f@11"
        assert failure(lambda batch=batch, chain=chain: chain.iterate(batch).take(9)).position == "f@11"


def test_an_error_raised_twice_is_located_where_it_was_raised_last(ctx):
    """An exception kept by the user drags its old traceback along."""
    kept = ValueError("kept")

    def raise_kept(x: int) -> int:
        raise kept

    for _ in range(2):
        assert failure(lambda: chain_of(ctx, SAME, Map(raise_kept)).process(Batch([1]))).operator == "map:1"
        assert failure(lambda: chain_of(ctx, Map(raise_kept), SAME).process(Batch([1]))).operator == "map:0"
        assert (
            failure(lambda: chain_of(ctx, Map(raise_kept), ONE).iterate(Batch([1])).take(1)).operator
            == "map:0"
        )


def test_a_function_that_runs_a_chain_of_its_own_is_located_in_the_outer_one(ctx):
    inner = chain_of(ctx, SAME, Map(bad))
    outer = chain_of(ctx, SAME, SAME, Map(lambda x: inner.process(Batch([x]))))

    error = failure(lambda: outer.process(Batch([1])))

    assert error.operator == "map:2"
    assert isinstance(error.__cause__, UserFunctionError)
    assert error.__cause__.operator == "map:1"


def test_functions_without_python_code_are_called_too(ctx):
    chain = chain_of(ctx, Map(int), Filter(bool), FlatMap(range), Map(str))

    assert chain.process(Batch(["2", "0", "1"])).values == ["0", "1", "0"]
    assert failure(lambda: chain.process(Batch(["x"]))).operator == "map:0"


def test_a_plain_chain_is_a_comprehension(ctx):
    source = chain_of(ctx, Map(parse), Filter(bool), Map(str)).source

    assert source is not None
    assert "for v1 in [f0(v0)]  # map:0 = parse (" in source
    assert "if f1(v1)" in source
    assert "append(" not in source
    assert "def iterate" not in source


def test_the_try_of_a_guarded_call_encloses_that_call(ctx):
    source = chain_of(ctx, Map(parse), Map(str, ErrorPolicy.skip())).source

    assert source is not None
    lines = [line.split("  #")[0].strip() for line in source.splitlines()]
    at = lines.index("v2 = f1(v1)")
    assert lines[at - 1 : at + 5] == [
        "try:", "v2 = f1(v1)", "except Exception as error:", "v2 = recover1(error, v1, feed)",
        "if v2 is DROPPED:", "continue",
    ]  # fmt: skip


def test_an_async_step_makes_its_own_run_of_steps_async(ctx):
    async def fetch(x: int) -> int:
        return x

    chain = chain_of(ctx, Map(str), MapBatches(list), Map(int), Map(fetch))

    assert chain.source is not None
    assert chain.source.count("async def") == 1
    assert "return [" in chain.source
    assert "v2 = await f1(v1)" in chain.source


def test_the_source_of_every_loop_is_shown(ctx):
    source = chain_of(ctx, Map(parse), MapBatches(list), Map(str)).source
    assert source is not None
    assert "# map:0 = parse" in source
    assert "# map:2 = str" in source
    assert chain_of(ctx, MapBatches(list)).source is None
    assert chain_of(ctx, Map(parse), mode="interpreted").source is None


def test_compiling_the_same_chain_again_keeps_no_second_copy(ctx):
    chain_of(ctx, Map(parse))
    known = len(linecache.cache)
    chain_of(ctx, Map(parse))

    assert len(linecache.cache) == known


@pytest.mark.parametrize("uid", ["two\nlines", "'quoted\"", "#", "{}", "%s", "\udc80", "naïve ✓", "\x00"])
def test_a_uid_cannot_break_the_source(ctx, uid):
    for policy in (ErrorPolicy.fail(), ErrorPolicy.skip()):
        stages = [StepStage(uid, Map(parse, policy)), StepStage(uid + "2", FlatMap(range))]
        assert compile_chain(stages, ctx, mode="generated").process(Batch([5])).values == [0, 1]


@pytest.mark.parametrize("policy", [ErrorPolicy.fail(), ErrorPolicy.skip(), ErrorPolicy.retry(2)])
@pytest.mark.parametrize("step", [SAME, YES, ONE], ids=lambda step: step.kind)
def test_chains_of_any_length_can_be_compiled(ctx, step, policy):
    """Python allows only 20 nested blocks."""
    chain = chain_of(ctx, *[type(step)(step.function, policy)] * 300)

    assert list(chain.process(Batch([1, 2])).values) == [1, 2]
    assert list(chain.iterate(Batch([1, 2])).take(5).values) == [1, 2]


def test_a_full_nest_of_guarded_steps_compiles(ctx):
    async def one(x: int) -> list[int]:
        return [x]

    policy = ErrorPolicy.retry(1, then=ErrorPolicy.skip())
    nest = [step for _ in range(8) for step in (Map(abs, policy), FlatMap(one, policy), Filter(bool, policy))]

    assert chain_of(ctx, *nest).process(Batch([1, 2])).values == [1, 2]
