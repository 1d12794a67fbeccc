"""The S3 server that tests use."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError

from .minio_server import MinioProcess, S3Server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """The server that `PIPELINE_TEST_S3` names, else one started here."""
    given = os.environ.get("PIPELINE_TEST_S3")
    if given:
        access_key, secret_key = (os.environ[f"PIPELINE_TEST_S3_{name}_KEY"] for name in ("ACCESS", "SECRET"))
        yield S3Server(given, access_key, secret_key)
        return
    folder = Path(tempfile.mkdtemp(prefix="pipeline-minio-"))
    process = MinioProcess(folder)
    try:
        server = process.__enter__()
    except ConfigError as error:
        pytest.fail(str(error), pytrace=False)
    yield server
    process.__exit__()
    shutil.rmtree(folder)
