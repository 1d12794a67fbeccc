"""From Kafka to Kafka while no broker can be reached: the command waits, and continues by itself.

Covers of FAULTS 1: broker unreachable 30 s; half-open TCP. 30 s with `PIPELINE_KILLS=100` or more.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from connectors.kafka.embedded import EmbeddedKafka
from pipeline.cli.main import EXIT_STOPPED
from tests.integration.kafka.readers import open_transactions
from tests.kafka_broker import Topics
from tests.tcp_proxy import TcpProxy

from .conftest import Workshop
from .kafka_load import PARTITIONS, Copies, Load, Reader
from .waiting import wait_for

OUTAGE_S = 30 if int(os.environ.get("PIPELINE_KILLS", "3")) >= 100 else 3
RECORDS = 20_000


@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_a_copy_outlives_a_network_that_swallows_everything(
    crashable_kafka: EmbeddedKafka, kafka_proxy: TcpProxy, workshop: Callable[..., Workshop]
) -> None:
    """One process, each record once and in order, and no more memory while it waits.

    Others write all the time: what came meanwhile is there a moment after the network is.
    """
    address, through = crashable_kafka.address(), crashable_kafka.address("PROXIED")
    topics = Topics(address)
    source, into = topics(PARTITIONS), topics(PARTITIONS)
    shop = workshop("streams", PIPELINE_KAFKA=through, TOPIC=source, INTO=into, WORK="copy")
    load, copies, over = Load(address, source, RECORDS, OUTAGE_S + 3), Copies(RECORDS), threading.Event()
    reader = Reader(address, into, copies)
    with ThreadPoolExecutor() as pool:
        written, read = pool.submit(load.write), pool.submit(reader.read, over)
        try:
            process = shop.start()
            wait_for(lambda: copies.seen > 500, "the first commits")
            before = psutil.Process(process.pid).memory_info().rss
            kafka_proxy.blackhole()
            assert not kafka_proxy.wait_cut(OUTAGE_S)
            seen = copies.seen
            grown = (psutil.Process(process.pid).memory_info().rss - before) / 1e6
            kafka_proxy.heal()
            wait_for(lambda: copies.complete or process.poll() is not None, "the rest", timeout=60)
        finally:
            load.stopped.set()
            over.set()
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == EXIT_STOPPED, err
    written.result()
    assert read.result() == RECORDS
    assert seen < RECORDS, "the network was gone before all was through"
    assert grown < 20, "megabytes"
    assert open_transactions(address, into) == []
    print(f"{seen} of {RECORDS} through before an outage of {OUTAGE_S} s, {grown:.1f} MB more in it")
    topics.delete_all()
