"""Messages without what differs from one dialogue to the next, to compare what was said with what was recorded."""

from __future__ import annotations

from collections.abc import Iterable

from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.messages import Message, Record

MASKED = frozenset(
    [
        "amf_ue_ngap_id",
        "ran_ue_ngap_id",
        "mac",
        "sequence_number",
        "rand",
        "autn",
        "res_star",
        "auts",
        "security_key",
        "masked_imeisv",
        "tmsi",
        "five_g_tmsi",
        "time_stamp",
        "nr_cell_identity",
        "gtp_teid",
        "teid",
        "seid",
        "ipv4_address",
        "msin",
        "scheme_output",
        "imeisv",
        "imsi",
        "imei",
        "msisdn",
        "recovery_time_stamp",
        "yymmddhhmmss",
        "end_time",
        "duration_measurement",
        "time_of_first_packet",
        "time_of_last_packet",
        "total_volume",
        "downlink_volume",
        "total_packets",
        "downlink_packets",
        "ksi",
    ]
)
"""Fields that tell one dialogue from another."""

ALLOCATED = frozenset(["pti", "pdu_session_id", "pdu_session_status", "pdu_session_reactivation_result"])
"""Fields that depend on which sessions there are."""

OPAQUE = frozenset(["payload", "nas_message_container"])
"""Fields that cannot be read where they are ciphered."""


def template(value: Value, name: str = "", masked: frozenset[str] = MASKED) -> Value:
    """Returns a message or field with everything masked that tells one dialogue from another."""
    if isinstance(value, Message):
        return Message(value.protocol, value.name, template(value.fields, masked=masked))
    if isinstance(value, Fields):
        if name == "ue_ip_address":
            return "masked"
        return Fields((known, template(inner, known, masked)) for known, inner in value)
    return "masked" if name in masked or (name in OPAQUE and isinstance(value, bytes)) else value


def kind(message: Message) -> Message:
    """Returns the template of a message with the sessions masked and without what is there twice in a list."""
    return _without_repetition(template(message, masked=MASKED | ALLOCATED))


def _without_repetition(value: Value) -> Value:
    if isinstance(value, Message):
        return Message(value.protocol, value.name, _without_repetition(value.fields))
    if isinstance(value, Fields):
        return Fields(dict.fromkeys((known, _without_repetition(inner)) for known, inner in value))
    return value


def messages_in(fields: Fields) -> Iterable[Message]:
    """Yields the messages in fields, from outside in."""
    for _, value in fields:
        if isinstance(value, Message):
            yield value
            yield from messages_in(value.fields)
        elif isinstance(value, Fields):
            yield from messages_in(value)


def chain(message: Message) -> str:
    """Returns the names of a message and of those in it, without the protection."""
    names = [message.name, *(inner.name for inner in messages_in(message.fields))]
    return "+".join(name for name in names if name != "SecurityProtected")


def chains(records: Iterable[Record]) -> list[str]:
    """Returns the names of what was said, in order."""
    return [chain(record.message) for record in records]
