"""SqlQuerySource on a real server keeps the contract of sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from connectors.sql import SqlQuerySource
from pipeline.testing.connectors import SourceVerification

if TYPE_CHECKING:
    from tests.conftest import Database


class TestUniqueKey(SourceVerification[Any]):
    """A key with no ties: restored, the query continues after it."""

    QUERY = "SELECT n AS id, 'row ' || n AS name FROM generate_series(1, {}) AS n"
    KEY = "id"

    @pytest.fixture(autouse=True)
    def _database(self, database: Database) -> None:
        self.database = database

    def create_source(self, records: int) -> SqlQuerySource[dict[str, Any]]:
        return SqlQuerySource(self.QUERY.format(records), key=self.KEY, dsn=self.database.dsn)

    def expected(self, records: int) -> list[Any]:
        return [{"id": n, "name": f"row {n}"} for n in range(1, records + 1)]


class TestTies(TestUniqueKey):
    """Three rows share a key, and a stop may come among them."""

    QUERY = "SELECT n / 3 AS third, n AS id FROM generate_series(1, {}) AS n"
    KEY = "third"

    def expected(self, records: int) -> list[Any]:
        return [{"third": n // 3, "id": n} for n in range(1, records + 1)]


class TestTuples(TestUniqueKey):
    def create_source(self, records: int) -> SqlQuerySource[Any]:
        query = self.QUERY.format(records)
        return SqlQuerySource(query, key="id", dsn=self.database.dsn, rows="tuple", fetch_size=2)

    def expected(self, records: int) -> list[Any]:
        return [(n, f"row {n}") for n in range(1, records + 1)]
