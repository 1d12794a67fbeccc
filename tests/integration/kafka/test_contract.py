"""KafkaSource keeps the contract of sources, on a real broker."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import Producer

from connectors import KafkaSource
from pipeline.testing.connectors import SourceVerification
from tests.integration.kafka.conftest import write_to
from tests.kafka_broker import TIMEOUT, Topics


class KafkaSourceVerification(SourceVerification[Any]):
    """A topic for each number of records, written once."""

    @pytest.fixture(autouse=True)
    def _broker(self, kafka: str, topic: Topics) -> None:
        self.address = kafka
        self.topic = topic
        self.written: dict[int, str] = {}

    def create_source(self, records: int) -> KafkaSource[Any]:
        if records not in self.written:
            self.written[records] = self.topic()
            self.write(self.written[records], records)
        return KafkaSource(
            self.written[records],
            bootstrap_servers=self.address,
            stop="latest",
            config={"fetch.wait.max.ms": 20},  # an end is seen when this is over
        )

    def write(self, name: str, records: int) -> None:
        write_to(self.address, name, range(records))

    def expected(self, records: int) -> list[Any]:
        return list(range(records))


class TestPlainTopic(KafkaSourceVerification):
    pass


class TestTopicOfTransactions(KafkaSourceVerification):
    """Offsets with gaps: marks of commits and aborts between the records, aborted records, a mark last."""

    def write(self, name: str, records: int) -> None:
        producer = Producer({"bootstrap.servers": self.address, "transactional.id": name})
        producer.init_transactions(TIMEOUT)
        for first in range(0, records, 2):
            for value, end in ((b"-1", producer.abort_transaction), (None, producer.commit_transaction)):
                producer.begin_transaction()
                for record in range(first, min(first + 2, records)):
                    producer.produce(name, value or b"%d" % record)
                producer.flush(TIMEOUT)  # else an abort takes back what was never sent
                end(TIMEOUT)
