"""What is to be seen of a core that is served: links, messages, refusals, how fast it answers."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from os import PathLike
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from gentwin.signaling.core.control_plane import HEARD, REFUSED, CoreEvent, Packet
from gentwin.signaling.ladder import Actor, Step, make_ladder
from gentwin.signaling.ladder.steps import AMF, GNB, SMF, UE, UPF
from gentwin.signaling.messages import NGAP, Record

UNSENT, WARNING = "unsent", "warning"
"""Kinds of lines: the core said something that was not sent, as the link is down; something is amiss."""
SERVER, USER_PLANE = "server", "n4"
"""Who refuses what the core does not hear: the server, of base stations; the link to the user plane."""
MOST_HOSTS, REPEATED_AFTER = 1024, 60.0
"""Hosts of whom a refusal on N4 is told within so many seconds, which then may be told again."""
STYLES = {"nas": "", "ngap": "cyan", "pfcp": "green", "refused": "bold red", "closed": "dim"}


class Watch:
    """What is told of a server and its core; this one takes no notice. All times are in seconds since 1970."""

    def link(self, peer: str, up: bool, reason: str, now: float) -> None:
        """Takes that a base station came or went, and why."""

    def refused(self, peer: str, reason: str, now: float, by: str = SERVER) -> None:
        """Takes that something was refused before the core heard of it, by `server` or `n4`."""

    def user_plane(self, address: str, answers: bool, now: float) -> None:
        """Takes that the user plane has not answered for a while, or answers again."""

    def sent(self, packets: Sequence[tuple[Packet, bool]], now: float) -> None:
        """Takes what the core has just said, and of each packet whether there was a link to send it by."""

    def batch(self, messages: int, seconds: float) -> None:
        """Takes how many messages were heard together, and how long the answers took."""

    def answered(self, event: CoreEvent) -> None:
        """Takes what the server has said in place of the core, to a base station before its NG setup.

        It repeats numbers of UEs that others made up, so it says nothing about any UE.
        """

    def event(self, event: CoreEvent) -> None:
        """Takes what happened at the core; its listener."""

    def close(self) -> None:
        """Takes that the server has ended."""


class Watches(Watch):
    """Several at once.

    Args:
        watches: Who is told, in this order.
    """

    def __init__(self, watches: Iterable[Watch]) -> None:
        self._watches = [*watches]

    def link(self, peer: str, up: bool, reason: str, now: float) -> None:
        """Takes that a base station came or went."""
        for watch in self._watches:
            watch.link(peer, up, reason, now)

    def refused(self, peer: str, reason: str, now: float, by: str = SERVER) -> None:
        """Takes that something was refused."""
        for watch in self._watches:
            watch.refused(peer, reason, now, by)

    def user_plane(self, address: str, answers: bool, now: float) -> None:
        """Takes whether the user plane answers."""
        for watch in self._watches:
            watch.user_plane(address, answers, now)

    def sent(self, packets: Sequence[tuple[Packet, bool]], now: float) -> None:
        """Takes what was sent."""
        for watch in self._watches:
            watch.sent(packets, now)

    def batch(self, messages: int, seconds: float) -> None:
        """Takes how long a batch took."""
        for watch in self._watches:
            watch.batch(messages, seconds)

    def answered(self, event: CoreEvent) -> None:
        """Takes what was said in place of the core."""
        for watch in self._watches:
            watch.answered(event)

    def event(self, event: CoreEvent) -> None:
        """Takes what happened at the core."""
        for watch in self._watches:
            watch.event(event)

    def close(self) -> None:
        """Takes that the server has ended."""
        for watch in self._watches:
            watch.close()


def step_of(record: Record, said: bool, number: int = 0) -> Step:
    """Returns a message of the core as a row of a ladder, with who says it to whom.

    Args:
        record: The message.
        said: Whether the core says it; else it hears it.
        number: Of the row; 0 for none.
    """
    (step,) = make_ladder([record], numbers=[number]).steps
    is_ngap = record.message.protocol == NGAP
    roles = (AMF, GNB) if is_ngap else (SMF, UPF)
    addresses = record.sender, record.receiver
    if not is_ngap:  # a datagram may come from any port
        addresses = tuple(address.rpartition(":")[0] or address for address in addresses)
    sender, receiver = map(Actor, roles if said else roles[::-1], addresses)
    if step.via is None:
        return replace(step, sender=sender, receiver=receiver)
    if said:
        return replace(step, sender=sender, via=receiver, receiver=Actor(UE))
    return replace(step, sender=Actor(UE), via=sender, receiver=receiver)


class MessageLog(Watch):
    """A line for everything that happens: JSON in a file, and text on a screen.

    A line of the file has `time`, `kind` (`heard`, `said`, `unsent`, `happened`, `refused`, `link`, `warning`), and
    where there are any `peer`, `context`, `protocol`, `message`, `details` and `reason`. Datagrams that are thrown away
    on N4, which anybody can send, are told of once a minute for each reason and host, and 1,024 hosts at most.

    Args:
        path: Of the file, which is appended to; None for none.
        console: Screen; None for none.
    """

    def __init__(self, path: str | PathLike[str] | None = None, console: Console | None = None) -> None:
        self._file: IO[str] | None = None
        if path is not None:
            self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - `close` closes it
        self._console = console
        self._seldom: defaultdict[str, _Seldom] = defaultdict(_Seldom)

    def link(self, peer: str, up: bool, reason: str, now: float) -> None:
        """Writes that a base station came or went."""
        self._write(now, "link", peer, reason=" ".join(filter(None, ("up" if up else "down", reason))))

    def refused(self, peer: str, reason: str, now: float, by: str = SERVER) -> None:
        """Writes that something was refused."""
        if by != USER_PLANE or self._seldom[reason].takes(peer.rpartition(":")[0], now):
            self._write(now, REFUSED, peer, reason=reason)

    def user_plane(self, address: str, answers: bool, now: float) -> None:
        """Writes whether the user plane answers."""
        self._write(now, WARNING, "", reason=_silence(address, answers))

    def answered(self, event: CoreEvent) -> None:
        """Writes what was said in place of the core."""
        self.event(event)

    def event(self, event: CoreEvent) -> None:
        """Writes what happened at the core."""
        step = None if event.record is None else step_of(event.record, event.kind != HEARD)
        self._write(event.timestamp, event.kind, event.peer, event.context, step, event.record, event.reason)

    def _write(
        self,
        now: float,
        kind: str,
        peer: str,
        context: int | None = None,
        step: Step | None = None,
        record: Record | None = None,
        reason: str = "",
    ) -> None:
        if self._file is not None:
            line: dict[str, Any] = {"time": round(now, 6), "kind": kind, "peer": peer, "context": context}
            if step is not None and record is not None:
                line |= {"protocol": record.message.protocol, "message": step.label, "details": list(step.details)}
            line["reason"] = reason
            known = {name: value for name, value in line.items() if value not in (None, "", [])}
            self._file.write(json.dumps(known, ensure_ascii=True) + "\n")
        if self._console is not None:
            self._console.print(_line(now, kind, peer, context, step, reason), soft_wrap=True, highlight=False)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Warnings(Watch):
    """Says what is amiss, where no lines are printed.

    Args:
        say: Called with the text.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def user_plane(self, address: str, answers: bool, now: float) -> None:
        """Says whether the user plane answers."""
        self._say(_silence(address, answers))


class _Seldom:
    """Takes of each host one thing a minute, and of a bounded number of hosts."""

    def __init__(self) -> None:
        self._taken: OrderedDict[str, float] = OrderedDict()

    def takes(self, host: str, now: float) -> bool:
        """Returns whether something of a host is taken."""
        while self._taken and now - next(iter(self._taken.values())) >= REPEATED_AFTER:
            self._taken.popitem(last=False)
        if host in self._taken or len(self._taken) >= MOST_HOSTS:
            return False
        self._taken[host] = now
        return True


def _silence(address: str, answers: bool) -> str:
    """Returns what there is to tell of a user plane that does not answer, or does so again."""
    return f"UPF {address} answers again" if answers else f"UPF {address} does not answer"


def _line(now: float, kind: str, peer: str, context: int | None, step: Step | None, reason: str) -> Text:
    """Returns a line for the screen; what others sent is made printable."""
    clock = datetime.fromtimestamp(now, UTC).strftime("%H:%M:%S.%f")[:-3]
    number = "" if context is None else f"#{context}"
    text = Text.assemble((f"{clock} ", "dim"), (f"{number:>6} ", "dim"))
    if step is None:
        style = STYLES["refused"] if kind in (REFUSED, WARNING) else "dim"
        return text.append(" ".join(filter(None, (f"{kind:8}", _plain(peer), _plain(reason)))), style)
    parties = step.sender.role, step.receiver.role
    text.append(f"{parties[0]:>4} → {parties[1]:4} ", "dim").append(_plain(step.label), STYLES[step.tone])
    return text.append(f"  {_plain(', '.join((*step.details, reason) if reason else step.details))}", "dim")


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
