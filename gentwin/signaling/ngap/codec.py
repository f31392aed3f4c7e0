"""Messages of NGAP and the bytes they are."""

from __future__ import annotations

from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.messages import NGAP, Message
from gentwin.signaling.ngap.definitions import OUTCOMES, MessageSchema, procedures, schema
from gentwin.signaling.ngap.per import Reader, Writer
from gentwin.signaling.ngap.structures import CRITICALITY, CRITICALITY_OCTETS, criticality_number

LONGEST = 1 << 18  # octets of a message
OUTCOME_OCTETS = {number << 5: name for number, name in enumerate(OUTCOMES)}
TRAILING, PRIVATE_IES = "trailing", "private_ies"


def decode(data: bytes) -> Message:
    """Returns the message that some bytes are; `encode` makes the same bytes of it.

    An information element that is unknown or not well-formed is a field `opaque` with `id`, `criticality` and `value`.
    A criticality that is not that of the specification is a field `criticality` after the element, or first of all for
    that of the procedure. Bytes after the message are a field `trailing`, the last one.

    Args:
        data: Content of one SCTP user message, at most 262,144 bytes.

    Raises:
        DecodeError: If the bytes are no message: cut short, of an unknown procedure, without a mandatory element, or
            written in another way than the encoding rules allow.
        ImportError: If pycrate is not installed.

    Source:
        3GPP TS 38.413, clause 9; ITU-T X.691, aligned variant.
    """
    if len(data) > LONGEST:
        raise DecodeError(f"message must have at most {LONGEST} bytes, got {len(data)}")
    reader = Reader(data)
    known, pairs = _read_head(reader)
    content = reader.counted_octets()
    start = (reader.place >> 3) - len(content)
    if known.content is None:
        pairs.append((PRIVATE_IES, content))
    else:
        try:
            pairs.extend(known.content.decode(content))
        except DecodeError as error:
            raise DecodeError(f"{known.name}: {error.reason}", start + error.offset) from None
    if reader.left:
        pairs.append((TRAILING, reader.octets()))
    return Message(NGAP, known.name, Fields(pairs))


def _read_head(reader: Reader) -> tuple[MessageSchema, list[tuple[str, Value]]]:
    """Returns the message that follows, and a field for its criticality if that is not the one of its procedure."""
    outcome, code, critical = reader.octets(3)
    if outcome not in OUTCOME_OCTETS or critical not in CRITICALITY_OCTETS:
        raise DecodeError(f"must begin with outcome, procedure code and criticality, got {reader.data[:3].hex()}")
    known = procedures().get((code, OUTCOME_OCTETS[outcome]))
    if known is None:
        raise DecodeError(f"procedure code {code} has no {OUTCOME_OCTETS[outcome]} message", 1)
    criticality = CRITICALITY_OCTETS[critical]
    return known, [(CRITICALITY, criticality)] if criticality != known.criticality else []


def encode(message: Message) -> bytes:
    """Returns the bytes of a message.

    Args:
        message: Its elements are sent in the order of its fields.

    Raises:
        EncodeError: If a field is unknown, missing, of another type or out of range, with its path.
        ImportError: If pycrate is not installed.

    Source:
        3GPP TS 38.413, clause 9; ITU-T X.691, aligned variant.
    """
    if not isinstance(message, Message) or message.protocol != NGAP:
        raise EncodeError("protocol", f"must be `{NGAP}`, got {getattr(message, 'protocol', message)!r}")
    known, fields, trailing = schema(message.name), message.fields, b""
    criticality = known.criticality
    if fields and fields[0][0] == CRITICALITY:
        criticality, fields = fields[0][1], Fields(fields[1:])
    if fields and fields[-1][0] == TRAILING:
        trailing, fields = fields[-1][1], Fields(fields[:-1])
        if not isinstance(trailing, bytes):
            raise EncodeError(TRAILING, f"must be bytes, got {trailing!r}")
    writer = Writer()
    writer.uint(OUTCOMES.index(known.outcome) << 5, 8)
    writer.uint(known.procedure_code, 8)
    writer.uint(criticality_number(criticality) << 6, 8)
    writer.counted_octets(_private(fields) if known.content is None else known.content.encode(fields))
    return writer.finish() + trailing


def _private(fields: Fields) -> bytes:
    """Returns the content of a private message, of which only its owner knows what it is."""
    if fields.names() != [PRIVATE_IES] or not isinstance(fields[PRIVATE_IES], bytes):
        raise EncodeError(PRIVATE_IES, f"must be the only field and bytes, got {fields!r}")
    return fields[PRIVATE_IES]
