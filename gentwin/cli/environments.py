"""Commands that show environments."""

from __future__ import annotations

import inspect
import re
from typing import Annotated, Any

import typer

from gentwin.cli.app import app, fail


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
        fail(error)
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
