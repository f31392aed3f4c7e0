"""Commands that show the shipped checkpoints."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

import gentwin.hub
from gentwin.cli.app import app, fail


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
        fail(error)
    if text.startswith("---\n"):  # metadata for the Hub, not for readers
        text = text.split("\n---\n", 1)[-1]
    text = re.sub(r"^!\[.*\]\(.*\)\n+", "", text, flags=re.MULTILINE)  # a terminal shows the captions alone
    Console().print(Markdown(text))
    if (plots := gentwin.hub.checkpoint_path(name) / "plots").is_dir():
        Console().print(f"\nplots: {plots}", highlight=False, soft_wrap=True)


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
