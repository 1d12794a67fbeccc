"""Draw a scenario: a panel for each strategy, with buffer, drops and memory over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.backpressure.run import Run

BUFFER, DROPS, MEMORY = "#1f77b4", "#d62728", "#7f7f7f"


def draw(title: str, runs: Sequence[Run], path: Path) -> None:
    """Write the picture of one scenario's runs."""
    import matplotlib  # only who draws needs it

    matplotlib.use("Agg")  # a file, no window
    from matplotlib import pyplot

    figure: Any
    figure, panels = pyplot.subplots(len(runs), 1, figsize=(9, 2.3 * len(runs)), sharex=True, squeeze=False)
    for run, (panel,) in zip(runs, panels, strict=True):
        _panel(panel, run)
    panels[-1][0].set_xlabel("seconds")
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panel(panel: Any, run: Run) -> None:
    at = [sample["at"] for sample in run.samples]
    panel.set_title(
        f"{run.subject}: {run.delivered:,} delivered, {run.dropped:,} dropped"
        + (f", {run.overflows:,} overflows" if run.overflows else ""),
        fontsize=10,
        loc="left",
    )
    panel.plot(at, [sample["buffered"] for sample in run.samples], color=BUFFER, label="buffered")
    panel.set_ylabel("buffered", color=BUFFER)
    panel.set_ylim(bottom=0)
    drops = panel.twinx()
    drops.plot(at, [sample["dropped"] for sample in run.samples], color=DROPS, label="dropped")
    drops.set_ylabel("dropped", color=DROPS)
    drops.set_ylim(0, max(1, 1.05 * run.dropped))
    memory = panel.twinx()
    memory.spines["right"].set_position(("axes", 1.1))
    memory.plot(at, [sample["rss"] for sample in run.samples], color=MEMORY, linestyle=":", label="memory")
    memory.set_ylabel("MB", color=MEMORY)
    memory.set_ylim(bottom=0)
