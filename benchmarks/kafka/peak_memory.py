"""`python -m benchmarks.kafka.peak_memory SERVERS TOPIC INTO FOLDER`: copy, print the peak memory in MB."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.kafka.jobs import copy
from benchmarks.peak_memory import peak_megabytes

if __name__ == "__main__":
    servers, topic, into, folder = sys.argv[1:]
    copy(servers, topic, into, Path(folder))
    print(peak_megabytes())
