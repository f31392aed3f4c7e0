"""What tshark makes of captures that gentwin wrote: synthesised ones, and recordings decoded and encoded again.

The recordings as they are go through the same, as baseline. tshark must call nothing malformed and find as many
messages of N1, N2 and N4 as there are, with the same names, numbers, identities and causes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gentwin.signaling.core import (
    GENERIC,
    OPEN5GS,
    Behaviour,
    Faults,
    Flavour,
    LoadLimits,
    Population,
    SynthesisConfiguration,
    Workload,
    synthesize,
)
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NGAP, Message, Record
from gentwin.signaling.nas import MESSAGES as NAS_MESSAGES
from gentwin.signaling.nas.elements import SESSION
from gentwin.signaling.pfcp import MESSAGES as PFCP_MESSAGES
from gentwin.signaling.records import read_records, write_records
from recipes.figures.recordings import recordings
from recipes.figures.result import Result

GOAL = "0 malformed, every N1, N2 and N4 message recognised, of synthesised and of re-encoded captures"
INFO, MALFORMED, PROTOCOLS = "_ws.col.Info", "_ws.malformed", "frame.protocols"
DISCRIMINATOR, PFCP_TYPE = "nas_5gs.epd", "pfcp.msg_type"
MOBILITY_TYPE, SESSION_TYPE = "nas_5gs.mm.message_type", "nas_5gs.sm.message_type"
NUMBERS = {
    "amf_ue_ngap_id": "ngap.AMF_UE_NGAP_ID",
    "source_amf_ue_ngap_id": "ngap.AMF_UE_NGAP_ID",
    "ran_ue_ngap_id": "ngap.RAN_UE_NGAP_ID",
    "cause_5gmm": "nas_5gs.mm.5gmm_cause",
    "cause_5gsm": "nas_5gs.sm.5gsm_cause",
    "sequence_number": "nas_5gs.seq_no",
}
"""Fields whose numbers are compared, with what tshark calls them; the last one is another one in PFCP."""
FIELDS = (DISCRIMINATOR, MOBILITY_TYPE, SESSION_TYPE, PFCP_TYPE, "pfcp.seqno", *dict.fromkeys(NUMBERS.values()))

Said = dict[str, Any]
"""Name of the NGAP message, and by the names that tshark has for fields, all their numbers in order."""


@dataclass
class Account:
    """How many messages there are, and how tshark sees them.

    Args:
        messages: Number of messages by interface: `n1`, `n2` and `n4`.
        recognised: How many of these tshark found.
        malformed: Number of frames in which tshark found something malformed.
        differing: Number of frames in which it sees other names or numbers.
    """

    messages: Counter[str] = field(default_factory=Counter)
    recognised: Counter[str] = field(default_factory=Counter)
    malformed: int = 0
    differing: int = 0

    @property
    def clean(self) -> bool:
        """Whether tshark found every message, whole and the same."""
        return not self.malformed and not self.differing and self.messages == self.recognised

    def add(self, other: Account) -> None:
        """Adds the numbers of another account."""
        self.messages += other.messages
        self.recognised += other.recognised
        self.malformed += other.malformed
        self.differing += other.differing

    def summary(self) -> dict[str, Any]:
        """Returns the account as plain numbers."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}


# ---------------------------------------------------------------- what tshark sees


def find_tshark() -> str | None:
    """Returns the path of tshark, None if it is not installed."""
    return shutil.which("tshark")


def version_of(tshark: str) -> str:
    """Returns the version of tshark."""
    printed = subprocess.run([tshark, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"\d+(?:\.\d+)+", printed)[0]


def dissect(tshark: str, capture: Path, ciphered: bool) -> Iterator[tuple[Said, bool]]:
    """Yields what every frame of a capture says according to tshark, and whether it is malformed.

    Args:
        tshark: Path of the program.
        capture: To read.
        ciphered: Whether NAS is; else tshark takes the null cipher, which is not said in a message, for granted.
    """
    columns = [INFO, MALFORMED, PROTOCOLS, *FIELDS]
    command = [tshark, "-n", "-r", str(capture), "-o", f"nas-5gs.null_decipher:{str(not ciphered).upper()}"]
    command += ["-T", "fields"]
    command += [part for column in columns for part in ("-e", column)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            row = dict(zip(columns, line.rstrip("\n").split("\t"), strict=True))
            said: Said = {name: tuple(int(number, 0) for number in row[name].split(",") if number) for name in FIELDS}
            said[NGAP] = row[INFO].partition(",")[0] if NGAP in row[PROTOCOLS].split(":") else ""
            yield said, bool(row[MALFORMED])
    if process.returncode:
        raise RuntimeError(f"`{' '.join(command)}` ended with {process.returncode}")


# ---------------------------------------------------------------- what we say


def said_by(record: Record) -> Said:
    """Returns what a record says, as tshark would."""
    message = record.message
    found: dict[str, list[int]] = {name: [] for name in FIELDS}
    if message.protocol == NGAP:
        _look_into(message.fields, found)
    else:
        found[PFCP_TYPE] = [PFCP_MESSAGES[message.name].number]
        found["pfcp.seqno"] = [message["sequence_number"]]
    named = {NGAP: message.name if message.protocol == NGAP else ""}
    return {name: tuple(numbers) for name, numbers in found.items()} | named


def is_ciphered(record: Record) -> bool:
    """Returns whether NAS in a record is ciphered."""
    return isinstance(record.message.get("nas_pdu.payload"), bytes)


def _look_into(fields: Fields, found: dict[str, list[int]]) -> None:
    for name, value in fields:
        if isinstance(value, Message):
            kind = NAS_MESSAGES[value.name]
            found[DISCRIMINATOR].append(kind.discriminator)
            if kind.number is not None:
                found[SESSION_TYPE if kind.discriminator == SESSION else MOBILITY_TYPE].append(kind.number)
            _look_into(value.fields, found)
        elif isinstance(value, Fields):
            _look_into(value, found)
        elif name in NUMBERS and isinstance(value, int):
            found[NUMBERS[name]].append(value)


def count(said: Said) -> Counter[str]:
    """Returns how many messages of each interface there are; NAS in NAS counts too."""
    found = {"n1": len(said[DISCRIMINATOR]), "n2": int(bool(said[NGAP])), "n4": len(said[PFCP_TYPE])}
    return Counter({name: number for name, number in found.items() if number})


# ---------------------------------------------------------------- both


def compare(tshark: str, capture: Path, records: Sequence[Record]) -> Account:
    """Returns how tshark sees a capture of some records, one in each frame."""
    account = Account()
    frames = dissect(tshark, capture, ciphered=any(map(is_ciphered, records)))
    for ours, (theirs, malformed) in zip(map(said_by, records), frames, strict=True):
        account.messages += count(ours)
        account.recognised += count(theirs)
        account.differing += theirs != ours
        account.malformed += malformed
    return account


def compare_written(tshark: str, records: Sequence[Record]) -> Account:
    """Returns how tshark sees the capture that is written of some records, encoded anew."""
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "written.pcap"
        write_records(capture, records)
        return compare(tshark, capture, records)


def synthesised(flavour: Flavour, ues: int, duration: float, seed: int) -> list[Record]:
    """Returns the traffic of a network in which everything happens, also what goes wrong."""
    population = Population(wrong_key=0.03, old_sequence=0.03, unknown=0.03, ipv6=0.03, profile_a=0.3, profile_b=0.3)
    behaviour = Behaviour(unknown_slice=2.0, unsubscribed=2.0, network_release=3.0, radio_failure=2.0)
    workload = Workload(arrivals=ues / 10, behaviour=behaviour)
    failures = {"station_resets": 0.01, "station_restarts": 0.01, "amf_restarts": 0.01, "upf_restarts": 0.01}
    faults = Faults(0.01, 0.01, 0.01, 0.01, handover_refused=0.1, handover_cancelled=0.1, **failures)
    limits = LoadLimits(registered=9 * ues // 10, patience=2.0, overload=0.1)
    configuration = SynthesisConfiguration(
        ues=ues, duration=duration, population=population, workload=workload, faults=faults, limits=limits
    )
    network = replace(configuration.network, flavour=flavour)
    return list(synthesize(replace(configuration, network=network), seed))


def measure(full: bool, seed: int) -> Result:
    """Measures the figure."""
    tshark = find_tshark()
    if tshark is None:
        return Result({"reason": "tshark is not installed"}, GOAL, False, None, None)
    figure: dict[str, Any] = {"tshark": version_of(tshark)}
    ues, duration = (300, 120.0) if full else (30, 60.0)
    accounts = {
        f"synthesised {flavour.name}": compare_written(tshark, synthesised(flavour, ues, duration, seed))
        for flavour in (OPEN5GS, replace(OPEN5GS, name="open5gs, NEA2", ciphering=2), GENERIC)
    }
    again, as_they_are = Account(), Account()
    for capture in recordings(every=full):
        records = list(read_records(capture))
        again.add(compare_written(tshark, records))
        as_they_are.add(compare(tshark, capture, records))
    accounts["re-encoded"] = again
    figure |= {name: account.summary() for name, account in accounts.items()}
    met = all(account.clean for account in accounts.values())
    shares = [account.recognised.total() / account.messages.total() for account in (*accounts.values(), as_they_are)]
    return Result(figure, GOAL, met, {"recordings as they are": as_they_are.summary()}, min(shares[:-1]) / shares[-1])
