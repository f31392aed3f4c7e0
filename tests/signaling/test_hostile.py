"""Bytes made to do harm: always a counted, located error or an opaque field, in a time that grows with their number."""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gentwin.signaling import nas, ngap, pfcp
from gentwin.signaling.capture import read_capture
from gentwin.signaling.contexts import LONGEST_IDENTITY, MEAN_KEYS, MOST_KEYS, ContextTracker
from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NGAP, PFCP, Message, Record
from gentwin.signaling.ngap import leaves
from gentwin.signaling.records import decode_message, encode_record, read_records
from tests.signaling import hostile_bytes as made
from tests.signaling.capture_bytes import data, enhanced, ethernet, interface, ipv4, ngap_frame, pcap, sctp, section
from tests.signaling.hostile import CHECKS, PSEUDONYMISE, check_capture
from tests.signaling.recordings import find_capture

pytest.importorskip("pycrate_asn1dir.NGAP", reason="needs the extra `signaling`")

SOME = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
SMALL, LARGE = 8_000, 60_000
ALL = [
    (kind, make)
    for kind, makers in (("nas", made.NAS_BYTES), ("pfcp", made.PFCP_BYTES), ("ngap", made.NGAP_BYTES))
    for make in makers
]


@cache
def seeds() -> dict[str, list[bytes]]:
    """Returns bytes of recorded messages by kind."""
    packets = list(read_capture(find_capture("n2n4-rejects")))
    found: dict[str, list[bytes]] = {"nas": [], "ngap": [], "pfcp": []}
    for packet in packets:
        found[packet.protocol].append(packet.payload)
    for payload in found["ngap"]:
        ngap.map_nas(ngap.decode(payload), lambda inner: found["nas"].append(inner) or inner)
    found["record"] = [bytes([packet.protocol != NGAP]) + packet.payload for packet in packets]
    content = find_capture("n2n4-rejects").read_bytes()
    return {**found, "capture": [content[:size] for size in (600, 2000, 4000)]}


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "cut", "insert", "repeat", "swap"]),
        st.integers(0, 1 << 16),
        st.integers(0, 1 << 16),
        st.binary(min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=4,
)


def changed(content: bytes, other: bytes, changes: list[tuple[str, int, int, bytes]]) -> bytes:
    """Returns bytes with damage."""
    for change, one, two, octets in changes:
        place, end = sorted((one % (len(content) + 1), two % (len(content) + 1)))
        if change == "flip":
            content = (
                content[:place] + bytes(octet ^ 1 << two % 8 for octet in content[place:][:1]) + content[place + 1 :]
            )
        elif change == "set":
            content = content[:place] + octets + content[place + len(octets) :]
        elif change == "cut":
            content = content[:place] + content[end:]
        elif change == "insert":
            content = content[:place] + octets + content[place:]
        elif change == "repeat":
            content = content[:end] + content[place:end] * (two % 8) + content[end:]
        else:
            content = content[:place] + other[place:]
    return content


@pytest.mark.parametrize("kind", CHECKS)
@SOME
@given(st.data())
def test_damaged_recordings_are_kept_or_refused(kind: str, draw: st.DataObject):
    content, other = (draw.draw(st.sampled_from(seeds()[kind])) for _ in range(2))
    CHECKS[kind](changed(content, other, draw.draw(CHANGES)))


# ---------------------------------------------------------------- time


def seconds(function: Callable[[], object]) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started


def follow(kind: str, content: bytes) -> None:
    """Goes the way of a message from bytes to a pseudonym with a context, and back."""
    CHECKS[kind](content)
    if kind == "nas":
        return
    for message in pfcp.decode_all(content) if kind == PFCP else [decode_message(kind, content)]:
        record = Record(message, 0.0, "10.0.0.1:40000", "10.0.0.2:38412")
        ContextTracker().assign(record)
        PSEUDONYMISE(record)


def check_time(take: Callable[[bytes], object], make: Callable[[int], bytes]) -> None:
    """Checks that many bytes take about as much longer than few ones as they are more."""
    few, many = make(SMALL), make(LARGE)
    for _ in range(3):
        ratio = (len(many) / len(few)) * 2.5
        small, large = min(seconds(lambda: take(few)) for _ in range(3)), seconds(lambda: take(many))
        if large < 0.05 + ratio * small:
            break
    else:
        pytest.fail(f"{len(few)} bytes take {small:.3f} s, {len(many)} take {large:.3f} s")


@pytest.mark.parametrize(("kind", "make"), ALL, ids=lambda part: getattr(part, "__name__", part))
def test_messages_take_time_in_proportion_to_their_size(kind: str, make: Callable[[int], bytes]):
    check_time(lambda content: follow(kind, content), make)


@pytest.mark.parametrize("make", made.CAPTURE_BYTES, ids=lambda make: make.__name__)
def test_captures_take_time_in_proportion_to_their_size(make: Callable[[int], bytes]):
    check_capture(make(SMALL))
    check_time(lambda content: list(read_capture(io.BytesIO(content))), make)


# ---------------------------------------------------------------- depth, numbers, lengths


def depth_of(fields: Fields) -> int:
    inner = [value if isinstance(value, Fields) else getattr(value, "fields", None) for _, value in fields]
    return 1 + max((depth_of(value) for value in inner if value is not None), default=0)


def test_what_is_too_deep_stays_bytes():
    for content, decode in ((made.nas_in_nas(2000), nas.decode), (made.groups_in_groups(2000), pfcp.decode)):
        message = decode(content)
        assert 8 <= depth_of(message.fields) <= 20
        longest = max((value for _, value in message.fields.walk() if isinstance(value, bytes)), key=len)
        assert len(longest) > 1500


def test_lists_that_say_to_be_longer_than_they_are_stay_bytes():
    message = ngap.decode(made.sessions(1000))
    assert message["opaque.value"] == b"\xff" * 1000


def test_absurd_bit_strings_stay_bytes(monkeypatch: pytest.MonkeyPatch):
    transfer = "pdu_session_resource_setup_list_su_res.item.pdu_session_resource_setup_response_transfer"
    tunnel = "dl_qos_flow_per_tnl_information.up_transport_layer_information.gtp_tunnel"
    path, longest = f"{transfer}.{tunnel}.transport_layer_address", leaves.MOST_BITS_IN_STRING
    records = read_records(find_capture("n2n4-rejects"))
    message = next(r.message for r in records if r.message.name == "PDUSessionResourceSetupResponse")
    long = message.with_value(path, Bits(1, longest))
    assert ngap.decode(ngap.encode(long)) == long
    longer = message.with_value(path, Bits(1, longest * 16))
    with pytest.raises(EncodeError, match="must have at most 4096 bits"):
        ngap.encode(longer)
    monkeypatch.setattr(leaves, "MOST_BITS_IN_STRING", 1 << 20)
    content = ngap.encode(longer)
    monkeypatch.undo()
    decoded = ngap.decode(content)
    assert isinstance(decoded[transfer], bytes)
    assert ngap.encode(decoded) == content


def test_long_identities_are_not_remembered():
    tracker = ContextTracker()
    for length in (LONGEST_IDENTITY, LONGEST_IDENTITY + 1):
        user = "user_id", Fields.of(supi="nai-" + "a" * length)
        request = Message(PFCP, "SessionEstablishmentRequest", Fields([("seid", 0), ("sequence_number", length), user]))
        context = tracker.assign(Record(request, 0.0, "10.0.0.1:8805", "10.0.0.2:8805"))
        assert (context.supi is not None) == (length == LONGEST_IDENTITY)


def test_contexts_with_many_numbers_make_room_for_others():
    tracker = ContextTracker(most_contexts=20)
    for number in range(40):
        rules = [
            ("create_pdr", Fields.of(pdi=Fields.of(f_teid=Fields.of(teid=number << 16 | rule, ipv4="10.0.0.9"))))
            for rule in range(400)
        ]
        fields = Fields([("seid", number + 1), ("sequence_number", number), *rules])
        message = Message(PFCP, "SessionModificationRequest", fields)
        context = tracker.assign(Record(message, 0.0, "10.0.0.1:8805", "10.0.0.2:8805"))
        assert len(context._keys) <= MOST_KEYS
        assert len(tracker._owners) <= max(MOST_KEYS, 20 * MEAN_KEYS)


def test_long_numbers_get_a_pseudonym():
    number = "9" * 5000
    user = "user_id", Fields.of(supi="imsi-" + number)
    request = Message(PFCP, "SessionEstablishmentRequest", Fields([("seid", 0), ("sequence_number", 1), user]))
    changed = PSEUDONYMISE(Record(request, 0.0, "10.0.0.1:8805", "10.0.0.2:8805")).message["user_id.supi"]
    assert len(changed) == len(number) + 5
    assert changed != "imsi-" + number and changed.removeprefix("imsi-").isdecimal()


# ---------------------------------------------------------------- nothing is lost in silence


def test_what_is_between_good_messages_is_counted_and_located():
    good = seeds()["ngap"][0]
    capture = pcap(
        ngap_frame(good, 1),
        ngap_frame(good[: len(good) // 2], 2),
        ethernet(ipv4(sctp(data(good, 3), b"\x00\x03\x00\x00" + bytes(40), data(good, 4)))),
        ngap_frame(good, 5),
    )
    with read_records(io.BytesIO(capture)) as reader:
        records = list(reader)
    assert [encode_record(record) for record in records] == [good] * 3
    assert reader.counts == {"undecoded_ngap": 1, "damaged_sctp": 1}
    assert [(failure.frame, failure.protocol) for failure in reader.failures] == [(2, "ngap")]
    assert 0 < reader.failures[0].offset <= len(good) // 2


def test_a_capture_that_says_to_be_endless_ends():
    zero = struct.pack("<III", 6, 0, 0)
    endless = section() + interface(snap_length=0xFFFFFFFF) + enhanced(ngap_frame(seeds()["ngap"][0]))
    reader = read_capture(io.BytesIO(endless + zero + bytes(1000)))
    assert len(list(reader)) == 1
    assert (reader.counts, reader.stopped_at) == ({"damaged_file": 1}, len(endless))


def test_an_error_is_where_the_bytes_end():
    for kind, decode in (("ngap", ngap.decode), ("pfcp", pfcp.decode)):
        for content in seeds()[kind][:20]:
            for size in range(0, len(content), 7):
                with pytest.raises(DecodeError) as caught:
                    decode(content[:size])
                assert 0 <= caught.value.offset <= size
