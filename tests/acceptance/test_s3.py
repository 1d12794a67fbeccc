"""Checkpoints on a real S3 server: killed at every crash point, taken over, refused, without rights."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from checkpoint.storage.objects.s3 import S3Store
from tests.minio_server import S3Server

from .conftest import Workshop
from .numbers_job import write_input

COUNT = 3000
POINTS = ["P17", "P0:2", "P1", "P3", "P4", "P5", "P6", "P7", "P10", "P14", "P15"]


@pytest.fixture
def bucket(s3: S3Server) -> Iterator[S3Store]:
    """What lies in the bucket that the jobs of the test use."""
    store = s3.open(s3.new_bucket())
    yield store
    store.close()


@pytest.fixture
def shop(s3: S3Server, bucket: S3Store, workshop: Callable[..., Any]) -> Workshop:
    """Running sums whose checkpoints go to the bucket."""
    shop: Workshop = workshop("sums", PIPELINE_CHECKPOINT_DIR=f"{bucket.location}/jobs", **s3.environment)
    write_input(shop.folder, COUNT)
    return shop


def sums() -> dict[str, bytes]:
    totals: dict[int, int] = {}
    lines = ["key,sum"]
    for n in range(COUNT):
        totals[n % 10] = totals.get(n % 10, 0) + n
        lines.append(f"{n % 10},{totals[n % 10]}")
    return {"sums.csv": ("\n".join(lines) + "\n").encode()}


@pytest.mark.timeout(300)
def test_every_crash_point_is_survived(shop: Workshop, bucket: S3Store) -> None:
    """One execution that dies at all of them writes each record once; what it stored is cleaned up."""
    for point in POINTS:
        shop.die_at(point)
    done = shop.complete()
    assert "continues from checkpoint" in done.stderr
    assert shop.outputs() == sums()
    assert shop.leftovers() == []
    manifests = [json.loads(bucket.get(key) or b"") for key in bucket.list("jobs/sums/manifests/")]
    needed = {f"jobs/sums/parts/{part['name']}" for manifest in manifests for part in manifest["parts"]}
    assert set(bucket.list("jobs/sums/parts/")) == needed
    others = {key.split("/")[2] for key in bucket.list("jobs/sums/")} - {"manifests", "parts"}
    assert others == {"log"}, "neither a lease nor a proof"


def test_a_second_run_is_refused(shop: Workshop) -> None:
    """While the first lives, wherever it runs; the error says when that ends by itself."""
    running = shop.start(PACE="1")
    wait_for_claim(shop, running)
    refused = shop.run()
    assert refused.returncode == 2
    assert f"sums is running already: process {running.pid} on" in refused.stderr
    assert "--take-over" in refused.stderr


def test_a_run_that_was_taken_over_decides_nothing(shop: Workshop) -> None:
    """Stopped just before its manifest counts, taken over, and continued when all is done."""
    stopped = shop.stand_still_at("P6:2")
    shop.complete("--take-over")
    assert shop.outputs() == sums()
    stopped.send_signal(signal.SIGCONT)
    _, err = stopped.communicate(timeout=60)
    assert stopped.returncode == 1, err
    assert "has taken the job over" in err
    assert shop.outputs() == sums()
    assert shop.leftovers() == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"PIPELINE_CHECKPOINT_DIR": "s3://not-there/jobs"}, "create the bucket not-there"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "check the access key, the secret key and the region"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "check the access key, the secret key and the region"),
        ({"PIPELINE_S3_ENDPOINT": "localhost:9000"}, "the S3 endpoint must be a URL such as"),
        ({"PIPELINE_CHECKPOINT_DIR": "gopher://there/jobs"}, "expected a folder or s3://bucket/prefix"),
    ],
)
def test_what_is_set_wrongly_is_named(wrong: dict[str, str], said: str, shop: Workshop) -> None:
    """In one line, and before a record is read."""
    done = shop.run(**wrong)
    assert done.returncode in {1, 2}
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert shop.outputs() == {}


def wait_for_claim(shop: Workshop, running: Any) -> None:
    """Wait until a run says that it has begun."""
    for line in running.stderr:
        if "starts afresh" in line:
            return
    pytest.fail("the run never began")
