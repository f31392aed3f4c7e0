"""What a person can do who plays UE and base station."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import typer

from gentwin.cli import tables
from gentwin.schema import did_you_mean
from gentwin.serving import ServingConfiguration, read_configuration
from gentwin.serving.cores import load_core
from gentwin.serving.talking import Talk
from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.core.ue import REGISTERED
from gentwin.signaling.ladder import make_ladder
from gentwin.signaling.messages import Record
from gentwin.signaling.records import write_records
from gentwin.signaling.turns.names import names_of

MOST_SHOWN = 200
CAPTURE, PICTURES = ".pcap", (".svg", ".png")
LONGEST_WAIT = 100_000.0  # seconds
HIGHEST_SESSION = 15  # identity of a PDU session (3GPP TS 24.007, 11.2.3.1b)
SPEAK = frozenset(
    ["ng-setup", "ng-reset", "register", "update", "session", "release", "idle", "data", "page", "deregister", "core"]
)
"""Commands because of which something is said, or they could not be done."""
BACK_OFF = ("T3346", "T3502", "T3511")  # timers of a UE that is to wait


class Command(NamedTuple):
    """Something that can be done.

    Args:
        usage: How it is written.
        text: What it does.
        most: Number of arguments at most.
        action: Does it.
    """

    usage: str
    text: str
    most: int
    action: Callable[..., None]


class Conversation:
    """What is typed, done with a [`Talk`][gentwin.serving.talking.Talk], and shown.

    Args:
        checkpoint: Of the core, or `reference`.
        config: YAML file; the recorded network if None.
        supi: Who the UE is; the first subscriber if None.
        seed: Of what is random.
    """

    def __init__(self, checkpoint: str, config: Path | None, supi: str | None, seed: int) -> None:
        configuration = ServingConfiguration() if config is None else read_configuration(config)
        if not len(configuration.subscribers):
            raise ValueError("`subscribers` must have at least one, got none.")
        for text in configuration.warnings:
            typer.echo(f"gentwin: warning: {text}", err=True)
        core = load_core(checkpoint, configuration, seed=seed)
        self._talk = Talk(
            core, configuration.network, configuration.subscribers, seed=seed, problem=lambda text: typer.echo(text)
        )
        self._origin, self._shown = configuration.network.start, len(self._talk.records)
        if supi is not None:
            self._switch(supi)
        self._commands = self._make_commands()

    def _make_commands(self) -> dict[str, Command]:
        entries = (
            Command("ng-setup [TAC] [PLMN]", "the base station introduces itself", 2, self._set_up),
            Command("ng-reset", "the base station resets its link", 0, self._reset),
            Command("register", "initial registration", 0, self._register),
            Command("update", "periodic registration, when idle", 0, self._update),
            Command("session DNN [SLICE]", "PDU session: `session internet`, `session iot 2-000001`", 2, self._session),
            Command("release [N]", "release a PDU session", 1, self._release),
            Command("idle", "the base station releases the connection", 0, self._release_connection),
            Command("data", "the UE has something to send: service request", 0, self._send_data),
            Command("page", "something comes for the UE: session report, paging, service request", 0, self._page),
            Command("deregister [normal]", "the UE is switched off, or waits for the answer", 1, self._deregister),
            Command("wrong-key", "another key in the USIM", 0, lambda: self._talk.change_key(True)),
            Command("right-key", "the right key again", 0, lambda: self._talk.change_key(False)),
            Command("ue SUPI", "another UE acts from now on", 1, self._switch),
            Command("core NAME [N]", "the core acts: `core deregister`, `core release_session 2`", 2, self._core),
            Command("wait SECONDS", "lets time pass, and timers run out", 1, self._wait),
            Command("status", "what the UE is and has", 0, self._status),
            Command("show MESSAGE", "all fields of a message, by its number or name", 1, self._show),
            Command("ladder", "everything that was said", 0, lambda: self._print(0)),
            Command("save FILE", "the ladder as `.svg` or `.png`, or all messages as `.pcap`", 1, self._save),
            Command("help", "this list", 0, self._help),
            Command("quit", "the end", 0, lambda: None),
        )  # fmt: skip
        return {entry.usage.partition(" ")[0]: entry for entry in entries}

    def obey(self, line: str) -> bool:
        """Does what a line says and shows what was said because of it; returns False at the end.

        Raises:
            ValueError: If it cannot be done.
        """
        words = shlex.split(line, comments=True)
        if not words:
            return True
        name, arguments = words[0].lower(), words[1:]
        command = self._commands.get(name)
        if command is None:
            raise ValueError(f"there is no {name!r}{did_you_mean(name, self._commands)} `help` says what there is.")
        least = command.usage.count(" ") - command.usage.count(" [")
        if not least <= len(arguments) <= command.most:
            raise ValueError(f"it is written `{command.usage}`, got {' '.join(words)!r}.")
        command.action(*arguments)
        if name in SPEAK and len(self._talk.records) == self._shown:
            raise ValueError(f"nothing was said because of `{name}`: {self._described()}.")
        if len(self._talk.records) > self._shown:
            self._print(self._shown)
            self._shown = len(self._talk.records)
        return name != "quit"

    # ------------------------------------------------------------ what can be done

    def _set_up(self, tac: str | None = None, plmn: str | None = None) -> None:
        station = self._talk.station.station
        if tac is not None:
            if len(tac) > 6 or not tac.isalnum() or set(tac) - set("0123456789abcdefABCDEF"):
                raise ValueError(f"`TAC` must be up to 6 hex digits, got {tac!r}.")
            station = replace(station, tac=f"{tac:0>6}".lower())
        if plmn is not None:
            mcc, _, mnc = plmn.partition("-")
            if not (mcc.isdecimal() and mnc.isdecimal() and len(mcc) == 3 and 2 <= len(mnc) <= 3):
                raise ValueError(f"`PLMN` must be MCC-MNC, such as 999-70, got {plmn!r}.")
            station = replace(station, plmn=plmn)
        self._talk.set_up(station)

    def _reset(self) -> None:
        self._served()
        self._talk.do(self._talk.station.reset)

    def _served(self) -> None:
        """Raises `ValueError` unless the link of the base station is set up."""
        if not self._talk.station.accepted:
            raise ValueError("the UE finds no base station; `ng-setup` comes first.")

    def _register(self) -> None:
        self._served()
        if self._talk.ue.state == REGISTERED:
            raise ValueError("the UE is registered; `deregister` comes first.")
        self._talk.register()

    def _registered(self, idle: bool = False) -> None:
        """Raises `ValueError` unless the UE is registered, and has no connection if it is to be idle."""
        ue = self._talk.ue
        if ue.state != REGISTERED:
            raise ValueError(f"the UE is {ue.state}; `register` comes first.")
        if idle and not ue.idle:
            raise ValueError("the UE is connected; `idle` comes first.")

    def _update(self) -> None:
        self._served()
        self._registered(idle=True)
        self._talk.do(self._talk.ue.update)

    def _send_data(self) -> None:
        self._served()
        self._registered(idle=True)
        self._talk.do(self._talk.ue.send_data)

    def _release_connection(self) -> None:
        if self._talk.ue.idle:
            raise ValueError("the UE is idle; it has no connection to be released.")
        self._talk.do(self._talk.ue.release)

    def _session(self, dnn: str, of: str | None = None) -> None:
        self._registered()
        chosen = None
        if of is not None:
            sst, _, sd = of.partition("-")
            if not sst.isdecimal() or not 1 <= int(sst) <= 255 or (sd and len(sd) != 6):
                raise ValueError(f"`SLICE` must be SST or SST-SD, such as 1 or 2-000001, got {of!r}.")
            chosen = Slice(int(sst), sd.lower() or None)
        self._talk.establish(dnn, chosen)

    def _release(self, number: str | None = None) -> None:
        self._registered()
        there = [psi for psi, known in self._talk.ue.sessions.items() if known.state == "there"]
        chosen = min(there, default=0) if number is None else _session(number)
        if chosen not in there:
            known = ", ".join(map(str, there)) or "none; `session internet` comes first"
            raise ValueError(f"`N` must be a PDU session of the UE, which has {known}, got {number or 'nothing'}.")
        self._talk.do(lambda: self._talk.ue.release_session(chosen))

    def _page(self) -> None:
        self._registered(idle=True)
        if not self._talk.page():
            raise ValueError("nothing can come for a UE without a session; `session internet` comes first.")

    def _deregister(self, kind: str = "off") -> None:
        self._registered()
        self._talk.do(lambda: self._talk.ue.deregister(switch_off=kind != "normal"))

    def _core(self, name: str, number: str | None = None) -> None:
        self._talk.command(name, None if number is None else _session(number))

    def _switch(self, supi: str) -> None:
        digits = supi.removeprefix("imsi-")
        if not (digits.isdecimal() and digits.isascii() and 6 <= len(digits) <= 15):
            raise ValueError(f"`SUPI` must be 6 to 15 digits, got {supi!r}.")
        self._talk.switch_to(digits)

    def _wait(self, seconds: str) -> None:
        try:
            time = float(seconds)
        except ValueError:
            time = -1.0
        if not 0 < time <= LONGEST_WAIT:
            raise ValueError(f"`SECONDS` must be a number up to {LONGEST_WAIT:g}, got {seconds!r}.")
        self._talk.settle(time)

    # ------------------------------------------------------------ what is shown

    def _print(self, first: int) -> None:
        records = self._talk.records[first:]
        numbers = range(first + 1, first + 1 + len(records))
        ladder = make_ladder(records, title="", numbers=numbers, origin=self._origin)
        tables.print_ladder(ladder.first(MOST_SHOWN))

    def _status(self) -> None:
        ue = self._talk.ue
        typer.echo(self._described())
        for psi, known in sorted(ue.sessions.items()):
            typer.echo(f"  session {psi}: {known.dnn}, {known.state} {known.address}".rstrip())

    def _described(self) -> str:
        ue = self._talk.ue
        waits = [name for name in BACK_OFF if name in ue.timers]
        state = f"UE {ue.usim.supi}: {ue.state}, {'idle' if ue.idle else 'connected'}"
        return f"{state}, waits for {', '.join(waits)}" if waits else state

    def _show(self, wanted: str) -> None:
        records = self._talk.records
        number = int(wanted) if wanted.isdecimal() else _latest(records, wanted)
        if not 1 <= number <= len(records):
            raise ValueError(f"`MESSAGE` must be a number up to {len(records)}, or a name in it, got {wanted!r}.")
        tables.print_messages(records[number - 1 : number], number)

    def _save(self, name: str) -> None:
        path = Path(name)
        if not self._talk.records:
            raise ValueError("nothing was said yet.")
        if path.suffix.lower() == CAPTURE:
            write_records(path, self._talk.records)
        elif path.suffix.lower() in PICTURES:
            from gentwin.charts import save_ladder

            save_ladder(make_ladder(self._talk.records, title="talk", origin=self._origin).first(1000), path)
        else:
            raise ValueError(f"`FILE` must end with .svg, .png or .pcap, got {name!r}.")
        typer.echo(f"written: {path}")

    def _help(self) -> None:
        for command in self._commands.values():
            typer.echo(f"  {command.usage:22} {command.text}")


def _latest(records: list[Record], name: str) -> int:
    """Returns the number of the latest message that has a name, itself or inside; 0 if there is none."""
    wanted = name.lower()
    for number in range(len(records), 0, -1):
        if any(wanted in known.lower() for known in names_of(records[number - 1].message)):
            return number
    return 0


def _session(number: str) -> int:
    """Returns the identity of a PDU session that is written as a number."""
    if not (number.isdecimal() and number.isascii() and 1 <= int(number) <= HIGHEST_SESSION):
        raise ValueError(f"`N` must be the number of a PDU session, 1 to {HIGHEST_SESSION}, got {number!r}.")
    return int(number)
