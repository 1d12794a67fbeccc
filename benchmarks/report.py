"""Show outcomes: a table for people, one line of JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.harness import Goal, Least, Limit, Outcome, Ratio

COMPARED = ("pipeline-framework", "reactivex", "bytewax", "psycopg", "msgspec", "confluent-kafka")


def versions() -> dict[str, str]:
    """What the figures were taken with; a figure without it cannot be repeated."""
    found = {"python": platform.python_version(), "cores": str(os.cpu_count())}
    for package in COMPARED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def show(benchmark: str, outcomes: Sequence[Outcome], console: Console) -> None:
    """Print each case as a table, with its ratios and goals under it."""
    console.print(
        f"[bold]{benchmark}[/bold] · " + ", ".join(f"{k} {v}" for k, v in versions().items()), soft_wrap=True
    )
    for outcome in outcomes:
        console.print(f"\n{outcome.case.name}")
        console.print(_table(outcome))
        for goal in outcome.case.goals:
            mark = "[green]reached[/green]" if outcome.reached(goal) else "[red]missed[/red]"
            console.print(f"  {_describe(goal, outcome)} {mark}", soft_wrap=True)


def _table(outcome: Outcome) -> Table:
    case = outcome.case
    reference = next(iter(case.subjects))
    compared = case.unit == "records/s"
    table = Table(box=SIMPLE_HEAD)
    table.add_column("subject")
    for heading in (case.unit, "lowest", "highest", *([f"× {reference}"] if compared else [])):
        table.add_column(heading, justify="right")
    for subject in case.subjects:
        figures = [_number(value) for value in (outcome.median(subject), *outcome.spread(subject))]
        if compared:
            figures.append(f"{outcome.ratio(subject, reference):.2f}")
        table.add_row(subject, *figures)
    return table


def _describe(goal: Goal, outcome: Outcome) -> str:
    if isinstance(goal, Least | Limit):
        value, unit = _number(outcome.median(goal.subject)), outcome.case.unit
        bound = f"≤ {_number(goal.most)}" if isinstance(goal, Limit) else f"≥ {_number(goal.least)}"
        return f"{goal.subject}: {value} {unit}, goal {bound} {unit}"
    ratio = outcome.ratio(goal.subject, goal.over)
    return f"{goal.subject} / {goal.over}: {ratio:.2f}, goal ≥ {goal.least:g}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"


def as_json(benchmark: str, outcomes: Iterable[Outcome]) -> str:
    """Put everything on one line: each subject's median, each goal's ratio, and the versions."""
    results: list[dict[str, Any]] = []
    for outcome in outcomes:
        case = outcome.case
        for subject in case.subjects:
            low, high = outcome.spread(subject)
            results.append(
                {
                    "case": case.name,
                    "subject": subject,
                    "value": outcome.median(subject),
                    "unit": case.unit,
                    "low": low,
                    "high": high,
                }
            )
        results += [
            {
                "case": case.name,
                "subject": f"{goal.subject} / {goal.over}",
                "value": outcome.ratio(goal.subject, goal.over),
                "unit": "ratio",
                "goal": goal.least,
            }
            for goal in case.goals
            if isinstance(goal, Ratio)
        ]
    return json.dumps(
        {"benchmark": benchmark, "results": results, "versions": versions()}, ensure_ascii=False
    )
