"""The command `pipeline`: run a job, explain a job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(
    name="pipeline",
    help="Run reactive dataflow jobs with state, checkpoints and exactly-once output.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Target = Annotated[str, typer.Argument(metavar="FILE.py[:JOB]", help="The file that builds the job.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Override a setting, such as checkpoint_interval=10s."),
]

EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_STOPPED = 130


@app.command()
def run(
    target: Target,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over instead of continuing from the last checkpoint.")
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Run although another run holds the job; that one is fenced.")
    ] = False,
    restore: Annotated[
        int | None,
        typer.Option("--restore", metavar="ID", help="Start from this checkpoint, not the newest."),
    ] = None,
    accept_duplicates: Annotated[
        bool,
        typer.Option("--accept-duplicates", help="Go back behind output that has been committed already."),
    ] = False,
    allow_unmatched: Annotated[
        bool,
        typer.Option("--allow-unmatched-state", help="Drop checkpointed state whose operator is gone."),
    ] = False,
    assume_committed: Annotated[
        bool | None,
        typer.Option(
            "--assume-committed/--assume-uncommitted",
            help="What holds of the last epoch where nothing can tell whether it was committed.",
        ),
    ] = None,
    checkpoint_dir: Annotated[
        Path | None, typer.Option("--checkpoint-dir", help="Folder of all jobs' checkpoints.")
    ] = None,
    settings: Settings = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
) -> None:
    """Run a job until its input ends.

    A run that was killed, or stopped with Ctrl-C, continues from its last checkpoint. The first
    Ctrl-C or SIGTERM takes a last checkpoint and leaves; the second leaves at once.
    """
    from pipeline.cli.run import RunOptions, run_command

    command_line = _settings(settings)
    if checkpoint_dir is not None:
        command_line["checkpoint_dir"] = str(checkpoint_dir)
    options = RunOptions(
        fresh=fresh,
        take_over=take_over,
        restore=restore,
        accept_duplicates=accept_duplicates,
        allow_unmatched=allow_unmatched,
        assume_committed=assume_committed,
        quiet=quiet,
        as_json=as_json,
    )
    raise typer.Exit(run_command(target, command_line, options))


@app.command()
def explain(
    target: Target,
    form: Annotated[str, typer.Option("--format", "-f", help="text, json or mermaid.")] = "text",
    settings: Settings = None,
) -> None:
    """Show what a job is: its graphs, its functions, its settings and what it guarantees."""
    from pipeline.cli.load import load_job
    from pipeline.core.errors import PipelineError

    try:
        typer.echo(load_job(target).explain(form, command_line=_settings(settings)))
    except PipelineError as error:
        _refuse(str(error))


def _settings(items: list[str] | None) -> dict[str, str]:
    parsed: dict[str, str] = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not equals:
            _refuse(f"--set expects NAME=VALUE, found {item!r}")
        parsed[name.strip().replace("-", "_").replace(".", "_")] = value
    return parsed


def _refuse(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(EXIT_REFUSED)


def main() -> None:
    """Entry point of the installed command."""
    app(prog_name="pipeline")


if __name__ == "__main__":
    sys.exit(main())
