"""A whole job in one thread, with delays, declines, lost answers, crashes and zombies drawn from one seed."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from checkpoint.aligner import Aligned, Aligner
from checkpoint.barrier import Barrier, CheckpointKind
from checkpoint.commands import Abandon, Clean, Command, Commit, Fail, Finished, Note, Persist, Trigger
from checkpoint.coordinator import CheckpointCoordinator
from checkpoint.retention import Stored, plan_deletions
from checkpoint.schedule import CoordinatorSettings
from checkpoint.two_phase import TwoPhaseDriver
from pipeline.core.errors import CheckpointError, Fenced, PipelineError, SinkError

from .promises import Crash, JobFailed, promise
from .sinks import Sink, TransactionalSink

SINKS = ("sink-0", "sink-1")
FAULTS = ("crash", "decline", "loss", "duplicate", "store", "target", "request")
"""Each world draws how likely each is, so that some see one kind only, again and again."""
MOST_STEPS = 20_000
END = "end"


@dataclass(frozen=True)
class Decision:
    """A manifest."""

    kind: CheckpointKind
    positions: list[int]
    handles: dict[str, list[tuple[Any, ...]]]


class World:
    """What outlives a process: the storage, the targets of the sinks, time, and the source of all chance."""

    def __init__(
        self,
        seed: int,
        coordinator: type[CheckpointCoordinator],
        driver: type[TwoPhaseDriver[Any]],
        aligner: type[Aligner],
    ) -> None:
        self.rng = rng = random.Random(seed)
        self.coordinator, self.driver, self.aligner = coordinator, driver, aligner
        self.inputs = [rng.randrange(25) for _ in range(rng.choice((1, 2, 3)))]
        self.interval_ms = rng.choice((None, 50, 200))
        self.rows = rng.choice((None, 5, 10))
        self.min_pause_ms = rng.choice((0, 0, 50))
        self.tolerable = rng.choice((0, 1, 3))
        self.faults_left = rng.randrange(12)
        self.likelihood = {kind: rng.choice((0, 0.01, 0.03, 0.2)) for kind in FAULTS}
        self.now = 0
        self.steps = 0
        self.attempt = 0
        self.manifests: dict[int, Decision] = {}
        self.noted = 0
        self.staged: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
        self.visible: dict[str, list[tuple[int, int]]] = {sink: [] for sink in SINKS}
        self.committed: set[tuple[Any, ...]] = set()
        self.sink_kind: Any = rng.choice((Sink, TransactionalSink))
        self.owners: dict[str, int] = dict.fromkeys(SINKS, 0)
        self.open: dict[str, dict[int, list[tuple[int, int]]]] = {sink: {} for sink in SINKS}
        self.logs: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
        self.marks: dict[str, int] = dict.fromkeys(SINKS, 0)
        self.zombies: list[Run] = []
        self.completed = False

    def fault(self, kind: str) -> bool:
        """Whether something goes wrong here; faults are rationed, so that every run can end."""
        if self.faults_left and self.rng.random() < self.likelihood[kind]:
            self.faults_left -= 1
            return True
        return False

    def crash_point(self) -> None:
        if self.fault("crash"):
            raise Crash

    def live(self) -> None:
        """Start the job again and again until it is completed, then check the outcome."""
        while not self.completed:
            run = Run(self)
            try:
                run.recover()
                while not self.completed and run.finished is None:
                    self.step(run)
                run.close()
            except Crash:
                # A stopped process resumes in the middle of its call; one that has left a call torn cannot.
                if run.started and not run.torn and self.rng.random() < 0.5:
                    self.zombies.append(run)
            except JobFailed:
                run.close()
        expected = sorted((source, n) for source, count in enumerate(self.inputs) for n in range(count))
        for sink in SINKS:
            promise(sorted(self.visible[sink]) == expected, f"{sink} does not show every record once")

    def step(self, run: Run) -> None:
        self.steps += 1
        promise(self.steps < MOST_STEPS, "no progress")
        self.now += self.rng.randrange(10)
        if self.rng.random() < 0.1:
            self.crash_point()
        if self.zombies and self.rng.random() < 0.2:
            self.step_zombie(self.zombies[0])
        work = run.work()
        if not work:
            deadline = run.machine.next_deadline()
            promise(deadline is not None, "deadlock: nothing to do and nothing to wait for")
            self.now = max(self.now, deadline or 0)
            work = [partial(run.tick)]
        self.rng.choice(work)()

    def step_zombie(self, zombie: Run) -> None:
        work = zombie.work()
        try:
            if work and zombie.finished is None:
                self.rng.choice(work)()
            else:
                self.zombies.remove(zombie)
        except (JobFailed, Crash):
            self.zombies.remove(zombie)

    def expect_target(self, positions: list[int]) -> None:
        """What is noted as committed is what the sinks show, no more and no less."""
        expected = sorted((source, n) for source, count in enumerate(positions) for n in range(count))
        for sink in SINKS:
            promise(sorted(self.visible[sink]) == expected, f"{sink} shows other epochs than those noted")

    def drop_logs(self) -> None:
        """The clean-up: what is noted needs no log."""
        noted = [self.manifests[n].handles for n in self.manifests if n <= self.noted]
        if self.sink_kind is TransactionalSink:
            for log in {log for of in noted for handles in of.values() for txn in handles for log in txn[3]}:
                self.logs.pop(log, None)

    def decided(self, sink: str, handle: tuple[Any, ...]) -> bool:
        return any(handle in decision.handles[sink] for decision in self.manifests.values())


class Run:
    """One process: sources, one operator that aligns their channels, two sinks, and the shell around them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.rng
        self.started = False
        self.torn = False  # died in the midst of a sink's pre-commit
        self.finished: CheckpointKind | None = None
        self.mail: list[Callable[[], None]] = []  # delivered in any order
        self.io: deque[Callable[[], None]] = deque()  # one thread, in order
        self.in_flight: int | None = None
        self.failures = 0
        self.abandoned: set[int] = set()
        self.uncommitted: dict[int, set[str]] = {}
        self.faults_left_at_trigger = world.faults_left

    # --- start and end ---

    def recover(self) -> None:
        world = self.world
        world.attempt += 1
        self.attempt = world.attempt
        self.sinks = {name: world.sink_kind(world, name, self.attempt) for name in SINKS}
        self.drivers = {name: world.driver(sink, name) for name, sink in self.sinks.items()}
        newest = max(world.manifests, default=0)
        decision = world.manifests.get(newest)
        if decision is not None and newest > world.noted:
            self.commit_again(newest, decision)
        if decision is not None and decision.kind is CheckpointKind.FINAL:
            world.completed = True
            return
        self.start(newest, decision)

    def commit_again(self, newest: int, decision: Decision) -> None:
        world = self.world
        for name, driver in self.drivers.items():
            driver.recover(newest, decision.handles[name])
            try:
                while driver.commit(newest):
                    world.crash_point()
            except SinkError as error:
                raise JobFailed from error
        world.crash_point()
        world.noted = newest
        world.drop_logs()
        world.expect_target(decision.positions)

    def start(self, newest: int, decision: Decision | None) -> None:
        world = self.world
        self.positions = [0] * len(world.inputs) if decision is None else list(decision.positions)
        self.counts = list(self.positions)
        self.channels: list[deque[Any]] = [deque() for _ in world.inputs]
        self.ended = [False] * len(world.inputs)
        self.last_barrier = [0] * len(world.inputs)
        self.queues: dict[str, deque[Any]] = {name: deque() for name in SINKS}
        self.gate = world.aligner(len(world.inputs))
        for name, driver in self.drivers.items():
            driver.begin([] if decision is None else decision.handles[name])
        self.machine = world.coordinator(
            [*range(len(world.inputs)), "operator", *SINKS],
            CoordinatorSettings(
                first_checkpoint_id=1 + max(newest, world.noted),
                interval_ms=world.interval_ms,
                rows=world.rows,
                min_pause_ms=world.min_pause_ms,
                timeout_ms=2000,
                tolerable_failures=world.tolerable,
            ),
        )
        self.started = True
        self.do(self.machine.start(world.now))
        for source in range(len(world.inputs)):
            self.notice_end(source)

    def close(self) -> None:
        if self.started:
            for driver in self.drivers.values():
                driver.close(self.machine.undecided_from)

    # --- what may happen next ---

    def work(self) -> list[Callable[[], None]]:
        world = self.world
        work: list[Callable[[], None]] = []
        for source, count in enumerate(world.inputs):
            if self.positions[source] < count and len(self.channels[source]) < 4:
                work.append(partial(self.emit, source))
        blocked = self.gate.blocked
        work += [
            partial(self.operate, c) for c, queue in enumerate(self.channels) if queue and c not in blocked
        ]
        work += [partial(self.sink, name) for name, queue in self.queues.items() if queue]
        if self.mail:
            work.append(self.deliver)
        if self.io:
            work.append(self.one_io)
        deadline = self.machine.next_deadline()
        if deadline is not None and deadline <= world.now:
            work.append(self.tick)
        return work

    def one_io(self) -> None:
        self.io.popleft()()

    def deliver(self) -> None:
        self.mail.pop(self.rng.randrange(len(self.mail)))()

    def tick(self) -> None:
        self.do(self.machine.tick(self.world.now))

    def emit(self, source: int) -> None:
        self.channels[source].append((source, self.positions[source]))
        self.positions[source] += 1
        self.do(self.machine.rows_emitted(sum(self.positions), self.world.now))
        if self.world.fault("request"):
            self.do(self.machine.request(self.rng.choice(tuple(CheckpointKind)[1:3]), self.world.now))
        self.notice_end(source)

    def notice_end(self, source: int) -> None:
        if self.positions[source] < self.world.inputs[source]:
            return
        if not self.ended[source]:
            self.ended[source] = True
            self.channels[source].append(END)  # barriers still follow it
        if self.positions == self.world.inputs:
            self.do(self.machine.request(CheckpointKind.FINAL, self.world.now))

    def operate(self, channel: int) -> None:
        element = self.channels[channel].popleft()
        if element == END:
            promise(self.counts[channel] == self.world.inputs[channel], "an end before the last record")
            return
        if not isinstance(element, Barrier):
            self.counts[channel] += 1
            for queue in self.queues.values():
                queue.append(element)
            return
        aligned = self.gate.on_barrier(channel, element)
        if isinstance(aligned, Aligned):
            self.answer(aligned.barrier, "operator", list(self.counts))
            for queue in self.queues.values():
                queue.append(aligned.barrier)

    def sink(self, name: str) -> None:
        element = self.queues[name].popleft()
        if not isinstance(element, Barrier):
            promise(self.drivers[name].current is not None, "no transaction to write to")
            self.sinks[name].buffer.append(element)
        elif self.world.fault("decline"):
            self.send(partial(self.declined_by, element.checkpoint_id, name))
        else:
            self.torn = True
            handles = self.drivers[name].pre_commit(element.checkpoint_id)
            self.torn = False
            self.answer(element, name, handles)

    def trigger(self, source: int, barrier: Barrier) -> None:
        if barrier.checkpoint_id <= self.last_barrier[source]:
            return
        self.last_barrier[source] = barrier.checkpoint_id
        if self.world.fault("decline"):
            self.send(partial(self.declined_by, barrier.checkpoint_id, source))
            return
        self.answer(barrier, source, self.positions[source])
        self.channels[source].append(barrier)

    # --- answers, which may be lost or come twice ---

    def answer(self, barrier: Barrier, who: object, snapshot: object) -> None:
        self.send(partial(self.acknowledged_by, barrier.checkpoint_id, who, snapshot))

    def send(self, message: Callable[[], None]) -> None:
        if self.world.fault("loss"):
            return
        self.mail.append(message)
        if self.world.fault("duplicate"):
            self.mail.append(message)

    def acknowledged_by(self, checkpoint_id: int, who: Any, snapshot: object) -> None:
        self.do(self.machine.acknowledge(checkpoint_id, who, snapshot, self.world.now))

    def declined_by(self, checkpoint_id: int, who: Any) -> None:
        self.do(self.machine.decline(checkpoint_id, who, CheckpointError("planted"), self.world.now))

    # --- commands ---

    def do(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Trigger(barrier):
                    promise(self.in_flight is None, f"{barrier} before checkpoint {self.in_flight} is noted")
                    self.in_flight = barrier.checkpoint_id
                    self.faults_left_at_trigger = self.world.faults_left
                    for source in range(len(self.positions)):
                        self.send(partial(self.trigger, source, barrier))
                case Abandon(checkpoint_id, reason):
                    self.abandon(checkpoint_id, reason)
                case Persist():
                    self.io.append(partial(self.persist, command))
                case Commit(checkpoint_id):
                    self.failures = 0
                    self.uncommitted[checkpoint_id] = set(SINKS)
                    self.mail += [partial(self.commit, checkpoint_id, name) for name in SINKS]
                case Note(checkpoint_id):
                    self.io.append(partial(self.note, checkpoint_id))
                case Clean(_):
                    self.io.append(self.clean)
                case Fail(error):
                    self.expect_failure(error)
                    raise JobFailed from error
                case Finished(kind):
                    self.finished = kind
                    self.world.completed = kind is CheckpointKind.FINAL and self.attempt == self.world.attempt
        promise(self.failures <= self.world.tolerable, "more failures than tolerated, and the run continues")

    def abandon(self, checkpoint_id: int, reason: str) -> None:
        faultless = self.faults_left_at_trigger == self.world.faults_left
        zombie = self.attempt < self.world.attempt  # starved, so that its deadlines pass
        promise(zombie or not faultless, f"no fault, yet abandoned: {reason}")
        promise(
            checkpoint_id == self.in_flight, f"{checkpoint_id} is abandoned, {self.in_flight} is in flight"
        )
        promise(checkpoint_id not in self.abandoned, f"{checkpoint_id} is abandoned twice")
        self.in_flight = None
        self.abandoned.add(checkpoint_id)
        self.failures += 1
        self.mail.append(partial(self.gate.abandon, checkpoint_id))
        self.mail += [partial(driver.declined, checkpoint_id) for driver in self.drivers.values()]

    def expect_failure(self, error: PipelineError) -> None:
        if isinstance(error, Fenced):
            promise(self.attempt < self.world.attempt, "fenced, yet the newest attempt")
        else:
            promise(
                self.failures == self.world.tolerable + 1, f"failed after {self.failures} failures in a row"
            )

    def persist(self, command: Persist) -> None:
        world, checkpoint_id = self.world, command.checkpoint_id
        positions: Any = [command.snapshots[source] for source in range(len(self.positions))]
        promise(command.snapshots["operator"] == positions, "the snapshots are not of one instant")
        handles: Any = {name: command.snapshots[name] for name in SINKS}
        if self.attempt < world.attempt:
            self.do(self.machine.persist_failed(checkpoint_id, Fenced("planted"), world.now))
            return
        if world.fault("store"):
            self.do(self.machine.persist_failed(checkpoint_id, CheckpointError("disk full"), world.now))
            return
        world.crash_point()
        promise(checkpoint_id not in world.manifests, f"manifest {checkpoint_id} is written twice")
        world.manifests[checkpoint_id] = Decision(command.kind, positions, handles)
        world.crash_point()
        if world.fault("store"):
            lost = CheckpointError("written, but the answer is lost")
            self.do(self.machine.persist_failed(checkpoint_id, lost, world.now))
            return
        self.do(self.machine.manifest_written(checkpoint_id, world.now))

    def commit(self, checkpoint_id: int, name: str) -> None:
        try:
            left = self.drivers[name].commit(checkpoint_id)
        except SinkError as error:
            raise JobFailed from error
        if left:
            self.mail.append(partial(self.commit, checkpoint_id, name))
            return
        self.uncommitted[checkpoint_id].discard(name)
        if not self.uncommitted[checkpoint_id]:
            self.do(self.machine.committed(checkpoint_id, self.world.now))

    def note(self, checkpoint_id: int) -> None:
        world = self.world
        if self.attempt < world.attempt:
            raise JobFailed
        world.crash_point()
        world.expect_target(world.manifests[checkpoint_id].positions)
        world.noted = max(world.noted, checkpoint_id)
        world.drop_logs()
        world.crash_point()
        self.in_flight = None
        self.do(self.machine.noted(checkpoint_id, world.now))

    def clean(self) -> None:
        if self.attempt < self.world.attempt:
            raise JobFailed
        manifests = self.world.manifests
        stored = [Stored(checkpoint_id, decision.kind) for checkpoint_id, decision in manifests.items()]
        for checkpoint_id in plan_deletions(stored, {}, noted=self.world.noted, retention=1).checkpoints:
            del manifests[checkpoint_id]
