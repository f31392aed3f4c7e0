"""Commands that look into captures and make traffic."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gentwin.cli.app import app, fail

if TYPE_CHECKING:
    from gentwin.signaling.core import SynthesisConfiguration
    from gentwin.signaling.ladder import Ladder
    from gentwin.signaling.messages import Record

PICTURES, ENDING = (".svg", ".png"), ".pcap"
CAPTURE, DATA_SET = "capture", "data set"
SHOWN_UES, SHOWN_STEPS, LONGEST_PICTURE = 20, 100, 1000
REPORTED = 500  # records between two steps of the bar


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Capture: pcap or pcapng, plain or gzip.")],
    ue: Annotated[int | None, typer.Option(metavar="N", help="Chart of the UE that has this number there.")] = None,
    supi: Annotated[str | None, typer.Option(metavar="DIGITS", help="Chart of the UE with this SUPI.")] = None,
    message: Annotated[int | None, typer.Option(metavar="N", help="All fields of what frame N carries.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Save the chart: `.svg` or `.png`.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="K", help="Most UEs (20) or messages (100) to show.", show_default=False)
    ] = None,
    pseudonyms: Annotated[
        bool | None,
        typer.Option(
            "--pseudonyms/--plain",
            help="Whether identities become pseudonyms: in a saved chart unless told otherwise, on the screen not.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show what is in a capture of N2 and N4: a summary, the chart of one UE, or one message.

    The summary counts messages, procedures and how they ended, UEs, refusals by cause, and what could not be decoded.
    A chart shows who said what to whom. Its numbers are those of frames, as other tools count them.

    Example: `gentwin inspect core.pcap`

    Example: `gentwin inspect core.pcap --ue 4`

    Example: `gentwin inspect core.pcap --supi 999700000000001 -o registration.svg`

    Example: `gentwin inspect core.pcap --message 118`
    """
    from gentwin.cli import tables
    from gentwin.cli.captures import CaptureFile

    try:
        _check_view(ue, supi, message, output, limit)
        capture = CaptureFile(file, output is not None if pseudonyms is None else pseudonyms)
        if message is not None:
            tables.print_messages(capture.records_of_frame(message), message)
        elif ue is None and supi is None:
            tables.print_summary(file.name, *capture.summary(), limit or SHOWN_UES)
        else:
            ladder = capture.ladder(number=ue, supi=supi).first(limit or SHOWN_STEPS)
            tables.print_ladder(ladder) if output is None else _save(ladder, output)
    except (ValueError, OSError, EOFError, ImportError) as error:
        fail(error)


def _check_view(ue: int | None, supi: str | None, message: int | None, output: Path | None, limit: int | None) -> None:
    """Raises `ValueError` unless the options of `inspect` fit together."""
    given = [name for name, value in (("--ue", ue), ("--supi", supi), ("--message", message)) if value is not None]
    if len(given) > 1:
        raise ValueError(f"`{given[0]}` and `{given[1]}` exclude each other; give one of them.")
    if limit is not None and not 1 <= limit <= (LONGEST_PICTURE if output else limit):
        raise ValueError(f"`--limit` must be 1 or more, and {LONGEST_PICTURE} at most for a picture, got {limit}.")
    if output is None:
        return
    if ue is None and supi is None:
        raise ValueError("`--output` saves the chart of one UE; give `--ue` or `--supi` too.")
    if output.suffix.lower() not in PICTURES:
        raise ValueError(f"`--output` must end with {' or '.join(PICTURES)}, got {output.name!r}.")


def _save(ladder: Ladder, output: Path) -> None:
    from gentwin.charts import save_ladder

    typer.echo(f"written: {save_ladder(ladder, output)}")
    if ladder.omitted:
        typer.echo(f"{ladder.omitted} more messages; `--limit {len(ladder.steps) + ladder.omitted}` draws all")


@app.command()
def synthesize(
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE|DIR", help="Capture to write, `.pcap`, or folder of a data set."),
    ] = None,
    ues: Annotated[int | None, typer.Option(metavar="N", help="UEs, 1 to 10,000.")] = None,
    duration: Annotated[float | None, typer.Option(metavar="SECONDS", help="Simulated time.")] = None,
    flavour: Annotated[str | None, typer.Option(metavar="NAME", help="How the core behaves: open5gs, generic.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="YAML file with everything else.")] = None,
    seed: Annotated[int, typer.Option(help="Another one gives other traffic, the same one the same bytes.")] = 0,
    subscribers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="SQLite file to write: subscribers with their keys.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what exists: a capture, a data set in DIR, a subscriber file.")
    ] = False,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the defaults as a YAML file with comments, and exit.")
    ] = False,
) -> None:
    """Make the traffic of a 5G core on N2, with N1 inside, and N4: UEs, base stations, AMF, SMF, UPF on one clock.

    Users register, come and go idle, are paged, ask for sessions, move and leave; keys and authentication are real.
    Options win over the file of `--config`, which wins over the defaults.

    Example: `gentwin synthesize --ues 100 --duration 60 -o core.pcap`

    Example: `gentwin synthesize --show-config > mine.yaml`

    Example: `gentwin synthesize --config mine.yaml --seed 1 -o core.pcap --subscribers core.sqlite`

    Example: `gentwin synthesize --ues 1000 --flavour generic -o dialogues`, a data set for training
    """
    import sqlite3

    from gentwin.signaling.core.plain import explain, from_plain

    try:
        if show_config:
            typer.echo(explain(*filter(None, (flavour,))), nl=False)
            return
        if output is None:
            raise ValueError("`--output` must be given: a file that ends with .pcap, or a folder.")
        kind = _kind_of(output)
        _check_places(Path(output), subscribers, overwrite)
        values = _values(config, {"ues": ues, "duration": duration}, flavour)
        configuration = from_plain(values)
        _write(Path(output), kind, configuration, {"seed": seed, "configuration": values}, overwrite)
        if subscribers is not None:
            _write_subscribers(subscribers, configuration, seed)
    except (ValueError, OSError, ImportError, sqlite3.Error) as error:
        fail(error)


def _kind_of(output: str) -> str:
    """Returns whether an output is a capture or a data set.

    Raises:
        ValueError: If it is neither.
    """
    path = Path(output)
    if path.suffix.lower() == ENDING and not path.is_dir():
        return CAPTURE
    if path.is_dir() or output.endswith(os.sep) or not path.suffix:
        return DATA_SET
    raise ValueError(f"`--output` must end with {ENDING}, or be a folder, got {output!r}.")


def _check_places(output: Path, subscribers: Path | None, overwrite: bool) -> None:
    """Raises `ValueError` unless what `synthesize` writes may be written there."""
    for option, path in (("--output", output), ("--subscribers", subscribers)):
        if path is not None and path.exists() and not overwrite:
            raise ValueError(
                f"`{option}` must be new, {path} exists; give another one, or `--overwrite` to replace it."
            )
    if subscribers is None:
        return
    if subscribers.is_dir():
        raise ValueError(f"`--subscribers` must be a file, got {str(subscribers)!r}, which is a folder.")
    if subscribers.resolve() == output.resolve():
        raise ValueError(f"`--subscribers` must be another file than `--output`, got {str(subscribers)!r} for both.")


def _values(path: Path | None, wanted: dict[str, Any], flavour: str | None) -> dict[str, Any]:
    """Returns what a configuration file and the options say, which win."""
    values = {} if path is None else _read_yaml(path)
    values |= {name: value for name, value in wanted.items() if value is not None}
    network = values.get("network", {})
    if flavour is not None and isinstance(network, dict):
        known = network.get("flavour")
        values["network"] = {**network, "flavour": {**(known if isinstance(known, dict) else {}), "name": flavour}}
    return values


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    from gentwin.yaml_text import load_yaml

    if not path.is_file():
        raise ValueError(f"`--config` must be a YAML file, got {str(path)!r}, which is no file.")
    try:
        values = load_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {error}") from error
    if values is not None and not isinstance(values, dict):
        raise ValueError(f"{path} must have names and values, got {type(values).__name__}; see `--show-config`.")
    return values or {}


def _write_subscribers(path: Path, configuration: SynthesisConfiguration, seed: int) -> None:
    """Writes the database that the core of a synthesis begins with."""
    from gentwin.signaling.core import Subscribers, enrol

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    database = Subscribers(partial)
    try:
        enrol(configuration, seed, database)
        database.close()
        os.replace(partial, path)
    finally:
        database.close()
        partial.unlink(missing_ok=True)


def _write(
    path: Path, kind: str, configuration: SynthesisConfiguration, origin: dict[str, Any], overwrite: bool
) -> None:
    """Makes the traffic and writes it, while a bar shows the simulated time."""
    from rich.console import Console
    from rich.progress import Progress

    from gentwin.signaling.core import synthesize
    from gentwin.signaling.records import write_records

    console, counts, begun = Console(stderr=True), Counter[str](), time.perf_counter()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("simulated seconds", total=configuration.duration)

        def counted() -> Iterator[Record]:
            for place, record in enumerate(synthesize(configuration, origin["seed"])):
                counts[record.message.protocol] += 1
                if place % REPORTED == 0:
                    bar.update(task, completed=record.timestamp - configuration.network.start)
                yield record

        if kind == CAPTURE:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_records(path, counted())
        else:
            _write_dataset(path, counted(), origin, overwrite)
    _report(path, configuration, counts, time.perf_counter() - begun)


def _write_dataset(path: Path, records: Iterator[Record], origin: dict[str, Any], overwrite: bool) -> None:
    """Writes a data set whose card says how to make it again, and prints what is in it."""
    from gentwin.cli.datasets import print_summary
    from gentwin.datasets.signaling import write_dataset

    seed = origin["seed"]
    command = f"gentwin synthesize --config CONFIGURATION --seed {seed} -o DIR"
    summary = write_dataset(
        path,
        [(f"synthesised-{seed}", records)],
        pseudonymise=False,
        provenance={"command": command, **origin},
        overwrite=overwrite,
    )
    print_summary(summary)


def _report(path: Path, configuration: SynthesisConfiguration, counts: Counter[str], seconds: float) -> None:
    """Prints what was made."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(header_style="bold", box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("UEs", f"{configuration.ues:,}"),
        ("simulated", f"{configuration.duration:,g} s"),
        ("messages on N2", f"{counts['ngap']:,}"),
        ("messages on N4", f"{counts['pfcp']:,}"),
        ("made in", f"{seconds:,.1f} s"),
    ):
        table.add_row(name, value)
    console.print(table)
    console.print(Text(f"written: {path}"), soft_wrap=True)
