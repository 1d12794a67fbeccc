"""Control elements: what travels in the stream between the records, beside the barriers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class EndOfInput:
    """No record will follow on this edge; barriers still may."""


END_OF_INPUT = EndOfInput()


@dataclass(frozen=True, slots=True)
class EndOfOneInput:
    """One of several inputs of an operator has ended; it goes no further than that operator."""

    input_index: int


BEGINNING: Final = -(2**63)
"""The event time of a stream that has said nothing yet: before every timestamp."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """Event time has come to `timestamp`, milliseconds UTC: what is not later than it has come, or is late.

    One with the timestamp of the last one says that an idle edge expects records again.
    """

    timestamp: int


@dataclass(frozen=True, slots=True)
class Idle:
    """No record is expected on this edge for now: its event time is not waited for."""


IDLE = Idle()

TimeElement = Watermark | Idle
