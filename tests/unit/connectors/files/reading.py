"""How the tests of `FileSource` read: to the end, up to a record, on from there, into an error."""

from __future__ import annotations

from typing import Any

import pytest

from connectors import FileSource
from pipeline.core.errors import SourceError
from pipeline.testing.connectors import SourceDriver, SourceSnapshot


def read_all(source: FileSource) -> list[Any]:
    with SourceDriver(source) as driver:
        return driver.take(1_000_000)


def stop_after(source: FileSource, records: int, restore: SourceSnapshot | None = None) -> SourceSnapshot:
    with SourceDriver(source, restore) as driver:
        driver.take(records)
        driver.wait_until_idle()
        return driver.snapshot()


def continued(source: FileSource, snapshot: SourceSnapshot) -> list[Any]:
    with SourceDriver(source, snapshot) as driver:
        return driver.take(1_000_000)


def error_of(source: FileSource, snapshot: SourceSnapshot | None = None) -> SourceError:
    with pytest.raises(SourceError) as caught, SourceDriver(source, snapshot) as driver:
        driver.take(1_000_000)
    return caught.value
