"""The rules of reactive-streams 1.0.4 as suites: an implementer writes two factories and inherits.

    class TestNumbers(PublisherVerification[int]):
        def create_publisher(self, elements: int) -> Flux[int]: ...
        def create_failed_publisher(self) -> Flux[int]: ...

pytest collects the subclass; the suites themselves are not collected. Each test carries the number of
its rule and says what to look at if it fails. `required` must hold; `optional` is what the
rules leave open; `stochastic` can miss a fault but never invents one.
What no test can see is listed in docs/conformance.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.exports import lazy_exports

if TYPE_CHECKING:
    from pipeline.testing.tck.processor import ProcessorVerification
    from pipeline.testing.tck.publisher import PublisherVerification
    from pipeline.testing.tck.publishing import ENDLESS
    from pipeline.testing.tck.subscriber_blackbox import SubscriberBlackboxVerification
    from pipeline.testing.tck.subscriber_whitebox import SubscriberWhiteboxVerification

__all__ = [
    "ENDLESS",
    "ProcessorVerification",
    "PublisherVerification",
    "SubscriberBlackboxVerification",
    "SubscriberWhiteboxVerification",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "ENDLESS": "pipeline.testing.tck.publishing",
        "ProcessorVerification": "pipeline.testing.tck.processor",
        "PublisherVerification": "pipeline.testing.tck.publisher",
        "SubscriberBlackboxVerification": "pipeline.testing.tck.subscriber_blackbox",
        "SubscriberWhiteboxVerification": "pipeline.testing.tck.subscriber_whitebox",
    },
)
