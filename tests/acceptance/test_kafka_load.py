"""A copy and a job with windows, from Kafka to Kafka, killed at random under load.

With `PIPELINE_KILLS=100` or more, as in `make soak`, over a million records and more.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from .kafka_load import run

KILLS = int(os.environ.get("PIPELINE_KILLS", "3"))


@pytest.mark.timeout(7200)
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_every_result_is_seen_once(kafka: str, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    print(*run(kafka, tmp_path, KILLS, 10_000 * KILLS, seed), sep="\n")
