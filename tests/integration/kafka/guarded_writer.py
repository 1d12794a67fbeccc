"""`python -m tests.integration.kafka.guarded_writer ADDRESS TOPIC MARKS [CONFIG]`: write one epoch.

CONFIG is the client's, as JSON; by default it logs in as the user `job`. A process of its own: what
the client keeps of a producer that was refused ends with it, and a crash of the client ends no test run.
It prints an error as JSON, or nothing.
"""

from __future__ import annotations

import json
import sys

from connectors import KafkaSink
from pipeline.core.errors import PipelineError
from pipeline.testing.drivers import VerificationSinkContext

AS_JOB = json.dumps(
    {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanisms": "PLAIN",
        "sasl.username": "job",
        "sasl.password": "geheim",
    }
)


def write(address: str, topic: str, marks: str, config: str = AS_JOB) -> None:
    """Go through the life of a sink that writes three records."""
    sink = KafkaSink(
        topic,
        bootstrap_servers=address,
        transactional_id=topic,
        marks_topic=marks,
        config=json.loads(config),
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
