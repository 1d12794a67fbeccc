"""The command with a protocol bug planted in it: `python planted.py BUG run FILE.py …`."""

from __future__ import annotations

import sys
from typing import Any

from pipeline.cli.main import main
from pipeline.runtime.checkpoints import Checkpoints
from pipeline.spi.source import PollingSource


def commit_before_the_manifest() -> None:
    persist = Checkpoints._persist

    def bugged(self: Any, checkpoint_id: int, kind: Any, snapshots: Any) -> Any:
        self._commits.commit(checkpoint_id)
        return persist(self, checkpoint_id, kind, snapshots)

    Checkpoints._persist = bugged  # type: ignore[method-assign]


def position_too_early() -> None:
    """Read one batch ahead and count it as emitted."""

    def run(self: Any, ctx: Any) -> None:
        self.seek(self._position)
        ahead = self.poll(min(ctx.wait_demand(), ctx.batch_limit))
        while ahead is not None and (demand := ctx.wait_demand()):
            polled, ahead = ahead, self.poll(min(demand, ctx.batch_limit))
            with ctx.checkpoint_lock:
                ctx.emit(polled.values, polled.timestamps, polled.origins)
                self._position = polled.position if ahead is None else ahead.position

    PollingSource.run = run  # type: ignore[method-assign]


def position_too_late() -> None:
    """Count a batch as emitted when the next one is."""

    def run(self: Any, ctx: Any) -> None:
        self.seek(self._position)
        behind = self._position
        while demand := ctx.wait_demand():
            polled = self.poll(min(demand, ctx.batch_limit))
            if polled is None:
                return
            with ctx.checkpoint_lock:
                ctx.emit(polled.values, polled.timestamps, polled.origins)
                self._position, behind = behind, polled.position

    PollingSource.run = run  # type: ignore[method-assign]


def mark_left_out() -> None:
    """Commit transactions that say nothing of their epoch."""
    from connectors.kafka.mark_shelf import MarkShelf

    write = MarkShelf.write

    def bugged(self: Any, writer: Any, number: int, epoch: Any = None) -> None:
        if epoch is not None or number == 0:
            write(self, writer, number, epoch)

    MarkShelf.write = bugged  # type: ignore[method-assign]


def log_dropped_too_early() -> None:
    """Forget the log of an epoch before its commit is noted."""
    from pipeline.runtime.epoch_logs import SinkLogs

    SinkLogs.needed = lambda self: []  # type: ignore[method-assign]


BUGGED = (
    commit_before_the_manifest,
    position_too_early,
    position_too_late,
    mark_left_out,
    log_dropped_too_early,
)
BUGS = {bug.__name__: bug for bug in BUGGED}

if __name__ == "__main__":
    BUGS[sys.argv.pop(1)]()
    main()
