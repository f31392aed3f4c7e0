"""The `gentwin` command itself: what all its parts share."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

import gentwin

app = typer.Typer(
    name="gentwin",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Generative twins of networks.

A twin learns from records of a network and answers in its place. Look at what is shipped:

    gentwin twins

    gentwin card gentwin/slice-lstm-dynamic

    gentwin env gentwin/RanSlicing-v0 preset=hua2019
""",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gentwin {gentwin.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def fail(error: Exception) -> NoReturn:
    """Ends the command with one line on stderr and exit code 2."""
    typer.echo("gentwin: " + " ".join(str(error).split()), err=True)
    raise typer.Exit(2)
