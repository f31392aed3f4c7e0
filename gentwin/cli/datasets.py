"""Commands that make data sets."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gentwin.cli.app import app, fail
from gentwin.schema import did_you_mean

if TYPE_CHECKING:
    from rich.progress import Progress

    from gentwin.datasets.signaling import Splits, Summary
    from gentwin.signaling.records import RecordReader

ENDINGS = (".pcap", ".pcapng", ".cap")


@app.command("capture-to-dataset")
def capture_to_dataset(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Captures: pcap or pcapng, plain or gzip.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write.")],
    split_by: Annotated[str, typer.Option(help="What is divided: `ue`, or `capture` as a whole.")] = "ue",
    validation: Annotated[float, typer.Option(help="Expected fraction in the validation split.")] = 0.1,
    test: Annotated[
        float | None, typer.Option(help="In the test split; 0.1, or 0 beside `--test-captures`.", show_default=False)
    ] = None,
    test_captures: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Capture that is held out for the test split; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another one divides in another way.")] = 0,
    key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="At least 16 random bytes, for the same pseudonyms as in another data set."),
    ] = None,
    max_messages: Annotated[int, typer.Option(min=1, help="Messages in a row; longer dialogues continue.")] = 1024,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a data set in DIR.")] = False,
) -> None:
    """Make a data set of dialogues from captures of N2 and N4.

    Identities become pseudonyms. A capture is named like its file without its ending.

    Example: `gentwin capture-to-dataset monday.pcap tuesday.pcap.gz -o dialogues --test-captures tuesday`
    """
    import sqlite3

    from rich.console import Console
    from rich.progress import Progress

    from gentwin.datasets.signaling import Splits, write_dataset

    try:
        named = _name_captures(files)
        splits = Splits(split_by, validation, test, tuple(test_captures or ()), seed)
        for name in splits.test_captures:
            if name not in named:
                end = did_you_mean(name, named)
                raise ValueError(f"`--test-captures` must name one of the captures, got {name!r}{end}")
        if key_file and not key_file.is_file():
            raise FileNotFoundError(f"`--key-file` must be a file of at least 16 random bytes, {key_file} is none.")
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            summary = write_dataset(
                output,
                _read_captures(named, progress),
                splits=splits,
                key=key_file.read_bytes() if key_file else None,
                provenance={"command": _command(named, splits, max_messages), "files": _describe(named)},
                overwrite=overwrite,
                max_messages=max_messages,
            )
    except (ValueError, OSError, ImportError, sqlite3.Error) as error:
        fail(error)
    print_summary(summary)


def print_summary(summary: Summary) -> None:
    """Prints what is in a data set of dialogues, and what could not be decoded."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    captures = Table("capture", "messages", "dialogues", "not decoded", header_style="bold", box=None, pad_edge=False)
    for capture in summary.captures:
        captures.add_row(Text(capture.name), *map(str, (capture.messages, capture.dialogues, capture.undecoded)))
    splits = Table("split", "dialogues", "UEs", "messages", "rows", header_style="bold", box=None, pad_edge=False)
    for name, split in summary.splits.items():
        splits.add_row(name, *map(str, (split.dialogues, split.ues, split.messages, split.rows)))
    for table in (captures, splits):
        for column in table.columns[1:]:
            column.justify = "right"
        console.print(table)
        console.print()
    reasons = ", ".join(f"{count} {reason}" for reason, count in summary.counts.most_common())
    console.print(f"not decoded: {summary.undecoded} messages{f' (all counts: {reasons})' if reasons else ''}")
    divided = {"ue": "UEs", "capture": "captures"}[summary.division.by]
    fractions = {"validation": summary.division.validation, "test": summary.division.test_fraction}
    for name, split in summary.splits.items():
        if not split.rows and fractions.get(name, 1.0) > 0:
            console.print(f"[bold]{name} is empty[/]: there are too few {divided} for its fraction.")
    console.print(Text(f"written: {summary.directory}"), soft_wrap=True)


def _name_captures(files: list[Path]) -> dict[str, Path]:
    """Returns the files by the names of their captures.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a file is no capture, or two have one name.
    """
    from gentwin.signaling.errors import DecodeError
    from gentwin.signaling.records import read_records

    named: dict[str, Path] = {}
    for path in files:
        name = path.name.removesuffix(".gz")
        name = next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)
        if name in named:
            raise ValueError(f"{named[name]} and {path} are both named {name!r}; rename one of them.")
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not a file; give captures.")
        try:
            read_records(path).close()
        except DecodeError as error:
            raise ValueError(f"{path}: {error}") from error
        named[name] = path
    return named


def _read_captures(named: dict[str, Path], progress: Progress) -> Iterator[tuple[str, RecordReader]]:
    """Yields the captures while a bar shows how much of each has been read."""
    from rich.markup import escape

    from gentwin.signaling.records import read_records

    for name, path in named.items():
        with progress.open(path, "rb", description=escape(name)) as stream:
            yield name, read_records(stream)
    progress.add_task("writing", total=None)


def _describe(named: dict[str, Path]) -> list[dict[str, Any]]:
    """Returns name, size and checksum of every file."""
    found = []
    for path in named.values():
        with open(path, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        found.append({"name": path.name, "bytes": path.stat().st_size, "sha256": digest})
    return found


def _command(named: dict[str, Path], splits: Splits, max_messages: int) -> str:
    """Returns the command with all that a result depends on but the key, and files without their folders."""
    words = ["gentwin", "capture-to-dataset", *(path.name for path in named.values()), "-o", "DIR"]
    options = {"--split-by": splits.by, "--validation": splits.validation, "--test": splits.test_fraction}
    for option, value in {**options, "--seed": splits.seed, "--max-messages": max_messages}.items():
        words += [option, str(value)]
    for name in splits.test_captures:
        words += ["--test-captures", name]
    return shlex.join(words)
