"""Concealed identities: published test data, round trips, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentwin.signaling.errors import DecodeError
from gentwin.signaling.security import (
    MacError,
    ProtectionScheme,
    SecurityError,
    conceal,
    deconceal,
    derive_public_key,
    pack_msin,
    unpack_msin,
)

NULL, PROFILE_A, PROFILE_B = ProtectionScheme
ORDER_OF_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

# 3GPP TS 33.501 clauses C.4.3 and C.4.4, IMSI 274012001002086: private and public key of the home network, ephemeral
# private key, scheme output.
PUBLISHED = {
    PROFILE_A: (
        "c53c22208b61860b06c62e5406a7b330c2b577aa5558981510d128247d38bd1d",
        "5a8d38864820197c3394b92613b20b91633cbd897119273bf8e4a6f4eec0a650",
        "c80949f13ebe61af4ebdbd293ea4f942696b9e815d7e8f0096bbf6ed7de62256",
        "b2e92f836055a255837debf850b528997ce0201cb82adfe4be1f587d07d8457dcb02352410cddd9e730ef3fa87",
    ),
    PROFILE_B: (
        "f1ab1074477ebcc7f554ea1c5fc368b1616730155e0041ac447d6301975fecda",
        "0272da71976234ce833a6907425867b82e074d44ef907dfb4b3e21c1c2256ebcd1",
        "99798858a1dc6a2c68637149a4b1dbfd1fdff5addd62a2142f06699ed7602529",
        "039aab8376597021e855679a9778ea0b67396e68c66df32c0f41e9acca2da9b9d146a33fc2716ac7dae96aa30a4d",
    ),
}
PRIVATE_KEYS = {scheme: bytes.fromhex(values[0]) for scheme, values in PUBLISHED.items()}
PUBLIC_KEYS = {scheme: bytes.fromhex(values[1]) for scheme, values in PUBLISHED.items()}
EPHEMERAL = bytes(range(1, 33))
profiles = st.sampled_from([PROFILE_A, PROFILE_B])
private_keys = st.integers(1, ORDER_OF_P256 - 1).map(lambda number: number.to_bytes(32))


@pytest.mark.parametrize("scheme", [PROFILE_A, PROFILE_B])
def test_profiles_give_the_published_output(scheme: ProtectionScheme):
    private_key, public_key, ephemeral, output = map(bytes.fromhex, PUBLISHED[scheme])
    assert derive_public_key(scheme, private_key) == public_key
    assert pack_msin("001002086").hex() == "00012080f6"
    assert conceal(scheme, pack_msin("001002086"), public_key, ephemeral) == output
    assert unpack_msin(deconceal(scheme, output, private_key)) == "001002086"


def test_null_scheme_conceals_nothing():
    packed = pack_msin("0000000001")
    assert deconceal(NULL, conceal(NULL, packed, b"", b""), b"") == packed
    with pytest.raises(SecurityError, match="`home_network_public_key` must have 0 bytes, got 32"):
        conceal(NULL, packed, bytes(32), b"")
    with pytest.raises(SecurityError, match="`scheme` must be PROFILE_A or PROFILE_B, got NULL"):
        derive_public_key(NULL, EPHEMERAL)


@given(scheme=profiles, private_key=private_keys, ephemeral=private_keys, name=st.binary(max_size=60))
def test_what_is_concealed_is_found_again(scheme: ProtectionScheme, private_key: bytes, ephemeral: bytes, name: bytes):
    output = conceal(scheme, name, derive_public_key(scheme, private_key), ephemeral)
    assert deconceal(scheme, output, private_key) == name
    assert len(output) == {PROFILE_A: 40, PROFILE_B: 41}[scheme] + len(name)


@pytest.mark.parametrize("scheme", [PROFILE_A, PROFILE_B])
def test_another_home_network_key_does_not_reveal(scheme: ProtectionScheme):
    output = conceal(scheme, b"user", PUBLIC_KEYS[scheme], EPHEMERAL)
    with pytest.raises(MacError, match="`scheme_output` has a wrong MAC tag; it was made for another home network key"):
        deconceal(scheme, output, EPHEMERAL)


@given(scheme=profiles, place=st.integers(0, 44), bit=st.integers(0, 7))
def test_a_changed_output_is_refused(scheme: ProtectionScheme, place: int, bit: int):
    output = bytearray(conceal(scheme, b"user!", PUBLIC_KEYS[scheme], EPHEMERAL))
    # X25519 ignores the highest bit of a public key, but the key derivation does not.
    output[place] ^= 1 << bit
    with pytest.raises((MacError, DecodeError)):
        deconceal(scheme, bytes(output), PRIVATE_KEYS[scheme])


@given(scheme=profiles, output=st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"\x02" + rest))
def test_any_bytes_are_refused(scheme: ProtectionScheme, output: bytes):
    with pytest.raises((MacError, DecodeError)):
        deconceal(scheme, output, PRIVATE_KEYS[scheme])


@pytest.mark.parametrize(
    ("scheme", "ephemeral", "message"),
    [
        (PROFILE_A, bytes(32), "the ephemeral key must be a public key of PROFILE_A"),
        (PROFILE_B, b"\x02" + b"\xff" * 32, "the ephemeral key must be a public key of PROFILE_B"),
        (PROFILE_B, b"\x04" + bytes(32), "the ephemeral key must be a public key of PROFILE_B"),
    ],
)
def test_an_ephemeral_key_that_is_none_is_refused(scheme: ProtectionScheme, ephemeral: bytes, message: str):
    with pytest.raises(DecodeError, match=message):
        deconceal(scheme, ephemeral + bytes(13), PRIVATE_KEYS[scheme])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conceal(3, b"", b"", b""), "`scheme` must be 0 .* got 3"),
        (
            lambda: conceal(PROFILE_A, b"", PUBLIC_KEYS[PROFILE_B], EPHEMERAL),
            "`home_network_public_key` must have 32 bytes, got 33",
        ),
        (
            lambda: conceal(PROFILE_B, b"", b"\x05" + bytes(32), EPHEMERAL),
            "`home_network_public_key` must be a public key of PROFILE_B",
        ),
        (
            lambda: conceal(PROFILE_A, b"", bytes(32), EPHEMERAL),
            "`home_network_public_key` must be a public key of PROFILE_A",
        ),
        (
            lambda: conceal(PROFILE_A, b"", PUBLIC_KEYS[PROFILE_A], b""),
            "`ephemeral_private_key` must have 32 bytes, got 0",
        ),
        (
            lambda: conceal(PROFILE_B, b"", PUBLIC_KEYS[PROFILE_B], bytes(32)),
            "`ephemeral_private_key` must be above 0 and below the order",
        ),
        (
            lambda: deconceal(PROFILE_B, bytes(41), ORDER_OF_P256.to_bytes(32)),
            "`home_network_private_key` must be above 0 and below the order",
        ),
        (lambda: pack_msin("12a"), "`msin` must be a text of digits, got '12a'"),
        (lambda: pack_msin(""), "`msin` must be a text of digits, got ''"),
    ],
)
def test_errors_name_the_argument_and_what_it_must_be(call, message: str):
    with pytest.raises(SecurityError, match=message):
        call()


@given(msin=st.text("0123456789", min_size=1, max_size=12))
def test_digits_are_packed_and_unpacked(msin: str):
    packed = pack_msin(msin)
    assert len(packed) == (len(msin) + 1) // 2 and unpack_msin(packed) == msin


@given(packed=st.binary(max_size=6))
def test_bytes_that_are_no_digits_are_refused(packed: bytes):
    try:
        msin = unpack_msin(packed)
    except DecodeError as error:
        assert 0 <= error.offset <= len(packed)
    else:
        assert pack_msin(msin) == packed
