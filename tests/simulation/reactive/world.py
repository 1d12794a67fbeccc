"""One operator between a source and a consumer that do whatever a schedule says, in one thread."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from reactivex import Observable
from reactivex.scheduler import VirtualTimeScheduler

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import Flux
from pipeline.reactive.demand import UNBOUNDED, add_cap, produced
from pipeline.reactive.hooks import Hooks, listening

DEPTH = 2
"""How deep signals may nest: one that arrives, and one that it causes."""

MOMENT = timedelta(milliseconds=1)
LONG = timedelta(days=1)
DRIPS = 6
"""Records that are brought one by one at the end of a schedule."""


@dataclass(frozen=True)
class Kind:
    """An operator, and what it promises.

    Args:
        make: makes it, given the world's scheduler and what to call with each record that it drops.
        holds: how many records it may hold beyond what is wanted; None for any number.
        loses: whether it may lose records, each of them counted.
        overflows: whether it may end with `BackpressureOverflow`.
        records: of an output, the source's records that are in it.
        streams: how many sources it has.
        ordered: whether records of one source keep their order.
        whole: whether it accounts for records when it is cut short; else they may stay in streams that
            nobody reads any more.
        pulled: whether it makes records as they are wanted, at once, whatever the schedule says.
    """

    make: Callable[[World], Callable[[Observable[Any]], Flux[Any]]]
    holds: int | None = 0
    loses: bool = False
    overflows: bool = False
    records: Callable[[Any], Iterable[int]] = lambda output: (output,)
    streams: int = 1
    ordered: bool = True
    whole: bool = True
    pulled: bool = False


class Source:
    """Emits on command, as far as requested; a record is the next number."""

    def __init__(self, world: World, index: int) -> None:
        self.world = world
        self.index = index
        self.subscriber: Any = None
        self.requested = 0
        self.cancelled = False
        self.ended = False
        self.inside = False

    @property
    def open(self) -> bool:
        return self.subscriber is not None and not (self.cancelled or self.ended or self.inside)

    def connect(self, subscriber: Any) -> None:
        self.subscriber = subscriber
        self.requested = 0
        self.cancelled = self.ended = False  # it may be subscribed again
        subscriber.on_subscribe(self)

    def request(self, n: int) -> None:
        if self.cancelled or self.ended:
            return
        if n <= 0:
            self.ended = True
            self.subscriber.on_error(ValueError(f"rule 3.9: {n}"))
        else:
            self.requested = add_cap(self.requested, n)

    def cancel(self) -> None:
        self.cancelled = True

    def emit(self, count: int, batch: bool) -> None:
        count = min(count, self.requested)
        self.inside = True
        if batch and count:
            self.requested = produced(self.requested, count)
            self.subscriber.on_next_batch([self.world.number(self) for _ in range(count)])
        else:
            while count and not self.cancelled:
                self.requested = produced(self.requested, 1)
                count -= 1
                self.subscriber.on_next(self.world.number(self))
        self.inside = False

    def end(self, error: Exception | None) -> None:
        self.ended = True
        if error is None:
            self.subscriber.on_completed()
        else:
            self.subscriber.on_error(error)


class Consumer:
    """Counts what it asked for and got; asks or leaves in the midst of a record if told to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.subscription: Any = None
        self.wanted = 0
        self.values: list[Any] = []
        self.errors: list[Exception] = []
        self.completions = 0
        self.cancelled = False
        self.depth = 0
        self.reactions: list[tuple[str, int]] = []

    @property
    def ended(self) -> bool:
        return self.completions > 0 or bool(self.errors)

    @property
    def waits(self) -> bool:
        return self.wanted > 0 and not self.ended and not self.cancelled

    def on_subscribe(self, subscription: Any) -> None:
        self.world.expect(self.subscription is None, "rule 2.12: subscribed twice")
        self.subscription = subscription

    def on_next(self, value: Any) -> None:
        self.heard([value], "on_next")

    def on_next_batch(self, values: Any) -> None:
        self.heard(list(values), "on_next_batch")

    def heard(self, values: Sequence[Any], signal: str) -> None:
        expect = self.world.expect
        expect(self.subscription is not None, f"rule 1.9: {signal} before on_subscribe")
        expect(not self.ended, f"rule 1.7: {signal} after the end")
        expect(bool(values), "an empty batch")
        expect(len(values) <= self.wanted, f"rule 1.1: {len(values)} records, {self.wanted} wanted")
        self.wanted = produced(self.wanted, len(values))
        self.values += values
        self.depth += 1
        expect(self.depth < DEPTH, "rule 3.3: a record is emitted within another")
        if self.reactions:
            self.act(*self.reactions.pop())
        self.depth -= 1

    def on_control(self, element: object) -> None: ...

    def on_error(self, error: Exception) -> None:
        self.world.expect(not self.ended, "rule 1.7: a second end")
        self.errors.append(error)

    def on_completed(self) -> None:
        self.world.expect(not self.ended, "rule 1.7: a second end")
        self.completions += 1

    def act(self, action: str, n: int) -> None:
        if self.subscription is None:
            return
        if action == "cancel":
            self.cancelled = True
            self.subscription.cancel()
        else:
            if n > 0 and not self.cancelled and not self.ended:
                self.wanted = add_cap(self.wanted, n)
            self.subscription.request(n)


class World:
    """One life of an operator: `play` what a schedule says, then `settle`.

    Args:
        kind: the operator.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.scheduler = VirtualTimeScheduler()
        self.emitted = 0
        self.order: dict[int, int] = {}
        self.dropped: list[Any] = []
        self.discarded: list[Any] = []
        self.broken: list[str] = []
        self.sources = [Source(self, index) for index in range(kind.streams)]
        self.consumer = Consumer(self)
        kind.make(self)(Flux(self.sources[0].connect)).connect(self.consumer)

    # --- what the schedule may say ---------------------------------------------------------------------

    def play(self, action: str, n: int) -> None:
        if action == "request":
            self.consumer.act("request", n)
        elif action == "cancel":
            self.consumer.act("cancel", 0)
        elif action.startswith("react"):
            self.consumer.reactions.append((action.removeprefix("react "), n))
        elif action == "turn":
            self.scheduler.advance_by(MOMENT * n)
        else:
            self.play_source(action, n)
        self.check()

    def play_source(self, action: str, n: int) -> None:
        source = self.sources[n % len(self.sources)]
        if not source.open:
            return
        if action == "complete":
            source.end(None)
        elif action == "error":
            source.end(RuntimeError("of the schedule"))
        else:
            source.emit(n, batch=action == "emit together")

    def settle(self) -> None:
        """Let everything come to its end, and see that every record is accounted for."""
        self.satisfy()
        for _ in range(1_000):
            for source in self.sources:
                if source.open:
                    source.end(None)
            if not self.consumer.ended and not self.consumer.cancelled:
                self.consumer.act("request", UNBOUNDED)
            self.scheduler.advance_by(LONG)
            if self.consumer.ended or self.consumer.cancelled:
                break
        self.check()
        self.expect(self.consumer.ended or self.consumer.cancelled, "a stall: it never came to an end")
        if not self.kind.whole and not self.consumer.completions:
            return
        missing = set(range(1, self.emitted + 1)) - self.delivered - self.lost
        self.expect(not missing, f"neither delivered nor counted as lost: {sorted(missing)}")
        self.raise_broken()

    def satisfy(self) -> None:
        """Bring what is still wanted, one by one: demand that is forgotten on its way up shows here."""
        for _ in range(DRIPS):
            self.scheduler.advance_by(LONG)
            open_sources = [source for source in self.sources if source.open]
            if not open_sources or not self.consumer.waits:
                return
            asked = next((source for source in open_sources if source.requested), None)
            if asked is None:
                self.expect(False, f"a stall: {self.consumer.wanted} are wanted, no source is asked")
                return
            asked.emit(1, batch=False)
            self.check()

    def drop(self, value: Any) -> None:
        """Record what the operator drops."""
        self.dropped.append(value)

    # --- what must hold ----------------------------------------------------------------------------------

    def number(self, source: Source) -> int:
        self.emitted += 1
        self.order[self.emitted] = source.index
        return self.emitted

    def expect(self, holds: bool, otherwise: str) -> None:
        """Note a broken promise: an exception here would be taken for one of the consumer's."""
        if not holds:
            self.broken.append(otherwise)

    def raise_broken(self) -> None:
        assert not self.broken, self.broken

    @property
    def lost(self) -> set[int]:
        return {record for output in (*self.dropped, *self.discarded) for record in self.kind.records(output)}

    @property
    def delivered(self) -> set[int]:
        return {record for output in self.consumer.values for record in self.kind.records(output)}

    def check(self) -> None:
        """Look at what must hold between any two actions."""
        delivered = [record for output in self.consumer.values for record in self.kind.records(output)]
        self.expect(len(set(delivered)) == len(delivered), "delivered twice")
        for index in range(len(self.sources)) if self.kind.ordered else ():
            own = [record for record in delivered if self.order.get(record) == index]
            self.expect(own == sorted(own), "out of order")
        lost = self.lost
        self.expect(not lost.intersection(delivered), "both delivered and lost")
        over = self.consumer.ended or self.consumer.cancelled
        if not self.kind.loses and not over:
            self.expect(not lost, f"it must not lose anything: {lost}")
        if self.kind.holds is not None and not over:
            held = self.emitted - len(delivered) - len(lost)
            self.expect(held <= self.kind.holds, f"{held} records held, at most {self.kind.holds} allowed")
        if self.kind.pulled:
            self.expect(not self.consumer.waits, f"a stall: {self.consumer.wanted} are wanted")
        for error in self.consumer.errors:
            allowed = ValueError if "3.9" in str(error) else RuntimeError
            if self.kind.overflows:
                self.expect(isinstance(error, (allowed, BackpressureOverflow)), f"unexpected: {error!r}")
            else:
                self.expect(isinstance(error, allowed), f"unexpected: {error!r}")
        self.raise_broken()


Schedule = list[tuple[str, int]]

ACTIONS = (
    *["request"] * 6,
    *["emit"] * 6,
    *["emit together"] * 3,
    *["turn"] * 4,
    *["react request"] * 2,
    "react cancel",
    "complete",
    "error",
    "cancel",
)


def schedule(chance: random.Random) -> Schedule:
    """Draw a schedule; most amounts are small, a few are without limit or against rule 3.9."""
    steps: Schedule = []
    for _ in range(chance.randint(3, 22)):
        action = ACTIONS[int(chance.random() * len(ACTIONS))]
        n = 1 + int(chance.random() * 9)
        if action.endswith("request") and chance.random() < 0.06:
            n = (0, -1, UNBOUNDED, 2**63)[int(chance.random() * 4)]
        steps.append((action, n))
    return steps


def live(kind: Kind, steps: Schedule) -> World:
    """Play a whole schedule; what breaks names it."""
    dropped: list[Any] = []
    discarded: list[Any] = []
    with listening(Hooks(dropped.append, lambda _: None, discarded.append)):
        world = World(kind)
        world.dropped, world.discarded = dropped, discarded
        try:
            for action, n in steps:
                world.play(action, n)
            world.settle()
        except Exception as error:
            error.add_note(f"played: {steps}")
            raise
    return world
