"""Pseudonyms for what identifies a person or holds a secret.

| in the messages | in their place |
|---|---|
| SUPI: MSIN, IMSI, NAI; GPSI, MSISDN | other digits, other letters; MCC and MNC stay, of an IMSI the first six digits |
| PEI: IMEI, IMEISV, masked or not | other type, serial number; software version and check digit stay |
| 5G-TMSI, and the index values made of it | other bits |
| IP and Ethernet addresses, also inside of texts; `host:port` of a record | other ones of the same kind |
| names of base stations, AMFs and hosts; addresses of redirection and notification | other letters and digits |
| keys, passwords | zeros |
| RAND, AUTN, AUTS, RES*, MAC | other bytes: they are computed of keys, and would let a key be tested |
| all other bytes: concealed SUPI, ciphered or undecoded content, containers, capabilities of the radio | other bytes |

What identifies nobody stays: numbers that mean something only between two nodes and for some time (NGAP ids, TEIDs,
SEIDs, sequence numbers, PDU session ids), what a network is made of (PLMN, AMF id, slice, DNN, number of a base
station, tracking area, cell), rates, times. Where somebody was and when is therefore still in the data.

Equal values become equal ones wherever they are, so that what belongs together can still be joined. Numbers and
addresses are permuted, so that different ones stay different; of texts and bytes, a keyed hash of the same length is
taken, of which two collide with the probability of their length: 2^-32 for a pair of 4 bytes.

Addresses: of IPv4, the bits after those that say the kind (10/8, 172.16/12, 192.168/16, 100.64/10, 169.254/16, 127/8,
public) are permuted; of IPv6, the lower half, and the 48 bits above it. Unspecified, multicast and broadcast addresses
stay.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from math import isqrt
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

from gentwin.signaling.fields import Bits, Fields, Value
from gentwin.signaling.messages import Message, Record
from gentwin.signaling.records import decode_message, encode_record

SHORTEST_KEY = 16
ROUNDS = 8
CACHED_VALUES, CACHED_LENGTH = 32768, 64  # so many of each form, of at most so many bytes or letters
LONGEST_NUMBER = 32  # digits; what has more is no number of a person
LONGEST_ADDRESS = 45  # letters

KEPT_BYTES = {
    "sst": 1,
    "sd": 3,
    "mapped_sd": 3,
    "tac": 3,
    "allowed_tacs": 3,
    "forbidden_tacs": 3,
    "not_allowed_tacs": 3,
    "ta_listfor_mdt": 3,
    "ta_listfor_qmc": 3,
    "tac_list_in_nrntn": 3,
    "ue_location_derived_tac_in_nrntn": 3,
    "eps_tac": 2,
    "lac": 2,
    "abba": 2,
    "gtp_teid": 4,
    "time_stamp": 4,
    "start_time_stamp": 4,
    "end_time_stamp": 4,
    "port_number": 2,
    "mobile_station_classmark_2": 3,
}
"""Fields whose bytes stay, if there are so many of them."""

FORMLESS = frozenset({"mac", "rand", "autn", "auts", "res_star", "scheme_output", "interface_identifier"})
"""Fields of bytes that are not looked into when decoded, so that others can take their place."""

SECRETS = frozenset(
    {
        "security_key",
        "next_hop_nh",
        "ciphering_key_data",
        "tunnel_password",
        "l2tp_user_authentication",
        "pap",
        "chap",
        "relay_key_request_parameters",
        "relay_key_response_parameters",
    }
)
"""Fields that hold keys and passwords."""

TEXTS = frozenset(
    {
        "nai",
        "sm_pdu_dn_request_container",
        "calling_number",
        "called_number",
        "event_notification_uri",
        "notification_correlation_id",
        "trace_collection_entity_uri",
        "application_instance_id",
        "address",
        "other_address",
        "fqdn",
        "amf_name",
        "amf_name_utf8_string",
        "amf_name_visible_string",
        "backup_amf_name",
        "old_amf",
        "ran_node_name",
        "ran_node_name_utf8_string",
        "ran_node_name_visible_string",
    }
)
"""Fields of text that identify a person or a node; in all others only addresses are replaced."""

BIT_STRINGS = frozenset(
    {
        "index_length10",
        "extended_ue_identity_index_value",
        "hashed_ue_identity_index_value",
        "dl_nas_mac",
        "ul_nas_mac",
        "sourcecell_c_rnti",
        "target_cell_crnti",
    }
)
"""Fields of bits that are made of an identity or a key."""

IPV4_KINDS = [
    (int(network.network_address), 32 - network.prefixlen)
    for network in map(
        ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"),
    )
]
IPV4_KEPT = [(0, 24), (0xE0000000, 29)]  # this network; multicast, reserved and broadcast
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_CANDIDATE = re.compile(r"[0-9a-fA-F:.]{2,}")
_IPV4 = re.compile(r"(?<![0-9])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9])")


class Pseudonymiser:
    """Replaces what identifies a person or holds a secret; see [`privacy`][gentwin.signaling.privacy].

    ```python
    pseudonymise = Pseudonymiser(secrets.token_bytes(32))
    records = map(pseudonymise, read_records("core.pcap"))
    ```

    Whoever has the key can find out whose pseudonym it is: draw one for each data set, and do not store it.

    Args:
        key: At least 16 random bytes.

    Raises:
        ValueError: If the key is shorter.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < SHORTEST_KEY:
            raise ValueError(f"`key` must have at least {SHORTEST_KEY} bytes, got {len(key)}; draw it at random")
        self._key = key
        self._permuted = lru_cache(CACHED_VALUES)(self._permute)
        self._hash_kept = lru_cache(CACHED_VALUES)(self._hash)
        self._text_kept = lru_cache(CACHED_VALUES)(self._text)
        self._end_replaced = lru_cache(CACHED_VALUES)(self._end)

    def __call__(self, record: Record) -> Record:
        """Returns the record with pseudonyms, without the bytes it was decoded from.

        It can be encoded, and decodes to the same message again.

        Raises:
            EncodeError: If the record has opaque bytes and cannot be encoded.
        """
        opaque: list[str] = []
        fields = self._fields(record.message.fields, "", opaque)
        changed = replace(
            record,
            message=replace(record.message, fields=fields),
            sender=self._end_replaced(record.sender),
            receiver=self._end_replaced(record.receiver),
            raw=b"",
        )
        if opaque:
            # Other bytes may happen to be something that is decoded further.
            again = decode_message(record.message.protocol, encode_record(changed))
            changed = replace(changed, message=again)
        return changed

    # ---------------------------------------------------------------- the tree

    def _fields(self, fields: Fields, around: str, opaque: list[str]) -> Fields:
        plmn = ""
        pairs = []
        for name, value in fields:
            if name in ("mcc", "mnc") and isinstance(value, str):
                plmn += value
            if name == "msin" and isinstance(value, str):
                pairs.append((name, self._imsi(plmn + value, len(plmn))[len(plmn) :]))
            else:
                pairs.append((name, self._value(around if name == "item" else name, value, opaque)))
        return Fields(pairs)

    def _value(self, name: str, value: Any, opaque: list[str]) -> Value:
        if isinstance(value, int):
            return value
        if isinstance(value, Bits):
            return self._bits(name, value)
        if isinstance(value, str):
            return (self._text_kept if len(value) <= CACHED_LENGTH else self._text)(name, value)
        if isinstance(value, bytes):
            return self._bytes(name, value, opaque)
        if isinstance(value, Message):
            return replace(value, fields=self._fields(value.fields, "", opaque))
        return self._fields(value, name, opaque)

    def _bytes(self, name: str, value: bytes, opaque: list[str]) -> bytes:
        if KEPT_BYTES.get(name) == len(value) or not value:
            return value
        if name in SECRETS:
            opaque.append(name)
            return bytes(len(value))
        if name in ("tmsi", "five_g_tmsi") and len(value) == 4:
            return self._permuted("tmsi", int.from_bytes(value, "big"), 1 << 32).to_bytes(4, "big")
        if name == "interface_identifier" and len(value) == 8:
            return self._interface(int.from_bytes(value, "big")).to_bytes(8, "big")
        if name not in FORMLESS:
            opaque.append(name)
        return self._hashed(value, len(value))

    def _bits(self, name: str, value: Bits) -> Bits:
        if name in SECRETS:
            return Bits(0, value.size)
        if name == "masked_imeisv":
            return self._masked_equipment(value)
        if name in BIT_STRINGS:
            return Bits(self._permuted(name, value.value, 1 << value.size), value.size)
        if not name.endswith(("address", "addresses", "tla", "tlas")):
            return value
        if value.size != 160:
            return Bits(self._permuted(name, value.value, 1 << value.size), value.size)
        ipv4 = self._ipv4(value.value >> 128)
        return Bits(ipv4 << 128 | self._ipv6(value.value & ((1 << 128) - 1)), value.size)

    # ---------------------------------------------------------------- texts

    def _text(self, name: str, value: str) -> str:
        if name in ("imsi", "imei", "imeisv", "msisdn"):
            return self._identity(name, value)
        if name in ("supi", "gpsi", "pei"):
            kind, mark, rest = value.partition("-")
            return kind + mark + self._identity(kind, rest) if mark else self._other_letters(value)
        if name in TEXTS:
            return self._address_or_letters(value)
        if _MAC.fullmatch(value):
            return self._mac(value)
        if ("." in value or ":" in value) and name != "mask":
            return _CANDIDATE.sub(lambda found: self._perhaps_address(found[0]), value)
        return value

    def _identity(self, kind: str, value: str) -> str:
        if not (value.isascii() and value.isdecimal()):
            return self._other_letters(value)
        if kind == "imsi":
            return self._imsi(value, 5)
        if kind in ("imei", "imeisv"):
            return self._equipment(value)
        return self._digits("msisdn", value)

    def _digits(self, kind: str, value: str) -> str:
        if not value or len(value) > LONGEST_NUMBER:
            return self._other_letters(value)
        return str(self._permuted(f"{kind} {len(value)}", int(value), 10 ** len(value))).zfill(len(value))

    def _imsi(self, value: str, network: int) -> str:
        """Returns another IMSI; PFCP does not say whether its MNC has two digits or three, so that six stay."""
        kept = 6 if len(value) > 9 else network
        return value[:kept] + self._digits(f"imsi {value[:kept]}", value[kept:])

    def _equipment(self, value: str) -> str:
        """Returns another IMEI or IMEISV; ten digits are replaced by themselves, as the masked one has them."""
        known, serial, rest = value[:10], value[10:14], value[14:]
        return self._digits("imei", known) + self._digits(f"serial {known}", serial) + rest

    def _masked_equipment(self, value: Bits) -> Bits:
        text = f"{value.value:016x}"
        if value.size != 64 or not text[:10].isdecimal():
            return Bits(self._permuted("masked_imeisv", value.value, 1 << value.size), value.size)
        serial = text[10:14] if text[10:14] == "ffff" else self._hashed(value.value.to_bytes(8, "big"), 2).hex()
        return Bits(int(self._digits("imei", text[:10]) + serial + text[14:], 16), 64)

    def _other_letters(self, text: str) -> str:
        """Returns a text with other letters and digits in the same places."""
        stream = self._hashed(text.encode("utf-8", "surrogatepass"), 2 * len(text))
        chosen = []
        for place, letter in enumerate(text):
            number = int.from_bytes(stream[2 * place : 2 * place + 2], "big")
            alphabet = digits if letter.isdecimal() else ascii_uppercase if letter.isupper() else ascii_lowercase
            chosen.append(alphabet[number % len(alphabet)] if letter.isalnum() or not letter.isascii() else letter)
        return "".join(chosen)

    # ---------------------------------------------------------------- addresses

    def _end(self, end: str) -> str:
        """Returns another `host:port` of the same port."""
        host, mark, port = end.rpartition(":")
        bare = host.strip("[]")
        other = self._address_or_letters(bare)
        return (f"[{other}]" if host.startswith("[") else other) + mark + port

    def _address(self, text: str) -> str:
        """Returns another address of the same kind."""
        address = ip_address(text)
        if address.version == 4:
            return str(IPv4Address(self._ipv4(int(address))))
        return str(IPv6Address(self._ipv6(int(address))))

    def _perhaps_address(self, text: str) -> str:
        """Returns a part of a text with another address, or other letters, where it is one or looks like one."""
        bare = text.strip(".")
        if _is_address(bare):
            return text.replace(bare, self._address(bare))
        if bare.count(":") > 1:
            return self._other_letters(text)
        return _IPV4.sub(lambda found: self._address_or_letters(found[0]), text)

    def _address_or_letters(self, text: str) -> str:
        return self._address(text) if _is_address(text) else self._other_letters(text)

    def _ipv4(self, number: int) -> int:
        for base, free in IPV4_KINDS:
            if number >> free == base >> free:
                return base | self._permuted(f"ipv4 {base}", number - base, 1 << free)
        if any(number >> free == base >> free for base, free in IPV4_KEPT):
            return number
        while True:
            number = self._permuted("ipv4", number, 1 << 32)
            if not any(number >> free == base >> free for base, free in (*IPV4_KINDS, *IPV4_KEPT)):
                return number

    def _ipv6(self, number: int) -> int:
        if number < 2 or number >> 120 == 0xFF:
            return number
        high, low = number >> 64, number & ((1 << 64) - 1)
        prefix = self._permuted("prefix", high & ((1 << 48) - 1), 1 << 48) if high & ((1 << 48) - 1) else 0
        return (high >> 48 << 48 | prefix) << 64 | self._interface(low)

    def _interface(self, number: int) -> int:
        return self._permuted("interface", number, 1 << 64) if number else 0

    def _mac(self, text: str) -> str:
        """Returns another Ethernet address of one station, given by its maker or not; one of a group stays."""
        data = int(text.replace(":", ""), 16)
        if data >> 40 & 1:
            return text
        marks, rest = data >> 40 & 3, data >> 42 << 40 | data & ((1 << 40) - 1)
        rest = self._permuted("ethernet", rest, 1 << 46)
        return (rest >> 40 << 42 | marks << 40 | rest & ((1 << 40) - 1)).to_bytes(6, "big").hex(":")

    # ---------------------------------------------------------------- keyed functions

    def _permute(self, kind: str, number: int, size: int) -> int:
        """Returns another number below `size`, a different one for each: a Feistel network over two digits.

        Where two digits can be more than `size`, it is applied until they are not.
        """
        base = isqrt(size - 1) + 1
        width = 16 + (base.bit_length() >> 3)
        while True:
            high, low = divmod(number, base)
            for step in range(ROUNDS):
                mixed = int.from_bytes(self._stream(f"{kind} {size} {step} {low}".encode(), width), "big")
                high, low = low, (high + mixed) % base
            number = high * base + low
            if number < size:
                return number

    def _hashed(self, data: bytes, size: int) -> bytes:
        return (self._hash_kept if len(data) <= CACHED_LENGTH else self._hash)(data, size)

    def _hash(self, data: bytes, size: int) -> bytes:
        return self._stream(b"bytes " + data, size)

    def _stream(self, data: bytes, size: int) -> bytes:
        """Returns so many bytes that HMAC-SHA256 makes of data: its digest, or more with that as the key."""
        digest = hmac.digest(self._key, data, "sha256")
        if size <= len(digest):
            return digest[:size]
        blocks = (hmac.digest(digest, count.to_bytes(4, "big"), "sha256") for count in range(-(-size // 32)))
        return b"".join(blocks)[:size]


def _is_address(text: str) -> bool:
    return len(text) <= LONGEST_ADDRESS and _reads_as_address(text)


@lru_cache(CACHED_VALUES)
def _reads_as_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text
