"""What a resolver knows, as tokens: hints and the fields after them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.core.n1 import periodic_timer, timer_2, timer_3
from gentwin.signaling.core.policy import Decision, Verdict
from gentwin.signaling.dialogue.bindings import Identifiers
from gentwin.signaling.dialogue.grammar import OCTETS, value_token
from gentwin.signaling.dialogue.hints import ALLOWED, BACK_OFF, DEFAULT, REJECTED, hint
from gentwin.signaling.dialogue.slots import NEW, Slot
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.resolver.state import Session

FUSED = 10  # numbers below have tokens of their own
CHAIN = 8  # next hop chaining counts


class Named(NamedTuple):
    """An identifier in a hint: it becomes the slot that a message would have for it.

    Args:
        field: That holds it.
        kind: Type of the identifier.
        value: The identifier.
    """

    field: str
    kind: str
    value: Value


Part = str | Named
"""A token of a hint, or an identifier that becomes one."""


def write(parts: Iterable[Part], bindings: Identifiers) -> tuple[str, ...]:
    """Returns the tokens of hints.

    An identifier is the slot that it would be if a message named all of them in this order, so that an answer that does
    has the same tokens.

    Args:
        parts: Of the hints, in their order.
        bindings: Of the context; they are not changed.
    """
    copy = bindings.copy()
    return tuple(
        part if isinstance(part, str) else value_token(part.field, copy.use(part.kind, part.value)) for part in parts
    )


def number(name: str, value: int) -> list[str]:
    """Returns the tokens of a field with a number of one octet."""
    return [f"{name}={value}"] if value < FUSED else [name, OCTETS[value & 255]]


def slice_(of: Slice) -> list[str]:
    """Returns the tokens of a slice, as NAS writes it."""
    sd = [] if of.sd is None else ["sd", *(OCTETS[octet] for octet in bytes.fromhex(of.sd))]
    return [*number("sst", of.sst), *sd]


def slices(allowed: Sequence[Slice], rejected: Sequence[Slice] = (), default: Sequence[Slice] = ()) -> list[str]:
    """Returns the hint of slices.

    Args:
        allowed: That may be used.
        rejected: That were asked for in vain.
        default: That are subscribed, where none was asked for that may be used.
    """
    parts = [ALLOWED, *(token for of in allowed for token in slice_(of))]
    for name, known in ((REJECTED, rejected), (DEFAULT, default)):
        parts += [name, *(token for of in known for token in slice_(of))] if known else []
    return parts


def chain(count: int) -> str:
    """Returns the token of the next hop chaining count that comes next."""
    return f"next_hop_chaining_count={count % CHAIN}"


def area(codes: Iterable[bytes], seconds: float) -> list[Part]:
    """Returns the hint of where a UE may be without telling, and how often it tells all the same.

    Args:
        codes: Of the tracking areas, in their order.
        seconds: T3512.
    """
    timer = periodic_timer(seconds)
    period = ["t3512_value", value_token("unit", timer["unit"]), "value", OCTETS[timer["value"]]]
    return [*(f"tac={Slot(NEW, 'TAC')}" for _ in codes), *period]


def decision(found: Decision, field: str) -> list[str]:
    """Returns the hint of what a policy says.

    Args:
        found: What it says.
        field: Of its cause: `cause_5gmm` or `cause_5gsm`; empty if there is none.
    """
    if found.verdict is not Verdict.REJECT:
        return [hint("policy", found.verdict.value)]
    cause = number(field, found.cause) if field else []
    return [hint("policy", "reject"), *cause, *_back_off(found.back_off, field)]


def _back_off(seconds: float | None, field: str) -> list[str]:
    if seconds is None or not field:
        return []
    timer: Fields = timer_2(seconds) if field == "cause_5gmm" else timer_3(seconds)
    return [BACK_OFF, value_token("unit", timer["unit"]), "value", OCTETS[timer["value"]]]


def session(value: str, of: Session, *, endpoint: bool = True, quality: bool = False) -> list[Part]:
    """Returns the hint of a session.

    Args:
        value: Of the hint.
        of: The session.
        endpoint: Whether to say its endpoint at the user plane.
        quality: Whether to say its slice and types.
    """
    parts: list[Part] = [hint("session", value), Named("pdu_session_id", "PDU_SESSION_ID", of.psi)]
    if endpoint and of.peer_seid:
        parts.append(Named("seid", "SEID", of.peer_seid))
    if quality:
        parts += slice_(of.slice) if of.slice is not None else []
        parts += [f"pdu_session_type={kind}" for kind in of.kinds]
    return parts
