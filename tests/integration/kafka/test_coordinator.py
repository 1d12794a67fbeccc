"""A group's coordinator that is not ready, or has moved, is waited for; it never ends the process.

librdkafka's admin client crashes on such an answer (its issues 5040 and 5397), so each question is asked
in a process of its own. `PIPELINE_FRESH_BROKERS` sets how many brokers are started; 200 in `make soak`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors.kafka.embedded import EmbeddedKafka
from tests.integration.kafka.conftest import write_to
from tests.integration.kafka.readers import read_committed
from tests.kafka_broker import Topics
from tests.kafka_proxy import KafkaProxy

LONG = int(os.environ.get("PIPELINE_KILLS", "3")) >= 100
BROKERS = int(os.environ.get("PIPELINE_FRESH_BROKERS", "200" if LONG else "1"))

READ_AS_GROUP = """
import sys
from connectors import KafkaSource
from pipeline.testing.connectors import SourceDriver

address, topic = sys.argv[1:]
with SourceDriver(KafkaSource(topic, bootstrap_servers=address, start="group", group_id=topic)) as driver:
    print(driver.take(2))
"""


def run(*arguments: str) -> str:
    """Run Python to its end, which is not to be a crash, and return what it printed."""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, *arguments], check=False, cwd=root, stdout=subprocess.PIPE, text=True, timeout=100
    )
    assert done.returncode == 0, "-11 is a crash"
    return done.stdout


def write_an_epoch(address: str, topic: str) -> None:
    assert run("-m", "tests.integration.kafka.guarded_writer", address, topic, f"marks-{topic}", "{}") == ""


def test_a_sink_waits_for_the_coordinator_of_its_marks(
    crashable_kafka: EmbeddedKafka, kafka_proxy: KafkaProxy
) -> None:
    topics = Topics(crashable_kafka.address())
    name = topics()
    kafka_proxy.move_coordinator(3)
    write_an_epoch(crashable_kafka.address("PROXIED"), name)
    assert kafka_proxy.refusals_left == 0
    assert len(read_committed(crashable_kafka.address(), name)) == 3
    topics.delete_all()


def test_a_source_waits_for_the_coordinator_of_its_group(
    crashable_kafka: EmbeddedKafka, kafka_proxy: KafkaProxy
) -> None:
    topics = Topics(crashable_kafka.address())
    name = topics()
    write_to(crashable_kafka.address(), name, range(5))
    consumer = Consumer({"bootstrap.servers": crashable_kafka.address(), "group.id": name})
    consumer.commit(offsets=[TopicPartition(name, 0, 3)], asynchronous=False)
    consumer.close()
    kafka_proxy.move_coordinator(3)
    assert run("-c", READ_AS_GROUP, crashable_kafka.address("PROXIED"), name) == "[3, 4]\n"
    assert kafka_proxy.refusals_left == 0
    topics.delete_all()


@pytest.mark.timeout(7200)
def test_the_first_groups_of_fresh_brokers_end_no_process(tmp_path: Path) -> None:
    """Their coordinator starts with the first question, and answers the next ones before it is ready."""
    for number in range(BROKERS):
        with EmbeddedKafka(tmp_path / str(number)) as broker, ThreadPoolExecutor(2) as pool:
            topics = Topics(broker.address())
            names = [topics(), topics()]
            list(pool.map(write_an_epoch, [broker.address()] * 2, names))
            assert [len(read_committed(broker.address(), name)) for name in names] == [3, 3]
