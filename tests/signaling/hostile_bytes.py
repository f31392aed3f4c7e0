"""Messages and captures made to take as much time or memory as possible, of about any number of bytes."""

from __future__ import annotations

from gentwin.signaling.ngap.per import Writer
from tests.signaling.capture_bytes import (
    UDP,
    block,
    data,
    enhanced,
    ethernet,
    interface,
    ipv4,
    ipv6,
    pcap,
    sctp,
    section,
)

# ---------------------------------------------------------------- NAS

SUCI = bytes.fromhex("0199f907000000000000000010")
REGISTRATION = b"\x7e\x00\x41\x01" + len(SUCI).to_bytes(2, "big") + SUCI


def container(identifier: int, content: bytes) -> bytes:
    """Returns an element of NAS with a length of two octets."""
    return bytes([identifier]) + len(content).to_bytes(2, "big") + content


def nas_in_nas(size: int) -> bytes:
    message = REGISTRATION + container(0x7B, bytes(size - 30 * 23))
    for _ in range(30):
        message = REGISTRATION + container(0x71, message)
    return message


def many_messages_in_one(size: int) -> bytes:
    return REGISTRATION + container(0x71, REGISTRATION) * (size // 23)


def half_octets(size: int) -> bytes:
    return REGISTRATION + b"\xb1" * size


def empty_unknown_elements(size: int) -> bytes:
    return REGISTRATION + b"\x02\x00" * (size // 2)


def payloads_in_payloads(size: int) -> bytes:
    payload = bytes(size)
    for _ in range(30):
        payload = b"\x7e\x00\x67\x0f" + len(payload).to_bytes(2, "big") + payload
    return payload


NAS_BYTES = (nas_in_nas, many_messages_in_one, half_octets, empty_unknown_elements, payloads_in_payloads)

# ---------------------------------------------------------------- PFCP

CREATE_PDR, PDI, SOURCE_INTERFACE = 1, 2, 20


def element(number: int, content: bytes) -> bytes:
    """Returns an element of PFCP."""
    return number.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content


def modification(elements: bytes) -> bytes:
    """Returns a request to modify a session."""
    content = bytes(8) + b"\0\0\1\0" + elements
    return b"\x21\x34" + len(content).to_bytes(2, "big") + content


def groups_in_groups(size: int) -> bytes:
    content = element(999, bytes(size))
    for level in range(30):
        content = element((CREATE_PDR, PDI)[level % 2], content)
    return modification(content)


def broken_groups(size: int) -> bytes:
    """Returns groups that only turn out to be none at their ends."""
    content = element(999, bytes(4)) * (size // 8)
    for level in range(30):
        content = element((CREATE_PDR, PDI)[level % 2], content + b"\0\1\0")
    return modification(content)


def empty_groups(size: int) -> bytes:
    return modification(element(CREATE_PDR, b"") * (size // 4))


def small_groups(size: int) -> bytes:
    groups = (element(PDI, element(SOURCE_INTERFACE, bytes([number & 255]))) for number in range(size // 13))
    return modification(b"".join(element(CREATE_PDR, group) for group in groups))


def one_long_element(size: int) -> bytes:
    return modification(element(999, bytes(size)))


def many_messages(size: int) -> bytes:
    heartbeat = b"\x01\x00\x04\x00\x00\x01\x00"
    return (b"\x24" + heartbeat) * (size // 8) + b"\x20" + heartbeat


PFCP_BYTES = (groups_in_groups, broken_groups, empty_groups, small_groups, one_long_element, many_messages)

# ---------------------------------------------------------------- NGAP

IDS = [(10, b"\x00\x01"), (85, b"\x00\x01")]
RELEASE_REQUEST, CAUSE = 42, (15, b"\x00\x00")


def counted(content: bytes) -> bytes:
    """Returns octets with their number in front."""
    writer = Writer()
    writer.counted_octets(content)
    return writer.finish()


def release_request(elements: list[tuple[int, bytes]]) -> bytes:
    """Returns a request to release a context with more elements than it can have."""
    elements = [*IDS, *elements, CAUSE]
    body = b"".join(number.to_bytes(2, "big") + b"\x40" + counted(content) for number, content in elements)
    content = b"\0" + len(elements).to_bytes(2, "big") + body
    return bytes([0, RELEASE_REQUEST, 0x40]) + counted(content)


def unknown_elements(size: int) -> bytes:
    return release_request([(60_000, b"\0")] * (size // 5))


def elements_again(size: int) -> bytes:
    return release_request(IDS * (size // 12))


def elements_of_another_kind(size: int) -> bytes:
    return release_request([(15, b"\x7f\xff\xff\xff\xff\xff")] * (size // 10))


def sessions(size: int) -> bytes:
    """Returns a list of sessions that says to be longer than it is."""
    return release_request([(133, b"\xff" * size)])


def one_long_unknown_element(size: int) -> bytes:
    return release_request([(60_000, bytes(size))])


NGAP_BYTES = (
    unknown_elements,
    elements_again,
    elements_of_another_kind,
    sessions,
    one_long_unknown_element,
)

# ---------------------------------------------------------------- captures


def frames_of(chunks: list[bytes]) -> bytes:
    """Returns a capture of SCTP chunks, sixty in a packet."""
    packets = (chunks[place : place + 60] for place in range(0, len(chunks), 60))
    return pcap(*(ethernet(ipv4(sctp(*packet))) for packet in packets))


def fragments_backwards(size: int) -> bytes:
    return frames_of([data(b"x", number, 0) for number in range(size // 21, 0, -1)])


def fragments_apart(size: int) -> bytes:
    return frames_of([data(b"x", number, 0) for number in range(0, size // 10, 2)])


def fragments_over_the_last_number(size: int) -> bytes:
    return frames_of([data(b"x", -number, 0) for number in range(-size // 42, size // 42)])


def control_chunks(size: int) -> bytes:
    return frames_of([b"\x03\x00\x00\x04"] * (size // 4))


def pieces_of_datagrams(size: int) -> bytes:
    frames = range(size // 58)
    return pcap(*(ethernet(ipv4(bytes(8), UDP, fragment=0x2001, identification=number)) for number in frames))


def tags_on_tags(size: int) -> bytes:
    return pcap(ethernet(ipv4(b""), b"\x81\x00\x00\x01" * (size // 4)))


def extensions_of_extensions(size: int) -> bytes:
    return pcap(*[ethernet(ipv6(bytes(4096), 0))] * (size // 4150))


def empty_blocks(size: int) -> bytes:
    return section() + block(99, b"") * (size // 12)


def empty_sections(size: int) -> bytes:
    return section() * (size // 28)


def interfaces(size: int) -> bytes:
    return section() + interface() * (size // 20) + enhanced(b"")


def empty_options(size: int) -> bytes:
    return section() + interface(options=b"\x05\x00\x00\x00" * (size // 4))


CAPTURE_BYTES = (
    fragments_backwards,
    fragments_apart,
    fragments_over_the_last_number,
    control_chunks,
    pieces_of_datagrams,
    tags_on_tags,
    extensions_of_extensions,
    empty_blocks,
    empty_sections,
    interfaces,
    empty_options,
)
