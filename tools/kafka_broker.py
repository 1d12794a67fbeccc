"""Run a Kafka in the foreground until it is interrupted: `make kafka`, and name its address."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from connectors.kafka.embedded import EmbeddedKafka
from pipeline.core.errors import PipelineError


def main(folder: str = ".demo/kafka") -> int:
    """Start the broker of `folder`, unless PIPELINE_KAFKA names one already."""
    given = os.environ.get("PIPELINE_KAFKA")
    if given:
        print(f"PIPELINE_KAFKA names a broker already: {given}")
        return 0
    ends = {signal.SIGINT, signal.SIGTERM}
    try:
        with EmbeddedKafka(Path(folder)) as broker:
            # Blocked, so that the wait takes them; only now, since the broker would inherit it.
            signal.pthread_sigmask(signal.SIG_BLOCK, ends)
            print(f"# data and log: {broker.folder}; Ctrl-C stops it")
            print(f"export PIPELINE_KAFKA={broker.address()}", flush=True)
            signal.sigwait(ends)
    except PipelineError as error:
        print(f"make kafka: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
