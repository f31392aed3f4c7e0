"""Every authentication, key and protected NAS message of recorded dialogues, under the keys of their subscribers."""

import json
from collections import Counter
from pathlib import Path

from gentwin.signaling.security import ProtectionScheme, deconceal, unpack_msin
from tests.signaling.recordings import find_capture
from tests.signaling.security_recordings import Replay, read_ngap

# Private key of the home network in TS 33.501 clause C.4.3, whose public key the UEs of the recording use.
PUBLISHED_PRIVATE_KEY = bytes.fromhex("c53c22208b61860b06c62e5406a7b330c2b577aa5558981510d128247d38bd1d")


def recorded_counts(path: Path) -> Counter[str]:
    """Returns how many NAS messages of each name are in a recording."""
    return Counter(json.loads(path.with_name("scenario.json").read_text())["nas"])


def replay(name: str) -> tuple[Counter[str], Counter[str]]:
    """Returns what held in a recording and how many messages of each name it has; nothing may be wrong or left out."""
    path = find_capture(name)
    replayed, counts = Replay().run(path), recorded_counts(path)
    assert replayed.messages == counts.total()
    assert not [check for check in replayed.tally if check.startswith(("wrong", "no context"))]
    assert replayed.tally["AUTN"] == replayed.tally["AUTN made again"] == counts["D 5GMMAuthenticationRequest"]
    assert replayed.tally["RES*"] == replayed.tally["fresh SQN"] == counts["U 5GMMAuthenticationResponse"]
    verified = replayed.tally["MAC uplink"] + replayed.tally["MAC downlink"]
    assert replayed.tally["protected again"] == verified
    return replayed.tally, counts


def test_everything_derived_from_keys_is_right():
    tally, _ = replay("n2n4-c02")
    assert (tally["MAC uplink"], tally["MAC downlink"], tally["repeated downlink"]) == (271, 242, 2)
    assert tally["K_gNB"] == 64 and tally["RES*"] == 18


def test_ciphered_messages_are_deciphered_in_both_directions():
    tally, counts = replay("n2n4-nea2-c08")
    assert tally["deciphered"] + tally["repeated downlink"] == counts["U (ciphered)"] + counts["D (ciphered)"] == 913
    assert tally["NAS message container"] == counts["U 5GMMServiceRequest"] == 137
    assert (tally["MAC uplink"], tally["MAC downlink"], tally["repeated downlink"]) == (564, 524, 5)


def test_refused_challenges_are_explained():
    tally, counts = replay("n2n4-rejects")
    assert tally["MAC failure at the UE"] + tally["AUTS"] == counts["U 5GMMAuthenticationFailure"] == 8
    assert tally["AUTS"] == tally["SQN_MS"] == tally["stale SQN"] == 4


def test_concealed_identities_are_revealed():
    packed, path = [], find_capture("n2n4-rejects-suci")
    for message in read_ngap(path):
        for nas in message.nas:
            if nas[2] == 0x41:
                packed.append(deconceal(ProtectionScheme.PROFILE_A, nas[14 : 6 + nas[5]], PUBLISHED_PRIVATE_KEY))
    assert len(packed) == recorded_counts(path)["U 5GMMRegistrationRequest"] == 8
    assert {len(unpack_msin(msin)) for msin in packed} == {10}
