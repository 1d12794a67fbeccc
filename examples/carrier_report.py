"""How busy and how punctual each airline was: a query that joins and groups, one CSV file.

PIPELINE_DSN=postgresql://localhost/mydb pipeline run examples/carrier_report.py
"""

from __future__ import annotations

from typing import Any

from connectors import FileSink, SqlQuerySource
from pipeline import StreamJob

QUERY = """
    SELECT airlines.name AS airline,
           count(*) AS flights,
           count(*) FILTER (WHERE dep_time IS NULL) AS cancelled,
           avg(dep_delay) AS mean_delay,
           sum(distance) AS miles
    FROM flights JOIN airlines USING (carrier)
    GROUP BY airlines.name
"""


def report_line(row: dict[str, Any]) -> dict[str, str]:
    return {
        "airline": row["airline"],
        "flights": f"{row['flights']:,}",
        "cancelled": f"{row['cancelled'] / row['flights']:.1%}",
        "mean departure delay": f"{row['mean_delay']:.1f} min",
        "miles flown": f"{row['miles']:,}",
    }


job = (
    StreamJob.builder()
    .name("carrier-report")
    .source(SqlQuerySource(QUERY, key="airline"))
    .map(report_line)
    .sink(FileSink("results/carrier_report.csv"))
    .build()
)
