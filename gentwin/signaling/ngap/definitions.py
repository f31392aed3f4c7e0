"""What every message consists of, taken from the ASN.1 objects of pycrate when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from gentwin.signaling.errors import EncodeError
from gentwin.signaling.ngap.leaves import BitString, Enumerated, Integer, Kind, Null, OctetString, Text
from gentwin.signaling.ngap.names import field_name
from gentwin.signaling.ngap.structures import Choice, Component, Element, Elements, Sequence, SequenceOf
from gentwin.signaling.values.base import closest

OUTCOMES = ("initiating", "successful", "unsuccessful")
PRIVATE = "PrivateMessage"
_OUTCOME_FIELDS = ("InitiatingMessage", "SuccessfulOutcome", "UnsuccessfulOutcome")
_NOTATIONS = {"PLMNIdentity": "plmn", "TransportLayerAddress": "address"}
_CHARSETS = {"PrintableString": "printable", "VisibleString": "visible", "UTF8String": "utf8"}
_LOCK = threading.Lock()


@dataclass(frozen=True, eq=False, slots=True)
class MessageSchema:
    """What a message consists of.

    Args:
        name: Of the message, such as `InitialUEMessage`.
        procedure_code: Number of its procedure, 0 to 255.
        outcome: Its part in the procedure: `initiating`, `successful` or `unsuccessful`.
        criticality: What a receiver does that does not know the procedure: `reject`, `ignore` or `notify`.
        content: Its information elements; None for `PrivateMessage`, whose content is opaque bytes.

    Source:
        3GPP TS 38.413, clauses 9.2 and 9.4.
    """

    name: str
    procedure_code: int
    outcome: str
    criticality: str
    content: Elements | None


def schema(name: str) -> MessageSchema:
    """Returns what a message consists of.

    Args:
        name: Of the message as TS 38.413 calls it, without spaces: `InitialUEMessage`, `NGSetupRequest`.

    Raises:
        EncodeError: If there is no such message.
        ImportError: If pycrate is not installed.

    ```python
    >>> schema("UplinkNASTransport").content.elements[0].name
    'amf_ue_ngap_id'
    ```
    """
    known = message_schemas()
    if name not in known:
        raise EncodeError("name", f"must be an NGAP message, got {name!r}; {closest(str(name), known)}")
    return known[name]


def message_names() -> list[str]:
    """Returns the names of all messages, by procedure code and outcome.

    Raises:
        ImportError: If pycrate is not installed.
    """
    return list(message_schemas())


def message_schemas() -> Mapping[str, MessageSchema]:
    """Returns what every message consists of, by its name; made once, which takes about a second.

    Raises:
        ImportError: If pycrate is not installed.
    """
    with _LOCK:
        return _build()


def procedures() -> Mapping[tuple[int, str], MessageSchema]:
    """Returns what every message consists of, by procedure code and outcome."""
    return _by_procedure()


@cache
def _by_procedure() -> dict[tuple[int, str], MessageSchema]:
    return {(known.procedure_code, known.outcome): known for known in message_schemas().values()}


@cache
def _build() -> dict[str, MessageSchema]:
    try:
        from pycrate_asn1dir import NGAP
    except ImportError as error:
        raise ImportError('NGAP needs pycrate; install it with `pip install "gentwin[signaling]"`') from error
    kinds = _Kinds(vars(NGAP.NGAP_Constants).values())
    known = {}
    for procedure in NGAP.NGAP_PDU_Descriptions.NGAP_ELEMENTARY_PROCEDURES.get_val().root:
        code, criticality = procedure["procedureCode"], procedure["criticality"]
        for outcome, part in zip(OUTCOMES, _OUTCOME_FIELDS, strict=True):
            if part in procedure:
                name = _type_name(procedure[part])
                content = None if name == PRIVATE else kinds.of(procedure[part])
                known[name] = MessageSchema(name, code, outcome, criticality, content)
    return dict(sorted(known.items(), key=lambda item: (item[1].procedure_code, OUTCOMES.index(item[1].outcome))))


class _Kinds:
    """Makes kinds of ASN.1 objects, of a named type only once."""

    def __init__(self, constants: Any) -> None:
        self.element_names = {
            constant.get_val(): field_name(constant.get_internals()["name"])
            for constant in constants
            if hasattr(constant, "get_internals") and _type_name(constant) == "ProtocolIE-ID"
        }
        self.named: dict[tuple[str, str], Kind] = {}
        self.makers: dict[str, Callable[[str, dict[str, Any]], Kind]] = {
            "NULL": lambda name, _: Null(name),
            "INTEGER": _integer,
            "ENUMERATED": _enumerated,
            "BIT STRING": lambda name, parts: BitString(name, *_sizes(parts), _NOTATIONS.get(name)),
            "OCTET STRING": self._octets,
            "SEQUENCE": self._sequence,
            "SEQUENCE OF": self._sequence_of,
            "CHOICE": self._choice,
            **dict.fromkeys(_CHARSETS, self._text),
        }

    def of(self, obj: Any) -> Kind:
        """Returns the kind of an ASN.1 object."""
        _refuse(obj.TYPE not in self.makers, f"fields of type {obj.TYPE}")
        parts = obj.get_internals()
        reference = parts["typeref"].called if parts["typeref"] is not None else None
        # Containers have parameters, so that one of their name is not like another.
        if reference is None or reference[0] == "NGAP-Containers":
            return self.makers[obj.TYPE](_type_name(obj), {**parts, "type": obj.TYPE})
        if reference not in self.named:
            self.named[reference] = self.makers[obj.TYPE](reference[1], {**parts, "type": obj.TYPE})
        return self.named[reference]

    def _octets(self, name: str, parts: dict[str, Any]) -> OctetString:
        inner = parts.get("const_cont")
        contains = self.of(inner) if inner is not None else None
        return OctetString(name, *_sizes(parts), _NOTATIONS.get(name), contains)

    def _text(self, name: str, parts: dict[str, Any]) -> Text:
        charset = _CHARSETS[parts["type"]]
        # How UTF-8 is written does not depend on its bounds, as they count characters.
        sizes = (0, None, False) if charset == "utf8" else _sizes(parts)
        return Text(name, *sizes, charset)

    def _choice(self, name: str, parts: dict[str, Any]) -> Choice:
        _refuse(parts["ext"] is not None, f"extensible choice {name}")
        return Choice(name, tuple(Component(field_name(key), self.of(parts["cont"][key])) for key in parts["root"]))

    def _sequence_of(self, name: str, parts: dict[str, Any]) -> Kind:
        table = _table(parts["cont"])
        if table is None:
            return SequenceOf(name, *_sizes(parts), self.of(parts["cont"]))
        lower, upper, _ = _sizes(parts)
        return Elements(name, self._elements(table), "list", lower, upper)

    def _sequence(self, name: str, parts: dict[str, Any]) -> Kind:
        table = _table_of_parts(parts)
        if table is not None:
            return Elements(name, self._elements(table), "single", 1, 1)
        _refuse(bool(parts["ext"]), f"additions to {name}")
        components = tuple(self._component(key, parts["cont"][key]) for key in parts["root"])
        if len(components) == 1 and not components[0].optional and isinstance(components[0].kind, Elements):
            inner = components[0].kind
            return Elements(name, inner.elements, "sequence", inner.lower, inner.upper)
        return Sequence(name, components, parts["ext"] is not None)

    def _component(self, key: str, obj: Any) -> Component:
        parts = obj.get_internals()
        _refuse(parts["def"] is not None, f"default of {key}")
        return Component(field_name(key), self.of(obj), parts["opt"])

    def _elements(self, table: tuple[str, list[dict[str, Any]]]) -> tuple[Element, ...]:
        content, rows = table
        return tuple(
            Element(
                self.element_names[row["id"]], self.of(row[content]), row["id"], row["criticality"], row["presence"]
            )
            for row in rows
        )


def _type_name(obj: Any) -> str:
    reference = obj.get_internals()["typeref"]
    return reference.called[1] if reference is not None else ""


def _refuse(found: bool, what: str) -> None:
    if found:
        raise RuntimeError(f"pycrate defines NGAP with what is not known here, {what}; install pycrate 0.8")


def _integer(name: str, parts: dict[str, Any]) -> Integer:
    bounds = parts["const_val"]
    _refuse(bounds is None or bounds.lb is None or bounds.ub is None, f"unbounded number {name}")
    ranges = [(part, part) if isinstance(part, int) else (part.lb, part.ub) for part in bounds.root]
    return Integer(name, tuple(sorted(ranges)), bounds.ext is not None)


def _enumerated(name: str, parts: dict[str, Any]) -> Enumerated:
    _refuse(len(parts["ext"] or ()) > 64, f"more than 64 added names of {name}")
    return Enumerated(name, tuple(parts["root"]), tuple(parts["ext"] or ()), parts["ext"] is not None)


def _sizes(parts: dict[str, Any]) -> tuple[int, int | None, bool]:
    sizes = parts.get("const_sz")
    return (0, None, False) if sizes is None else (sizes.lb, sizes.ub, sizes.ext is not None)


def _table(obj: Any) -> tuple[str, list[dict[str, Any]]] | None:
    return _table_of_parts(obj.get_internals()) if obj.TYPE == "SEQUENCE" else None


def _table_of_parts(parts: dict[str, Any]) -> tuple[str, list[dict[str, Any]]] | None:
    """Returns the field that holds the content, and the rows of identifier and content, if these are elements."""
    for inner in parts["cont"].values():
        if inner.TYPE == "OPEN_TYPE":
            rows = inner.get_internals()["const_tab"].get_val().root
            return inner.get_const()["tab_id"], rows
    return None
