"""Lay out what was seen: tables for people, one line of JSON for programs, files for both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.backpressure.promises import growth_mb, promises
from benchmarks.backpressure.run import Run
from benchmarks.backpressure.scenario import SCENARIOS
from benchmarks.report import versions


def show(runs: Sequence[Run], console: Console) -> bool:
    """Print a table and the promises of each scenario; return whether all were kept."""
    kept = True
    for scenario in dict.fromkeys(run.scenario for run in runs):
        played = [run for run in runs if run.scenario == scenario]
        known = SCENARIOS.get(scenario)
        title = f"{scenario}: {known.says}" if known else scenario
        console.print(f"\n[bold]{title}[/bold], {played[0].seconds:g} s", soft_wrap=True)
        console.print(_table(played))
        for run in played:
            for promise in promises(run):
                kept = kept and promise.kept
                mark = "[green]kept[/green]" if promise.kept else "[red]broken[/red]"
                console.print(f"  {run.subject:8} {promise.text}: {promise.found} {mark}", soft_wrap=True)
    return kept


def _table(runs: Sequence[Run]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    headings = (
        "",
        "offered",
        "delivered",
        "dropped",
        "buffered",
        "most",
        "asked/s",
        "MB at first",
        "MB most",
    )
    for heading in (*headings, "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right" if heading else "left")
    for run in runs:
        memory = [sample["rss"] for sample in run.samples] or [0.0]
        held = max((sample["buffered"] for sample in run.samples), default=0)
        rates = [sample["demand"] for sample in run.samples if sample["demand"] is not None]
        table.add_row(
            run.subject,
            *(f"{count:,}" for count in (run.offered, run.delivered, run.dropped, run.buffered, held)),
            f"{sum(rates) / len(rates):,.0f}" if rates else "all",
            *(f"{size:.1f}" for size in (memory[0], max(memory))),
            *(f"{run.ages_ms[name]:,.1f}" if run.ages_ms else "" for name in ("p50", "p99")),
        )
    return table


def results(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return one entry for each figure."""
    return [
        {"case": f"{run.scenario}: {name}", "subject": run.subject, "value": value, "unit": unit}
        for run in runs
        for name, value, unit in _figures(run)
    ]


def _figures(run: Run) -> Iterator[tuple[str, float, str]]:
    for name in ("offered", "delivered", "dropped", "buffered", "overflows"):
        yield name, getattr(run, name), "records" if name != "overflows" else "times"
    for name, age in run.ages_ms.items():
        yield f"age {name}", age, "ms"
    if run.checkpoint_s:
        yield "longest checkpoint", max(run.checkpoint_s), "s"
    growth = growth_mb(run)
    if growth is not None:
        yield "memory above its level at 5 s", growth, "MB"
    for promise in promises(run):
        yield promise.text, int(promise.kept), "kept"


def as_json(runs: Sequence[Run]) -> str:
    """Put the figures on one line."""
    return json.dumps(
        {"benchmark": "backpressure", "results": results(runs), "versions": versions()}, ensure_ascii=False
    )


def everything(runs: Sequence[Run]) -> str:
    """Return figures and samples, for who wants to draw their own."""
    body = {"results": results(runs), "versions": versions(), "runs": [asdict(run) for run in runs]}
    return json.dumps({"benchmark": "backpressure", **body}, ensure_ascii=False, indent=1)
