"""StreamJob: one implementation of the chain and the handles, and what it rejects when it is built."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline import (
    BackpressureStrategy,
    ConfigError,
    ErrorPolicy,
    FunctionContext,
    GraphError,
    JobConfig,
    JobMode,
    StreamJob,
    TumblingTimeWindows,
    WatermarkStrategy,
)
from pipeline.core.run_options import RunOptions
from pipeline.graph.stream_graph import StreamGraph
from pipeline.runtime.control import JobControl

from .conftest import FakeSink, FakeSource


def parse(event: dict[str, Any]) -> dict[str, Any]:
    return event


def merge(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return first | second


SETTINGS = JobConfig(checkpoint_interval=timedelta(minutes=1), backpressure=BackpressureStrategy.BUFFER)
WATERMARKS = WatermarkStrategy.bounded_out_of_orderness(timedelta(seconds=1), timestamp=lambda e: e["ts"])
FIVE_MINUTES = TumblingTimeWindows.of(timedelta(minutes=5))


def is_error(event: dict[str, Any]) -> bool:
    return event["level"] == "ERROR"


def user(event: dict[str, Any]) -> str:
    return event["user"]


def as_chain() -> StreamJob:
    return (
        StreamJob.builder()
        .name("realtime-alert")
        .source(FakeSource(), watermarks=WATERMARKS)
        .map(parse)
        .filter(is_error)
        .key_by(user)
        .window(FIVE_MINUTES)
        .reduce(merge)
        .sink(FakeSink())
        .config(SETTINGS)
        .build()
    )


def with_handles() -> StreamJob:
    job = StreamJob("realtime-alert", SETTINGS)
    errors = job.source(FakeSource(), watermarks=WATERMARKS).map(parse).filter(is_error)
    errors.key_by(user).window(FIVE_MINUTES).reduce(merge).sink(FakeSink())
    return job


def shape(graph: StreamGraph) -> Any:
    nodes = [(node.uid, node.kind, node.functions, node.watermarks, node.chaining) for node in graph.nodes]
    return graph.job, graph.mode, nodes, graph.edges


def test_the_job_of_the_specification_is_three_vertices() -> None:
    """SPEC 2 and 3, unchanged."""
    job = as_chain()
    assert (len(job.stream_graph().nodes), len(job.stream_graph().edges)) == (7, 6)
    assert [vertex.name for vertex in job.job_graph().vertices] == [
        "Source+Map+Filter",
        "KeyBy",
        "Window+Reduce+Sink",
    ]
    assert len(job.job_graph().edges) == 2


def test_chain_and_handles_build_the_same_graph() -> None:
    assert shape(as_chain().stream_graph()) == shape(with_handles().stream_graph())
    assert as_chain().config == with_handles().config


def test_name_and_config_may_be_anywhere() -> None:
    early = StreamJob.builder().config(SETTINGS).name("j").source(FakeSource()).sink(FakeSink()).build()
    late = StreamJob.builder().source(FakeSource()).sink(FakeSink()).config(SETTINGS).name("j").build()
    middle = StreamJob.builder().source(FakeSource()).name("j").map(parse).config(SETTINGS)
    between = middle.sink(FakeSink()).build()
    assert {job.name for job in (early, late, between)} == {"j"}
    assert early.config == late.config == between.config == SETTINGS


def test_the_place_of_each_call_is_remembered() -> None:
    """Where there is no function to name, the line of the job's own code is."""
    node = as_chain().stream_graph().nodes[0]
    assert node.written_at is not None
    assert node.written_at.rpartition(":")[0] == __file__


def test_the_methods_that_tune_change_the_last_operator() -> None:
    """Title, parallelism and chaining are those of the operator whose output the stream is."""
    chain = StreamJob.builder().name("j").source(FakeSource()).map(parse).named("Read").with_parallelism(3)
    chain = chain.filter(bool).start_new_chain().map(merge_nothing).disable_chaining()
    graph = chain.sink(FakeSink()).build().job_graph()
    assert [(vertex.name, vertex.parallelism) for vertex in graph.vertices] == [
        ("Source", 1),
        ("Read", 3),
        ("Filter", 1),
        ("Map", 1),
        ("Sink", 1),
    ]


def merge_nothing(event: dict[str, Any]) -> dict[str, Any]:
    return event


class TestMode:
    @pytest.mark.parametrize(
        ("modes", "mode"),
        [
            ([JobMode.SQL_TASK], JobMode.SQL_TASK),
            ([JobMode.SQL_TASK, JobMode.BATCH_ROLLER], JobMode.BATCH_ROLLER),
            ([JobMode.SQL_TASK, JobMode.STREAMING, JobMode.BATCH_ROLLER], JobMode.STREAMING),
        ],
    )
    def test_it_follows_from_the_sources(self, modes: list[JobMode], mode: JobMode) -> None:
        """One source without an end makes the whole job endless."""
        job = StreamJob("j")
        for number, each in enumerate(modes):
            job.source(FakeSource(f"in-{number}", each)).sink(FakeSink(f"out-{number}"))
        assert job.mode is mode
        assert job.stream_graph().mode is mode

    def test_it_may_be_set(self) -> None:
        built = StreamJob.builder(mode=JobMode.BATCH_ROLLER).name("j").source(FakeSource()).sink(FakeSink())
        assert built.build().mode is JobMode.BATCH_ROLLER

    def test_checkpoints_follow_from_what_outlives_the_process(self) -> None:
        """One source that does not is enough to make continuing pointless."""
        job = StreamJob("j")
        job.source(FakeSource("a", JobMode.SQL_TASK)).sink(FakeSink("a"))
        assert job.resolve().checkpoints
        job.source(FakeSource("b", JobMode.SQL_TASK, durable=False)).sink(FakeSink("b"))
        assert not job.resolve().checkpoints
        assert job.resolve({"checkpoint_rows": "5"}).checkpoints


def build(change: Callable[[StreamJob], Any], name: str | None = "j") -> None:
    job = StreamJob(name)
    change(job)
    job.stream_graph()


class Connected:
    """A function that has to be opened."""

    def open(self, ctx: FunctionContext) -> None: ...

    def __call__(self, *_: Any) -> Any: ...


class TestRefused:
    @pytest.mark.parametrize("name", ["", "a b", "a/b", "..", ".", "x" * 201, "näme", "a\n", 5])
    def test_a_name_that_is_not_a_folder(self, name: Any) -> None:
        with pytest.raises(GraphError, match="cannot be a job's name") as caught:
            StreamJob(name)
        assert "a-z, A-Z, 0-9" in str(caught.value.hint)  # `ä` is a letter too

    @pytest.mark.parametrize("name", ["a", "A-1_b.c", "x" * 200, ".hidden"])
    def test_but_not_one_that_is(self, name: str) -> None:
        assert StreamJob(name).name == name

    def test_a_job_without_a_name(self) -> None:
        with pytest.raises(GraphError, match="the job has no name"):
            StreamJob.builder().source(FakeSource()).sink(FakeSink()).build()

    def test_a_second_name(self) -> None:
        """In Flink `.name` names the operator: a habit that must not rename the job."""
        with pytest.raises(GraphError, match="already named 'j'") as raised:
            StreamJob.builder().name("j").source(FakeSource()).map(parse).name("Read")
        assert raised.value.hint == "to name an operator write .named(…)"

    def test_a_second_config(self) -> None:
        with pytest.raises(ConfigError, match="already has settings"):
            StreamJob("j", SETTINGS).source(FakeSource()).config(JobConfig())

    def test_a_config_that_is_none(self) -> None:
        with pytest.raises(ConfigError, match="must be a JobConfig"):
            StreamJob("j", {"parallelism": 2})  # pyright: ignore[reportArgumentType]

    def test_no_source(self) -> None:
        with pytest.raises(GraphError, match="no source"):
            build(lambda job: None)

    def test_no_sink(self) -> None:
        with pytest.raises(GraphError, match=r"output of map:parse \(.*test_job.py:\d+\) has no sink"):
            build(lambda job: job.source(FakeSource()).map(parse))

    def test_a_union_of_two_jobs(self) -> None:
        other = StreamJob("other").source(FakeSource())
        with pytest.raises(GraphError, match=r"two jobs: StreamJob\('j'\) and StreamJob\('other'\)"):
            build(lambda job: job.source(FakeSource()).union(other))

    def test_a_union_with_nothing(self) -> None:
        with pytest.raises(GraphError, match="needs another stream"):
            build(lambda job: job.source(FakeSource()).union())

    def test_two_operators_of_one_uid(self) -> None:
        with pytest.raises(GraphError, match="two operators have the uid 'u'"):
            build(lambda job: job.source(FakeSource(), uid="u").map(parse, uid="u").sink(FakeSink()))

    def test_a_lambda_alone_before_state(self) -> None:
        """A uid is asked for as soon as checkpoints are on, wherever they were switched on."""
        job = StreamJob("j")
        chain = job.source(FakeSource(mode=JobMode.SQL_TASK, durable=False)).key_by(user)
        chain.reduce(lambda a, b: a | b).sink(FakeSink())
        job.stream_graph()
        with pytest.raises(GraphError, match="a lambda has no name"):
            job.stream_graph({"checkpoint_rows": "10"})

    def test_a_lambda_with_a_uid_is_fine(self) -> None:
        chain = StreamJob.builder().name("j").source(FakeSource()).key_by(user)
        built = chain.reduce(lambda a, b: a | b, uid="per-user").sink(FakeSink()).build()
        assert "per-user" in {node.uid for node in built.stream_graph().nodes}

    @pytest.mark.parametrize("method", ["map", "filter", "flat_map", "map_batches", "key_by"])
    def test_what_is_not_a_function(self, method: str) -> None:
        with pytest.raises(GraphError, match=f"{method} needs a function, found 'x'"):
            build(lambda job: getattr(job.source(FakeSource()), method)("x"))

    @pytest.mark.parametrize("method", ["map", "filter", "flat_map", "map_batches"])
    def test_a_class_of_functions_in_place_of_one(self, method: str) -> None:
        """Each record would become an object of the class."""
        with pytest.raises(
            GraphError, match=f"{method} needs a function, found the class Connected"
        ) as raised:
            build(lambda job: getattr(job.source(FakeSource()), method)(Connected))
        assert raised.value.hint == "pass an object of it: Connected(…)"
        build(lambda job: getattr(job.source(FakeSource()), method)(Connected()).sink(FakeSink()))
        build(lambda job: getattr(job.source(FakeSource()), method)(Path).sink(FakeSink()))

    def test_an_object_that_is_opened_where_nothing_opens_it(self) -> None:
        connected = Connected()
        keyed = StreamJob("j").source(FakeSource()).key_by(user)
        for method, use in (
            ("key_by", lambda: StreamJob("j").source(FakeSource()).key_by(connected)),
            ("reduce", lambda: keyed.reduce(connected)),
            ("reduce", lambda: keyed.window(FIVE_MINUTES).reduce(connected)),
        ):
            with pytest.raises(
                GraphError, match=rf"{method} needs a plain function, but Connected is an object"
            ):
                use()
        wrong: Any = connected
        with pytest.raises(GraphError, match=r"aggregate needs a plain object, but Connected has open\(\)"):
            keyed.aggregate(wrong)

    def test_an_async_function_where_a_plain_one_is_called(self) -> None:
        async def later(*_: Any) -> str:
            return "x"

        with pytest.raises(GraphError, match=r"key_by needs a plain function, but .*later .* is async"):
            build(lambda job: job.source(FakeSource()).key_by(later))  # pyright: ignore[reportArgumentType]
        with pytest.raises(GraphError, match="reduce needs a plain function"):
            build(lambda job: job.source(FakeSource()).key_by(user).reduce(later))  # pyright: ignore[reportArgumentType]
        with pytest.raises(GraphError, match="reduce needs a plain function"):
            build(lambda job: job.source(FakeSource()).key_by(user).window(FIVE_MINUTES).reduce(later))  # pyright: ignore[reportArgumentType]

    @pytest.mark.parametrize("method", ["map", "filter", "map_batches"])
    def test_an_async_generator_where_its_results_would_not_be_taken(self, method: str) -> None:
        async def both(value: Any) -> AsyncIterator[Any]:
            yield value
            yield value

        with pytest.raises(
            GraphError, match=rf"^{method} needs .* both \(.*\) is an async generator"
        ) as raised:
            build(lambda job: getattr(job.source(FakeSource()), method)(both))
        assert raised.value.hint == "use flat_map, which emits everything it yields"
        with pytest.raises(GraphError, match="key_by needs a plain function"):
            build(lambda job: job.source(FakeSource()).key_by(both))  # pyright: ignore[reportArgumentType]
        build(lambda job: job.source(FakeSource()).flat_map(both).sink(FakeSink()))

    @pytest.mark.parametrize("method", ["map", "filter", "flat_map", "map_batches"])
    @pytest.mark.parametrize(
        ("wrong", "hint"),
        [
            ("skip", "such as ErrorPolicy.skip()"),
            (None, "such as ErrorPolicy.skip()"),
            (ErrorPolicy.skip, "call the method: ErrorPolicy.skip(…)"),
        ],
    )
    def test_what_is_not_an_error_policy(self, method: str, wrong: Any, hint: str) -> None:
        """When the job is built, not at the first record."""
        with pytest.raises(ConfigError, match=f"^{method}: on_error must be an ErrorPolicy, not ") as raised:
            build(lambda job: getattr(job.source(FakeSource()), method)(parse, on_error=wrong))
        assert raised.value.hint == hint

    def test_what_is_not_an_error_policy_of_a_fold(self) -> None:
        wrong: Any = "skip"
        keyed = StreamJob("j").source(FakeSource()).key_by(user)
        for fold in (keyed, keyed.window(FIVE_MINUTES)):
            with pytest.raises(ConfigError, match="on_error must be an ErrorPolicy, not 'skip'"):
                fold.reduce(merge, on_error=wrong)

    def test_what_is_not_an_aggregate(self) -> None:
        class Half:
            def add(self, value: Any, accumulator: Any) -> Any:
                return accumulator

        for wrong, message in ((Half, "the class Half"), (Half(), "has no create_accumulator, get_result")):
            with pytest.raises(GraphError, match=message):
                build(lambda job, wrong=wrong: job.source(FakeSource()).key_by(user).aggregate(wrong))  # pyright: ignore[reportArgumentType]

    def test_what_is_not_an_assigner(self) -> None:
        with pytest.raises(GraphError, match="window needs an assigner"):
            build(lambda job: job.source(FakeSource()).key_by(user).window(timedelta(minutes=5)))  # pyright: ignore[reportArgumentType]

    def test_an_unknown_format(self) -> None:
        with pytest.raises(ConfigError, match="unknown format 'jsn'") as raised:
            as_chain().explain("jsn")
        assert raised.value.hint == "did you mean 'json'?"


def test_explain_speaks_three_formats() -> None:
    """One set of facts, laid out for people, programs and pages."""
    job = as_chain()
    assert job.explain().startswith("realtime-alert · STREAMING\n  end to end: exactly-once")
    assert job.explain("json").startswith("{")
    assert job.explain(format="mermaid").startswith("flowchart LR\n")
    assert "command line" in job.explain(command_line={"parallelism": "2"})


def test_execute_passes_everything_to_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan, its settings, the options and the control; the engine is imported only now."""
    calls: list[tuple[Any, ...]] = []
    runtime = ModuleType("pipeline.runtime.job")
    runtime.run_job = lambda *arguments: calls.append(arguments)  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "pipeline.runtime.job", runtime)
    job, options, control = as_chain(), RunOptions(take_over=True), JobControl()
    job.execute(options, command_line={"chains": "interpreted"}, control=control)
    job.execute()
    (plan, config, *given, ports, watched), (_, _, default, _, none) = calls
    assert (plan.stream.job, config.values.chains, given) == ("realtime-alert", "interpreted", [options])
    assert ports.storage is not None
    assert watched is control
    assert (default, none) == (RunOptions(), None)


def test_a_start_from_nothing_and_from_a_checkpoint_is_refused() -> None:
    """Neither wins: setting both is a mistake about one."""
    with pytest.raises(ConfigError, match="fresh and restore_from are mutually exclusive"):
        RunOptions(fresh=True, restore_from=1)
