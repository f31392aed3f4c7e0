"""Data sets of dialogues, small ones, and records to make them of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from gentwin.datasets.signaling import SPLITS, StoredDialogue, Summary, read_dialogues, write_dataset
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import Record
from tests.signaling.record_samples import downlink, guti, nas, registration, suci

KEY = b"sixteen bytes or more"


def write(directory: Path, *captures: tuple[str, object], **options) -> Summary:
    """Writes a data set without pseudonyms, unless told otherwise."""
    return write_dataset(directory / "dialogues", captures, **{"pseudonymise": False, **options})


def read(directory: Path) -> list[StoredDialogue]:
    """Returns all dialogues, in the order of captures and contexts."""
    found = [dialogue for split in SPLITS for dialogue in read_dialogues(directory / "dialogues", split)]
    return sorted(found, key=lambda dialogue: (dialogue.capture, dialogue.context.number))


def splits_of(directory: Path) -> Iterator[tuple[str, StoredDialogue]]:
    for split in SPLITS:
        for dialogue in read_dialogues(directory / "dialogues", split):
            yield split, dialogue


def rows_of(directory: Path) -> list[dict]:
    paths = sorted((directory / "dialogues/data").glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def as_plain(dialogue) -> tuple:
    context = dialogue.context
    return context.number, context.kind, context.supi, context.links, dialogue.records


def begin(ran_id: int, identity: Fields) -> Record:
    """Returns the first message of a UE, complete."""
    place = Fields.of(
        nr_cgi=Fields.of(plmn_identity="999-70", nr_cell_identity=Bits(16, 36)),
        tai=Fields.of(plmn_identity="999-70", tac=b"\0\0\1"),
    )
    location = Fields.of(user_location_information_nr=place)
    return registration(ran_id, identity, user_location_information=location, rrc_establishment_cause="mo-Signalling")


def give(number: int, tmsi: bytes) -> Record:
    """Returns the message that gives a UE a temporary identity, complete."""
    result = Fields.of(
        disaster_roaming=0, emergency_registered=0, nssaa_to_be_performed=0, sms_allowed=0, result="3gpp"
    )
    return downlink(number, number, nas("RegistrationAccept", registration_result=result, guti=guti(tmsi)))


def subscribers(count: int, start: int = 1) -> list[Record]:
    """Returns the registrations of some UEs, each of which is given a temporary identity."""
    records = []
    for number in range(start, start + count):
        records += [begin(number, suci(f"{number:010d}")), give(number, number.to_bytes(4, "big"))]
    return [replace(record, timestamp=float(place)) for place, record in enumerate(records)]
