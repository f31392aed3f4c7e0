"""Captures, charts and messages as commands print them.

What comes from a capture or a path is printed as `Text`: in a string, rich takes `[/x]` and `[fe80::1]` for markup, and
`:b:` for an emoji.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from gentwin.signaling.capture import REASONS
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.ladder import CIPHERED, COMPLETED, REJECTED, UNANSWERED, Ladder, Summary, draw_text
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message, Record
from gentwin.signaling.records import UNDECODED, RecordReader

STYLES = {
    "head": "bold",
    "faint": "dim",
    "plain": "",
    "nas": "",
    "ngap": "cyan",
    "pfcp": "green",
    "refused": "bold red",
    "closed": "dim",
}
"""How parts of a chart look, by their tone."""

OUTCOMES = {REJECTED: STYLES["refused"]}
LINKS = {NGAP: "N2 (NGAP)", PFCP: "N4 (PFCP)"}
SHOWN_FAILURES = 10


def print_summary(name: str, summary: Summary, reader: RecordReader, limit: int) -> None:
    """Prints what is in a capture.

    Args:
        name: Of its file.
        summary: Of its records.
        reader: That has read it.
        limit: Number of UEs to show.
    """
    console = Console(highlight=False)
    head = f"{summary.records:,} messages in {reader.capture.frames:,} frames"
    console.print(Text.assemble((name, "bold"), f"  {head}, {_span(summary.begin, summary.end)}"))
    share = f"{summary.ciphered / summary.nas:.1%}" if summary.nas else "0 %"
    console.print(f"{summary.nas:,} NAS messages in NGAP, {share.replace('%', ' %')} of them ciphered\n")
    console.print(_links(summary), "")
    console.print(Columns([_messages(summary, protocol) for protocol in (NGAP, NAS, PFCP)], padding=(0, 3)), "")
    console.print(_procedures(summary), "")
    if summary.refusals:
        console.print(_refusals(summary), "")
    _print_ues(console, summary, limit)
    _print_losses(console, reader)


def _print_ues(console: Console, summary: Summary, limit: int) -> None:
    if not summary.ues:
        console.print("No UE.")
        return
    console.print(_ues(summary, limit))
    if len(summary.ues) > limit:
        console.print(f"and {len(summary.ues) - limit} more; `--limit {len(summary.ues)}` shows all", style="dim")


def _print_losses(console: Console, reader: RecordReader) -> None:
    """Prints what was not delivered or not opened, by reason, and where it was."""
    console.print()
    if not reader.counts:
        console.print("Everything was decoded.")
        return
    table = _table("not decoded", "meaning", "number", texts=2)
    for reason, count in reader.counts.most_common():
        _add_row(table, reason, (REASONS | UNDECODED)[reason], f"{count:,}")
    console.print(table)
    for failure in reader.failures[:SHOWN_FAILURES]:
        console.print(Text(f"  {failure}"))


def _table(*columns: str, texts: int = 1) -> Table:
    """Returns an empty table whose first columns are texts, and the others numbers."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < texts else "right")
    return table


def _add_row(table: Table, *cells: str | Text) -> None:
    """Adds a row whose strings are plain text."""
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def _links(summary: Summary) -> Table:
    table = _table("link", "between", "messages", texts=2)
    for (protocol, one, other), count in sorted(summary.links.items()):
        _add_row(table, LINKS[protocol], f"{one} and {other}", f"{count:,}")
    return table


def _messages(summary: Summary, protocol: str) -> Table:
    table = _table(protocol.upper(), "messages")
    for (known, name), count in summary.messages.most_common():
        if known == protocol:
            _add_row(table, name, f"{count:,}")
    return table


def _procedures(summary: Summary) -> Table:
    outcomes = [
        outcome for outcome in (COMPLETED, REJECTED, CIPHERED, UNANSWERED) if outcome != CIPHERED or summary.ciphered
    ]
    table = _table("procedure", *outcomes, "median")
    for entry in summary.procedures:
        duration = "" if entry.duration is None else _duration(entry.duration)
        counts = (Text(f"{getattr(entry, outcome) or ''}", OUTCOMES.get(outcome, "")) for outcome in outcomes)
        _add_row(table, entry.kind.name, *counts, duration)
    return table


def _refusals(summary: Summary) -> Table:
    table = _table("refused or failed", "cause", "messages", texts=2)
    for (name, cause), count in summary.refusals.most_common():
        _add_row(table, name, "" if cause is None else str(cause), f"{count:,}")
    return table


def _ues(summary: Summary, limit: int) -> Table:
    table = _table("UE", "SUPI", "messages", "procedures", REJECTED, UNANSWERED, "first at", texts=2)
    for ue in summary.ues[:limit]:
        outcomes = (f"{ue.count(outcome) or ''}" for outcome in (REJECTED, UNANSWERED))
        first = f"{ue.begin - summary.begin:.3f} s"
        numbers = f"{ue.records:,}", f"{len(ue.procedures):,}", *outcomes, first
        _add_row(table, str(ue.number), ue.supi or "", *numbers)
    return table


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _span(begin: float, end: float) -> str:
    """Returns the first and last time, and how long that is."""
    try:
        start = datetime.fromtimestamp(begin, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        start = f"second {begin:.0f}"
    return f"{end - begin:,.1f} s from {start}"


# ---------------------------------------------------------------- charts


def print_ladder(ladder: Ladder) -> None:
    """Prints a chart as wide as the terminal."""
    console = Console(highlight=False)
    console.print(Text(ladder.title, "bold"))
    for line in draw_text(ladder, console.width, ascii_only=console.options.ascii_only):
        text = Text.assemble(*((span.text, STYLES[span.tone]) for span in line))
        console.print(text, no_wrap=True, overflow="ignore", crop=False)
    if ladder.omitted:
        console.print(f"`--limit {len(ladder.steps) + ladder.omitted}` shows all", style="dim")


# ---------------------------------------------------------------- messages


def print_messages(records: Iterable[Record], number: int) -> None:
    """Prints all fields of messages that one frame carries."""
    console = Console(highlight=False)
    for record in records:
        when = f"frame {number}, {record.timestamp:.6f}, {record.sender} to {record.receiver}, stream {record.stream}"
        tree = Tree(Text.assemble((f"{record.message.protocol.upper()} {record.message.name}", "bold"), f"  {when}"))
        _grow(tree, record.message.fields)
        console.print(tree)


def _grow(tree: Tree, fields: Fields) -> None:
    for name, value in fields:
        if isinstance(value, Message):
            carried = (f"{value.protocol.upper()} {value.name}", "bold")
            _grow(tree.add(Text.assemble(f"{name}: ", carried)), value.fields)
        elif isinstance(value, Fields):
            _grow(tree.add(Text(name)), value)
        else:
            tree.add(Text.assemble(f"{name}: ", (_value(value), "green")))


def _value(value: Any) -> str:
    if isinstance(value, Bits):
        return f"{value.value:#x} ({value.size} bits)"
    return value.hex(" ") if isinstance(value, bytes) else repr(value)
