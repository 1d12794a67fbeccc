"""What every part of a chain can do: settle facts of the job, and of the operator it stands behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pipeline.api.missing import no_such_method
from pipeline.core.config import JobConfig
from pipeline.graph.builder import Output
from pipeline.operators.base import Chaining

if TYPE_CHECKING:
    from pipeline.api.job import StreamJob


class JobPart:
    """A part of a job under construction; `name` and `config` may stand anywhere in a chain.

    Attributes:
        job: the job it is part of.
    """

    def __init__(self, job: StreamJob) -> None:
        self.job = job

    if not TYPE_CHECKING:  # a checker sees by itself what is missing

        def __getattr__(self, name: str) -> Any:
            raise no_such_method(self, name)

    def name(self, name: str) -> Self:
        """Name the job: a–z, A–Z, 0–9, `.`, `_` and `-`, at most 200 characters; once for each job.

        Raises:
            GraphError: the job has a name, or this one cannot be the name of a folder.
        """
        self.job.set_name(name)
        return self

    def config(self, config: JobConfig) -> Self:
        """Set the job's settings; once for each job.

        Raises:
            ConfigError: the job has settings, or these are no `JobConfig`.
        """
        self.job.set_config(config)
        return self


class Handle(JobPart):
    """What stands behind an operator of the job; the methods here change that operator.

    Attributes:
        output: the operator, and which of its outputs this is.
    """

    def __init__(self, job: StreamJob, output: Output) -> None:
        super().__init__(job)
        self.output = output

    def named(self, name: str) -> Self:
        """Call the last operator `name` in graphs and in the name of its vertex; its uid stays."""
        self.job.graph.set_name(self.output.node, name)
        return self

    def with_parallelism(self, subtasks: int) -> Self:
        """Run the last operator as `subtasks` subtasks, instead of the job's number; may break the chain."""
        self.job.graph.set_parallelism(self.output.node, subtasks)
        return self

    def start_new_chain(self) -> Self:
        """Keep the last operator apart from the one before it."""
        self.job.graph.set_chaining(self.output.node, Chaining.HEAD)
        return self

    def disable_chaining(self) -> Self:
        """Keep the last operator apart from both its neighbours."""
        self.job.graph.set_chaining(self.output.node, Chaining.NEVER)
        return self
