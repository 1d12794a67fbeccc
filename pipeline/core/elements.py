"""Control elements: what travels in the stream between the records, beside the barriers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EndOfInput:
    """No record will follow on this edge; barriers still may."""


END_OF_INPUT = EndOfInput()
