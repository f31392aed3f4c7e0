"""The `gentwin` command."""

from __future__ import annotations

from gentwin.cli import checkpoints, datasets, environments, serving, signaling  # noqa: F401 - their commands join it
from gentwin.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Runs the command line."""
    app()
