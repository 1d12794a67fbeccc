"""A job with every part a local run has: a query, dead letters, keyed state, a whole file and part files."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

from gate import GatedQuery

from connectors import FileSink, RollingPolicy
from pipeline import DEAD_LETTERS, ErrorPolicy, JobConfig, StreamJob

Row = dict[str, Any]


PACE = float(os.environ.get("PACE", "0"))


def check(row: Row) -> Row:
    if PACE:
        time.sleep(PACE)  # slow enough for many checkpoints on few rows
    if row["id"] % 1000 == 7:
        raise ValueError(f"order {row['id']} has no customer")
    return {"id": row["id"], "customer": row["customer"], "cents": int(row["amount"] * 100)}


def customer(row: Row) -> str:
    return row["customer"]


def add(total: Row, row: Row) -> Row:
    return {"id": row["id"], "customer": row["customer"], "cents": total["cents"] + row["cents"]}


job = StreamJob(
    "orders",
    JobConfig(checkpoint_rows=100, checkpoint_min_pause=timedelta(0), source_batch_size=50),
)
orders = job.source(GatedQuery("SELECT id, customer, amount FROM orders", key="id"), uid="orders")
checked = orders.map(check, on_error=ErrorPolicy.dead_letter())
checked.side_output(DEAD_LETTERS).sink(FileSink("out/rejected.jsonl"))
checked.sink(FileSink("out/orders.csv"))
checked.key_by(customer).reduce(add).sink(FileSink("out/totals.jsonl", rolling=RollingPolicy()))
