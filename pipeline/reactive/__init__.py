"""The reactive core: streams whose subscribers say how many records they want (`request(n)`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.exports import lazy_exports

if TYPE_CHECKING:
    from pipeline.reactive.flux import Flux
    from pipeline.reactive.operators.map import map  # noqa: A004 - the name in Rx

__all__ = ["Flux", "map"]

__getattr__ = lazy_exports(
    __name__,
    {
        "Flux": "pipeline.reactive.flux",
        "map": "pipeline.reactive.operators.map",
    },
)
