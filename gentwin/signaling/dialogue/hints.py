"""Tokens between the messages of a dialogue: what happens that nobody says, what the core knows, and that it waits.

| token | stands |
|---|---|
| `<timer:…>`, `<command:…>`, `<event:…>` | in place of a message that is heard: why the core speaks of itself |
| hints such as `<security=verified>` | after what is heard: what the answer depends on and the dialogue does not say |
| `<wait>` | after all that the core says: it waits for what comes next |

After a hint there may be tokens of fields that say more, such as `<session=granted> sst=1 pdu_session_type=ipv4`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

WAIT = "<wait>"

TIMERS = (
    *("T3513", "T3522", "T3550", "T3555", "T3560", "T3570", "T3591", "T3592", "T1"),
    *("heartbeat", "handover", "implicit_deregistration"),
)
"""Timers of the core, as 3GPP TS 24.501 clause 10.2 and TS 29.244 clause 6.4 call them, and those without a name. T1 is
that of a request on N4 which was sent as often as it may be."""

COMMANDS = ("associate", "deregister", "modify_session", "release_session", "release", "page", "update", "other")
"""What somebody at the core wants."""

OF_A_SESSION = frozenset({"modify_session", "release_session"})
"""Those commands that are about a PDU session."""

EVENTS = ("link_lost", "sessions_lost", "repeated", "decided", "overload", "relief")
"""What happens: the link to a base station is lost; the user plane has lost its sessions; a request of N4 is on the
link again, with the same number; the policy decides on what waits; the core has too much to do, and no longer."""

HINTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "security": ("unprotected", "verified", "failed", "repeated", "no_context"),
        "identity": ("known", "unknown", "barred", "concealed"),
        "authentication": ("verified", "failed", "resynchronised", "unusable"),
        "policy": ("admit", "reject", "wait"),
        "session": (
            *("granted", "unknown_dnn", "slice_not_allowed", "type_not_allowed", "exists", "unknown"),
            *("wanted", "active", "inactive"),
        ),
        "registration": ("none", "pending"),
        "deregistration": ("by_ue", "switch_off", "by_network"),
        "connection": ("idle", "connected"),
        "context": ("none", "set_up", "ambr_told"),
        "unanswered": ("0", "1", "2", "more"),
        "target": ("known", "unknown"),
        "node": ("known", "unknown_plmn", "unknown_tac", "slice_not_supported", "again"),
    }
)
"""Values of every hint that has some. `unanswered` is the number of requests to the user plane that still are."""

ALLOWED, REJECTED, DEFAULT, BACK_OFF = "<allowed>", "<rejected>", "<default>", "<back_off>"
"""Hints that say that there are such: slices that may be used; those that were asked for in vain, which come after the
hint as fields; those that are subscribed, where none was asked for that may be used; a time for the UE to wait."""


def timer(name: str) -> str:
    """Returns the token of a timer that runs out."""
    return f"<timer:{name}>"


def command(name: str) -> str:
    """Returns the token of what somebody at the core wants."""
    return f"<command:{name}>"


def event(name: str) -> str:
    """Returns the token of something that happens."""
    return f"<event:{name}>"


def hint(name: str, value: str) -> str:
    """Returns the token of a hint.

    Raises:
        KeyError: If there is no such hint.
        ValueError: If it has no such value.
    """
    if value not in HINTS[name]:
        raise ValueError(f"`{name}` must be one of {', '.join(HINTS[name])}, got {value!r}")
    return f"<{name}={value}>"


STIMULI = (*map(timer, TIMERS), *map(command, COMMANDS), *map(event, EVENTS))
HINT_TOKENS = (
    *(hint(name, value) for name, values in HINTS.items() for value in values),
    *(ALLOWED, REJECTED, DEFAULT, BACK_OFF),
)
