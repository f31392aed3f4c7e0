"""What those who watch a core share: names of procedures, the books, and who is who."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gentwin.signaling.closed_loop.expectations import Expectations
from gentwin.signaling.closed_loop.ledger import Ledger

if TYPE_CHECKING:
    from gentwin.signaling.closed_loop.watched_gnb import WatchedGnb
    from gentwin.signaling.closed_loop.watched_ue import WatchedUe
    from gentwin.signaling.closed_loop.watched_upf import WatchedUpf
    from gentwin.signaling.core.gnb import GnbConnection

REGISTRATIONS = {
    "initial": "Initial registration",
    "mobility_updating": "Mobility registration update",
    "periodic_updating": "Periodic registration update",
}
AUTHENTICATION, SERVICE, PAGING = "Primary authentication", "Service request", "Paging"
ESTABLISHMENT, MODIFICATION = "PDU session establishment", "PDU session modification"
RELEASE, AN_RELEASE = "PDU session release", "AN release"
DEREGISTRATION, EXPULSION = "UE-initiated deregistration", "Network-initiated deregistration"
XN_HANDOVER, N2_HANDOVER = "Xn-based handover", "N2-based handover"
NG_SETUP, NG_RESET = "NG setup", "NG reset"

OF_NAS = frozenset({*REGISTRATIONS.values(), AUTHENTICATION, SERVICE, ESTABLISHMENT, MODIFICATION, RELEASE})
"""Procedures that cannot end any more when the connection of the UE is gone."""

UNREADABLE, NOT_ALLOWED, NOT_AWAITED = "not readable", "not allowed", "not awaited"
UNPROTECTED, WRONG_CODE, REPLAYED = "not protected", "wrong authentication code", "count used before"
WRONG_IDENTITY, WRONG_TRANSACTION, WRONG_VALUE = "unknown identity", "wrong transaction", "wrong value"
"""Rules; what exactly was wrong is in the detail of a violation."""


@dataclass
class Watch:
    """Who watches, and what was asked of the core by others than UEs.

    Args:
        ledger: The books.
        expectations: What may happen.
    """

    ledger: Ledger
    expectations: Expectations
    ues: dict[str, WatchedUe] = field(default_factory=dict)
    stations: list[WatchedGnb] = field(default_factory=list)
    upf: WatchedUpf | None = None
    asked: set[tuple[str, str]] = field(default_factory=set)
    connections: dict[int, GnbConnection] = field(default_factory=dict)

    def knows_connection(self, amf_id: int, connection: GnbConnection) -> bool:
        """Returns whether an AMF UE NGAP identity is that of a connection, or may be from now on."""
        known = self.connections.get(amf_id)
        if known is not None and known is not connection and not known.gone:
            return False
        self.connections[amf_id] = connection
        return True
