"""What a resolver knows, as tokens: hints and the fields after them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.core.n1 import periodic_timer
from gentwin.signaling.core.policy import Decision, Verdict
from gentwin.signaling.dialogue.grammar import OCTETS, value_token
from gentwin.signaling.dialogue.hints import ALLOWED, BACK_OFF, DEFAULT, REJECTED, hint
from gentwin.signaling.dialogue.slots import NEW, Slot
from gentwin.signaling.resolver.state import Connection, Session

FUSED = 10  # numbers below have tokens of their own


class About(NamedTuple):
    """The PDU session that a hint is about, which needs no token: what the core says of it has slots.

    Args:
        psi: Its identity.
    """

    psi: int


Part = str | About
"""A token of a hint, or what it is about."""


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
        allowed: That may be used; answers have a slot for them.
        rejected: That were asked for in vain.
        default: That are subscribed, where none was asked for that may be used.
    """
    names = [name for name, known in ((ALLOWED, allowed), (DEFAULT, default)) if known]
    return [*names, *([REJECTED, *(token for of in rejected for token in slice_(of))] if rejected else [])]


def context(connection: Connection | None) -> list[str]:
    """Returns the hint of what a base station knows of a UE; none if there is no connection.

    Args:
        connection: Of the UE.
    """
    if connection is None:
        return []
    known = "ambr_told" if connection.ambr_told else "set_up" if connection.context else "none"
    return [hint("context", known)]


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
    parts = [hint("policy", "reject"), *(number(field, found.cause) if field else ())]
    return parts if found.back_off is None or not field else [*parts, BACK_OFF]


def session(value: str, of: Session, *, quality: bool = False) -> list[Part]:
    """Returns the hint of a session.

    Args:
        value: Of the hint.
        of: The session.
        quality: Whether to say its slice and types.
    """
    parts: list[Part] = [hint("session", value), About(of.psi)]
    if quality:
        parts += slice_(of.slice) if of.slice is not None else []
        parts += [f"pdu_session_type={kind}" for kind in of.kinds]
    return parts
