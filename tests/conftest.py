"""A real PostgreSQL for whichever suite asks for one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.sql.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can reach, which pytest's folders are not for root."""
    folder = Path(tempfile.mkdtemp(prefix="pipeline-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[str]:
    """The DSN of a server: the one `PIPELINE_TEST_DSN` names, else an embedded one."""
    given = os.environ.get("PIPELINE_TEST_DSN")
    if given:
        yield given
        return
    with EmbeddedPostgres(server_folder / "shared") as server:
        yield server.dsn
