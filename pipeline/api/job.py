"""StreamJob: a dataflow job, written as a chain or with handles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pipeline.api.call_site import call_site
from pipeline.api.handle import JobPart
from pipeline.api.missing import no_such_method
from pipeline.api.stream import Stream
from pipeline.core.config import JobConfig, ResolvedConfig, resolve, unknown_name
from pipeline.core.errors import ConfigError, GraphError
from pipeline.core.job import JobMode
from pipeline.core.run_options import RunOptions
from pipeline.graph.builder import GraphBuilder
from pipeline.graph.explain import explain
from pipeline.graph.explain_json import explain_json
from pipeline.graph.explain_mermaid import explain_mermaid
from pipeline.graph.explain_text import explain_text
from pipeline.graph.job_graph import JobGraph, build_job_graph
from pipeline.graph.stream_graph import StreamGraph
from pipeline.graph.validate import validate
from pipeline.spi.source import Source
from pipeline.windows.watermarks import WatermarkStrategy

if TYPE_CHECKING:
    from pipeline.runtime.control import JobControl
    from pipeline.runtime.listeners import Listener
    from pipeline.runtime.result import JobResult

T = TypeVar("T")

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
_FORMATS: Final = {"text": explain_text, "json": explain_json, "mermaid": explain_mermaid}
_MODES_FIRST_WINS: Final = (JobMode.STREAMING, JobMode.BATCH_ROLLER, JobMode.SQL_TASK)
"""The mode of a job with several sources: one unbounded source makes the whole job unbounded."""


class StreamJob:
    """A job: sources, operators and sinks, a name and settings.

    Write it as a chain, which begins with `StreamJob.builder()` and ends with `.build()`, or with handles:
    each method returns a stream that you can keep and read more than once.

    Args:
        name: of a–z, A–Z, 0–9, `.`, `_` and `-`, at most 200 characters; it identifies state and checkpoints.
        config: settings; those left out follow from the mode.
        mode: the kind of job; follows from the sources unless set.

    Raises:
        GraphError: the name cannot be the name of a folder.
        ConfigError: `config` is not a `JobConfig`.

    Example:
        job = StreamJob.builder().name("totals").source(orders).map(parse).sink(report).build()

        job = StreamJob("totals")
        parsed = job.source(orders).map(parse, on_error=ErrorPolicy.dead_letter())
        parsed.sink(report)
        parsed.side_output(DEAD_LETTERS).sink(rejected)
    """

    def __init__(
        self, name: str | None = None, config: JobConfig | None = None, *, mode: JobMode | None = None
    ) -> None:
        self.graph = GraphBuilder()
        self._name: str | None = None
        self._config: JobConfig | None = None
        self._mode = mode
        if name is not None:
            self.set_name(name)
        if config is not None:
            self.set_config(config)

    if not TYPE_CHECKING:  # a type checker reports missing methods itself

        def __getattr__(self, name: str) -> Any:
            raise no_such_method(self, name)

    @staticmethod
    def builder(*, mode: JobMode | None = None) -> JobBuilder:
        """Begin a job as a chain.

        Args:
            mode: the kind of job; follows from the sources unless set.

        Returns:
            The beginning of the chain, which has `name`, `config` and `source`.

        Example:
            StreamJob.builder().name("totals").source(orders).map(parse).sink(report).build()
        """
        return JobBuilder(StreamJob(mode=mode))

    def source(
        self, source: Source[T], watermarks: WatermarkStrategy | None = None, *, uid: str | None = None
    ) -> Stream[T]:
        """Begin a stream.

        Args:
            source: where the records come from.
            watermarks: defines event time; without it, windows use processing time.
            uid: identifies the position in checkpoints; default the source's kind and target.

        Returns:
            The stream of its records.

        Raises:
            GraphError: `source` is not a source.

        Example:
            orders = job.source(FileSource("orders.csv"))
        """
        output = self.graph.add_source(source, uid=uid, watermarks=watermarks, written_at=call_site())
        return Stream(self, output)

    @property
    def name(self) -> str:
        """The job's name.

        Raises:
            GraphError: it has none.
        """
        if self._name is None:
            raise GraphError("the job has no name", hint='give it one: .name("…")')
        return self._name

    def set_name(self, name: str) -> None:
        """Name the job; once.

        Args:
            name: of a–z, A–Z, 0–9, `.`, `_` and `-`, at most 200 characters.

        Raises:
            GraphError: the job has a name, or this one cannot be the name of a folder.
        """
        if self._name is not None:
            raise GraphError(
                f"the job is already named {self._name!r}", hint="to name an operator write .named(…)"
            )
        if not isinstance(name, str) or not _NAME.fullmatch(name) or not name.strip("."):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise GraphError(
                f"{name!r} cannot be a job's name",
                hint="use a-z, A-Z, 0-9, '.', '_' and '-', at most 200 characters: "
                "it also names a folder, and transactions in Kafka",
            )
        self._name = name

    @property
    def config(self) -> JobConfig:
        """The settings made in the code; `resolve` returns those in effect."""
        return self._config or JobConfig()

    def set_config(self, config: JobConfig) -> None:
        """Set the job's settings; once.

        Args:
            config: all settings that the code makes.

        Raises:
            ConfigError: the job has settings already, or `config` is not a `JobConfig`.
        """
        if self._config is not None:
            raise ConfigError("the job already has settings", hint="put all of them in one JobConfig")
        if not isinstance(config, JobConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"config must be a JobConfig, not {config!r}", hint="write JobConfig(…)")
        self._config = config

    @property
    def mode(self) -> JobMode:
        """The kind of job: as set, else as its sources require.

        Raises:
            GraphError: it has no source yet.
        """
        if self._mode is not None:
            return self._mode
        modes = {source.info.mode for source in self.graph.sources}
        if not modes:
            raise GraphError("the job has no source", hint="begin with .source(…)").located(job=self._name)
        return next(mode for mode in _MODES_FIRST_WINS if mode in modes)

    def resolve(self, command_line: Mapping[str, str] | None = None) -> ResolvedConfig:
        """Return the settings in effect: command line over environment over code.

        Args:
            command_line: settings by name, values as text.

        Returns:
            Each setting with its origin.

        Raises:
            ConfigError: a setting is unknown or out of range.
        """
        durable = all(source.info.durable for source in self.graph.sources)
        return resolve(self.config, self.mode, durable=durable, command_line=command_line)

    def stream_graph(self, command_line: Mapping[str, str] | None = None) -> StreamGraph:
        """Return the graph as it was written, checked.

        Args:
            command_line: settings by name, values as text; with checkpoints, uids are checked too.

        Returns:
            One node for each operator.

        Raises:
            GraphError: the job's shape is wrong; the message names the operator with file and line.
            ConfigError: a setting is wrong.
        """
        graph = self.graph.build(self.name, self.mode)
        validate(graph, checkpointed=self.resolve(command_line).checkpoints)
        return graph

    def job_graph(self, command_line: Mapping[str, str] | None = None) -> JobGraph:
        """Return the graph that runs: neighbours fused into vertices, and the transfers between them.

        Args:
            command_line: settings by name, values as text.

        Returns:
            One vertex for each chain.

        Raises:
            ConfigError: as `stream_graph`.
        """
        return build_job_graph(self.stream_graph(command_line), self.resolve(command_line).values)

    def explain(self, format: str = "text", *, command_line: Mapping[str, str] | None = None) -> str:  # noqa: A002 - what it is
        """Describe the job: its graphs, what it guarantees, and where each setting came from.

        Args:
            format: `text`, `json` or `mermaid`.
            command_line: settings by name, as they would be passed to `execute`.

        Returns:
            The description.

        Raises:
            ConfigError: the format is unknown, or the job is wrong.

        Example:
            print(job.explain())
        """
        if format not in _FORMATS:
            raise unknown_name("format", format, _FORMATS)
        return _FORMATS[format](explain(self.job_graph(command_line), self.resolve(command_line)))

    def execute(
        self,
        options: RunOptions | None = None,
        *,
        command_line: Mapping[str, str] | None = None,
        listeners: Iterable[Listener] = (),
        control: JobControl | None = None,
    ) -> JobResult:
        """Run the job in this process until its input ends.

        A run that did not complete is continued from its last checkpoint.

        Ctrl-C raises KeyboardInterrupt and ends the run at once, without a last checkpoint and recorded as
        cancelled; the next run continues from the last complete one. To stop with a last checkpoint, call
        `control.stop()` from a thread or a signal handler, as `pipeline run` does.

        Args:
            options: what the run does about earlier ones, such as `RunOptions(fresh=True)`; default
                continues from the newest checkpoint.
            command_line: settings by name, values as text; they override all others.
            listeners: called with each event of the run, on the calling thread.
            control: stops the run and reads its progress, from other threads.

        Returns:
            How the run ended, and its counters.

        Raises:
            ConfigError: the job or an argument is wrong; nothing was started.
            PipelineError: the job failed permanently.
            KeyboardInterrupt: Ctrl-C.

        Example:
            >>> job.execute(RunOptions(fresh=True)).processed_records  # doctest: +SKIP
            336776
        """
        from pipeline.graph.plan import physical  # only running a job needs the engine
        from pipeline.runtime.assembly import assemble
        from pipeline.runtime.job import run_job

        config = self.resolve(command_line)
        plan = physical(self.job_graph(command_line))
        ports = assemble(self.name, config, listeners=listeners)
        return run_job(plan, config, options or RunOptions(), ports, control)

    def __repr__(self) -> str:
        return f"StreamJob({self._name!r})"


class JobBuilder(JobPart):
    """The beginning of a chain; returned by `StreamJob.builder()`."""

    def source(
        self, source: Source[T], watermarks: WatermarkStrategy | None = None, *, uid: str | None = None
    ) -> Stream[T]:
        """Begin the stream, as `StreamJob.source` does.

        Args:
            source: where the records come from.
            watermarks: defines event time; without it, windows use processing time.
            uid: identifies the position in checkpoints; default the source's kind and target.

        Returns:
            The stream of its records.

        Raises:
            GraphError: `source` is not a source.

        Example:
            StreamJob.builder().name("copy").source(FileSource("orders.csv"))
        """
        return self.job.source(source, watermarks, uid=uid)
