"""`python -m tests.integration.kafka.guarded_writer ADDRESS TOPIC MARKS`: write one epoch as the user `job`.

A process of its own: what the client keeps of a producer that was refused ends with it. It prints an
error as JSON, or nothing.
"""

from __future__ import annotations

import json
import sys

from connectors import KafkaSink
from pipeline.core.errors import PipelineError
from pipeline.testing.drivers import VerificationSinkContext


def write(address: str, topic: str, marks: str) -> None:
    """Go through the life of a sink that writes three records."""
    sink = KafkaSink(
        topic,
        bootstrap_servers=address,
        transactional_id=topic,
        marks_topic=marks,
        config={
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanisms": "PLAIN",
            "sasl.username": "job",
            "sasl.password": "geheim",
        },
    )
    try:
        sink.open(VerificationSinkContext())
        sink.recover_and_abort([])
        txn = sink.begin_transaction()
        sink.invoke_batch(txn, range(3), VerificationSinkContext())
        handle = sink.pre_commit(txn)
        assert handle is not None
        sink.commit(handle)
    finally:
        sink.close()


if __name__ == "__main__":
    try:
        write(*sys.argv[1:])
    except PipelineError as error:
        print(json.dumps({"error": str(error), "retryable": error.retryable}))
