"""PDU sessions as the UE has them: asked for, there, to be released."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n1, n1_sessions
from gentwin.signaling.core.clock import Timers
from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.core.identifiers import lowest_free
from gentwin.signaling.messages import Message

if TYPE_CHECKING:
    from gentwin.signaling.core.ue import Ue

LAST_PSI, LAST_PTI = 15, 254
PTI_MISMATCH, REGULAR_DEACTIVATION, REACTIVATION_REQUESTED, IPV4_ONLY = 47, 36, 39, 50


class UeSession:
    """A session as the UE has it.

    Args:
        of: Slice.
        dnn: Data network.
        kind: Type that is asked for.
        pti: Transaction by which it is asked for; 0 when there is none about it.
    """

    __slots__ = ("address", "dnn", "kind", "pti", "slice", "state")

    def __init__(self, of: Slice, dnn: str, kind: str, pti: int) -> None:
        self.slice, self.dnn, self.kind, self.pti = of, dnn, kind, pti
        self.state, self.address = "asked", ""


class UeSessions:
    """Session management of a UE.

    Args:
        ue: Whose.
    """

    def __init__(self, ue: Ue) -> None:
        self._ue = ue
        self.sessions: dict[int, UeSession] = {}
        self.waiting: list[Message] = []
        self._back_off = Timers(ue.links.clock)
        self.handlers: dict[str, Callable[[Message], None]] = {
            "DLNASTransport": self._transport,
            "5GMMStatus": self._told_error,
        }
        self._for_session = {
            "PDUSessionEstablishmentAccept": self._session_accepted,
            "PDUSessionEstablishmentReject": self._session_rejected,
            "PDUSessionModificationCommand": self._session_modified,
            "PDUSessionModificationReject": self._modification_rejected,
            "PDUSessionReleaseCommand": self._session_released,
            "PDUSessionReleaseReject": self._session_gone,
        }

    def there(self) -> frozenset[int]:
        """Returns the identities of sessions that were accepted."""
        return frozenset(psi for psi, known in self.sessions.items() if known.state == "there")

    def agree(self, status: str) -> None:
        """Forgets the sessions that the core does not have, from what it says it has."""
        known = n1.read_sessions(status)
        for psi in self.there() - known:
            del self.sessions[psi]

    def forget(self) -> None:
        """Forgets all sessions, and what was to be sent about them."""
        self.sessions.clear()
        self.waiting.clear()

    def send_waiting(self) -> None:
        """Sends what waited for a connection."""
        waiting, self.waiting = self.waiting, []
        for plain in waiting:
            self._ue.send_sealed(plain)

    def _transport(self, message: Message) -> None:
        inner = message["payload_container"]
        if message.get("cause_5gmm") is not None:
            self._forget_session(message["pdu_session_id"])
        elif isinstance(inner, Message) and inner.name in self._for_session:
            self._for_session[inner.name](inner)

    def _told_error(self, message: Message) -> None:
        """Takes the report that something was not understood or not forwarded: the session asked for last."""
        if self._ue.network.flavour.keeps_refused_sessions:
            return
        for psi in [psi for psi, known in self.sessions.items() if known.state == "asked"][-1:]:
            self._forget_session(psi)

    def _forget_session(self, psi: int) -> None:
        self._ue.timers.stop(f"T3580/{psi}")
        self.sessions.pop(psi, None)

    def _say(self, plain: Message) -> None:
        """Sends a message about a session, after a service request if need be."""
        if self._ue.connection is not None and "T3517" not in self._ue.timers:
            self._ue.send_sealed(plain)
        else:
            self.waiting.append(plain)
            if self._ue.connection is None:
                self._ue.ask_service("signalling", "mo-Signalling")

    def _free_pti(self) -> int:
        busy = {known.pti for known in self.sessions.values() if known.pti}
        return lowest_free(busy, 1, LAST_PTI)

    def establish(self, of: Slice, dnn: str, kind: str | None = None) -> int | None:
        """Returns the identity of a session it asks for; None if there are too many, or it is not to ask yet.

        Args:
            of: Slice.
            dnn: Data network.
            kind: Type; that of the subscription if not given.
        """
        if len(self.sessions) >= LAST_PSI or _name(of, dnn) in self._back_off:
            return None
        psi = lowest_free(self.sessions, 1, LAST_PSI)
        session = UeSession(of, dnn, kind or self._ue.usim.session_type, self._free_pti())
        self.sessions[psi] = session
        self._ask_session(psi, session, self._ue.network.flavour.timing.attempts)
        return psi

    def _ask_session(self, psi: int, session: UeSession, attempts: int) -> None:
        if self.sessions.get(psi) is not session or session.state != "asked":
            return
        if not attempts:
            del self.sessions[psi]
            return
        self._say(n1_sessions.establishment_request(psi, session.pti, session.kind, session.slice, session.dnn))
        self._ue.timers.start(
            f"T3580/{psi}", self._ue.network.flavour.timing.t3580, self._ask_session, psi, session, attempts - 1
        )

    def _session_accepted(self, inner: Message) -> None:
        psi = inner["pdu_session_id"]
        session = self.sessions.get(psi)
        if session is None or inner["pti"] != session.pti:
            status = n1_sessions.session_message("5GSMStatus", psi, inner["pti"], ("cause_5gsm", PTI_MISMATCH))
            self._ue.send_sealed(n1_sessions.uplink_transport(status))
            return
        self._ue.timers.stop(f"T3580/{psi}")
        session.state, session.pti = "there", 0
        session.address = inner["pdu_address.ipv4_address"]

    def _session_rejected(self, inner: Message) -> None:
        psi, back_off = inner["pdu_session_id"], inner.get("back_off_timer_value")
        session = self.sessions.get(psi)
        self._forget_session(psi)
        if session is None:
            return
        if back_off is not None:
            seconds = n1.read_timer_3(back_off)
            self._back_off.start(_name(session.slice, session.dnn), seconds, self._establish_again, session)
        elif inner["cause_5gsm"] == IPV4_ONLY and session.kind != "ipv4":
            self.establish(session.slice, session.dnn, "ipv4")

    def _establish_again(self, session: UeSession) -> None:
        """Asks for a session again that was rejected for a time, unless there is another one like it."""
        known = {(other.slice, other.dnn) for other in self.sessions.values()}
        if (session.slice, session.dnn) not in known:
            self._ue.establish(session.slice, session.dnn, session.kind)

    def modify(self, psi: int) -> None:
        """Asks for a session to be modified."""
        session = self.sessions.get(psi)
        if session is not None and session.state == "there" and not session.pti:
            session.pti = self._free_pti()
            self._ask_about(
                psi, session, "PDUSessionModificationRequest", "T3581", self._ue.network.flavour.timing.attempts
            )

    def release(self, psi: int) -> None:
        """Asks for a session to be released."""
        session = self.sessions.get(psi)
        if session is not None and session.state == "there" and not session.pti:
            session.pti = self._free_pti()
            self._ask_about(psi, session, "PDUSessionReleaseRequest", "T3582", self._ue.network.flavour.timing.attempts)

    def _ask_about(self, psi: int, session: UeSession, name: str, timer: str, attempts: int) -> None:
        if self.sessions.get(psi) is not session or not session.pti:
            return
        if not attempts:
            session.pti = 0
            return
        cause = (("cause_5gsm", REGULAR_DEACTIVATION),) if timer == "T3582" else ()
        inner = n1_sessions.session_message(name, psi, session.pti, *cause)
        more = (("request_type", "modification_request"),) if timer == "T3581" else ()
        self._say(n1_sessions.uplink_transport(inner, *more))
        seconds = getattr(self._ue.network.flavour.timing, timer.lower())
        self._ue.timers.start(f"{timer}/{psi}", seconds, self._ask_about, psi, session, name, timer, attempts - 1)

    def _session_modified(self, inner: Message) -> None:
        psi = inner["pdu_session_id"]
        self._end_transaction(psi, "T3581")
        complete = n1_sessions.session_message("PDUSessionModificationComplete", psi, inner["pti"])
        self._ue.send_sealed(n1_sessions.uplink_transport(complete))

    def _modification_rejected(self, inner: Message) -> None:
        self._end_transaction(inner["pdu_session_id"], "T3581")

    def _end_transaction(self, psi: int, timer: str) -> None:
        self._ue.timers.stop(f"{timer}/{psi}")
        session = self.sessions.get(psi)
        if session is not None:
            session.pti = 0

    def _session_released(self, inner: Message) -> None:
        psi = inner["pdu_session_id"]
        complete = n1_sessions.session_message("PDUSessionReleaseComplete", psi, inner["pti"])
        self._ue.send_sealed(n1_sessions.uplink_transport(complete))
        session = self.sessions.get(psi)
        self._session_gone(inner)
        if session is not None and inner.get("cause_5gsm") == REACTIVATION_REQUESTED:
            self.establish(session.slice, session.dnn, session.kind)

    def _session_gone(self, inner: Message) -> None:
        psi = inner["pdu_session_id"]
        self._ue.timers.stop(f"T3582/{psi}")
        self.sessions.pop(psi, None)


def _name(of: Slice, dnn: str) -> str:
    """Returns the name of the timer that runs while a session must not be asked for again."""
    return f"T3584/{of.sst}/{of.sd}/{dnn}"
