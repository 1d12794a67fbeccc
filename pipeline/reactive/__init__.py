"""The reactive core: streams whose subscribers say how many records they want (`request(n)`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.exports import lazy_exports

if TYPE_CHECKING:
    from pipeline.reactive.flux import Flux

__all__ = ["Flux"]

__getattr__ = lazy_exports(__name__, {"Flux": "pipeline.reactive.flux"})
