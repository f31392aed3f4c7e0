"""The `gentwin` command."""

from __future__ import annotations

import inspect
import re
from typing import Annotated, Any, NoReturn

import typer

import gentwin.hub

app = typer.Typer(
    name="gentwin",
    no_args_is_help=True,
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


@app.command()
def twins() -> None:
    """List the shipped checkpoints with their headline figures.

    Example: `gentwin twins`
    """
    from rich.console import Console
    from rich.table import Table

    table = Table("twin", "figures", header_style="bold", box=None, pad_edge=False)
    for name in gentwin.hub.list_checkpoints():
        figures = gentwin.hub.read_figures(name)
        table.add_row(name, "\n".join(f"{figure} {_plain(value)}" for figure, value in figures.items()))
    console = Console()
    console.print(table)
    console.print("\nLoad one with [bold]gentwin.from_pretrained(name)[/]; [bold]gentwin card NAME[/] tells about it.")


@app.command()
def card(name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `gentwin twins` lists.")]) -> None:
    """Show the model card of a shipped checkpoint: data, figures, limits.

    Example: `gentwin card gentwin/slice-lstm-dynamic`
    """
    from rich.console import Console
    from rich.markdown import Markdown

    try:
        text = (gentwin.hub.checkpoint_path(name) / "README.md").read_text(encoding="utf-8")
    except (gentwin.hub.CheckpointError, FileNotFoundError) as error:
        _fail(error)
    if text.startswith("---\n"):  # metadata for the Hub, not for readers
        text = text.split("\n---\n", 1)[-1]
    text = re.sub(r"^!\[.*\]\(.*\)\n+", "", text, flags=re.MULTILINE)  # a terminal shows the captions alone
    Console().print(Markdown(text))
    if (plots := gentwin.hub.checkpoint_path(name) / "plots").is_dir():
        Console().print(f"\nplots: {plots}", highlight=False, soft_wrap=True)


@app.command()
def env(
    env_id: Annotated[str, typer.Argument(metavar="ID", help="Environment id, such as `gentwin/RanSlicing-v0`.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Its arguments.")] = None,
) -> None:
    """Show the spaces and the manual of an environment.

    Example: `gentwin env gentwin/RanSlicing-v0 preset=hua2019 num_users=50`
    """
    import gymnasium
    from gymnasium.envs.registration import load_env_creator
    from rich.console import Console
    from rich.markdown import Markdown

    try:
        spec = gymnasium.spec(env_id)
        creator = spec.entry_point if callable(spec.entry_point) else load_env_creator(str(spec.entry_point))
        environment = gymnasium.make(spec, **_parse_arguments(arguments or []))
    except (gymnasium.error.Error, TypeError, ValueError) as error:
        _fail(error)
    console = Console(highlight=False)
    console.print(f"[bold]{spec.id}[/]")
    console.print(f"observation space  {environment.observation_space}", markup=False)
    console.print(f"action space       {environment.action_space}\n", markup=False)
    console.print(Markdown(_as_markdown(inspect.getdoc(creator) or "No manual.")))
    environment.close()


def _parse_arguments(pairs: list[str]) -> dict[str, Any]:
    import yaml

    for pair in pairs:
        if "=" not in pair:
            raise ValueError(f"an argument of the environment must be `KEY=VALUE`, got {pair!r}.")
    return {key: yaml.safe_load(value) for key, value in (pair.split("=", 1) for pair in pairs)}


def _as_markdown(manual: str) -> str:
    """Returns a docstring with its references to the site as plain text and its `Args:` as a list."""
    manual = re.sub(r"\[([^\]]+)\]\[[^\]]*\]", r"\1", manual)
    before, found, section = manual.partition("\nArgs:\n")
    if not found:
        return manual
    end = re.search(r"^(?=\S)", section, flags=re.MULTILINE)
    entries, after = (section[: end.start()], section[end.start() :]) if end else (section, "")
    entries = inspect.cleandoc(entries)
    items = re.sub(r"^(\S+?): ", r"- `\1`: ", entries, flags=re.MULTILINE)
    return f"{before}\n{items}\n\n{after}"


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _fail(error: Exception) -> NoReturn:
    """Ends the command with one line on stderr and exit code 2."""
    typer.echo("gentwin: " + " ".join(str(error).split()), err=True)
    raise typer.Exit(2)


def main() -> None:
    """Runs the command line."""
    app()
