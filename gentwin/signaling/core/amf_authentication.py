"""Authentication and security mode at the AMF."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n1, n2
from gentwin.signaling.core.amf_context import AmfConnection, AmfUe
from gentwin.signaling.core.protection import CIPHERED_NEW_CONTEXT, NEW_CONTEXT, NasEnd
from gentwin.signaling.core.servers import Work
from gentwin.signaling.messages import Message
from gentwin.signaling.security import Direction, NasSecurityContext, derive_k_amf, derive_k_seaf

if TYPE_CHECKING:
    from gentwin.signaling.core.amf import Amf

SYNCHRONISATION_FAILURE = 21
INTEGRITY_ALGORITHM = 2
KEY_SETS = 7


class Authentication:
    """Challenges, and the keys that come of them.

    Args:
        amf: To which it belongs.
    """

    def __init__(self, amf: Amf) -> None:
        self._amf, self._home, self._works = amf, amf.home, amf.works
        self._flavour, self._timing = amf.network.flavour, amf.network.flavour.timing
        self.nas_handlers: dict[str, Callable[[AmfConnection, AmfUe, Message], None]] = {
            "AuthenticationResponse": self._authenticated,
            "AuthenticationFailure": self._failed,
            "SecurityModeReject": self._security_rejected,
        }
        self.plain = frozenset(self.nas_handlers)

    def has_common_integrity(self, ue: AmfUe) -> bool:
        """Returns whether a UE knows the algorithm by which the core protects messages."""
        return f"ia{INTEGRITY_ALGORITHM}" in ue.algorithms["ia"].split()

    # ------------------------------------------------------------ challenge

    def challenge(self, connection: AmfConnection, ue: AmfUe) -> None:
        """Begins to authenticate a UE; a registration goes on after that."""
        ue.vector = self._home.challenge(ue.subscriber)
        ue.ksi = (ue.ksi + 1) % KEY_SETS
        self._send_challenge(connection, ue, self._timing.attempts, self._works.challenge)

    def _send_challenge(self, connection: AmfConnection, ue: AmfUe, attempts: int, work: Work | None = None) -> None:
        if not attempts:
            self._amf.registrations.give_up(connection, ue)
            return
        message = n1.authentication_request(ue.ksi, ue.vector.rand, ue.vector.autn)
        wait = self._amf.send_nas(connection, message, work, None)
        ue.timers.start("T3560", wait + self._timing.t3560, self._send_challenge, connection, ue, attempts - 1)

    def _authenticated(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        if "T3560" not in ue.timers or ue.vector is None:
            return
        ue.timers.stop("T3560")
        vector, ue.vector = ue.vector, None
        if not vector.accepts(message.get("res_star", b"")):
            self._reject(connection, ue)
            return
        k_amf = derive_k_amf(derive_k_seaf(vector.k_ausf, self._home.serving), ue.supi)
        wanted = self._flavour.ciphering
        ciphering = wanted if f"ea{wanted}" in ue.algorithms["ea"].split() else 0
        context = NasSecurityContext(k_amf, ciphering, INTEGRITY_ALGORITHM)
        ue.pending_security = NasEnd(context, ue.ksi, Direction.DOWNLINK)
        self._send_security_mode(connection, ue, self._timing.attempts, self._works.security)

    def _failed(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        if "T3560" not in ue.timers or ue.vector is None:
            return
        ue.timers.stop("T3560")
        vector, ue.vector = ue.vector, None
        if message["cause_5gmm"] == SYNCHRONISATION_FAILURE and not ue.resynchronised:
            ue.resynchronised = self._home.resynchronise(ue.subscriber, vector.rand, message.get("auts", bytes(14)))
            if ue.resynchronised:
                self.challenge(connection, ue)
                return
        self._reject(connection, ue)

    def _reject(self, connection: AmfConnection, ue: AmfUe) -> None:
        self._amf.send_nas(connection, n1.message("AuthenticationReject"), header=None)
        self._amf.registrations.end(connection, ue)

    # ------------------------------------------------------------ security mode

    def _send_security_mode(
        self, connection: AmfConnection, ue: AmfUe, attempts: int, work: Work | None = None
    ) -> None:
        if not attempts:
            self._amf.registrations.give_up(connection, ue)
            return
        context = ue.pending_security.context
        algorithms = int(context.ciphering), int(context.integrity)
        command = n1.security_mode_command(*algorithms, ue.ksi, ue.algorithms)
        nas = ue.pending_security.seal(command, NEW_CONTEXT)
        message = n2.message("DownlinkNASTransport", *connection.ids, ("nas_pdu", nas))
        wait = self._amf.send(connection, message, work)
        ue.timers.start("T3560", wait + self._timing.t3560, self._send_security_mode, connection, ue, attempts - 1)

    def complete_security(self, connection: AmfConnection, ue: AmfUe, nas: Message) -> bool:
        """Returns whether a protected message belonged to a security mode procedure, and ends that."""
        if ue.pending_security is None or nas["security_header_type"] != CIPHERED_NEW_CONTEXT:
            return False
        opened = ue.pending_security.open(nas)
        message = opened.message
        if message is None or message.name != "SecurityModeComplete":
            return True
        ue.timers.stop("T3560")
        ue.security, ue.pending_security = ue.pending_security, None
        connection.key_count = opened.count
        ue.imeisv = message.get("imeisv.imeisv", ue.imeisv)
        container = message.get("nas_message_container")
        if isinstance(container, Message):
            ue.initial = container
        self._amf.release_sessions(ue, lambda: None)
        self._amf.registrations.accept(connection, ue)
        return True

    def _security_rejected(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        if ue.pending_security is not None:
            self._amf.registrations.end(connection, ue)
