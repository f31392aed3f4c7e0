"""How procedures may end, by what a subscriber may do and how the network is configured.

These are the answers of the reference core, taken from the same database and configuration; a policy that depends on
load may reject what is expected to be completed, with its causes.
"""

from __future__ import annotations

from gentwin.signaling.closed_loop.outcomes import Cause, Expectation
from gentwin.signaling.core.amf_authentication import INTEGRITY_ALGORITHM
from gentwin.signaling.core.amf_registration import CAPABILITIES_MISMATCH, INCORRECT_MESSAGE, NO_SLICES, NOT_ALLOWED
from gentwin.signaling.core.amf_sessions import DNN_NOT_SUPPORTED, NOT_FORWARDED
from gentwin.signaling.core.configuration import NetworkConfiguration, Slice, Station
from gentwin.signaling.core.policy import CONGESTION_5GMM, INSUFFICIENT_5GSM, SLICE_5GSM
from gentwin.signaling.core.smf import INTERNET_TYPES, UNKNOWN_TYPE
from gentwin.signaling.core.subscribers import Subscriber, Subscribers
from gentwin.signaling.core.ue import IDENTITY_LOST, Usim

AUTHENTICATION_REJECTED = None  # the message has no cause


class Expectations:
    """Says how procedures of UEs and base stations may end.

    Args:
        network: How the network is configured.
        subscribers: What subscribers may do.
        limited: Whether a policy may reject for the sake of load.
    """

    def __init__(self, network: NetworkConfiguration, subscribers: Subscribers, limited: bool) -> None:
        self._network, self._subscribers, self.is_limited = network, subscribers, limited
        self._users: tuple[Cause, ...] = (CONGESTION_5GMM,) if limited else ()
        self._sessions: tuple[Cause, ...] = (INSUFFICIENT_5GSM, SLICE_5GSM) if limited else ()
        self._home_keys = {key.identifier for key in network.home_keys}

    def has_right_key(self, usim: Usim) -> bool:
        """Returns whether the home network has the key of a USIM."""
        known = self._subscribers.get(usim.supi)
        return known is not None and (known.k, known.opc) == (usim.k, usim.opc)

    def may_use(self, usim: Usim, slices: tuple[Slice, ...]) -> bool:
        """Returns whether a subscriber may use all of these slices."""
        known = self._subscribers.get(usim.supi)
        return known is not None and {*slices} <= {*known.slices}

    def initial_registration(self, usim: Usim, wanted: tuple[Slice, ...]) -> Expectation:
        """Returns how a registration may end that asks for some slices."""
        if f"ia{INTEGRITY_ALGORITHM}" not in usim.algorithms["ia"].split():
            return Expectation.rejection(CAPABILITIES_MISMATCH)
        known = self._subscribers.get(usim.supi)
        concealed = usim.home_key is not None and usim.home_key.identifier not in self._home_keys
        if known is None or known.barred or concealed:
            return Expectation.rejection(NOT_ALLOWED)
        if not self.has_right_key(usim):
            return Expectation.rejection(AUTHENTICATION_REJECTED).tolerates(*self._users)
        if not self._has_slice(known, wanted):
            return Expectation.rejection(NO_SLICES).tolerates(*self._users)
        return Expectation().tolerates(*self._users)

    def _has_slice(self, known: Subscriber, wanted: tuple[Slice, ...]) -> bool:
        usable = {*known.slices} & {*self._network.slices}
        return bool(usable & {*wanted, *known.slices[:1]})

    def update(self, wanted: tuple[Slice, ...], doubtful: bool) -> Expectation:
        """Returns how the registration of a registered UE may end; `doubtful` if the core may not know of it."""
        if self._network.flavour.requested_nssai_in_clear and wanted:
            return Expectation.rejection(INCORRECT_MESSAGE)
        return self.service(doubtful)

    def service(self, doubtful: bool) -> Expectation:
        """Returns how a service request may end; `doubtful` if the core may not know that the UE is registered."""
        expected = Expectation().tolerates(*self._users)
        return expected.tolerates(*IDENTITY_LOST) if doubtful else expected

    def session(self, usim: Usim, allowed: tuple[Slice, ...], asked: tuple[Slice, str, str]) -> Expectation:
        """Returns how the establishment of a session may end.

        Args:
            usim: Of whom.
            allowed: Slices that the UE was allowed.
            asked: Slice, data network and type.
        """
        of, dnn, kind = asked
        known, flavour = self._subscribers.get(usim.supi), self._network.flavour
        subscription = known.find(of, dnn) if known is not None and of in allowed else None
        if subscription is None:
            not_here = flavour.unsupported_dnn_status or of in allowed
            return Expectation.rejection(DNN_NOT_SUPPORTED if not_here else NOT_FORWARDED)
        types = subscription.session_types
        if kind not in INTERNET_TYPES:
            expected = Expectation.rejection(UNKNOWN_TYPE)
        elif "ipv4" not in types and "ipv4v6" not in types:
            expected = Expectation.rejection(flavour.ipv6_only_cause)
        else:
            expected = Expectation.rejection(flavour.ipv4_only_cause) if kind == "ipv6" else Expectation()
        return expected.tolerates(*self._sessions)

    def modification(self) -> Expectation:
        """Returns how the modification of a session may end."""
        return Expectation().tolerates(*self._sessions)

    def ng_setup(self, station: Station) -> Expectation:
        """Returns how the setup of a base station may end."""
        network = self._network
        if (station.plmn or network.plmn) != network.plmn or station.tac not in network.areas:
            return Expectation.rejection("unknown-PLMN-or-SNPN")
        shared = {*network.slices} & {*(station.slices or network.slices)}
        return Expectation() if shared else Expectation.rejection("slice-not-supported")
