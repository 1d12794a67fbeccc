"""KafkaSink keeps the contract of sinks, on a real broker, read by another client."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from connectors import KafkaSink
from pipeline.testing.connectors import SinkVerification, TwoPhaseSinkVerification
from tests.integration.kafka.readers import open_transactions, read_committed
from tests.kafka_broker import Topics


class TestExactlyOnce(TwoPhaseSinkVerification):
    EVERY: ClassVar = 1 if "PIPELINE_KILLS" in os.environ else 9

    @pytest.fixture(autouse=True)
    def _broker(self, kafka: str, topic: Topics) -> None:
        self.address = kafka
        self.topics = topic
        self.sinks: list[KafkaSink] = []
        self.clear()

    def clear(self) -> None:
        self.name = self.topics()

    def create_sink(self) -> KafkaSink:
        self.sinks.append(
            KafkaSink(
                self.name,
                bootstrap_servers=self.address,
                transactional_id="contract",
                config={"linger.ms": 0},
            )
        )
        return self.sinks[-1]

    def abandon(self) -> None:
        """End the clients, as a killed process does: what they have open stays so with the broker.

        Left to themselves they would be fenced over and over, and librdkafka ends the process when it
        finds a transaction in a state that it did not expect.
        """
        while self.sinks:
            self.sinks.pop().close()

    def record(self, index: int) -> Any:
        return {"id": index}

    def visible(self) -> Sequence[Any]:
        return [json.loads(value) for value in read_committed(self.address, self.name)]

    def left_behind(self) -> Sequence[Any]:
        return open_transactions(self.address, "contract")


class TestAtLeastOnce(SinkVerification):
    @pytest.fixture(autouse=True)
    def _broker(self, kafka: str, topic: Topics) -> None:
        self.address = kafka
        self.name = topic()

    def create_sink(self) -> KafkaSink:
        return KafkaSink(self.name, bootstrap_servers=self.address, guarantee="at-least-once")

    def record(self, index: int) -> Any:
        return {"id": index}

    def visible(self) -> Sequence[Any]:
        return [json.loads(value) for value in read_committed(self.address, self.name)]
