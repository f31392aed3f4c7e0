"""What is decisive in a message, in a few words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.ladder.causes import causes_of, refuses
from gentwin.signaling.messages import PFCP, Message

UNITS = (("h", 3600), ("min", 60), ("s", 1))


def details_of(message: Message) -> tuple[str, ...]:
    """Returns what is decisive in a message, the most decisive first: causes, then what its table row names.

    Args:
        message: Of NGAP or PFCP, or plain NAS. What is in a message inside is not looked at.
    """
    # Of PFCP, a cause that refuses nothing is no news.
    causes = () if message.protocol == PFCP and not refuses(message) else causes_of(message)
    found = [str(cause) for cause in causes]
    for name, path in DETAILS.get(message.name, ()):
        for value in _values(message.fields, path.split(".")):
            found += filter(None, (FORMATS[name](value),))
    return tuple(dict.fromkeys(found))


def _values(fields: Any, path: list[str]) -> Iterator[Any]:
    """Yields all values at a path, of repeated names all of them."""
    if not path:
        yield fields
    elif isinstance(fields, Fields):
        for value in fields.all(path[0]):
            yield from _values(value, path[1:])


def _text(value: Any) -> str:
    return str(value).replace("_", " ") if isinstance(value, str | int) else ""


def _octets(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else ""


def _identity(value: Any) -> str:
    """Returns a mobile identity of NAS, or the temporary one of NGAP."""
    if not isinstance(value, Fields):
        return ""
    kind, tmsi = value.get("type"), value.get("tmsi", value.get("five_g_tmsi"))
    if isinstance(tmsi, bytes):
        return f"{'5G-GUTI' if kind == '5g_guti' else '5G-S-TMSI'} {tmsi.hex()}"
    if kind == "suci":
        network, scheme = f"{value.get('mcc')}-{value.get('mnc')}", _text(value.get("protection_scheme"))
        return f"SUCI {value.get('nai') or '-'.join((network, value.get('msin') or scheme))}"
    known = value.get(str(kind))
    return f"{str(kind).upper()} {known.hex() if isinstance(known, bytes) else known}" if known else _text(kind)


def _slice(value: Any) -> str:
    """Returns an S-NSSAI of NAS, NGAP or PFCP as its SST and SD."""
    if not isinstance(value, Fields):
        return ""
    sst, sd = value.get("sst"), value.get("sd")
    if isinstance(sst, bytes):
        sst = int.from_bytes(sst, "big")
    return f"S-NSSAI {sst}" + (f"-{sd.hex()}" if isinstance(sd, bytes) and sd != b"\xff\xff\xff" else "")


def _timer(name: str) -> Callable[[Any], str]:
    def text(value: Any) -> str:
        if not isinstance(value, Fields):
            return ""
        number, _, unit = str(value.get("unit")).partition(" ")
        count = value.get("value")
        if not number.isdecimal() or unit not in dict(UNITS) or not isinstance(count, int):
            return f"{name} {value.get('unit')}"
        seconds = int(number) * count * dict(UNITS)[unit]
        unit, size = next((unit, size) for unit, size in UNITS if seconds % size == 0)
        return f"{name} {seconds // size} {unit}"

    return text


def _flag(words: str) -> Callable[[Any], str]:
    return lambda value: words if value else ""


def _named(name: str) -> Callable[[Any], str]:
    def text(value: Any) -> str:
        shown = value.value if isinstance(value, Bits) else value
        return f"{name} {shown}" if isinstance(shown, str | int) else ""

    return text


FORMATS: dict[str, Callable[[Any], str]] = {
    "text": _text,
    "identity": _identity,
    "slice": _slice,
    "dnn": _named("DNN"),
    "session": _named("PDU session"),
    "ng_ksi": _named("ngKSI"),
    "nea": lambda value: f"NEA{value}",
    "nia": lambda value: f"NIA{value}",
    "address": _named("IP"),
    "seid": _named("SEID"),
    "name": _text,
    "tac": lambda value: f"TAC {_octets(value)}" if isinstance(value, bytes) else "",
    "t3346": _timer("T3346"),
    "t3502": _timer("T3502"),
    "t3512": _timer("T3512"),
    "back_off": _timer("back-off"),
    "switch_off": _flag("switch-off"),
    "re_registration": _flag("re-registration required"),
    "ack": lambda value: "acknowledgement requested" if "ack" in str(value).split() else "",
}
"""Ways to write a value."""

_SESSION = ("session", "pdu_session_id")
_BACK_OFF = ("back_off", "back_off_timer_value")
_IDENTITY = ("identity", "mobile_identity")

DETAILS: dict[str, tuple[tuple[str, str], ...]] = {
    # 5GMM
    "RegistrationRequest": (("text", "registration_type.type"), _IDENTITY),
    "RegistrationAccept": (("identity", "guti"), ("slice", "allowed_nssai.s_nssai"), ("t3512", "t3512_value")),
    "RegistrationReject": (("t3346", "t3346_value"), ("t3502", "t3502_value")),
    "DeregistrationRequestUEOriginating": (("switch_off", "deregistration_type.switch_off"), _IDENTITY),
    "DeregistrationRequestUETerminated": (("re_registration", "deregistration_type.re_registration_required"),),
    "ServiceRequest": (("text", "service_type"), _IDENTITY),
    "ControlPlaneServiceRequest": (("text", "control_plane_service_type"),),
    "ServiceReject": (("t3346", "t3346_value"),),
    "AuthenticationRequest": (("ng_ksi", "ng_ksi.ksi"),),
    "IdentityRequest": (("text", "identity_type"),),
    "IdentityResponse": (_IDENTITY,),
    "SecurityModeCommand": (
        ("nea", "selected_nas_security_algorithms.ciphering"),
        ("nia", "selected_nas_security_algorithms.integrity"),
    ),
    "SecurityModeComplete": (("identity", "imeisv"),),
    "ConfigurationUpdateCommand": (("identity", "guti"), ("ack", "configuration_update_indication")),
    "ULNASTransport": (_SESSION, ("text", "request_type"), ("slice", "s_nssai"), ("dnn", "dnn")),
    "DLNASTransport": (_SESSION, _BACK_OFF),
    # 5GSM
    "PDUSessionEstablishmentRequest": (_SESSION, ("text", "pdu_session_type")),
    "PDUSessionEstablishmentAccept": (
        _SESSION,
        ("address", "pdu_address.ipv4_address"),
        ("slice", "s_nssai"),
        ("dnn", "dnn"),
    ),
    "PDUSessionEstablishmentReject": (_SESSION, _BACK_OFF),
    "PDUSessionModificationRequest": (_SESSION,),
    "PDUSessionModificationReject": (_SESSION, _BACK_OFF),
    "PDUSessionModificationCommand": (_SESSION,),
    "PDUSessionModificationCommandReject": (_SESSION,),
    "PDUSessionModificationComplete": (_SESSION,),
    "PDUSessionReleaseRequest": (_SESSION,),
    "PDUSessionReleaseReject": (_SESSION,),
    "PDUSessionReleaseCommand": (_SESSION, _BACK_OFF),
    "PDUSessionReleaseComplete": (_SESSION,),
    "5GSMStatus": (_SESSION,),
    # NGAP
    "InitialUEMessage": (("text", "rrc_establishment_cause"),),
    "Paging": (("identity", "ue_paging_identity.five_g_s_tmsi"),),
    "PDUSessionResourceSetupRequest": (("session", "pdu_session_resource_setup_list_su_req.item.pdu_session_id"),),
    "PDUSessionResourceSetupResponse": (("session", "pdu_session_resource_setup_list_su_res.item.pdu_session_id"),),
    "PDUSessionResourceReleaseCommand": (
        ("session", "pdu_session_resource_to_release_list_rel_cmd.item.pdu_session_id"),
    ),
    "PDUSessionResourceReleaseResponse": (
        ("session", "pdu_session_resource_released_list_rel_res.item.pdu_session_id"),
    ),
    "PDUSessionResourceModifyRequest": (("session", "pdu_session_resource_modify_list_mod_req.item.pdu_session_id"),),
    "InitialContextSetupRequest": (("session", "pdu_session_resource_setup_list_cxt_req.item.pdu_session_id"),),
    "PathSwitchRequest": (("session", "pdu_session_resource_to_be_switched_dl_list.item.pdu_session_id"),),
    "HandoverRequired": (("text", "handover_type"),),
    "NGSetupRequest": (("name", "ran_node_name"), ("tac", "supported_ta_list.item.tac")),
    "NGSetupResponse": (("name", "amf_name"),),
    "NGSetupFailure": (("text", "time_to_wait"),),
    # PFCP
    "SessionEstablishmentRequest": (("seid", "f_seid.seid"), ("slice", "s_nssai"), ("dnn", "apn_dnn")),
    "SessionEstablishmentResponse": (("seid", "f_seid.seid"),),
    "SessionModificationRequest": (("seid", "seid"), ("text", "update_far.apply_action")),
    "SessionDeletionRequest": (("seid", "seid"),),
    "SessionReportRequest": (("seid", "seid"), ("text", "report_type")),
}
"""Fields that are decisive in a message: how they are written, and their paths."""
