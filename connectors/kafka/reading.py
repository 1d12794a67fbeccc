"""One attempt of a source: its clients, its position, and the loop between them."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from confluent_kafka import Message

from connectors.kafka.bounds import check_past, is_fixed, start_offsets
from connectors.kafka.cluster import Cluster
from connectors.kafka.config import ClientSettings
from connectors.kafka.decoding import Decoded, Decoder, by_partition
from connectors.kafka.fetch_watch import FetchWatch
from connectors.kafka.open_transactions import OpenTransactions
from connectors.kafka.partitions import Partition, Position, without_topics
from connectors.kafka.plan import ReadingPlan
from connectors.kafka.reader import Reader, Taken
from connectors.kafka.silence import Silence, may_have_more
from connectors.kafka.standing import Standing
from connectors.kafka.stops import Stops
from connectors.kafka.topics import Watch
from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import SourceError
from pipeline.spi.source import JsonLike, SourceContext

_log = logging.getLogger(__name__)


class _Read(NamedTuple):
    """What was read of one partition, the offset after it, and where the partition ends if that is known."""

    partition: Partition
    decoded: Decoded
    next_offset: int
    stop: int | None


class Reading:
    """Reads as a plan says; a method is called by whom `Source` says.

    Args:
        group: under which offsets are shown.
    """

    def __init__(
        self, plan: ReadingPlan, settings: ClientSettings, group: str, clock: Clock | None = None
    ) -> None:
        self._plan = replace(plan, group=group)
        self._clock = clock or SystemClock()
        self._cluster = Cluster(settings, SourceError)
        self._reader = Reader(settings, group, plan.isolation)
        self._fetches = FetchWatch(self._cluster, self._clock, committed=plan.committed)
        self._silence = Silence(self._cluster, committed=plan.committed)
        self._open = OpenTransactions(self._cluster, self._clock, ends=plan.stop is not None)
        self._stops = Stops(plan.stop, self._clock, committed=plan.committed)
        self._decoders: dict[str, Decoder] = {}
        self._standing = Standing()

    def open(self) -> None:
        """Find the topics."""
        topics = self._plan.selection.find(self._cluster)
        self._topics = Watch(
            self._cluster, self._plan.selection, topics, self._plan.look_every_ms, self._clock
        )

    def find_start(self) -> JsonLike:
        """Find where a fresh start begins, and keep it; None where that is found again at any time."""
        if is_fixed(self._plan.start):
            return None
        self._standing.restored = Position(self._start_offsets(), self._topics.ids)
        return self._standing.restored.to_state()

    def restore(self, state: JsonLike) -> None:
        """Seek to a position, if the brokers still have its next record."""
        if state is None:
            return
        stored = Position.from_state(state)
        names = {partition.topic for partition in stored.offsets}
        kept = {name for name in names if self._plan.selection.includes(name)}
        if kept != names:
            left_out = ", ".join(sorted(names - kept))
            _log.warning(
                "the checkpoint has read topics that the source does not read any more: %s", left_out
            )
        position = without_topics(stored, kept)
        position.check_topics(self._topics.known)
        position.check_range(
            self._cluster.first_offsets(position.offsets),
            self._cluster.end_offsets(position.offsets, committed=False),
        )
        self._stops.restore(position.stop)
        self._standing.restored = position

    def snapshot(self) -> JsonLike:
        """Return the position; None before there is one."""
        return self._standing.snapshot(self._topics.ids, self._stops.snapshot())

    def show_offsets(self) -> None:
        """Let the group show the offsets of the last snapshot, now that its checkpoint is committed."""
        self._reader.show(self._standing.shown)

    def cancel(self) -> None:
        """End the waits for answers; the wait for records is short."""
        self._cluster.cancel()

    def close(self) -> None:
        self._reader.close()
        self._cluster.cancel()
        self._cluster.close()

    def run(self, ctx: SourceContext[Any]) -> None:
        """Emit until every partition has reached its end, if it has one."""
        self._begin(ctx)
        while demand := ctx.wait_demand():
            if not self._standing.reads:
                return
            self._follow_topics(ctx)
            self._look_for_stops()
            self._settle_silence(ctx)
            self._say_what_holds()
            taken = self._take(min(demand, ctx.batch_limit))
            reads = list(self._decoded(taken.messages))
            if ctx.cancelled:
                return
            with ctx.checkpoint_lock:
                for read in reads:
                    self._emit(ctx, read)
                self._pass_ends(taken.ends)
                self._drop_finished(ctx)

    def _take(self, limit: int) -> Taken:
        taken = self._reader.take(limit)
        if not (taken.messages or taken.ends):
            standing = self._standing
            if self._fetches.is_stuck(standing.offsets, standing.reads):
                _log.warning(
                    "the client of %s hangs, though the brokers answer another one: it is replaced",
                    self._plan.selection.target,
                )
                self._reader.replace(standing.of_reads())
        return taken

    def _begin(self, ctx: SourceContext[Any]) -> None:
        restored = self._standing.restored
        offsets = self._start_offsets() if restored is None else self._continued(restored.offsets)
        self._stops.find(list(offsets), self._cluster)
        self._add(ctx, offsets)
        with ctx.checkpoint_lock:
            self._drop_finished(ctx)

    def _start_offsets(self) -> dict[Partition, int]:
        plan, partitions = self._plan, self._topics.partitions
        assert plan.group is not None
        check_past(plan.start, self._clock.now_ms())
        return start_offsets(plan.start, partitions, plan.group, self._cluster, committed=plan.committed)

    def _continued(self, known: Mapping[Partition, int]) -> dict[Partition, int]:
        """Return where partitions continue, and new ones begin unless they came after the end of reading."""
        new = [] if self._stops.settled else [one for one in self._topics.partitions if one not in known]
        return {**known, **self._cluster.first_offsets(new)}

    def _add(self, ctx: SourceContext[Any], offsets: Mapping[Partition, int]) -> None:
        with ctx.checkpoint_lock:
            self._standing.add(offsets)
            ctx.declare_splits([partition.split for partition in offsets])
        for topic in {partition.topic for partition in offsets} - self._decoders.keys():
            self._decoders[topic] = Decoder(topic, self._plan.value, self._plan.key)
        self._reader.add(offsets)

    def _follow_topics(self, ctx: SourceContext[Any]) -> None:
        new = self._topics.new_partitions()
        if new and not self._stops.settled:
            self._add(ctx, self._cluster.first_offsets(new))

    def _look_for_stops(self) -> None:
        """Find where the partitions end once the time for it has come; brokers that are away are awaited."""
        if not self._stops.due:
            return
        try:
            self._stops.find(list(self._standing.offsets), self._cluster)
        except SourceError as error:
            if not error.retryable:
                raise

    def _decoded(self, messages: list[Message]) -> Iterator[_Read]:
        standing = self._standing
        for partition, found in by_partition(messages, standing.reads, alone=len(standing.offsets) == 1):
            next_offset = (found[-1].offset() or 0) + 1
            stop = self._stops.before(partition, found)
            if stop is not None and next_offset > stop:
                found = found[: bisect_left(found, stop, key=_offset)]  # noqa: PLW2901
                next_offset = stop
            decoded = self._decoders[partition.topic].decode(partition, found)
            yield _Read(partition, decoded, next_offset, stop)

    def _emit(self, ctx: SourceContext[Any], read: _Read) -> None:
        decoded = read.decoded
        for poison in decoded.poison:
            ctx.reject(poison.data, poison.error, poison.origin, self._plan.on_error)
        ctx.emit(decoded.values, decoded.timestamps, decoded.origins, split=read.partition.split)
        self._standing.offsets[read.partition] = read.next_offset
        if read.stop is not None:
            self._stops.note(read.partition, read.stop)

    def _pass_ends(self, ends: Mapping[Partition, int]) -> None:
        """Move past what is not a record: transaction markers and aborted records."""
        for partition, end in ends.items():
            self._standing.pass_to(partition, self._stops.limit(partition, end))

    def _settle_silence(self, ctx: SourceContext[Any]) -> None:
        """Say of silent partitions whether they have records, once the brokers have answered."""
        silent = set(ctx.silent_splits())
        if silent:
            self._silence.ask(one for one in self._standing.reads if one.split in silent)
        ends = self._silence.answers()
        if ends:
            with ctx.checkpoint_lock:
                for partition in self._standing.reads & ends.keys():
                    pending = may_have_more(self._standing.offsets[partition], ends[partition])
                    ctx.settle_silence(partition.split, pending=pending)

    def _say_what_holds(self) -> None:
        if self._plan.committed:  # any other reader waits for nobody
            self._open.look(self._standing.offsets, self._standing.reads)

    def _drop_finished(self, ctx: SourceContext[Any]) -> None:
        finished = self._stops.reached(self._standing.offsets, self._standing.reads)
        if finished:
            self._standing.finish(finished)
            self._reader.drop(finished)
            ctx.end_splits([partition.split for partition in finished])


def _offset(message: Message) -> int:
    return message.offset() or 0
