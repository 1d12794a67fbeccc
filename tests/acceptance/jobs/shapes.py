"""Jobs of several shapes, from csv files of numbers to files: `pipeline run shapes.py:NAME`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from gate import GatedFile
from joins import join

from connectors import FileSink, FileSource, RollingPolicy
from pipeline import BackpressureStrategy, JobConfig, StreamJob
from pipeline.spi.source import SourceInfo

Row = dict[str, Any]


class Once(FileSource):
    """A file that can only be read from its beginning, as a query without a key."""

    @property
    def info(self) -> SourceInfo:
        return replace(super().info, resumable=False)


def config(**settings: Any) -> JobConfig:
    return JobConfig(checkpoint_rows=100, checkpoint_min_pause=timedelta(0), source_batch_size=50, **settings)


def parse(row: Row) -> Row:
    return {"n": int(row["n"])}


def seventh(row: Row) -> int:
    return row["n"] % 7


def first(row: Row) -> Row:
    return {"key": seventh(row), "count": 1}


def count(total: Row, row: Row) -> Row:
    return {"key": total["key"], "count": total["count"] + row["count"]}


def key(row: Row) -> int:
    return row["key"]


def thrice(row: Row) -> list[Row]:
    return [{"n": 3 * row["n"] + part} for part in range(3)]


def unequal() -> StreamJob:
    """Two sources, of which one ends long before the other, to two sinks; one of them in two subtasks."""
    job = StreamJob("unequal", config())
    short = job.source(FileSource("short.csv"), uid="short").map(parse, uid="parse-short")
    both = short.union(job.source(GatedFile("in.csv"), uid="long").map(parse, uid="parse-long"))
    both.sink(FileSink("out/all.csv"), uid="all")
    counts = both.map(first).key_by(key).reduce(count).with_parallelism(2)
    counts.sink(FileSink("out/counts.jsonl", rolling=RollingPolicy()), uid="counts").with_parallelism(2)
    return job


def described(pair: tuple[Any, Any]) -> Row:
    left, right = pair
    return {"ended": left} if right is None else {"left": left["n"], "right": right["n"]}


def joined() -> StreamJob:
    """Two inputs of one operator in two subtasks; one of the inputs ends long before the other."""
    job = StreamJob("joined", config())
    left = job.source(FileSource("short.csv"), uid="short").map(parse, uid="parse-short")
    right = job.source(GatedFile("in.csv"), uid="long").map(parse, uid="parse-long")
    pairs = join(left, right, seventh).with_parallelism(2).map(described).with_parallelism(2)
    pairs.sink(FileSink("out/all.jsonl", rolling=RollingPolicy()), uid="all").with_parallelism(2)
    return job


def lanes() -> StreamJob:
    """A buffer with two queues before a slow function, and part files of two subtasks."""
    job = StreamJob("lanes", config(parallelism=2))
    rows = job.source(GatedFile("in.csv"), uid="in")
    buffered = rows.backpressure(BackpressureStrategy.BUFFER, buffer_size=40, uid="buffer")
    buffered.map(parse).sink(FileSink("out/all.jsonl", rolling=RollingPolicy()), uid="all")
    return job


def broken() -> StreamJob:
    """More records than were read, handed over to another thread."""
    job = StreamJob("broken", config())
    rows = job.source(GatedFile("in.csv"), uid="in").map(parse).flat_map(thrice)
    rows.start_new_chain().map(lambda row: row, uid="same").sink(FileSink("out/all.csv"), uid="all")
    return job


def once() -> StreamJob:
    """A source that cannot resume: nothing is visible before the end."""
    job = StreamJob("once", config())
    job.source(Once("in.csv"), uid="in").map(parse).sink(FileSink("out/all.csv"), uid="all")
    return job
