"""Algorithms and protection of NAS messages: published test data, counts, what is refused."""

import json

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from gentwin.signaling.errors import DecodeError
from gentwin.signaling.security import (
    CipheringAlgorithm,
    Direction,
    IntegrityAlgorithm,
    NasSecurityContext,
    SecurityError,
    SecurityHeader,
    cipher,
    integrity_code,
)

UPLINK, DOWNLINK = Direction
NEA0, NEA2 = CipheringAlgorithm.NEA0, CipheringAlgorithm.NEA2
NIA0, NIA2 = IntegrityAlgorithm.NIA0, IntegrityAlgorithm.NIA2
K_AMF = bytes(range(32))
PLAIN = bytes.fromhex("7e00540102")

# 3GPP TS 33.401 clause C.1 (128-EEA2), which TS 33.501 clause D.4 refers to: key, COUNT, bearer, direction, length in
# bits, plaintext, ciphertext.
NEA2_SETS = """
d3c5d592327fb11c4035c6680af8c6d1 398a59b4 15 1 253
981ba6824c1bfb1ab485472029b71d808ce33e2cc3c0b5fc1f3de8a6dc66b1f0
e9fed8a63d155304d71df20bf3e82214b20ed7dad2f233dc3c22d7bdeeed8e78

2bd6459f82c440e0952c49104805ff48 c675a64b 0c 1 798
7ec61272743bf1614726446a6c38ced166f6ca76eb5430044286346cef130f92922b03450d3a9975e5bd2ea0eb55ad8e1b199e3ec4316020e9a1b285e762795359b7bdfd39bef4b2484583d5afe082aee638bf5fd5a606193901a08f4ab41aab9b134880
5961605353c64bdca15b195e288553a910632506d6200aa790c4c806c99904cf2445cc50bb1cf168a49673734e081b57e324ce5259c0e78d4cd97b870976503c0943f2cb5ae8f052c7b7d392239587b8956086bcab18836042e2e6ce42432a17105c53d0

0a8b6bd8d9b08b08d64e32d1817777fb 544d49cd 04 0 310
fd40a41d370a1f65745095687d47ba1d36d2349e23f644392c8ea9c49d40c13271aff264d0f248
75750d37b4bba2a4dedb34235bd68c6645acdaaca48138a3b0c471e2a7041a576423d2927287f0
"""

# 3GPP TS 33.401 clause C.2 (128-EIA2), the sets of whole bytes, which TS 33.501 clause D.4 refers to: key, COUNT,
# bearer, direction, message, code.
NIA2_SETS = {
    "set 2": """d3c5d592327fb11c4035c6680af8c6d1 398a59b4 1a 1 484583d5afe082ae b93787e6""",
    "set 5": """83fd23a244a74cf358da3019f1722635 36af6144 0f 1
    35c68716633c66fb750c266865d53c11ea05b1e9fa49c8398d48e1efa5909d3947902837f5ae96d5a05bc8d61ca8dbef1b13a4b4abfe4fb1006045b674bb54729304c382be53a5af05556176f6eaa2ef1d05e4b083181ee674cda5a485f74d7a
    e657e182""",
}

# RFC 4493 section 4: the key of all examples, and of each the length of the message and its code.
CMAC_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
CMAC_MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
CMAC_EXAMPLES = [
    (0, "bb1d6929e95937287fa37d129b756746"),
    (16, "070a16b46b4d4144f79bdd9dd04a287c"),
    (40, "dfa66747de9ae63030ca32611497c827"),
    (64, "51f0bebf7e3b9d92fc49741779363cfe"),
]


def reference_cmac(key: bytes, message: bytes) -> bytes:
    """Returns AES-CMAC as RFC 4493 section 2 says it, block by block."""
    encrypt = Cipher(algorithms.AES128(key), modes.ECB()).encryptor().update

    def double(block: int) -> int:
        return (block << 1 ^ (0x87 if block >> 127 else 0)) & (1 << 128) - 1

    subkey = double(int.from_bytes(encrypt(bytes(16))))
    if not message or len(message) % 16:
        message, subkey = message + b"\x80" + bytes(-(len(message) + 1) % 16), double(subkey)
    state = 0
    for start in range(0, len(message) - 16, 16):
        state = int.from_bytes(encrypt((state ^ int.from_bytes(message[start : start + 16])).to_bytes(16)))
    return encrypt((state ^ int.from_bytes(message[-16:]) ^ subkey).to_bytes(16))


@pytest.mark.parametrize("values", NEA2_SETS.strip().split("\n\n"), ids=["set 1", "set 2", "set 3"])
def test_nea2_gives_the_published_ciphertext(values: str):
    key, count, bearer, direction, bits, plaintext, ciphertext = values.split()
    result = cipher(NEA2, bytes.fromhex(key), int(count, 16), int(bearer, 16), int(direction), bytes.fromhex(plaintext))
    spare = len(result) * 8 - int(bits)
    assert int.from_bytes(result) >> spare == int(ciphertext, 16) >> spare


@pytest.mark.parametrize("values", NIA2_SETS.values(), ids=NIA2_SETS)
def test_nia2_gives_the_published_code(values: str):
    key, count, bearer, direction, message, code = values.split()
    arguments = bytes.fromhex(key), int(count, 16), int(bearer, 16), int(direction), bytes.fromhex(message)
    assert integrity_code(NIA2, *arguments).hex() == code
    assert integrity_code(NIA0, *arguments) == bytes(4)


@pytest.mark.parametrize(("size", "code"), CMAC_EXAMPLES)
def test_reference_cmac_gives_the_published_codes(size: int, code: str):
    assert reference_cmac(CMAC_KEY, CMAC_MESSAGE[:size]).hex() == code


@given(
    count=st.integers(0, 2**32 - 1), bearer=st.integers(0, 31), direction=st.sampled_from(Direction), data=st.binary()
)
def test_nia2_is_cmac_over_count_bearer_direction_and_message(count: int, bearer: int, direction: int, data: bytes):
    start = count.to_bytes(4) + bytes([bearer << 3 | direction << 2, 0, 0, 0])
    assert integrity_code(NIA2, CMAC_KEY, count, bearer, direction, data) == reference_cmac(CMAC_KEY, start + data)[:4]


@pytest.mark.parametrize("number", [1, 3])
def test_algorithms_that_are_not_there_are_named(number: int):
    with pytest.raises(SecurityError, match=f"`ciphering` must be NEA0 or NEA2, got NEA{number}"):
        NasSecurityContext(K_AMF, ciphering=number, integrity=NIA2)
    with pytest.raises(SecurityError, match=f"`integrity` must be NIA0 or NIA2, got NIA{number}"):
        NasSecurityContext(K_AMF, ciphering=NEA0, integrity=number)


@pytest.mark.parametrize("header", list(SecurityHeader)[1:])
@pytest.mark.parametrize("ciphering", [NEA0, NEA2])
def test_both_ends_agree(ciphering: int, header: SecurityHeader):
    sender, receiver = (NasSecurityContext(K_AMF, ciphering, NIA2) for _ in range(2))
    for count, direction in enumerate([UPLINK, UPLINK, UPLINK]):
        data = sender.protect(PLAIN, direction, header)
        found = receiver.unprotect(data, direction)
        assert (found.plain, found.verified, found.repeated, found.count) == (PLAIN, True, False, count)
        assert found.header == header and data[:2] == bytes([0x7E, header]) and data[6] == count
        hidden = ciphering == NEA2 and header in (2, 4)
        assert (data[7:] == PLAIN) != hidden
    assert sender == receiver and (sender.uplink_count, sender.downlink_count) == (3, 0)


def test_the_directions_are_protected_differently():
    context = NasSecurityContext(K_AMF, NEA2, NIA2)
    data = context.protect(PLAIN, UPLINK)
    assert not NasSecurityContext(K_AMF, NEA2, NIA2).unprotect(data, DOWNLINK).verified
    assert context.protect(PLAIN, DOWNLINK) != data


@given(start=st.integers(0, 2**24 - 300), lost=st.integers(0, 255))
def test_up_to_255_messages_may_be_lost(start: int, lost: int):
    sender = NasSecurityContext(K_AMF, NEA2, NIA2, downlink_count=start + lost)
    receiver = NasSecurityContext(K_AMF, NEA2, NIA2, downlink_count=start)
    found = receiver.unprotect(sender.protect(PLAIN, DOWNLINK), DOWNLINK)
    assert found.verified and found.plain == PLAIN and found.count == start + lost
    assert receiver == sender


def test_the_overflow_counter_follows_the_sequence_number():
    sender, receiver = (NasSecurityContext(K_AMF, NEA2, NIA2) for _ in range(2))
    counts = [receiver.unprotect(sender.protect(PLAIN, UPLINK), UPLINK).count for _ in range(600)]
    assert counts == list(range(600))


def test_a_copy_of_a_message_is_known_as_one():
    sender, receiver = (NasSecurityContext(K_AMF, NEA2, NIA2, uplink_count=250) for _ in range(2))
    copies = [sender.protect(PLAIN + bytes([place]), UPLINK) for place in range(10)]
    for data in copies:
        assert receiver.unprotect(data, UPLINK).verified
    for place, data in enumerate(copies):
        found = receiver.unprotect(data, UPLINK)
        assert (found.verified, found.repeated, found.count) == (False, True, 250 + place)
        assert found.plain == PLAIN + bytes([place])
    assert receiver == sender


@given(place=st.integers(2, 11), bit=st.integers(0, 7))
def test_a_changed_message_is_not_verified_and_not_counted(place: int, bit: int):
    context = NasSecurityContext(K_AMF, NEA2, NIA2)
    data = bytearray(NasSecurityContext(K_AMF, NEA2, NIA2).protect(PLAIN, UPLINK))
    data[place] ^= 1 << bit
    found = context.unprotect(bytes(data), UPLINK)
    assert not found.verified and not found.repeated and context.uplink_count == 0


@given(data=st.binary(max_size=40) | st.binary(max_size=40).map(lambda rest: b"\x7e\x02" + rest))
def test_any_bytes_are_refused_or_not_verified(data: bytes):
    context = NasSecurityContext(K_AMF, NEA2, NIA2, uplink_count=2**24 - 1)
    try:
        found = context.unprotect(data, UPLINK)
    except DecodeError as error:
        assert 0 <= error.offset <= len(data)
        assert len(data) < 7 or data[0] != 0x7E or not 1 <= data[1] & 15 <= 4
    else:
        assert not found.verified


def test_counts_end():
    context = NasSecurityContext(K_AMF, NEA2, NIA2, uplink_count=2**24 - 1)
    receiver = NasSecurityContext.from_dict(context.to_dict())
    last = context.protect(PLAIN, UPLINK)
    with pytest.raises(SecurityError, match=r"`uplink_count` must be below .* authenticate again"):
        context.protect(PLAIN, UPLINK)
    assert receiver.unprotect(last, UPLINK).verified and receiver.uplink_count == 2**24
    assert receiver.unprotect(last, UPLINK).repeated
    assert not receiver.unprotect(b"\x7e\x02" + bytes(9), UPLINK).verified
    assert NasSecurityContext.from_dict(receiver.to_dict()) == receiver


def test_nia0_has_nothing_to_check():
    context = NasSecurityContext(K_AMF, NEA0, NIA0)
    data = context.protect(PLAIN, UPLINK)
    assert data[2:6] == bytes(4)
    changed = data[:2] + b"\1\2\3\4" + data[6:]
    assert NasSecurityContext(K_AMF, NEA0, NIA0).unprotect(changed, UPLINK).verified


def test_a_container_is_ciphered_under_the_count_of_its_message():
    ue, amf = (NasSecurityContext(K_AMF, NEA2, NIA2, uplink_count=7) for _ in range(2))
    container = ue.cipher(PLAIN, UPLINK, ue.uplink_count)
    found = amf.unprotect(ue.protect(container, UPLINK, SecurityHeader.INTEGRITY), UPLINK)
    assert found.plain == container != PLAIN
    assert amf.cipher(found.plain, UPLINK, found.count) == PLAIN


def test_a_context_is_saved_as_plain_values():
    context = NasSecurityContext(K_AMF, NEA2, NIA2, uplink_count=5, downlink_count=300)
    values = context.to_dict()
    assert json.loads(json.dumps(values)) == values
    assert values == {
        "k_amf": K_AMF.hex(),
        "ciphering": 2,
        "integrity": 2,
        "uplink_count": 5,
        "downlink_count": 300,
        "bearer": 1,
    }
    restored = NasSecurityContext.from_dict(json.loads(json.dumps(values)))
    assert restored == context and restored.protect(PLAIN, DOWNLINK) == context.protect(PLAIN, DOWNLINK)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k_amf": "zz"}, "`k_amf` must be a text of 64 hex digits"),
        ({"k_amf": "00"}, "`k_amf` must have 32 bytes, got 1"),
        ({"uplink_count": -1}, "`uplink_count` must be a number from 0"),
        ({"downlink_count": "7"}, "`downlink_count` must be a number from 0 .* got '7'"),
        ({"bearer": 32}, "`bearer` must be a number from 0"),
        ({"ciphering": "NEA2"}, "`ciphering` must be NEA0 or NEA2, got 'NEA2'"),
        ({"ngksi": 1}, "`values` must have the entries .* 'ngksi'"),
    ],
)
def test_a_wrong_dictionary_is_refused(change: dict, message: str):
    values = NasSecurityContext(K_AMF, NEA2, NIA2).to_dict()
    with pytest.raises(SecurityError, match=message):
        NasSecurityContext.from_dict(values | change)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda context: context.protect(PLAIN, UPLINK, SecurityHeader.PLAIN), "`header` must be one of INTEGRITY, "),
        (lambda context: context.protect(PLAIN, 2), "`direction` must be"),
        (lambda context: context.protect("7e", UPLINK), "`plain` must be bytes, got str"),
        (lambda context: context.unprotect(PLAIN.hex(), UPLINK), "`data` must be bytes, got str"),
        (lambda context: context.cipher(PLAIN, UPLINK, 2**24), "`count` must be"),
        (lambda context: cipher(NEA2, bytes(32), 0, 1, UPLINK, b""), "`key` must have 16 bytes, got 32"),
        (lambda context: integrity_code(NIA2, bytes(16), 2**32, 1, UPLINK, b""), "`count` must be"),
    ],
)
def test_errors_name_the_argument_and_what_it_must_be(call, message: str):
    context = NasSecurityContext(K_AMF, NEA2, NIA2)
    with pytest.raises(SecurityError, match=message):
        call(context)
    assert context.uplink_count == 0


def test_no_key_is_in_a_representation():
    text = repr(NasSecurityContext(K_AMF, NEA2, NIA2))
    assert "k_amf" not in text and K_AMF.hex() not in text and "uplink_count=0" in text
