"""A real S3 server through a failing network: the checkpoint fails, the job does not, nothing is left."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checkpoint.storage.objects import s3 as client
from checkpoint.storage.objects.s3 import S3Options, S3Store
from connectors import CollectionSource, FileSink
from pipeline import JobConfig, StreamJob
from pipeline.core.errors import CheckpointError
from pipeline.core.restart import RestartStrategy
from pipeline.runtime.events import CheckpointFailed, JobEvent, Restarting
from tests.http_proxy import HttpProxy
from tests.minio_server import S3Server

ROWS = 3000


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[HttpProxy]:
    with HttpProxy(s3.endpoint.partition("://")[2]) as proxy:
        yield proxy


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that never comes is not waited for as long as by users."""
    monkeypatch.setattr(client, "ANSWER_S", 0.5)
    monkeypatch.setattr(client, "_FIRST_PAUSE_S", 0.01)


class Fails:
    """A rule: the first n requests of one kind meet a fault."""

    def __init__(self, fault: str | int, place: str, times: int, method: str = "PUT") -> None:
        self._fault = fault
        self._place = place
        self._method = method
        self._left = itertools.chain(itertools.repeat(True, times), itertools.repeat(False))

    def __call__(self, method: str, path: str) -> str | int | None:
        hit = method == self._method and f"/sums/{self._place}/" in path and next(self._left)
        return self._fault if hit else None


def run(tmp_path: Path, s3: S3Server, proxy: HttpProxy, **settings: Any) -> tuple[Any, list[JobEvent], str]:
    bucket = s3.new_bucket()
    events: list[JobEvent] = []
    config = JobConfig(
        checkpoint_rows=100,
        checkpoint_min_pause=timedelta(0),
        checkpoint_dir=f"s3://{bucket}/jobs",
        source_batch_size=20,
        s3_endpoint=f"http://{proxy.address}",
        s3_region="us-east-1",
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
        **settings,
    )
    job = (
        StreamJob.builder()
        .name("sums")
        .source(CollectionSource([{"n": n} for n in range(ROWS)]))
        .key_by(lambda row: row["n"] % 10)
        .reduce(lambda total, row: {"n": total["n"] + row["n"]}, uid="sums")
        .sink(FileSink(tmp_path / "out.jsonl"))
        .config(config)
        .build()
    )
    return job.execute(listeners=[events.append]), events, bucket


def expected() -> bytes:
    totals: Counter[int] = Counter()
    lines: list[str] = []
    for n in range(ROWS):
        totals[n % 10] += n
        lines.append(f'{{"n":{totals[n % 10]}}}\n')
    return "".join(lines).encode()


def kinds(s3: S3Server, bucket: str) -> Counter[str]:
    store = s3.open(bucket)
    found = Counter(key.removeprefix("jobs/sums/").partition("/")[0] for key in store.list(""))
    store.close()
    return found


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [500, 503, 429, "cut", "lose", "pretend", "hang"])
@pytest.mark.parametrize("place", ["parts", "manifests", "log"])
def test_a_fault_that_passes_costs_nothing(
    fault: str | int, place: str, tmp_path: Path, s3: S3Server, proxy: HttpProxy
) -> None:
    """Two requests in a row fail: they are made again, and each record is written once."""
    proxy.rule = Fails(fault, place, times=2 if fault != "pretend" else 1)
    result, events, bucket = run(tmp_path, s3, proxy, restart=RestartStrategy.fixed_delay(3))
    assert proxy.faults
    assert (tmp_path / "out.jsonl").read_bytes() == expected()
    if fault != "pretend":  # found once the object is asked for, so this one costs a checkpoint or a start
        assert not [event for event in events if isinstance(event, CheckpointFailed | Restarting)]
    assert result.processed_records == ROWS
    left = kinds(s3, bucket)
    assert left["parts"] == left["manifests"] <= 3
    assert left["lock.json"] == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [500, "cut", "hang"])
def test_a_fault_that_stays_for_a_while_fails_a_checkpoint_and_not_the_job(
    fault: str | int, tmp_path: Path, s3: S3Server, proxy: HttpProxy
) -> None:
    """It is counted and named, the next one succeeds, and nothing of it is left."""
    proxy.rule = Fails(fault, "parts", times=3 * client.TRIES)
    result, events, bucket = run(tmp_path, s3, proxy, restart=RestartStrategy.none())
    failed = [event for event in events if isinstance(event, CheckpointFailed)]
    assert failed
    assert "cannot write s3://" in str(failed[0].reason)
    assert (tmp_path / "out.jsonl").read_bytes() == expected()
    assert result.restarts == 0
    left = kinds(s3, bucket)
    assert left["parts"] == left["manifests"] <= 3


@pytest.mark.usefixtures("impatient")
def test_past_the_tolerated_failures_the_job_fails_by_name(
    tmp_path: Path, s3: S3Server, proxy: HttpProxy
) -> None:
    """With what the store said."""
    proxy.rule = Fails(503, "parts", times=1_000_000)
    with pytest.raises(CheckpointError, match="503") as caught:
        run(tmp_path, s3, proxy, tolerable_checkpoint_failures=1, restart=RestartStrategy.none())
    assert caught.value.job == "sums"
    assert not (tmp_path / "out.jsonl").exists()


def test_a_store_that_ignores_the_condition_is_refused(
    tmp_path: Path, s3: S3Server, proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs could decide there."""
    monkeypatch.setattr(S3Store, "create", lambda self, key, data: self.put(key, data) or True)  # as some do
    with pytest.raises(CheckpointError, match="it let an object be created twice"):
        run(tmp_path, s3, proxy)


def test_wrong_rights_are_not_tried_again(s3: S3Server, proxy: HttpProxy) -> None:
    """One request, one answer."""
    asked: list[str] = []
    proxy.rule = lambda method, path: asked.append(path)
    options = S3Options(f"http://{proxy.address}", "us-east-1", s3.access_key, "wrong")
    store = S3Store(s3.new_bucket(), options)
    with pytest.raises(CheckpointError, match="SignatureDoesNotMatch") as caught:
        store.get("key")
    store.close()
    assert not caught.value.retryable
    assert len(asked) == 1


@pytest.mark.usefixtures("impatient")
def test_a_closed_store_waits_for_no_further_try(s3: S3Server, proxy: HttpProxy) -> None:
    """A run that ends does not hang because its store does."""
    proxy.rule = lambda method, path: store.close() or 503
    store = S3Store(s3.new_bucket(), S3Options(f"http://{proxy.address}", "us-east-1", "a", "b"))
    with pytest.raises(CheckpointError, match="503"):
        store.put("key", b"data")
    assert len(proxy.faults) == 1
