"""Values in messages that others sent: what is there and what is not, without trust."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message
from gentwin.signaling.resolver.state import Tunnel

AMF_IDS = ("amf_ue_ngap_id", "source_amf_ue_ngap_id", "ue_ngap_ids.ue_ngap_id_pair.amf_ue_ngap_id")
RAN_IDS = ("ran_ue_ngap_id", "ue_ngap_ids.ue_ngap_id_pair.ran_ue_ngap_id")


def number(message: Message | Fields, *paths: str) -> int | None:
    """Returns the number at the first path where there is one; None if there is none."""
    return next((value for path in paths if isinstance(value := message.get(path), int)), None)


def text(message: Message | Fields, path: str) -> str:
    """Returns the text at a path; empty if there is none."""
    value = message.get(path)
    return value if isinstance(value, str) else ""


def group(message: Message | Fields, path: str) -> Fields:
    """Returns the fields at a path; none if there are none."""
    value = message.get(path)
    return value if isinstance(value, Fields) else Fields()


def inner(message: Message, path: str) -> Message | None:
    """Returns the message at a path; None if there is none."""
    value = message.get(path)
    return value if isinstance(value, Message) else None


def flags(message: Message, path: str) -> frozenset[int] | None:
    """Returns the PDU sessions that flags at a path name; None if there are no flags."""
    value = message.get(path)
    if not isinstance(value, str):
        return None
    return frozenset(int(word[4:]) for word in value.split() if word.startswith("psi_") and word[4:].isdigit())


def slice_of(fields: Any) -> Slice | None:
    """Returns the slice that fields of NAS or NGAP name; None if they name none."""
    if not isinstance(fields, Fields):
        return None
    sst, sd = fields.get("sst"), fields.get("sd")
    if isinstance(sst, bytes) and len(sst) == 1:
        sst = sst[0]
    if not isinstance(sst, int):
        return None
    return Slice(sst, sd.hex() if isinstance(sd, bytes) else None)


def slices(message: Message, path: str) -> tuple[Slice, ...] | None:
    """Returns the slices of a list of NAS at a path; None if there is no list."""
    listed = message.get(path)
    if not isinstance(listed, Fields):
        return None
    return tuple(of for entry in listed.all("s_nssai") if (of := slice_of(entry)) is not None)


def items(message: Message) -> Iterator[tuple[int, Fields]]:
    """Yields the PDU sessions that a message of NGAP lists, with what it says of each."""
    for _, listed in message.fields:
        if not isinstance(listed, Fields):
            continue
        for entry in listed.all("item"):
            psi = entry.get("pdu_session_id") if isinstance(entry, Fields) else None
            if isinstance(psi, int):
                yield psi, entry


def tunnel(fields: Fields) -> Tunnel | None:
    """Returns the first end of a tunnel in fields of NGAP; None if there is none."""
    for name, value in fields:
        if not isinstance(value, Fields):
            continue
        if name == "gtp_tunnel":
            address, teid = value.get("transport_layer_address"), value.get("gtp_teid")
            return (address, teid) if isinstance(address, str) and isinstance(teid, bytes) else None
        found = tunnel(value)
        if found is not None:
            return found
    return None


def user_tunnel(fields: Fields) -> Tunnel | None:
    """Returns the end of a tunnel in an F-TEID, or a header to be put on, of PFCP; None if there is none."""
    teid, address = fields.get("teid"), fields.get("ipv4", fields.get("ipv6"))
    if not isinstance(teid, int) or not isinstance(address, str):
        return None
    return address, teid.to_bytes(4, "big")
