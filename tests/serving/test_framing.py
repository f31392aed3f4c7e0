"""Frames of NGAP over a stream of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.serving.framing import HEAD, FrameError, FrameReader, encode_frame
from gentwin.serving.links import join_address, split_address

MOST = 64
PDUS = st.lists(st.tuples(st.binary(min_size=1, max_size=MOST), st.integers(0, 65535)), max_size=12)


@settings(deadline=None)
@given(pdus=PDUS, cuts=st.lists(st.integers(1, 90), min_size=1, max_size=30), count=st.integers(1, 5))
def test_frames_come_back_however_they_are_cut(pdus, cuts, count):
    reader, data, found, cut = FrameReader(MOST), b"".join(encode_frame(*pdu) for pdu in pdus), [], 0
    while data:
        size = cuts[cut % len(cuts)]
        reader.add(data[:size])
        data, cut = data[size:], cut + 1
        while frames := reader.take(count):
            assert len(frames) <= count
            found += frames
    assert found == pdus
    assert len(reader) == 0 and not reader.is_partial


@settings(deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_frames_or_refused(data):
    reader, taken = FrameReader(MOST), 0
    reader.add(data)
    try:
        while frames := reader.take(2):
            taken += sum(HEAD.size + len(pdu) for pdu, _ in frames)
            assert all(1 <= len(pdu) <= MOST for pdu, _ in frames)
        assert len(reader) == len(data) - taken < HEAD.size + MOST
    except FrameError:
        octets = HEAD.unpack_from(data, taken)[0]
        assert not 1 <= octets <= MOST


@pytest.mark.parametrize("octets", [0, MOST + 1, 1 << 31])
def test_frames_before_one_that_is_none_are_taken(octets: int):
    reader = FrameReader(MOST)
    reader.add(encode_frame(b"first") + HEAD.pack(octets, 0))
    assert reader.take(8) == [(b"first", 0)]
    with pytest.raises(FrameError, match=f"from 1 to {MOST} octets, got {octets}"):
        reader.take(8)


@pytest.mark.parametrize(("data", "stream"), [(b"", 0), (b"x", -1), (b"x", 65536)])
def test_what_cannot_be_a_frame(data: bytes, stream: int):
    with pytest.raises(ValueError, match=r"`data`|`stream`"):
        encode_frame(data, stream)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.5", ("127.0.0.5", 38412)),
        ("127.0.0.5:1", ("127.0.0.5", 1)),
        ("::1", ("::1", 38412)),
        ("[::1]", ("::1", 38412)),
        ("[::1]:7", ("::1", 7)),
    ],
)
def test_addresses(text: str, found: tuple[str, int]):
    assert split_address(text, 38412) == found
    assert split_address(join_address(*found), 0) == found


@pytest.mark.parametrize("text", ["", ":1", "host:", "host:x", "host:65536", "[::1", "[::1]7", "host:-1"])
def test_what_is_no_address(text: str):
    with pytest.raises(ValueError, match="address must be"):
        split_address(text, 1)
