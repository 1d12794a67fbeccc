"""At least once: records are visible as they are written, and all of them are before a barrier passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.kafka.delivery import Delivery, Epoch
from connectors.kafka.outgoing import Outgoing
from connectors.kafka.producing import Writer
from pipeline.core.errors import InternalError, SinkError
from pipeline.spi.sink import CommitOutcome


class AtLeastOnce(Delivery):
    """One idempotent producer: no transaction, no log, no mark, nothing to commit."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._written = 0

    @property
    def wants_more(self) -> bool:
        return True

    def begin(self) -> Epoch:
        return {"number": 0, "lineage": "", "logs": [], "ids": [], "group": "", "marks": ""}

    def write(self, outgoing: Outgoing) -> None:
        self._writer.write(outgoing)
        self._written += len(outgoing.values)

    def flush(self) -> None:
        self._writer.flush()

    def pre_commit(self, epoch: Epoch) -> None:
        return None

    def join(self, older: Epoch, younger: Epoch) -> Epoch:
        raise InternalError("an at-least-once sink has no epochs to join")

    def commit(self, epoch: Epoch) -> CommitOutcome:
        raise SinkError(
            "the checkpoint has decided a transaction, and this sink is at-least-once",
            retryable=False,
            hint="start the job once more with guarantee='exactly-once', then change it",
        )

    def abort(self, epoch: Epoch) -> None:
        """What is written stays."""

    def recover_and_commit(self, epoch: Epoch) -> CommitOutcome:
        return self.commit(epoch)

    def recover_and_abort(self, keep: Sequence[Epoch]) -> None:
        """Earlier attempts leave nothing that could be taken back."""

    def snapshot(self) -> dict[str, Any]:
        return {"type": "kafka", "rows_written": self._written}

    def restore(self, state: dict[str, Any]) -> None:
        self._written = state.get("rows_written", 0)

    def close(self) -> None:
        self._writer.close()
