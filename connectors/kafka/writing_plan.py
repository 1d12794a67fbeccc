"""What a sink is to write, and how: all that the user says of it, checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final, Literal

from connectors.kafka.formats import Format
from connectors.kafka.outgoing import Headers
from pipeline.core.errors import ConfigError

Guarantee = Literal["exactly-once", "at-least-once"]
Encode = Callable[[Any], bytes | None]
Partitioner = Callable[[bytes | None, int], int]


@dataclass(frozen=True, slots=True)
class WritingPlan:
    """What to make of a record.

    Args:
        topic: the topic, or a function of the record.
        value: the format of the values.
        key: returns the key of a record, as bytes or text; None for none.
        partitioner: chooses a partition by key and number of partitions; None by the key's hash,
            and round robin without a key.
        headers: returns the headers of a record.
        timestamp: returns the time of a record in milliseconds UTC; None for now.
    """

    topic: str | Callable[[Any], str]
    value: Format[Any]
    key: Callable[[Any], bytes | str | None] | None = None
    partitioner: Partitioner | None = None
    headers: Callable[[Any], Headers | None] | None = None
    timestamp: Callable[[Any], int] | None = None

    def to_config(self) -> dict[str, Any]:
        """Return what the user said, by the names of the sink's arguments."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


_LEAST_EPOCH: Final = 1 << 20
_LEAST_RATIO: Final = 2
"""A transaction is open from one barrier to the next, and until its commit: two intervals at least."""


@dataclass(frozen=True, slots=True)
class Transactions:
    """How an exactly-once sink uses transactions.

    Args:
        prefix: begins its transactional ids and the group of its marks; None for job and uid.
        marks: the topic on which the marks are.
        timeout_ms: after which a broker aborts what a dead process left open.
        max_bytes: what the epochs that are written or wait for their commit may hold.
        commit_timeout: how long a commit is tried before the job restarts.
    """

    prefix: str | None
    marks: str
    timeout_ms: int
    max_bytes: int
    commit_timeout: timedelta

    def to_config(self) -> dict[str, Any]:
        """Return what the user said, by the names of the sink's arguments."""
        return {
            "transactional_id": self.prefix,
            "marks_topic": self.marks,
            "transaction_timeout": timedelta(milliseconds=self.timeout_ms),
            "epoch_max_bytes": self.max_bytes,
            "commit_timeout": self.commit_timeout,
        }

    def __post_init__(self) -> None:
        if self.max_bytes < _LEAST_EPOCH:
            raise ConfigError(f"epoch_max_bytes must be at least {_LEAST_EPOCH:,}, not {self.max_bytes:,}")

    def check_interval(self, interval: timedelta | None) -> None:
        """Refuse a timeout that would end transactions before their commit.

        Args:
            interval: between two checkpoints; None if they are not taken by time.
        """
        if interval is None or timedelta(milliseconds=self.timeout_ms) >= _LEAST_RATIO * interval:
            return
        raise ConfigError(
            f"transaction_timeout is {self.timeout_ms / 1000:g} s, yet a checkpoint is taken every "
            f"{interval.total_seconds():g} s: the broker would abort transactions before their commit",
            hint=f"expected at least {_LEAST_RATIO} intervals: raise transaction_timeout (and the broker's "
            "transaction.max.timeout.ms), or lower checkpoint_interval",
        )
