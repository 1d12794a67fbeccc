"""Two kinds of target: one whose staged records outlast the process, and one like Kafka, whose do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.core.errors import SinkError

from .promises import JobFailed, promise

if TYPE_CHECKING:
    from .world import World


class Sink:
    """A transactional target: staged records are durable and invisible, a commit may be repeated."""

    def __init__(self, world: World, name: str, attempt: int) -> None:
        self.world, self.name, self.attempt = world, name, attempt
        self.begun = 0
        self.buffer: list[tuple[int, int]] = []

    def begin_transaction(self) -> tuple[Any, ...]:
        self.begun += 1
        self.buffer = []
        return (self.name, self.attempt, self.begun)

    def pre_commit(self, txn: tuple[Any, ...]) -> tuple[Any, ...] | None:
        self.world.crash_point()
        if not self.buffer:
            return None
        self.world.staged[txn] = self.buffer
        return txn

    def commit(self, txn: tuple[Any, ...]) -> str:
        world = self.world
        promise(
            world.decided(self.name, txn) or txn in world.committed,
            f"{txn} is committed, no manifest says so",
        )
        if txn in world.committed:
            return "already committed"
        if world.fault("target"):
            return "retry"
        if world.fault("target"):
            raise SinkError("the target is away")
        promise(txn in world.staged, f"{txn} is decided, its records are gone")
        world.visible[self.name] += world.staged.pop(txn)
        world.committed.add(txn)
        world.crash_point()
        if world.fault("target"):
            raise SinkError("committed, but the answer is lost")
        return "committed"

    recover_and_commit = commit

    def join(self, older: tuple[Any, ...], younger: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return None

    def abort(self, txn: tuple[Any, ...]) -> None:
        promise(not self.world.decided(self.name, txn), f"{txn} is decided, yet aborted")
        self.world.staged.pop(txn, None)

    def recover_and_abort(self, keep) -> None:
        for txn in [txn for txn in self.world.staged if txn[0] == self.name and txn not in keep]:
            self.world.crash_point()
            promise(not self.world.decided(self.name, txn), f"{txn} is decided, yet cleaned away")
            del self.world.staged[txn]


class TransactionalSink:
    """A target like Kafka: two transactions, gone with their process; a mark in each; logs beside them."""

    def __init__(self, world: World, name: str, attempt: int) -> None:
        self.world, self.name, self.attempt = world, name, attempt
        self.buffer: list[tuple[int, int]] = []
        world.owners[name] = attempt  # fences the owner before, whose transactions are aborted
        self.open = world.open[name] = {}
        self.number = world.marks[name]

    def begin_transaction(self) -> tuple[Any, ...]:
        self.buffer = []
        return (self.name, self.attempt, self.number + 1, ())

    def pre_commit(self, txn: tuple[Any, ...]) -> tuple[Any, ...] | None:
        self.world.crash_point()
        if not self.buffer:
            return None
        self.expect_newest()
        promise(len(self.open) < 2, "a transactional id is used that waits for its commit")
        log = (*txn[:3], len(self.world.logs))
        self.world.logs[log] = self.buffer
        self.number = txn[2]
        self.open[self.number] = list(self.buffer)
        return (*txn[:3], (log,))

    def join(self, older: tuple[Any, ...], younger: tuple[Any, ...]) -> tuple[Any, ...] | None:
        self.expect_newest()
        del self.open[younger[2]]
        self.world.crash_point()
        for log in younger[3]:
            self.open[older[2]] += self.world.logs[log]
        self.number = older[2]
        return (*older[:3], older[3] + younger[3])

    def commit(self, txn: tuple[Any, ...]) -> str:
        world = self.world
        promise(world.decided(self.name, txn), f"{txn} is committed, no manifest says so")
        if self.attempt < world.attempt:
            raise SinkError("fenced")
        if world.fault("target"):
            return "retry"
        if world.fault("target"):
            self.open.pop(txn[2], None)  # the broker's own timeout
        if txn[2] not in self.open:
            promise(world.marks[self.name] in (txn[2], txn[2] - 1), "a mark has left out an epoch")
            if world.marks[self.name] == txn[2]:
                return "already committed"
            raise SinkError("the broker has ended the transaction")
        return self.show(txn, self.open.pop(txn[2]))

    def recover_and_commit(self, txn: tuple[Any, ...]) -> str:
        world = self.world
        mark = world.marks[self.name]
        promise(mark in (txn[2], txn[2] - 1), "the mark is not of this epoch or the one before")
        self.number = txn[2]
        if mark == txn[2]:
            return "already committed"
        promise(all(log in world.logs for log in txn[3]), f"{txn} is decided, its log is gone")
        return self.show(txn, [record for log in txn[3] for record in world.logs[log]])

    def show(self, txn: tuple[Any, ...], records: list[tuple[int, int]]) -> str:
        world = self.world
        world.visible[self.name] += records
        world.marks[self.name] = txn[2]
        world.crash_point()
        if world.fault("target"):
            raise SinkError("committed, but the answer is lost")
        return "committed"

    def abort(self, txn: tuple[Any, ...]) -> None:
        promise(not self.world.decided(self.name, txn), f"{txn} is decided, yet aborted")
        self.open.pop(txn[2], None)

    def recover_and_abort(self, keep) -> None:
        """Fencing has done it."""

    def expect_newest(self) -> None:
        if self.world.owners[self.name] > self.attempt:
            raise JobFailed
