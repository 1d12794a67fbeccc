"""What a Kafka sink has while it is open, put together for its guarantee."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from connectors.kafka.at_least_once import AtLeastOnce
from connectors.kafka.config import ClientSettings
from connectors.kafka.delivery import Delivery
from connectors.kafka.encoding import Encoder
from connectors.kafka.epochs import Epochs, Place
from connectors.kafka.exactly_once import ExactlyOnce
from connectors.kafka.mark_shelf import MarkShelf
from connectors.kafka.marks import default_prefix
from connectors.kafka.ownership import Ownership
from connectors.kafka.producers import Producers
from connectors.kafka.producing import Writer
from connectors.kafka.targets import Targets
from connectors.kafka.witness import Witness
from connectors.kafka.writing_plan import Transactions, WritingPlan
from pipeline.core.clock import Clock, SystemClock
from pipeline.spi.sink import SinkContext


class Writing(NamedTuple):
    """The parts of an open sink.

    Args:
        targets: the topics.
        encoder: makes of records what is written.
        delivery: keeps the guarantee.
    """

    targets: Targets
    encoder: Encoder
    delivery: Delivery


def begin_writing(
    plan: WritingPlan, transactions: Transactions | None, settings: ClientSettings, ctx: SinkContext
) -> Writing:
    """Put an open sink together; no broker is asked yet.

    Args:
        plan: how records are encoded.
        transactions: None for at-least-once.

    Raises:
        ConfigError: the client refuses its settings.
    """
    targets, clock = Targets(settings), SystemClock()
    if transactions is None:
        delivery: Delivery = _at_least_once(targets, settings, ctx, clock)
    else:
        delivery = _exactly_once(transactions, targets, settings, ctx, clock)
    return Writing(targets, Encoder(plan, targets, clock), delivery)


def check_targets(writing: Writing, plan: WritingPlan, transactions: Transactions | None) -> None:
    """Find out before anything is read whether the topics can be written to.

    Raises:
        SinkError: a topic does not exist or may not be written to, no broker answers, or the Schema
            Registry takes no schema.
    """
    if transactions is not None:
        writing.targets.ensure_marks(transactions.marks)
    if isinstance(plan.topic, str):
        writing.targets.of(plan.topic)
        writing.encoder.prepare(plan.topic)


def _at_least_once(targets: Targets, settings: ClientSettings, ctx: SinkContext, clock: Clock) -> AtLeastOnce:
    witness = Witness(targets, None, "", "")
    own = {"enable.idempotence": True}
    return AtLeastOnce(Writer(settings, own, targets.cluster.is_cancelled, ctx.ensure_newest, witness, clock))


def _exactly_once(
    transactions: Transactions, targets: Targets, settings: ClientSettings, ctx: SinkContext, clock: Clock
) -> ExactlyOnce:
    prefix = transactions.prefix or default_prefix(ctx.job_name, ctx.uid)
    group = f"{prefix}-{ctx.subtask}"
    place = Place((f"{group}-a", f"{group}-b"), group, transactions.marks)
    marks = MarkShelf(place, ctx, targets.marks, clock)
    owner = Ownership(ctx, place.ids[0])
    timeout_ms = transactions.timeout_ms
    socket_timeout_ms = min(int(settings.client()["socket.timeout.ms"]), timeout_ms)

    def make_writer(id_: str) -> Writer:
        own: dict[str, Any] = {
            "transactional.id": id_,
            "transaction.timeout.ms": timeout_ms,
            "socket.timeout.ms": socket_timeout_ms,
        }
        check_owner: Callable[[], None] = partial(_check_owner, owner, marks)
        witness = Witness(targets, id_, group, transactions.marks)
        return Writer(settings, own, targets.cluster.is_cancelled, check_owner, witness, clock)

    return ExactlyOnce(
        ctx,
        Epochs(place, ctx.lineage, transactions.max_bytes),
        Producers(make_writer, targets.why_no_transaction),
        marks,
        owner,
        transactions.commit_timeout,
    )


def _check_owner(owner: Ownership, marks: MarkShelf) -> None:
    owner.check(marks.book())
