"""Where brokers keep a transaction: as Kafka's own `partitionFor`, with the hash of Java's strings."""

from __future__ import annotations

import pytest

from connectors.kafka.witness import transaction_partition


@pytest.mark.parametrize(
    ("transactional_id", "hashed"),
    [
        ("", 0),
        ("a", 97),
        ("hello", 99_162_322),
        ("Hello, World!", 1_498_789_909),
        ("pipeline-job", 359_569_938),
        ("\N{GRINNING FACE}", 1_772_899),  # two units of UTF-16: 31 * 0xD83D + 0xDE00
        ("polygenelubricants", 0),  # the least number there is, which has no absolute value
    ],
)
def test_the_partition_follows_java_s_hash(transactional_id: str, hashed: int) -> None:
    assert transaction_partition(transactional_id, 50) == hashed % 50
    assert transaction_partition(transactional_id, 1 << 40) == hashed
