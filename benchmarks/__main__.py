"""`python -m benchmarks NAME [--records N] [--rounds R] [--json]`; NAME `all` runs every one."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module

from rich.console import Console

from benchmarks.harness import measure
from benchmarks.report import as_json, show

BENCHMARKS = {
    "chain": "stateless functions: fused chain against loop, reactivex, bytewax",
    "reactive": "streams outside jobs: demand, hand-over, flat_map against reactivex and a bare loop",
    "keyed": "running reduce by key against a loop over a dict",
    "window": "keyed 10-second sum in event time against a loop and bytewax",
    "checkpoint": "checkpoints in a folder and on MinIO: small, at a barrier, beside a stream, restored",
    "sql": "query → map → CSV against psycopg and csv; the price of checkpoints; memory",
    "kafka": "Kafka to Kafka exactly once against a loop and Quix Streams; latency, restarts, memory",
    "latency": "one record at a time through a quiet job",
    "startup": "`pipeline --help` and `import pipeline` in fresh processes",
}
"""Each is a module here with `cases(records, on_step)`: a context manager, since some need a server."""

HARNESS = ("backpressure", "each strategy over time, its promises checked; see backpressure --help")

SILENCE_SECONDS = 1


def main() -> int:
    """Run what the command line names; the exit status is 0 whether goals are reached or not.

    Promises are another thing: `backpressure` ends with 1 where one is broken.
    """
    if sys.argv[1:2] == ["backpressure"]:
        return _backpressure(sys.argv[2:])
    arguments = _parser().parse_args()
    names = list(BENCHMARKS) if arguments.name == "all" else [arguments.name]
    console = Console(stderr=arguments.json, highlight=False, width=None if sys.stdout.isatty() else 100)
    for name in names:
        benchmark = import_module(f"benchmarks.{name}")
        with _progress() as on_step, benchmark.cases(arguments.records, on_step) as cases:
            outcomes = [measure(case, arguments.rounds, on_step) for case in cases]
        show(name, outcomes, console)
        if arguments.json:
            print(as_json(name, outcomes), flush=True)
    return 0


def _backpressure(words: Sequence[str]) -> int:
    """Run the harness, whose arguments are its own: it plays scenarios over time."""
    from benchmarks.backpressure.command import main as play

    with _progress() as on_step:
        return play(words, on_step)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{name:12} {what}" for name, what in [*BENCHMARKS.items(), HARNESS]),
    )
    parser.add_argument("name", choices=[*BENCHMARKS, "all"], metavar="NAME")
    parser.add_argument("--records", type=_positive, help="records per run; default: the benchmark's own")
    parser.add_argument("--rounds", type=_positive, help="runs of each subject; default: the case's own")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON on standard output")
    return parser


def _positive(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


@contextmanager
def _progress() -> Generator[Callable[[str], None]]:
    """Say on standard error what is running: one line that changes, or one a second."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        with console.status("starting") as status:
            yield status.update
        return
    said = time.monotonic()

    def say(step: str) -> None:
        nonlocal said
        if time.monotonic() - said >= SILENCE_SECONDS:
            console.print(step, soft_wrap=True)
            said = time.monotonic()

    yield say


if __name__ == "__main__":
    sys.exit(main())
