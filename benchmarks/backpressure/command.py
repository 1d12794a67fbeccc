"""`python -m benchmarks backpressure`: play scenarios, check promises, write table, JSON and pictures."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.backpressure import report
from benchmarks.backpressure.picture import draw
from benchmarks.backpressure.run import Run, Spec
from benchmarks.backpressure.scenario import CONTRAST, MEMORY, SCENARIOS, SHORT, STRATEGIES

AS_WRITTEN = "as written"


def main(words: Sequence[str], on_step: Callable[[str], None]) -> int:
    """Play what the command line names; the exit status is 1 if a promise is broken."""
    arguments = _parser().parse_args(words)
    runs = _play(arguments, on_step)
    folder = Path(arguments.results) / f"backpressure-{time.strftime('%Y%m%d-%H%M%S')}"
    folder.mkdir(parents=True)
    console = Console(stderr=arguments.json, highlight=False, width=None if sys.stdout.isatty() else 120)
    kept = report.show(runs, console)
    with (folder / "table.txt").open("w", encoding="utf-8") as file:
        report.show(runs, Console(file=file, highlight=False, width=120))
    (folder / "results.json").write_text(report.everything(runs), encoding="utf-8")
    for scenario in dict.fromkeys(run.scenario for run in runs):
        known = SCENARIOS.get(scenario)
        played = [run for run in runs if run.scenario == scenario]
        name = scenario if known else "job"
        draw(f"{name}: {known.says}" if known else scenario, played, folder / f"{name}.png")
    console.print(f"\nwritten to {folder}: table.txt, results.json and a picture of each scenario")
    if arguments.json:
        print(report.as_json(runs), flush=True)
    return 0 if kept else 1


def _play(arguments: argparse.Namespace, on_step: Callable[[str], None]) -> list[Run]:
    if arguments.job is not None:
        chosen = arguments.subjects or [AS_WRITTEN]
        return [_one(Spec(subject, arguments.job, arguments.seconds, 0), on_step) for subject in chosen]
    chosen = arguments.subjects or [*STRATEGIES, CONTRAST]
    runs: list[Run] = []
    for name in arguments.scenarios or SCENARIOS:
        if name == MEMORY.name:  # long and light: side by side
            runs += _together([Spec(s, name, arguments.memory_seconds, 5) for s in chosen], on_step)
        else:
            runs += [_one(Spec(s, name, arguments.seconds, 1), on_step) for s in chosen]
    return runs


def _together(specs: Sequence[Spec], on_step: Callable[[str], None]) -> list[Run]:
    on_step(f"{specs[0].scenario}: {', '.join(spec.subject for spec in specs)}, {specs[0].seconds:g} s")
    return [_result(process) for process in [_start(spec) for spec in specs]]


def _one(spec: Spec, on_step: Callable[[str], None]) -> Run:
    on_step(f"{spec.scenario}: {spec.subject}, {spec.seconds:g} s")
    return _result(_start(spec))


def _start(spec: Spec) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.backpressure.run", json.dumps(asdict(spec))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _result(process: subprocess.Popen[str]) -> Run:
    printed, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a run ended with status {process.returncode}")
    return Run(**json.loads(printed.splitlines()[-1]))


def _parser() -> argparse.ArgumentParser:
    scenarios = "\n".join(f"{scenario.name:8} {scenario.says}" for scenario in (MEMORY, *SHORT))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks backpressure",
        description="Play a source that is faster than its sink, under each strategy.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"scenarios:\n{scenarios}",
    )
    parser.add_argument("--scenarios", nargs="+", choices=list(SCENARIOS), help="default: all")
    parser.add_argument(
        "--subjects",
        nargs="+",
        choices=[*STRATEGIES, CONTRAST, AS_WRITTEN],
        help="default: all; of a job of your own: as written",
    )
    parser.add_argument("--seconds", type=float, default=3, help="of each run; default 3")
    parser.add_argument(
        "--memory-seconds", type=float, default=60, help=f"of the scenario {MEMORY.name}; default 60"
    )
    parser.add_argument("--job", metavar="FILE.py[:NAME]", help="a job of your own; it really writes")
    parser.add_argument("--results", default="results", help="folder for what is written; default: results")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON on standard output")
    return parser
