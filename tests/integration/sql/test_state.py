"""A job on a real query whose state holds whole rows: they come back from a checkpoint as they were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from connectors.memory import CollectSink
from connectors.sql import SqlQuerySource
from pipeline.api.job import StreamJob
from pipeline.core.config import JobConfig
from pipeline.core.errors import SourceError
from pipeline.core.restart import RestartStrategy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Database

ROWS = 40
QUERY = """
    SELECT n AS id,
           n % 4 AS kind,
           (n || '.50')::numeric AS amount,
           'NaN'::numeric AS not_a_number,
           '2013-01-01 10:30'::timestamp + n * interval '1 second' AS naive,
           '2013-01-01 10:30Z'::timestamptz + n * interval '1 second' AS zoned,
           '2013-01-01'::date + n AS day,
           n * interval '1 hour' AS duration,
           md5(n::text)::uuid AS uuid,
           NULL::text AS nothing,
           decode(lpad(to_hex(n), 4, '0'), 'hex') AS bytes,
           ARRAY[n, NULL, n + 1] AS numbers,
           jsonb_build_object('n', jsonb_build_array(n, NULL, jsonb_build_object('deep', true))) AS nested,
           (2::numeric ^ 80 + n)::numeric(30, 0) AS big_numeric,
           9223372036854775807 - n AS big,
           n % 2 = 0 AS even
    FROM generate_series(1, 40) AS n
"""


class FailsOnce(SqlQuerySource[Any]):
    """Loses its connection, once in all attempts, after half of the rows."""

    lost: bool

    def poll(self, demand: int) -> Any:
        polled = super().poll(min(demand, 1))
        if polled is not None and polled.values[0]["id"] > ROWS // 2 and not FailsOnce.lost:
            FailsOnce.lost = True
            raise SourceError("the connection was lost")
        return polled


def with_big_integer(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "bigger": row["big"] ** 3, "pair": (row["id"], row["uuid"]), "tags": {row["kind"]}}


def first(kept: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
    return kept


def types(value: Any) -> Any:
    """The type of a value and of all that is in it."""
    match value:
        case dict():
            inner: Any = {key: types(item) for key, item in value.items()}
        case list() | tuple():
            inner = [types(item) for item in value]
        case _:
            inner = None
    return type(value), inner


def test_rows_of_every_type_come_back_from_a_checkpoint(database: Database, tmp_path: Path) -> None:
    """The first row of each key was read before the failure, so what is there at the end was restored."""
    FailsOnce.lost = False
    job = StreamJob(
        "typed",
        JobConfig(
            checkpoint_rows=5,
            checkpoint_min_pause=timedelta(0),
            checkpoint_dir=tmp_path,
            restart=RestartStrategy.fixed_delay(1, timedelta(milliseconds=1)),
        ),
    )
    read = job.source(FailsOnce(QUERY, key="id", dsn=database.dsn), uid="rows")
    read.map(with_big_integer).key_by(lambda row: row["kind"]).reduce(first, uid="first").sink(CollectSink())

    result = job.execute()

    assert FailsOnce.lost
    assert (result.restarts, result.processed_records) == (1, ROWS)
    state = result.state["first"]
    for number in (1, 2, 3, 4):
        row = state[number % 4]
        nan = row.pop("not_a_number")
        assert isinstance(nan, Decimal)
        assert nan.is_nan()
        naive = datetime(2013, 1, 1, 10, 30, number)  # noqa: DTZ001 - as a `timestamp` has none
        expected = {
            "id": number,
            "kind": number % 4,
            "amount": Decimal(f"{number}.50"),
            "naive": naive,
            "zoned": naive.replace(tzinfo=UTC),
            "day": naive.date() + timedelta(days=number),
            "duration": timedelta(hours=number),
            "uuid": row["uuid"],
            "nothing": None,
            "bytes": number.to_bytes(2, "big"),
            "numbers": [number, None, number + 1],
            "nested": {"n": [number, None, {"deep": True}]},
            "big_numeric": Decimal(2**80 + number),
            "big": 2**63 - 1 - number,
            "even": number % 2 == 0,
            "bigger": (2**63 - 1 - number) ** 3,
            "pair": (number, row["uuid"]),
            "tags": {number % 4},
        }
        assert row == expected
        assert isinstance(row["uuid"], UUID)
        assert row["zoned"].tzinfo is not None
        for name, value in expected.items():
            if name != "zoned":
                assert types(row[name]) == types(value), name
