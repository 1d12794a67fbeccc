"""What an attempt continues from: which checkpoint, under which names."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Manifest
from checkpoint.storage.base import StorageAttempt
from pipeline.core.errors import CheckpointError, ConfigError
from pipeline.core.job import JobStatus
from pipeline.core.run_options import RunOptions
from pipeline.graph.plan import JobPlan
from pipeline.runtime.manifests import Execution
from pipeline.runtime.matching import check_matches

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """One attempt's rights, and the checkpoint it begins with; None for the beginning of the input.

    Args:
        given_up: the last checkpoint of a run that did not complete and is not continued.
    """

    storage: StorageAttempt
    manifest: Manifest | None
    given_up: Manifest | None = None

    @property
    def restored(self) -> int | None:
        """The id of the checkpoint it begins with."""
        return None if self.manifest is None else self.manifest.checkpoint_id


class Continuation:
    """Decides for each attempt of a run what it continues from.

    Args:
        plan: the job.
        options: what the run does about earlier ones.
        max_parallelism: key groups.
    """

    def __init__(self, plan: JobPlan, options: RunOptions, max_parallelism: int) -> None:
        self._plan = plan
        self._options = options
        self._max_parallelism = max_parallelism
        self._begun = False
        self._went_back = False
        self._lineage = ""
        self.execution_id = ""

    def choose(self, storage: StorageAttempt) -> Claimed:
        """Decide which checkpoint an attempt begins with.

        Raises:
            ConfigError: the one asked for does not exist.
            CheckpointError: it cannot be restored.
        """
        manifest = self._choose(storage)
        return Claimed(storage, manifest, self._given_up(storage) if manifest is None else None)

    def is_complete(self, manifest: Manifest) -> bool:
        """Whether a checkpoint covers all input: what it decided is all there is to do.

        The last one of a run does. So does one that began for another reason, by rows or by time,
        and was taken after the end of the input.
        """
        if manifest.kind is CheckpointKind.FINAL:
            return True
        return len(self._plan.ended(manifest.ended)) == len(self._plan.vertices)

    def is_over(self, manifest: Manifest) -> bool:
        """Whether nothing can continue from a checkpoint: its source is gone with another process."""
        if self._begun or self._options.restore_from is not None or self.is_complete(manifest):
            return False
        return not self._plan.stream.durable

    def execution(self, claimed: Claimed | None) -> Execution:
        """Keep the names of an execution that is continued, make new ones for one that begins."""
        execution_id, lineage = _new_execution_id(), secrets.token_hex(8)
        last = None if claimed is None else claimed.storage.history.last
        if claimed is not None and claimed.manifest is not None and last is not None and not self._went_back:
            lineage = last.lineage
            if last.status is None:  # it was killed
                execution_id = last.execution_id
        if self._begun:
            execution_id, lineage = self.execution_id, self._lineage
        self.execution_id, self._lineage = execution_id, lineage
        return Execution(
            self._plan.stream,
            execution_id,
            lineage,
            self._max_parallelism,
            {node.uid: vertex.parallelism for vertex in self._plan.vertices for node in vertex.nodes},
            self._plan.lanes(),
        )

    def record(self, claimed: Claimed, execution: Execution) -> None:
        """Make sure that the job can continue from its checkpoint, and record what the attempt works on.

        Raises:
            CheckpointError: the checkpoint does not fit the job.
        """
        storage, manifest = claimed.storage, claimed.manifest
        if manifest is not None:
            check_matches(
                manifest,
                execution,
                noted=storage.history.is_noted(manifest.checkpoint_id),
                allow_unmatched=self._options.allow_unmatched,
            )
        storage.begin(
            execution_id=execution.execution_id, lineage=execution.lineage, restored=claimed.restored
        )

    def begin(self) -> None:
        """Let the attempts that follow continue this very run."""
        self._begun = True

    def _choose(self, storage: StorageAttempt) -> Manifest | None:
        if self._begun:
            return storage.latest()
        if self._options.fresh:
            return None
        if self._options.restore_from is not None:
            return self._go_back(storage, self._options.restore_from)
        manifest, last = storage.latest(), storage.history.last
        # Only the run's own word makes it complete: one killed between its last note and that word is not.
        said_so = last is not None and last.status == JobStatus.COMPLETED
        return None if said_so else manifest

    def _given_up(self, storage: StorageAttempt) -> Manifest | None:
        """Find what was started over: now, or by an attempt that died before its first checkpoint."""
        there = storage.history.checkpoints
        if not there or not (self._options.fresh or self._plan.stream.durable):
            return None
        try:
            manifest = storage.load(there[-1])
        except CheckpointError as error:
            _log.warning("cannot determine what the previous run has written: %s", error)
            return None
        return manifest if manifest.kind in (CheckpointKind.PERIODIC, CheckpointKind.STOP) else None

    def _go_back(self, storage: StorageAttempt, checkpoint_id: int) -> Manifest:
        there = storage.history.checkpoints
        if checkpoint_id not in there:
            raise ConfigError(
                f"there is no checkpoint {checkpoint_id} to restore",
                hint=f"the stored ones are: {', '.join(map(str, there)) or 'none'}",
            )
        newest = there[-1]
        manifest = storage.load(checkpoint_id)
        self._went_back = checkpoint_id != newest
        if self._went_back and not self._options.accept_duplicates:
            raise CheckpointError(
                f"checkpoint {checkpoint_id} is older than {newest}: what was committed since then "
                "would be written again",
                retryable=False,
                hint="to accept that, add --accept-duplicates",
            )
        return manifest


def _new_execution_id() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
