"""Messages between UE and core, plain: what is said, not how it is protected.

Fields that never change are made once; a message is as cheap as the few values that are its own.

Source: 3GPP TS 24.501 clause 8.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache

from gentwin.signaling.core.configuration import NetworkConfiguration, Slice
from gentwin.signaling.core.home import HomePublicKey
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.messages import NAS, Message

NO_KEYS = 7
LARGEST_COUNT = 31
TIMER_2_UNITS = {"2 s": 2, "1 min": 60, "6 min": 360}
TIMER_3_UNITS = {"2 s": 2, "30 s": 30, "1 min": 60, "10 min": 600, "1 h": 3600, "10 h": 36_000, "320 h": 1_152_000}
"""Units of GPRS timers 2 and 3 in seconds, the finest first."""
ALL_ALGORITHMS = Fields.of(
    ea="ea0 ea1 ea2 ea3", ia="ia0 ia1 ia2 ia3", eea="eea0 eea1 eea2 eea3", eia="eia0 eia1 eia2 eia3"
)
NO_COMMON_INTEGRITY = ALL_ALGORITHMS.with_value("ia", "ia0 ia1").with_value("eia", "eia0 eia1")
NULL_CIPHERING = ALL_ALGORITHMS.with_value("ea", "ea0").with_value("eea", "eea0")
_CAPABILITY_5GMM = ("capability_5gmm", Fields.of(octet_3=""))
_NO_UPDATE = (
    "update_type",
    Fields(
        (
            ("eps_preferred_ciot_behaviour", 0),
            ("5gs_preferred_ciot_behaviour", 0),
            ("ng_ran_radio_capability_update", 0),
            ("sms_requested", 0),
        )
    ),
)
_REGISTERED = (
    "registration_result",
    Fields.of(disaster_roaming=0, emergency_registered=0, nssaa_to_be_performed=0, sms_allowed=0, result="3gpp"),
)
_FEATURES = (
    "network_feature_support",
    Fields.of(mpsi=0, iwk_n26=0, emf=0, emc=0, ims_vops="3gpp", octet_4=""),
)


def message(name: str, *pairs: tuple[str, Value]) -> Message:
    """Returns a NAS message of a name with these fields."""
    return Message(NAS, name, Fields(pairs))


@lru_cache(1024)
def nssai(slices: Sequence[Slice]) -> Fields:
    """Returns a list of slices."""
    return Fields(("s_nssai", s_nssai(entry)) for entry in slices)


@lru_cache(1024)
def s_nssai(of: Slice) -> Fields:
    """Returns a slice as NAS writes it."""
    return Fields.of(sst=of.sst) if of.sd is None else Fields.of(sst=of.sst, sd=bytes.fromhex(of.sd))


def read_slice(fields: Fields) -> Slice:
    """Returns the slice that fields of NAS name."""
    sd = fields.get("sd")
    return Slice(fields["sst"], None if sd is None else sd.hex())


@lru_cache(256)
def timer_3(seconds: float) -> Fields:
    """Returns a timer as GPRS timer 3, rounded down to the finest unit in which it fits; 0 is deactivated."""
    if not seconds:
        return Fields.of(unit="deactivated", value=0)
    return _timer(seconds, TIMER_3_UNITS)


@lru_cache(256)
def periodic_timer(seconds: float) -> Fields:
    """Returns T3512: in units of 30 s where these suffice, as cores choose it."""
    return timer_3(seconds) if seconds % 30 or seconds > 930 else Fields.of(unit="30 s", value=int(seconds // 30))


@lru_cache(256)
def timer_2(seconds: float) -> Fields:
    """Returns a timer as GPRS timer 2, rounded down to the finest unit in which it fits."""
    return _timer(seconds, TIMER_2_UNITS)


def _timer(seconds: float, units: dict[str, int]) -> Fields:
    name, unit = next(((name, unit) for name, unit in units.items() if seconds // unit <= LARGEST_COUNT), (None, 0))
    if name is None:
        raise SignalingError(f"`seconds` must be at most {LARGEST_COUNT * max(units.values())}, got {seconds!r}.")
    return Fields.of(unit=name, value=int(seconds // unit))


def read_timer_2(timer: Fields) -> float:
    """Returns the seconds that a GPRS timer 2 stands for; 0 if it is deactivated."""
    return TIMER_2_UNITS.get(timer["unit"], 0) * timer["value"]


def read_timer_3(timer: Fields) -> float:
    """Returns the seconds that a GPRS timer 3 stands for; infinite if it is deactivated."""
    unit = TIMER_3_UNITS.get(timer["unit"])
    return float("inf") if unit is None else unit * timer["value"]


@lru_cache(64)
def key_set(ksi: int) -> Fields:
    """Returns the identifier of a native key set, 0 to 6; 7 for none."""
    return Fields.of(tsc="native", ksi=ksi)


@lru_cache(256)
def sessions(identities: frozenset[int]) -> str:
    """Returns which sessions there are, as a text of flags."""
    return " ".join(f"psi_{identity}" for identity in sorted(identities))


def read_sessions(text: str) -> frozenset[int]:
    """Returns the identities of the sessions that a text of flags names."""
    return frozenset(int(name[4:]) for name in text.split())


# ---------------------------------------------------------------- identities


def suci(supi: str, mnc_digits: int) -> Fields:
    """Returns a subscription permanent identifier as the null scheme conceals it: not at all."""
    return _suci(supi, mnc_digits, "null", 0, ("msin", supi[3 + mnc_digits :]))


def concealed_suci(supi: str, mnc_digits: int, key: HomePublicKey, ephemeral_private_key: bytes) -> Fields:
    """Returns a subscription permanent identifier concealed for the home network.

    Args:
        supi: Digits of the IMSI.
        mnc_digits: How many of these are the mobile network code.
        key: Of the home network.
        ephemeral_private_key: 32 random bytes, new for every concealment.
    """
    output = key.conceal(supi[3 + mnc_digits :], ephemeral_private_key)
    return _suci(supi, mnc_digits, f"ecies_{key.scheme}", key.identifier, ("scheme_output", output))


def _suci(supi: str, mnc_digits: int, scheme: str, key: int, output: tuple[str, Value]) -> Fields:
    return Fields(
        (
            ("type", "suci"),
            ("supi_format", "imsi"),
            ("mcc", supi[:3]),
            ("mnc", supi[3 : 3 + mnc_digits]),
            ("routing_indicator", "0000"),
            ("protection_scheme", scheme),
            ("home_network_public_key_id", key),
            output,
        )
    )


def guti(network: NetworkConfiguration, tmsi: int) -> Fields:
    """Returns a 5G-GUTI of the AMF."""
    return Fields.of(
        type="5g_guti",
        mcc=network.mcc,
        mnc=network.mnc,
        amf_region_id=network.amf_region,
        amf_set_id=network.amf_set,
        amf_pointer=network.amf_pointer,
        tmsi=tmsi.to_bytes(4),
    )


def s_tmsi(network: NetworkConfiguration, tmsi: int) -> Fields:
    """Returns a 5G-S-TMSI of the AMF."""
    return Fields.of(
        type="5g_s_tmsi", amf_set_id=network.amf_set, amf_pointer=network.amf_pointer, tmsi=tmsi.to_bytes(4)
    )


# ---------------------------------------------------------------- mobility management, UE to core


def registration_request(
    kind: str, ksi: int, identity: Fields, algorithms: Fields, clear: Sequence[Slice] = ()
) -> Message:
    """Returns a registration request with what may be sent in clear.

    Args:
        kind: `initial`, `mobility_updating` or `periodic_updating`.
        ksi: Key set, 7 for none.
        identity: Of the UE.
        algorithms: That the UE knows.
        clear: Slices requested in clear.
    """
    pairs = _request_start(kind, ksi, identity, algorithms)
    return message("RegistrationRequest", *pairs, *((("requested_nssai", nssai(tuple(clear))),) if clear else ()))


def whole_registration_request(
    kind: str,
    ksi: int,
    identity: Fields,
    algorithms: Fields,
    slices: Sequence[Slice],
    tac: str | None = None,
    network: NetworkConfiguration | None = None,
    status: frozenset[int] | None = None,
) -> Message:
    """Returns a registration request with all there is to say.

    Args:
        kind: Of registration.
        ksi: Key set, 7 for none.
        identity: Of the UE.
        algorithms: That the UE knows.
        slices: Requested; none of the element if there are none.
        tac: Of the tracking area visited last; None for none.
        network: It is in.
        status: Sessions that there are; None if it is not said.
    """
    start = _request_start(kind, ksi, identity, algorithms)
    pairs = [*start[:3], _CAPABILITY_5GMM, start[3]] if kind == "initial" else start
    if slices:
        pairs.append(("requested_nssai", nssai(tuple(slices))))
    if tac is not None and network is not None:
        area = Fields.of(mcc=network.mcc, mnc=network.mnc, tac=bytes.fromhex(tac))
        pairs.append(("last_visited_registered_tai", area))
    if status is not None:
        pairs.append(("pdu_session_status", sessions(status)))
    return message("RegistrationRequest", *pairs, _NO_UPDATE)


@lru_cache(16)
def _registration_type(kind: str) -> tuple[str, Fields]:
    return "registration_type", Fields.of(follow_on_request=1, type=kind)


def _request_start(kind: str, ksi: int, identity: Fields, algorithms: Fields) -> list[tuple[str, Value]]:
    return [
        _registration_type(kind),
        ("ng_ksi", key_set(ksi)),
        ("mobile_identity", identity),
        ("ue_security_capability", algorithms),
    ]


def service_request(kind: str, ksi: int, identity: Fields, *more: tuple[str, Value]) -> Message:
    """Returns a service request.

    Args:
        kind: Service type, such as `data`.
        ksi: Key set.
        identity: 5G-S-TMSI.
        more: Further fields.
    """
    pairs = (("ng_ksi", key_set(ksi)), ("service_type", kind), ("mobile_identity", identity))
    return message("ServiceRequest", *pairs, *more)


def deregistration_request(switch_off: bool, ksi: int, identity: Fields) -> Message:
    """Returns a request of a UE to be deregistered."""
    kind = Fields.of(switch_off=int(switch_off), re_registration_required=0, access_type="3gpp")
    return message(
        "DeregistrationRequestUEOriginating",
        ("deregistration_type", kind),
        ("ng_ksi", key_set(ksi)),
        ("mobile_identity", identity),
    )


def security_mode_complete(imeisv: str, initial: Message | bytes) -> Message:
    """Returns the answer to a security mode command.

    Args:
        imeisv: 16 digits.
        initial: Whole initial message.
    """
    identity = Fields.of(type="imeisv", imeisv=imeisv)
    return message("SecurityModeComplete", ("imeisv", identity), ("nas_message_container", initial))


# ---------------------------------------------------------------- mobility management, core to UE


def authentication_request(ksi: int, rand: bytes, autn: bytes) -> Message:
    """Returns a challenge."""
    pairs = (("ng_ksi", key_set(ksi)), ("abba", b"\0\0"), ("rand", rand), ("autn", autn))
    return message("AuthenticationRequest", *pairs)


@lru_cache(256)
def security_mode_command(ciphering: int, integrity: int, ksi: int, algorithms: Fields) -> Message:
    """Returns the command to use a key set with these algorithms."""
    return message(
        "SecurityModeCommand",
        ("selected_nas_security_algorithms", Fields.of(ciphering=ciphering, integrity=integrity)),
        ("ng_ksi", key_set(ksi)),
        ("replayed_ue_security_capabilities", algorithms),
        ("imeisv_request", "requested"),
        ("additional_5g_security_information", "rinmr"),
    )


@lru_cache(64)
def _tai_list(mcc: str, mnc: str, areas: Sequence[str]) -> tuple[str, Fields]:
    tacs = Fields(("tac", bytes.fromhex(tac)) for tac in areas)
    return "tai_list", Fields.of(list=Fields.of(type="tacs_of_one_plmn", mcc=mcc, mnc=mnc, tacs=tacs))


def registration_accept(
    network: NetworkConfiguration,
    identity: Fields | None,
    allowed: Sequence[Slice],
    rejected: Iterable[Slice] = (),
    status: frozenset[int] | None = None,
) -> Message:
    """Returns the acceptance of a registration.

    Args:
        network: Of the core.
        identity: New 5G-GUTI; None if the UE keeps its own.
        allowed: Slices.
        rejected: Slices that were requested and may not be used.
        status: Sessions that there are; None if the UE did not say.
    """
    pairs: list[tuple[str, Value]] = [_REGISTERED]
    if identity is not None:
        pairs.append(("guti", identity))
    pairs += (_tai_list(network.mcc, network.mnc, network.areas), ("allowed_nssai", nssai(tuple(allowed))))
    refused = [("rejected", Fields.of(cause="not_available_in_plmn", s_nssai=s_nssai(entry))) for entry in rejected]
    if refused:
        pairs.append(("rejected_nssai", Fields(refused)))
    pairs.append(_FEATURES)
    if status is not None:
        pairs.append(("pdu_session_status", sessions(status)))
    pairs.append(("t3512_value", periodic_timer(network.flavour.timing.t3512)))
    return message("RegistrationAccept", *pairs)


@lru_cache(256)
def reject(name: str, cause: int, back_off: float | None = None) -> Message:
    """Returns the rejection of a registration or service.

    Args:
        name: Of the message.
        cause: 5GMM cause.
        back_off: T3346 in seconds; None for none.
    """
    timer = () if back_off is None else (("t3346_value", timer_2(back_off)),)
    return message(name, ("cause_5gmm", cause), *timer)


@lru_cache(64)
def status_5gmm(cause: int) -> Message:
    """Returns the report of an error."""
    return message("5GMMStatus", ("cause_5gmm", cause))


@lru_cache(64)
def _names(full: str, short: str) -> tuple[tuple[str, Value], ...]:
    return (
        ("full_name_for_network", Fields.of(coding="ucs2", add_ci=0, text=full)),
        ("short_name_for_network", Fields.of(coding="ucs2", add_ci=0, text=short)),
        ("local_time_zone", 0),
    )


@lru_cache(16)
def network_names(full: str, short: str, seconds: int) -> Message:
    """Returns the update that tells a UE the name of the network and the time, in seconds since 1970."""
    digits = time.strftime("%y%m%d%H%M%S", time.gmtime(seconds))
    return message(
        "ConfigurationUpdateCommand",
        *_names(full, short),
        ("universal_time_and_local_time_zone", Fields.of(yymmddhhmmss=digits, time_zone=0)),
        ("network_daylight_saving_time", "none"),
    )


def new_identity(identity: Fields) -> Message:
    """Returns the update that gives a UE another 5G-GUTI."""
    return message("ConfigurationUpdateCommand", ("configuration_update_indication", "ack"), ("guti", identity))


@lru_cache(64)
def network_deregistration(cause: int, again: bool = False) -> Message:
    """Returns the command that deregisters a UE.

    Args:
        cause: 5GMM cause.
        again: Whether the UE shall register again.
    """
    kind = Fields.of(switch_off=0, re_registration_required=int(again), access_type="3gpp")
    return message("DeregistrationRequestUETerminated", ("deregistration_type", kind), ("cause_5gmm", cause))


@lru_cache(1024)
def service_accept(status: frozenset[int], failed: frozenset[int] | None) -> Message:
    """Returns the acceptance of a service request.

    Args:
        status: Sessions that there are.
        failed: Those of them that could not be activated; None if none was to be.
    """
    result = () if failed is None else (("pdu_session_reactivation_result", sessions(failed)),)
    return message("ServiceAccept", ("pdu_session_status", sessions(status)), *result)
