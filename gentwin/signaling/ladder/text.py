"""Ladders as lines of text, for a terminal of any width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gentwin.signaling.ladder.steps import GNB, REFUSED, Actor, Ladder, Step

HEAD, FAINT, PLAIN = "head", "faint", "plain"
NARROWEST, WIDEST, FEWEST_STATIONS = 6, 11, 2
SMALLEST_LABEL, LABEL_SHARE = 24, 0.5
INDENT = "  "


class Span(NamedTuple):
    """A part of a line.

    Args:
        text: Its letters.
        tone: `head`, `faint`, `plain` or the tone of a step.
    """

    text: str
    tone: str = PLAIN


Line = tuple[Span, ...]


class Glyphs(NamedTuple):
    """What lines and arrows are drawn with."""

    line: str
    dash: str
    right: str
    left: str
    passing: str
    start: str


UNICODE = Glyphs("│", "─", "▶", "◀", "●", "├┤")
ASCII = Glyphs("|", "-", ">", "<", "o", "||")


def draw_text(ladder: Ladder, width: int = 100, *, ascii_only: bool = False) -> list[Line]:
    """Returns a ladder as lines: number and time, the arrow between the lines of the actors, names and details.

    ```python
    >>> from gentwin.signaling.core import SynthesisConfiguration, synthesize
    >>> from gentwin.signaling.ladder import draw_text, make_ladder
    >>> records = [*synthesize(SynthesisConfiguration(ues=1, duration=3.05), seed=7)]
    >>> for line in draw_text(make_ladder(records[2:4]), 60, ascii_only=True)[-2:]:
    ...     print("".join(span.text for span in line))
    1  0.0000      |--------->|      HeartbeatRequest
    2  0.0004      |<---------|      HeartbeatResponse
    ```

    Args:
        ladder: What to draw.
        width: Of the terminal, in letters; below 60, lines are longer than that.
        ascii_only: Whether to use ASCII for lines and arrows.
    """
    glyphs = ASCII if ascii_only else UNICODE
    margin = len(str(max((step.number for step in ladder.steps), default=0))) + 2 + _time_width(ladder) + 1
    ladder, pitch = _fitted(ladder, width - margin)
    names, actors = ladder.names(), ladder.actors
    columns = {actor: pitch // 2 + pitch * place for place, actor in enumerate(actors)}
    rest = max(SMALLEST_LABEL, width - margin - pitch * len(actors) - 1)
    lines = [*_legend(names, width), _header(actors, names, columns, margin)]
    for step in ladder.steps:
        lines += _row(ladder, step, columns, pitch * len(actors), rest, glyphs)
    if ladder.omitted:
        lines.append((Span(f"{ladder.omitted} more", FAINT),))
    return lines


def _time_width(ladder: Ladder) -> int:
    return max((len(_time(ladder, step)) for step in ladder.steps), default=0)


def _time(ladder: Ladder, step: Step) -> str:
    return f"{step.time - ladder.origin:.4f}"


def _fitted(ladder: Ladder, width: int) -> tuple[Ladder, int]:
    """Returns a ladder with as many columns as there is room for, and their pitch."""
    room = int(width * (1 - LABEL_SHARE))
    others = sum(actor.role != GNB for actor in ladder.actors)
    ladder = ladder.with_stations(max(FEWEST_STATIONS, room // NARROWEST - others))
    return ladder, max(NARROWEST, min(WIDEST, room // max(1, len(ladder.actors))))


def _fill(texts: Iterable[str], width: int, indent: str = "") -> list[str]:
    """Returns texts with commas between them in lines, broken inside of one only if it is longer than a line."""
    room = max(width, SMALLEST_LABEL)
    joined = ", ".join(text.replace(" ", "\0") if len(text) < room - len(indent) else text for text in texts)
    lines = textwrap.wrap(joined, room, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]


def _legend(names: dict[Actor, str], width: int) -> Iterator[Line]:
    known = (f"{name} {actor.address}" for actor, name in names.items() if actor.address)
    for line in _fill(known, width):
        yield (Span(line, FAINT),)


def _header(actors: Sequence[Actor], names: dict[Actor, str], columns: dict[Actor, int], margin: int) -> Line:
    text = ""
    for actor in actors:
        text = text.ljust(columns[actor] - len(names[actor]) // 2) + names[actor]
    return (Span(" " * margin + text, HEAD),)


def _row(ladder: Ladder, step: Step, columns: dict[Actor, int], room: int, rest: int, glyphs: Glyphs) -> Iterator[Line]:
    """Yields the lines of a step: the first has its arrow, those below it the rest of names and details."""
    number_width = len(str(max(known.number for known in ladder.steps)))
    left = f"{step.number or '':>{number_width}}  {_time(ladder, step):>{_time_width(ladder)}} "
    spans = _arrow(step, columns, room, glyphs)
    empty = "".join(glyphs.line if place in columns.values() else " " for place in range(room))
    label_tone = REFUSED if step.tone == REFUSED else PLAIN
    lines = _wrapped(step, rest)
    for place, (label, details) in enumerate(lines):
        head = (Span(left, FAINT), *spans) if place == 0 else (Span(" " * len(left)), Span(empty, FAINT))
        detail_tone = REFUSED if step.tone == REFUSED else FAINT
        yield (*head, Span(" "), *_filled(Span(label, label_tone), Span(details, detail_tone)))


def _filled(*spans: Span) -> Line:
    return tuple(span for span in spans if span.text)


def _wrapped(step: Step, width: int) -> list[tuple[str, str]]:
    """Returns label and details of a step in lines, as pairs of what is label and what is details in each."""
    label = textwrap.wrap(step.label, width, subsequent_indent=INDENT)
    details = ", ".join(step.details)
    if not details:
        return [(line, "") for line in label]
    if len(label[-1]) + len(INDENT) + len(details) <= width:
        return [*((line, "") for line in label[:-1]), (label[-1], INDENT + details)]
    return [*((line, "") for line in label), *(("", line) for line in _fill(step.details, width, INDENT))]


def _arrow(step: Step, columns: dict[Actor, int], room: int, glyphs: Glyphs) -> Line:
    """Returns the lines of the actors with the arrow of a step."""
    start, end = columns[step.sender], columns[step.receiver]
    low, high = min(start, end), max(start, end)
    letters = [glyphs.line if place in columns.values() else " " for place in range(room)]
    for place in range(low + 1, high):
        letters[place] = glyphs.dash
    if start < end:
        letters[start], letters[end - 1] = glyphs.start[0], glyphs.right
    elif end < start:
        letters[start], letters[end + 1] = glyphs.start[1], glyphs.left
    if step.via is not None and low < columns[step.via] < high:
        letters[columns[step.via]] = glyphs.passing
    text = "".join(letters)
    return _filled(Span(text[:low], FAINT), Span(text[low : high + 1], step.tone), Span(text[high + 1 :], FAINT))
