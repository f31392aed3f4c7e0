"""What holds for any bytes, whoever made them: an error that says where, or a message that is the same bytes again."""

from __future__ import annotations

import contextlib
import io

from gentwin.signaling import nas, pfcp
from gentwin.signaling.capture import REASONS, read_capture
from gentwin.signaling.contexts import ContextTracker
from gentwin.signaling.dialogue import Bindings, canonicalise, restore, to_message, to_tokens
from gentwin.signaling.errors import DecodeError
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message, Record
from gentwin.signaling.privacy import Pseudonymiser
from gentwin.signaling.records import UNDECODED, decode_message, encode_record, read_records

PSEUDONYMISE = Pseudonymiser(bytes(range(32)))


def check_error(error: DecodeError, data: bytes) -> None:
    """Checks that an error says what is wrong, and where."""
    assert error.reason
    assert 0 <= error.offset <= len(data)


def check_nas(data: bytes) -> None:
    """Checks what NAS makes of some bytes."""
    try:
        message = nas.decode(data)
    except DecodeError as error:
        return check_error(error, data)
    assert nas.encode(message) == data


def check_pfcp(data: bytes) -> None:
    """Checks what PFCP makes of a datagram."""
    try:
        messages = pfcp.decode_all(data)
    except DecodeError as error:
        return check_error(error, data)
    assert pfcp.encode_all(messages) == data


def check_ngap(data: bytes) -> None:
    """Checks what NGAP makes of some bytes, and NAS of what is in it."""
    try:
        message = decode_message(NGAP, data)
    except DecodeError as error:
        return check_error(error, data)
    assert encode_record(Record(message, 0.0, "", "")) == data


def check_record(data: bytes) -> None:
    """Checks what becomes of a message on its way to a dialogue; the first byte says whether it is of NGAP or PFCP."""
    protocol = NGAP if data[:1] == b"\0" else PFCP
    with contextlib.suppress(DecodeError):
        message = decode_message(protocol, data[1:])
        assert repr(message)
        record = Record(message, 0.0, "10.0.0.1:40000", "10.0.0.2:38412")
        assert ContextTracker().assign(record).links == {protocol}
        check_tokens(message)
        changed = PSEUDONYMISE(record).message
        assert decode_message(protocol, encode_record(Record(changed, 0.0, "", ""))) == changed


def check_tokens(message: Message) -> None:
    """Checks that a message is the same after it was said in tokens."""
    canonical, values = canonicalise(message, Bindings())
    assert to_message(to_tokens(canonical)) == canonical
    assert restore(canonical, values, Bindings()) == message


def check_capture(content: bytes) -> None:
    """Checks what is read of a capture."""
    try:
        packets = read_capture(io.BytesIO(content))
    except DecodeError as error:
        return check_error(error, content)
    delivered = list(packets)
    assert packets.counts.keys() <= REASONS.keys()
    assert packets.stopped_at is None or 0 <= packets.stopped_at <= max(len(content), packets.bytes)
    with read_records(io.BytesIO(content)) as records:
        found = list(records)
    assert records.counts.keys() <= REASONS.keys() | UNDECODED.keys()
    lost = sum(records.counts[f"undecoded_{protocol}"] for protocol in (NGAP, PFCP))
    assert len(found) + lost >= len(delivered)
    assert len(records.failures) == min(32, lost + records.counts[f"undecoded_{NAS}"])
    for record in found:
        assert encode_record(record) == record.raw
    for failure in records.failures:
        assert str(failure)
        assert 0 <= failure.offset <= len(failure.data)
        assert failure.frame <= packets.frames


CHECKS = {NAS: check_nas, PFCP: check_pfcp, NGAP: check_ngap, "record": check_record, "capture": check_capture}
"""What is checked of the bytes of each kind."""
