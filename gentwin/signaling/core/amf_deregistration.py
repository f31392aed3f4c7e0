"""Deregistration at the AMF: by the UE, by the network, and of UEs that are not heard of any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n1
from gentwin.signaling.core.amf_context import DEREGISTERED, DEREGISTERING, REGISTERED, AmfConnection, AmfUe
from gentwin.signaling.core.protection import PROTECTED
from gentwin.signaling.messages import Message

if TYPE_CHECKING:
    from gentwin.signaling.core.amf import Amf

NOT_ALLOWED = 7


class Deregistrations:
    """Deregistrations by either side.

    Args:
        amf: To which they belong.
    """

    def __init__(self, amf: Amf) -> None:
        self._amf, self._works, self._timing = amf, amf.works, amf.network.flavour.timing
        self.nas_handlers: dict[str, Callable[[AmfConnection, AmfUe, Message], None]] = {
            "DeregistrationRequestUEOriginating": self._requested,
            "DeregistrationAcceptUETerminated": self._accepted,
        }
        self.plain = frozenset({"DeregistrationRequestUEOriginating"})

    def forget(self, ue: AmfUe) -> None:
        """Deregisters a UE without telling it."""
        self._amf.set_state(ue, DEREGISTERED)
        ue.timers.stop_all()
        self._amf.release_sessions(ue, lambda: None)

    # ------------------------------------------------------------ by the UE

    def begin(self, connection: AmfConnection, nas: Message) -> None:
        """Takes a deregistration request that begins a connection."""
        request = nas["payload"] if nas.name == PROTECTED else nas
        ue = self._amf.registrations.find(request["mobile_identity"])
        if ue is None or nas.name != PROTECTED or ue.security is None or ue.security.open(nas).message is None:
            self._amf.release(connection, "nas", "normal-release")
            return
        self._amf.attach(connection, ue)
        self._requested(connection, ue, request)

    def _requested(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        switch_off = message["deregistration_type.switch_off"]
        self._amf.set_state(ue, DEREGISTERED)
        ue.timers.stop_all()

        def end() -> None:
            if connection.ue is not ue:
                return
            work = self._works.deregistration
            if not switch_off:
                self._amf.send_nas(connection, n1.message("DeregistrationAcceptUEOriginating"), work)
            self._amf.release(connection, "nas", "deregister", work if switch_off else None)

        self._amf.release_sessions(ue, end)

    # ------------------------------------------------------------ by the network

    def deregister(self, supi: str, cause: int = NOT_ALLOWED, again: bool = False) -> None:
        """Deregisters a UE, which is told if it has a connection.

        Args:
            supi: Whom.
            cause: 5GMM cause.
            again: Whether it shall register again.
        """
        ue = self._amf.by_supi.get(supi)
        if ue is None or ue.state != REGISTERED:
            return
        if ue.connection is None:
            self.forget(ue)
            return
        self._amf.set_state(ue, DEREGISTERING)
        self._send(ue.connection, ue, n1.network_deregistration(cause, again), self._timing.attempts)

    def _send(self, connection: AmfConnection, ue: AmfUe, command: Message, attempts: int) -> None:
        if not attempts or connection.gone:
            self._end(connection, ue)
            return
        wait = self._amf.send_nas(connection, command)
        ue.timers.start("T3522", wait + self._timing.t3522, self._send, connection, ue, command, attempts - 1)

    def _accepted(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        if "T3522" in ue.timers:
            ue.timers.stop("T3522")
            self._end(connection, ue)

    def _end(self, connection: AmfConnection, ue: AmfUe) -> None:
        self._amf.set_state(ue, DEREGISTERED)

        def release() -> None:
            if not connection.gone:
                self._amf.release(connection, "misc", "om-intervention", self._works.deregistration)

        self._amf.release_sessions(ue, release)
