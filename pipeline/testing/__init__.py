"""What tests of jobs, operators, connectors and publishers are written with; it ships with the product."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.exports import lazy_exports

if TYPE_CHECKING:
    from pipeline.testing.assert_subscriber import AssertSubscriber
    from pipeline.testing.clock import ManualClock
    from pipeline.testing.connectors import SinkVerification, SourceVerification, TwoPhaseSinkVerification
    from pipeline.testing.harness import OperatorHarness
    from pipeline.testing.publisher import TestPublisher, Violation
    from pipeline.testing.step_verifier import StepVerifier

__all__ = [
    "AssertSubscriber",
    "ManualClock",
    "OperatorHarness",
    "SinkVerification",
    "SourceVerification",
    "StepVerifier",
    "TestPublisher",
    "TwoPhaseSinkVerification",
    "Violation",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "AssertSubscriber": "pipeline.testing.assert_subscriber",
        "ManualClock": "pipeline.testing.clock",
        "OperatorHarness": "pipeline.testing.harness",
        "SinkVerification": "pipeline.testing.connectors",
        "SourceVerification": "pipeline.testing.connectors",
        "StepVerifier": "pipeline.testing.step_verifier",
        "TestPublisher": "pipeline.testing.publisher",
        "TwoPhaseSinkVerification": "pipeline.testing.connectors",
        "Violation": "pipeline.testing.publisher",
    },
)
