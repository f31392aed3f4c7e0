"""Authentication and key agreement against published test data, and both ends against each other."""

import hmac
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentwin.signaling.errors import SignalingError
from gentwin.signaling.security import (
    Milenage,
    SecurityError,
    SequenceNumbers,
    answer_challenge,
    check_autn,
    check_auts,
    derive_ck_ik_prime,
    derive_eap_aka_prime_keys,
    derive_hres_star,
    derive_k_amf,
    derive_k_gnb,
    derive_k_gnb_star,
    derive_k_seaf,
    derive_nh,
    derive_opc,
    kdf,
    make_autn,
    make_auts,
    make_vector,
    serving_network_name,
)

# 3GPP TS 35.207, test sets 1 to 6: K, RAND, SQN, AMF, OP, OPc, f1, f1*, f2, f5, f3, f4, f5*.
MILENAGE_SETS = """
465b5ce8b199b49faa5f0a2ee238a6bc 23553cbe9637a89d218ae64dae47bf35 ff9bb4d0b607 b9b9 cdc202d5123e20f62b6d676ac72cb318
cd63cb71954a9f4e48a5994e37a02baf 4a9ffac354dfafb3 01cfaf9ec4e871e9 a54211d5e3ba50bf aa689c648370
b40ba9a3c58b2a05bbf0d987b21bf8cb f769bcd751044604127672711c6d3441 451e8beca43b

0396eb317b6d1c36f19c1c84cd6ffd16 c00d603103dcee52c4478119494202e8 fd8eef40df7d af17 ff53bade17df5d4e793073ce9d7579fa
53c15671c60a4b731c55b4a441c0bde2 5df5b31807e258b0 a8c016e51ef4a343 d3a628ed988620f0 c47783995f72
58c433ff7a7082acd424220f2b67c556 21a8c1f929702adb3e738488b9f5c5da 30f1197061c1

fec86ba6eb707ed08905757b1bb44b8f 9f7c8d021accf4db213ccff0c7f71a6a 9d0277595ffc 725c dbc59adcb6f9a0ef735477b7fadf8374
1006020f0a478bf6b699f15c062e42b3 9cabc3e99baf7281 95814ba2b3044324 8011c48c0c214ed2 33484dc2136b
5dbdbb2954e8f3cde665b046179a5098 59a92d3b476a0443487055cf88b2307b deacdd848cc6

9e5944aea94b81165c82fbf9f32db751 ce83dbc54ac0274a157c17f80d017bd6 0b604a81eca8 9e09 223014c5806694c007ca1eeef57f004f
a64a507ae1a2a98bb88eb4210135dc87 74a58220cba84c49 ac2cc74a96871837 f365cd683cd92e96 f0b9c08ad02e
e203edb3971574f5a94b0d61b816345d 0c4524adeac041c4dd830d20854fc46b 6085a86c6f63

4ab1deb05ca6ceb051fc98e77d026a84 74b0cd6031a1c8339b2b6ce2b8c4a186 e880a1b580b6 9f07 2d16c5cd1fdf6b22383584e3bef2a8d8
dcf07cbd51855290b92a07a9891e523e 49e785dd12626ef2 9e85790336bb3fa2 5860fc1bce351e7e 31e11a609118
7657766b373d1c2138f307e3de9242f9 1c42e960d89b8fa99f2744e0708ccb53 fe2555e54aa9

6c38a116ac280c454f59332ee35c8c4f ee6466bc96202c5a557abbeff8babf63 414b98222181 4464 1ba00a1a7c6700ac8c3ff3e96ad08725
3803ef5363b947c6aaa225e58fae3934 078adfb488241a57 80246b8d0186bcf1 16c8233f05a0ac28 45b0f69ab06c
3f8c7587fe8e4b233af676aede30ba3b a7466cc1e6b2a1337d49d3b66e95d7b4 1f53cd2b1113
"""
NETWORK = "5G:mnc070.mcc999.3gppnetwork.org"
SUBSCRIBER = Milenage(bytes(range(16)), bytes(range(16, 32)))
RAND, AMF = bytes(range(32, 48)), bytes.fromhex("8000")
SQN = 0x0123456789AB


@pytest.mark.parametrize("values", MILENAGE_SETS.strip().split("\n\n"), ids=[f"set {place}" for place in range(1, 7)])
def test_milenage_gives_the_published_results(values: str):
    k, rand, sqn, amf, op, opc, f1, f1_star, f2, f5, f3, f4, f5_star = map(bytes.fromhex, values.split())
    functions, sqn = Milenage.from_op(k, op), int.from_bytes(sqn)
    assert functions.opc == derive_opc(k, op) == opc
    assert (functions.f1(rand, sqn, amf), functions.f1_star(rand, sqn, amf)) == (f1, f1_star)
    assert (functions.f2(rand), functions.f3(rand), functions.f4(rand)) == (f2, f3, f4)
    assert (functions.f5(rand), functions.f5_star(rand)) == (f5, f5_star)


def test_eap_aka_prime_gives_the_published_keys():
    """RFC 5448 appendix C, case 1."""
    ck_prime, ik_prime = derive_ck_ik_prime(
        ck=bytes.fromhex("5349fbe098649f948f5d2e973a81c00f"),
        ik=bytes.fromhex("9744871ad32bf9bbd1dd5ce54e3e2e5a"),
        serving_network_name="WLAN",
        sqn_xor_ak=bytes.fromhex("bb52e91c747a"),
    )
    assert ck_prime.hex() == "0093962d0dd84aa5684b045c9edffa04"
    assert ik_prime.hex() == "ccfc230ca74fcc96c0a5d61164f5a76c"
    keys = derive_eap_aka_prime_keys(ck_prime, ik_prime, "0555444333222111")
    assert keys.k_encr.hex() == "766fa0a6c317174b812d52fbcd11a179"
    assert keys.k_aut.hex() == "0842ea722ff6835bfa2032499fc3ec23c2f0e388b4f07543ffc677f1696d71ea"
    assert keys.k_re.hex() == "cf83aa8bc7e0aced892acc98e76a9b2095b558c7795c7094715cb3393aa7d17a"
    assert keys.msk.hex() == (
        "67c42d9aa56c1b79e295e3459fc3d187d42be0bf818d3070e362c5e967a4d544"
        "e8ecfe19358ab3039aff03b7c930588c055babee58a02650b067ec4e9347c75a"
    )
    assert keys.emsk.hex() == (
        "f861703cd775590e16c7679ea3874ada866311de290764d760cf76df647ea01c"
        "313f69924bdd7650ca9bac141ea075c4ef9e8029c0e290cdbad5638b63bc23fb"
    )
    assert keys.k_ausf == keys.emsk[:32]


def test_handover_keys_follow_the_definition_of_their_inputs():
    """TS 33.501 clauses A.10 and A.11, written out: function code, then each parameter and its length."""
    k_amf, k_gnb = bytes(32), bytes(range(32))
    nh = derive_nh(k_amf, k_gnb)
    assert nh == hmac.digest(k_amf, b"\x6f" + k_gnb + b"\x00\x20", "sha256")
    written = b"\x70" + b"\x01\xf4" + b"\x00\x02" + b"\x09\xab\x10" + b"\x00\x03"
    assert derive_k_gnb_star(nh, pci=500, arfcn_dl=633616) == hmac.digest(nh, written, "sha256")


def test_key_derivation_tells_parameters_apart():
    assert kdf(b"key", 1, b"ab", b"c") != kdf(b"key", 1, b"a", b"bc")
    with pytest.raises(SecurityError, match=r"`len\(parameters\[1\]\)` must be .* 65536"):
        kdf(b"key", 1, b"", bytes(65536))


def test_serving_network_names_have_three_digits_of_both_codes():
    assert serving_network_name("999", "70") == NETWORK
    assert serving_network_name("310", "410") == "5G:mnc410.mcc310.3gppnetwork.org"
    with pytest.raises(SecurityError, match="`mnc` must be a text of 2 or 3 digits, got '7'"):
        serving_network_name("999", "7")


@given(k=st.binary(min_size=16, max_size=16), rand=st.binary(min_size=16, max_size=16), sqn=st.integers(0, 2**48 - 1))
def test_usim_and_network_come_to_the_same_keys(k: bytes, rand: bytes, sqn: int):
    subscriber = Milenage(k, SUBSCRIBER.opc)
    vector = make_vector(subscriber, rand, sqn, AMF, NETWORK)
    checked = check_autn(subscriber, rand, vector.autn)
    assert (checked.sqn, checked.amf, checked.verified, checked.separation_bit) == (sqn, AMF, True, True)
    answer = answer_challenge(subscriber, rand, vector.autn, NETWORK)
    assert vector.accepts(answer.res_star) and answer.k_ausf == vector.k_ausf
    assert answer_challenge(subscriber, rand, vector.autn, serving_network_name("001", "01")).k_ausf != vector.k_ausf
    auts = make_auts(subscriber, rand, sqn)
    assert len(auts) == 14 and check_auts(subscriber, rand, auts).verified
    assert check_auts(subscriber, rand, auts).sqn_ms == sqn


@given(bit=st.integers(0, 127))
def test_a_token_with_any_bit_changed_is_refused(bit: int):
    autn = make_autn(SUBSCRIBER, RAND, SQN, AMF)
    changed = (int.from_bytes(autn) ^ 1 << bit).to_bytes(16)
    assert check_autn(SUBSCRIBER, RAND, autn).verified and not check_autn(SUBSCRIBER, RAND, changed).verified
    auts = make_auts(SUBSCRIBER, RAND, SQN)
    changed = (int.from_bytes(auts) ^ 1 << bit % 112).to_bytes(14)
    assert not check_auts(SUBSCRIBER, RAND, changed).verified


def test_a_token_of_another_subscriber_is_refused():
    other = Milenage(SUBSCRIBER.opc, SUBSCRIBER.k)
    assert not check_autn(other, RAND, make_autn(SUBSCRIBER, RAND, SQN, AMF)).verified


@pytest.mark.parametrize("res_star", [b"", bytes(16), bytes(8), bytes(17)], ids=len)
def test_a_vector_accepts_no_other_response(res_star: bytes):
    assert not make_vector(SUBSCRIBER, RAND, SQN, AMF, NETWORK).accepts(res_star)


def test_usim_takes_each_sequence_number_once_and_old_ones_of_other_indexes():
    numbers = SequenceNumbers().with_sqn(100 << 5 | 3)
    assert numbers.sqn_ms == 100 << 5 | 3
    assert not numbers.accepts(100 << 5 | 3) and not numbers.accepts(99 << 5 | 3)
    assert numbers.accepts(101 << 5 | 3) and numbers.accepts(99 << 5 | 4)
    with pytest.raises(SecurityError, match="`sqn` must be fresh, got 3203; ask for resynchronisation from 3203"):
        numbers.with_sqn(100 << 5 | 3)


def test_usim_refuses_a_jump_that_would_use_up_the_numbers():
    furthest = 2**28 << 5
    assert SequenceNumbers().accepts(furthest) and not SequenceNumbers().accepts(furthest + 32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Milenage(bytes(15), bytes(16)), "`k` must have 16 bytes, got 15"),
        (lambda: Milenage("00" * 16, bytes(16)), "`k` must be bytes, got str; use `bytes.fromhex`"),
        (lambda: Milenage(bytes(16), bytes(32)), "`opc` must have 16 bytes, got 32"),
        (lambda: SUBSCRIBER.f1(RAND, 2**48, AMF), r"`sqn` must be a number from 0 to 2\*\*48 - 1, got 281474976710656"),
        (lambda: SUBSCRIBER.f1(RAND, 0, b"\x80"), "`amf` must have 2 bytes, got 1"),
        (lambda: SUBSCRIBER.f2(RAND + b"\0"), "`rand` must have 16 bytes, got 17"),
        (lambda: check_autn(SUBSCRIBER, RAND, bytes(14)), "`autn` must have 16 bytes, got 14"),
        (lambda: check_auts(SUBSCRIBER, RAND, bytes(16)), "`auts` must have 14 bytes, got 16"),
        (lambda: derive_k_seaf(bytes(16), NETWORK), "`k_ausf` must have 32 bytes, got 16"),
        (lambda: derive_k_seaf(bytes(32), ""), "`serving_network_name` must be a text that is not empty, got ''"),
        (lambda: derive_k_amf(bytes(32), "imsi-99970"), "`supi` must not start with its type, got 'imsi-99970'"),
        (lambda: derive_k_amf(bytes(32), "99970", b"\0"), "`abba` must have at least 2 bytes, got 1"),
        (lambda: derive_k_gnb(bytes(32), 2**24), "`uplink_count` must be"),
        (lambda: derive_hres_star(RAND, bytes(8)), "`res_star` must have 16 bytes, got 8"),
    ],
)
def test_errors_name_the_argument_and_what_it_must_be(call, message: str):
    with pytest.raises(SecurityError, match=message) as caught:
        call()
    assert isinstance(caught.value, SignalingError) and isinstance(caught.value, ValueError)


def test_no_secret_is_in_a_representation_and_values_can_be_pickled():
    vector = make_vector(SUBSCRIBER, RAND, SQN, AMF, NETWORK)
    answer = answer_challenge(SUBSCRIBER, RAND, vector.autn, NETWORK)
    keys = derive_eap_aka_prime_keys(RAND, RAND, "identity")
    secrets = (SUBSCRIBER.k, SUBSCRIBER.opc, vector.xres_star, vector.k_ausf, keys.msk, keys.emsk)
    for value in (SUBSCRIBER, vector, answer, keys):
        assert pickle.loads(pickle.dumps(value)) == value
        assert not any(repr(secret) in repr(value) or secret.hex() in repr(value) for secret in secrets)
    assert repr(vector.autn) in repr(vector)
