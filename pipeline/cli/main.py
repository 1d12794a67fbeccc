"""The command `pipeline`: run a job, explain a job."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

app = typer.Typer(
    name="pipeline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its tables cut the names of options on a terminal of 80 columns
)

Target = Annotated[
    str,
    typer.Argument(metavar="FILE.py[:JOB]", help="The file, or the module pkg.name, that builds the job."),
]
Parameters = Annotated[
    list[str] | None,
    typer.Argument(metavar="PARAMETER", help="After --: the job's own parameters, its sys.argv[1:]."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Override a setting, such as checkpoint_interval=10s."),
]

EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_STOPPED = 130
EXIT_UNREAD = 141
"""128 + SIGPIPE, as for any command whose output nobody reads any more."""


def _print_version(asked: bool) -> None:
    if asked:
        from pipeline.core.distribution import version

        typer.echo(f"pipeline-framework {version()}")
        raise typer.Exit


@app.callback()
def pipeline(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run reactive dataflow jobs with state, checkpoints and exactly-once output."""


@app.command()
def run(
    target: Target,
    parameters: Parameters = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over instead of continuing from the last checkpoint.")
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Run although another run holds the job, and fence the other.")
    ] = False,
    restore: Annotated[
        int | None,
        typer.Option("--restore", metavar="ID", help="Start from this checkpoint instead of the newest."),
    ] = None,
    accept_duplicates: Annotated[
        bool,
        typer.Option(
            "--accept-duplicates",
            help="Restore a checkpoint older than committed output; that output is written again.",
        ),
    ] = False,
    allow_unmatched: Annotated[
        bool,
        typer.Option("--allow-unmatched-state", help="Drop stored state whose operator the job lacks."),
    ] = False,
    assume_committed: Annotated[
        bool | None,
        typer.Option(
            "--assume-committed/--assume-uncommitted",
            help="Assume that the last epoch was (not) committed if that cannot be determined.",
        ),
    ] = None,
    checkpoint_dir: Annotated[
        str | None,
        typer.Option("--checkpoint-dir", help="Folder of all jobs' checkpoints, or s3://bucket/prefix."),
    ] = None,
    settings: Settings = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
) -> None:
    """Run a job until its input ends.

    A run that was killed, or stopped with Ctrl-C, continues from its last checkpoint. The first
    Ctrl-C or SIGTERM takes a last checkpoint and leaves; the second leaves at once.
    """
    from pipeline.cli.run import Output, run_command
    from pipeline.core.run_options import RunOptions

    given = list(settings or ())
    if checkpoint_dir is not None:
        given.append(f"checkpoint_dir={checkpoint_dir}")
    options = partial(
        RunOptions,
        fresh=fresh,
        take_over=take_over,
        restore_from=restore,
        accept_duplicates=accept_duplicates,
        allow_unmatched=allow_unmatched,
        assume_committed=assume_committed,
    )
    raise typer.Exit(run_command(target, parameters or (), given, options, Output(quiet, as_json)))


@app.command()
def explain(
    target: Target,
    parameters: Parameters = None,
    form: Annotated[str, typer.Option("--format", "-f", help="text, json or mermaid.")] = "text",
    settings: Settings = None,
) -> None:
    """Show a job without running it: graphs, functions, settings and guarantees."""
    from pipeline.cli.failures import report
    from pipeline.cli.load import load_job
    from pipeline.cli.settings import parse_settings
    from pipeline.core.errors import PipelineError

    try:
        job = load_job(target, parameters or (), lambda text: typer.echo(f"note: {text}", err=True))
        typer.echo(job.explain(form, command_line=parse_settings(settings or ())))
    except PipelineError as error:
        report(error)
        raise typer.Exit(EXIT_REFUSED) from error


def main() -> None:
    """Entry point of the installed command."""
    app(prog_name="pipeline")


if __name__ == "__main__":
    sys.exit(main())
