"""map_batches: a list of records in, a list of records out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.operators.base import Step, Yields


@dataclass(frozen=True, slots=True)
class MapBatches(Step):
    """Replace each batch by the list the function returns for it; batches are what is there at the time.

    Since the function sees a whole batch, an error concerns the whole batch: skip drops it,
    dead-letter stores each of its records. The results carry no timestamps unless there is one for
    each record that went in.
    """

    kind: ClassVar[str] = "map_batches"
    yields: ClassVar[Yields] = Yields.BATCH
