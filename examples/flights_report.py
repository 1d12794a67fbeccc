"""All 336,776 flights, row by row: a query that is resumed by key, one CSV file.

PIPELINE_DSN=postgresql://localhost/mydb pipeline run examples/flights_report.py

Kill it in the middle and run it again: the file is, byte for byte, that of an undisturbed run.
"""

from __future__ import annotations

from typing import Any

from connectors import FileSink, SqlQuerySource
from pipeline import StreamJob

QUERY = """
    SELECT id, year, month, day, sched_dep_time, dep_delay,
           carrier, flight, tailnum, origin, dest, distance, air_time
    FROM flights
"""


def report_line(row: dict[str, Any]) -> dict[str, Any]:
    hour, minute = divmod(row["sched_dep_time"], 100)
    return {
        "id": row["id"],
        "flight": f"{row['carrier']} {row['flight']}",
        "route": f"{row['origin']}-{row['dest']}",
        "scheduled": f"{row['year']}-{row['month']:02}-{row['day']:02} {hour:02}:{minute:02}",
        "departure": departure(row["dep_delay"]),
        "aircraft": row["tailnum"],
        "mph": round(60 * row["distance"] / row["air_time"]) if row["air_time"] else None,
    }


def departure(delay: int | None) -> str:
    if delay is None:
        return "cancelled"
    return f"{delay} min late" if delay > 0 else "on time"


job = (
    StreamJob.builder()
    .name("flights-report")
    .source(SqlQuerySource(QUERY, key="id"))
    .map(report_line)
    .sink(FileSink("results/flights_report.csv"))
    .build()
)
