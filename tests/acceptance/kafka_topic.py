"""The topic that `jobs/kafka.py` writes to, as a client sees it that is not the engine's."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass

from tests.integration.kafka.readers import read_committed, transactions
from tests.kafka_broker import TIMEOUT, Topics


@dataclass(frozen=True)
class Topic:
    """A topic of numbers, each once and those of a key in their order."""

    address: str
    name: str

    def read(self) -> list[int]:
        """Return the committed numbers, partition after partition."""
        rows = [json.loads(value) for value in read_committed(self.address, self.name)]
        assert all(row["doubled"] == 2 * row["n"] for row in rows)
        return [row["n"] for row in rows]

    def expect_prefix(self, what: object) -> None:
        """Whatever is visible is the beginning of the input, each number once."""
        numbers = self.read()
        assert sorted(numbers) == list(range(len(numbers))), what

    def expect_all(self, count: int, what: object) -> None:
        """Every number is there once, those of each key in their order."""
        numbers = self.read()
        assert sorted(numbers) == list(range(count)), what
        by_key: dict[int, list[int]] = defaultdict(list)
        for number in numbers:
            by_key[number % 5].append(number)
        assert all(of_key == sorted(of_key) for of_key in by_key.values()), what

    def open_transactions(self) -> list[str]:
        """Return the ids of the job's transactions that are open."""
        return transactions(self.address, self.name, "Ongoing")

    def aborted_transactions(self) -> list[str]:
        """Return those of the job's ids whose last transaction was aborted."""
        return transactions(self.address, self.name, "CompleteAbort")

    def delete_topic(self, name: str) -> None:
        """Delete another topic of the broker, and wait until it is gone."""
        topics = Topics(self.address)
        topics.admin.delete_topics([name], operation_timeout=TIMEOUT)[name].result(TIMEOUT)
