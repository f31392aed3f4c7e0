"""NAS codec: recorded dialogues of a core that is none of ours."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice
from typing import Any

import pytest

from gentwin.signaling import nas
from gentwin.signaling.capture import read_capture
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NGAP, Message
from gentwin.signaling.nas import MESSAGES
from gentwin.signaling.values import Octets
from tests.signaling.recordings import find_capture

CARRIERS = ("NAS-PDU", "pDUSessionNAS-PDU", "nAS-PDU")


@pytest.fixture(scope="module", params=["n2n4-rejects", "n2n4-nea2-c08"])
def recorded(request: pytest.FixtureRequest) -> list[bytes]:
    """NAS messages of a recording, each as often as it was sent."""
    pytest.importorskip("pycrate_asn1dir.NGAP")
    with read_capture(find_capture(request.param)) as packets:
        payloads = islice((packet.payload for packet in packets if packet.protocol == NGAP), 420)
        return [pdu for payload in payloads for pdu in nas_in(payload)]


def nas_in(payload: bytes) -> list[bytes]:
    """Returns the NAS messages in an NGAP one, found by pycrate."""
    from pycrate_asn1dir.NGAP import NGAP_PDU_Descriptions

    found: list[bytes] = []

    def walk(value: Any) -> None:
        if isinstance(value, tuple) and len(value) == 2 and value[0] == "NAS-PDU" and isinstance(value[1], bytes):
            found.append(value[1])
        elif isinstance(value, dict):
            for name, inner in value.items():
                found.append(inner) if name in CARRIERS and isinstance(inner, bytes) else walk(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                walk(inner)

    pdu = NGAP_PDU_Descriptions.NGAP_PDU
    pdu.from_aper(payload)
    walk(pdu.get_val())
    return found


def opaque_fields(message: Message) -> list[str]:
    """Returns the names of fields that are bytes, or bits, though their value types say otherwise."""
    kinds = {element.name: element.kind for element in MESSAGES[message.name].elements}
    names = []
    for name, value in message.fields:
        if isinstance(value, Message):
            names += opaque_fields(value)
        elif isinstance(value, bytes | Bits) and type(kinds.get(name)) is not Octets:
            names.append(name)
    return names


def test_all_are_decoded_and_written_again(recorded: list[bytes]):
    assert len(recorded) > 200
    assert all(nas.encode(nas.decode(data)) == data for data in recorded)


def test_only_what_is_ciphered_stays_opaque(recorded: list[bytes]):
    opaque = Counter(name for data in recorded for name in opaque_fields(nas.decode(data)))
    assert opaque.keys() <= {"payload", "nas_message_container"}


def test_pycrate_sees_the_same_types(recorded: list[bytes]):
    pycrate = pytest.importorskip("pycrate_mobile.NAS5G")
    for data in sorted(set(recorded), key=len)[::5]:
        message = nas.decode(data)
        if message.name == "SecurityProtected":
            parsed, error = pycrate.parse_NAS5G(data, inner=False)
            assert not error
            assert parsed["MAC"].get_val() == message["mac"]
            assert parsed["Seqn"].get_val() == message["sequence_number"]
            message, data = message["payload"], data[7:]
        if isinstance(message, Message):
            parsed, error = pycrate.parse_NAS5G(data, inner=False)
            assert not error
            assert parsed[0]["Type"].get_val() == MESSAGES[message.name].number


def test_is_fast_enough_for_a_core(recorded: list[bytes]):
    start = time.process_time()
    for data in recorded * 5:
        nas.decode(data)
    assert 5 * len(recorded) / (time.process_time() - start) > 15_000  # messages a second, on a loaded machine


def test_every_value_is_of_the_tree(recorded: list[bytes]):
    for data in recorded:
        for _, value in nas.decode(data).fields.walk():
            assert type(value) in (int, str, bytes, Bits) or value == Fields()
