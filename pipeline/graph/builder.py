"""Collects sources, operators and sinks one by one and makes the StreamGraph of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pipeline.core.errors import GraphError
from pipeline.core.functions import function_ref
from pipeline.core.job import JobMode
from pipeline.core.policy import ErrorPolicy, SideTag, require_policy
from pipeline.graph.stream_graph import Definition, StreamEdge, StreamGraph, StreamNode
from pipeline.graph.uids import Uid, UidRequest, assign_uids
from pipeline.operators.base import Chaining, Function, OperatorSpec, Partitioning
from pipeline.spi.sink import AnySink
from pipeline.spi.source import Source
from pipeline.windows.watermarks import WatermarkStrategy

_LONGEST_UID: Final = 200
"""Characters; a uid becomes part of file names and of keys in databases."""


class Output(NamedTuple):
    """Where a stream comes from: a node, and which of its outputs (None: the main one)."""

    node: int
    side_tag: SideTag | None = None


@dataclass(slots=True)
class _Draft:
    """A node whose uid is not known yet, since that takes all the others."""

    definition: Definition
    uid: str | None
    written_at: str | None
    watermarks: WatermarkStrategy | None = None
    name: str | None = None
    parallelism: int | None = None
    chaining: Chaining | None = None

    @property
    def kind(self) -> str:
        return (
            self.definition.kind if isinstance(self.definition, OperatorSpec) else self.definition.info.kind
        )

    @property
    def partitioning(self) -> Partitioning:
        """Which subtask downstream gets a record of its output."""
        exchange = self.definition.exchange if isinstance(self.definition, OperatorSpec) else None
        return Partitioning.FORWARD if exchange is None else exchange.partitioning

    def uid_request(self) -> UidRequest:
        if not isinstance(self.definition, OperatorSpec):
            info = self.definition.info
            return UidRequest(self.uid, f"{info.kind}:{info.target}", nameless=False)
        spec = self.definition
        default = f"{spec.kind}:{spec.label}" if spec.label else spec.kind
        nameless = bool(spec.functions) and function_ref(spec.functions[0]).is_lambda
        return UidRequest(self.uid, default, nameless)

    def finish(self, node: int, uid: Uid) -> StreamNode:
        spec = self.definition if isinstance(self.definition, OperatorSpec) else None
        return StreamNode(
            id=node,
            uid=uid.text,
            stable=uid.stable,
            kind=self.kind,
            name=self.name or _title(self.definition),
            definition=self.definition,
            functions=() if spec is None else tuple(function_ref(fn) for fn in spec.functions),
            written_at=self.written_at,
            parallelism=self.parallelism,
            chaining=self.chaining or (Chaining.ALWAYS if spec is None else spec.chaining),
            watermarks=self.watermarks,
        )


def _title(definition: Definition) -> str:
    if isinstance(definition, Source):
        return "Source"
    if isinstance(definition, AnySink):
        return "Sink"
    return "".join(word.capitalize() for word in definition.kind.split("_"))


class GraphBuilder:
    """Grows a job's graph; the Python API and a definition as data both write to one of these."""

    def __init__(self) -> None:
        self._drafts: list[_Draft] = []
        self._edges: list[StreamEdge] = []

    def add_source(
        self,
        source: Source[Any],
        *,
        uid: str | None = None,
        watermarks: WatermarkStrategy | None = None,
        written_at: str | None = None,
    ) -> Output:
        """Add a place where records come from and return its output."""
        _require_instance(source, Source, "a source", "CollectionSource([1, 2])")
        if watermarks is not None and not isinstance(watermarks, WatermarkStrategy):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise GraphError(
                f"watermarks must be a WatermarkStrategy, not {watermarks!r}",
                hint="write WatermarkStrategy.bounded_out_of_orderness(timedelta(seconds=1), timestamp=fn)",
            )
        return self._add(_Draft(source, uid, written_at, watermarks), ())

    def add_operator(
        self,
        spec: OperatorSpec,
        inputs: Sequence[Output],
        *,
        uid: str | None = None,
        written_at: str | None = None,
    ) -> Output:
        """Add an operator downstream of `inputs` and return its main output."""
        for function in spec.functions:
            _require_function(spec.kind, function)
        require_policy(f"{spec.kind}: on_error", getattr(spec, "on_error", ErrorPolicy()))
        return self._add(_Draft(spec, uid, written_at), inputs)

    def add_sink(
        self,
        sink: AnySink[Any],
        stream: Output,
        *,
        uid: str | None = None,
        written_at: str | None = None,
    ) -> Output:
        """Add a place where records end."""
        _require_instance(sink, AnySink, "a sink", "CollectSink()")
        return self._add(_Draft(sink, uid, written_at), (stream,))

    def set_parallelism(self, node: int, parallelism: int) -> None:
        """Set how many subtasks a node runs as, instead of the job's number."""
        if parallelism < 1:
            raise GraphError(f"parallelism must be at least 1, not {parallelism}")
        self._drafts[node].parallelism = parallelism

    def set_chaining(self, node: int, chaining: Chaining) -> None:
        """Set what a node allows of its neighbours, instead of what its operator does."""
        self._drafts[node].chaining = chaining

    def set_name(self, node: int, name: str) -> None:
        """Set what a node is called in the name of its vertex; its uid stays."""
        self._drafts[node].name = name

    @property
    def sources(self) -> Sequence[Source[Any]]:
        return [draft.definition for draft in self._drafts if isinstance(draft.definition, Source)]

    def build(self, job: str, mode: JobMode) -> StreamGraph:
        """Return the graph as it is; nothing is checked yet."""
        uids = assign_uids([draft.uid_request() for draft in self._drafts])
        nodes = [draft.finish(node, uids[node]) for node, draft in enumerate(self._drafts)]
        return StreamGraph(job, mode, tuple(nodes), tuple(self._edges))

    def _add(self, draft: _Draft, inputs: Sequence[Output]) -> Output:
        _require_uid(draft.uid)
        node = len(self._drafts)
        self._drafts.append(draft)
        for index, (upstream, side_tag) in enumerate(inputs):
            partitioning = self._drafts[upstream].partitioning
            self._edges.append(StreamEdge(upstream, node, partitioning, side_tag, index))
        return Output(node)


def _require_function(kind: str, function: Function) -> None:
    if not callable(function):
        raise GraphError(
            f"{kind} needs a function, found {function!r}",
            hint="pass the function itself, without calling it",
        )
    if isinstance(function, type) and hasattr(function, "open") and "__call__" in dir(function):
        raise GraphError(
            f"{kind} needs a function, found the class {function.__name__}",
            hint=f"pass an object of it: {function.__name__}(…)",
        )


def _require_instance(value: object, contract: type, what: str, example: str) -> None:
    if isinstance(value, contract):
        return
    if isinstance(value, type) and issubclass(value, contract):
        raise GraphError(
            f"expected {what}, found the class {value.__name__}", hint=f"call it: {value.__name__}(…)"
        )
    raise GraphError(
        f"expected {what}, found {value!r}",
        hint=f"pass an instance of {contract.__module__}.{contract.__name__}, such as {example}",
    )


def _require_uid(uid: object) -> None:
    if uid is None:
        return
    if isinstance(uid, str) and 0 < len(uid) <= _LONGEST_UID and uid.isprintable() and uid == uid.strip():
        return
    raise GraphError(
        f"a uid must be 1 to {_LONGEST_UID} printable characters without spaces around, not {uid!r}"
    )
