"""What every part of a chain can do: set facts about the job, and about its last operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pipeline.api.missing import no_such_method
from pipeline.core.config import JobConfig
from pipeline.graph.builder import Output
from pipeline.operators.base import Chaining

if TYPE_CHECKING:
    from pipeline.api.job import StreamJob


class JobPart:
    """A part of a job under construction; `name` and `config` may be anywhere in a chain.

    Attributes:
        job: the job it is part of.
    """

    def __init__(self, job: StreamJob) -> None:
        self.job = job

    if not TYPE_CHECKING:  # a checker sees by itself what is missing

        def __getattr__(self, name: str) -> Any:
            raise no_such_method(self, name)

    def name(self, name: str) -> Self:
        """Name the job; once for each job.

        Args:
            name: of a–z, A–Z, 0–9, `.`, `_` and `-`, at most 200 characters; it identifies the checkpoints.

        Returns:
            This part of the chain.

        Raises:
            GraphError: the job has a name, or this one cannot be the name of a folder.

        Example:
            StreamJob.builder().name("daily-totals")
        """
        self.job.set_name(name)
        return self

    def config(self, config: JobConfig) -> Self:
        """Set the job's settings; once for each job.

        Args:
            config: all settings that the code makes.

        Returns:
            This part of the chain.

        Raises:
            ConfigError: the job has settings already, or `config` is not a `JobConfig`.

        Example:
            chain.config(JobConfig(checkpoint_interval=timedelta(seconds=10)))
        """
        self.job.set_config(config)
        return self


class Handle(JobPart):
    """The output of an operator of the job; the methods here change that operator.

    Attributes:
        output: the operator, and which of its outputs this is.
    """

    def __init__(self, job: StreamJob, output: Output) -> None:
        super().__init__(job)
        self.output = output

    def named(self, name: str) -> Self:
        """Name the last operator in graphs; its uid stays the same.

        Args:
            name: shown by `explain` and in the name of the vertex.

        Returns:
            This part of the chain.

        Example:
            events.map(parse).named("Parse")
        """
        self.job.graph.set_name(self.output.node, name)
        return self

    def with_parallelism(self, subtasks: int) -> Self:
        """Run the last operator with its own parallelism; this may break the chain.

        Args:
            subtasks: 1 to the job's `max_parallelism`; default the job's `parallelism`.

        Returns:
            This part of the chain.

        Raises:
            GraphError: `subtasks` is below 1.

        Example:
            orders.map(Price()).with_parallelism(4)
        """
        self.job.graph.set_parallelism(self.output.node, subtasks)
        return self

    def start_new_chain(self) -> Self:
        """Start a new vertex with the last operator instead of fusing it with the one upstream.

        Returns:
            This part of the chain.

        Example:
            parsed.map(enrich).start_new_chain()
        """
        self.job.graph.set_chaining(self.output.node, Chaining.HEAD)
        return self

    def disable_chaining(self) -> Self:
        """Run the last operator as its own vertex, fused with neither neighbour.

        Returns:
            This part of the chain.

        Example:
            parsed.map(slow).disable_chaining()
        """
        self.job.graph.set_chaining(self.output.node, Chaining.NEVER)
        return self
