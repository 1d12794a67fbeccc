"""The reactive core: streams whose subscribers say how many records they want (`request(n)`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.exports import lazy_exports

if TYPE_CHECKING:
    from pipeline.reactive.flux import Flux
    from pipeline.reactive.operators.filter import filter  # noqa: A004 - the name in Rx
    from pipeline.reactive.operators.map import map  # noqa: A004 - the name in Rx
    from pipeline.reactive.sources.iterable import from_iterable

__all__ = ["Flux", "filter", "from_iterable", "map"]

__getattr__ = lazy_exports(
    __name__,
    {
        "Flux": "pipeline.reactive.flux",
        "filter": "pipeline.reactive.operators.filter",
        "from_iterable": "pipeline.reactive.sources.iterable",
        "map": "pipeline.reactive.operators.map",
    },
)
