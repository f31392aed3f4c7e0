"""Identity, authentication and keys of a UE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gentwin.signaling.core import n1
from gentwin.signaling.core.protection import CIPHERED_NEW_CONTEXT, NasEnd
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message
from gentwin.signaling.security import (
    Direction,
    Milenage,
    NasSecurityContext,
    SequenceNumbers,
    answer_challenge,
    check_autn,
    derive_k_amf,
    derive_k_seaf,
    make_auts,
    serving_network_name,
)

if TYPE_CHECKING:
    from gentwin.signaling.core.ue import Ue

MAC_FAILURE, NOT_5G, SYNCHRONISATION_FAILURE, MODE_REJECTED = 20, 26, 21, 24
EPHEMERAL_BITS = 255  # so that it is a private key of every curve


class UeSecurity:
    """What a UE does with its keys.

    Args:
        ue: Whose.
    """

    def __init__(self, ue: Ue) -> None:
        usim, network = ue.usim, ue.network
        self._ue, self._milenage = ue, Milenage(usim.k, usim.opc)
        seq, index = usim.sqn >> 5, usim.sqn % 32
        self._accepted = SequenceNumbers(tuple(seq if place == index else 0 for place in range(32)))
        self._serving = serving_network_name(network.mcc, network.mnc)
        self._mnc_digits = len(network.mnc)
        self._next: tuple[bytes, int] | None = None
        self._answered: tuple[bytes, Message] | None = None
        self.end: NasEnd | None = None

    def forget(self) -> None:
        """Forgets all keys."""
        self.end = self._next = self._answered = None

    def suci(self) -> Fields:
        """Returns the permanent identity as it is told: concealed for the home network, if there is a key of that."""
        usim = self._ue.usim
        if usim.home_key is None:
            return n1.suci(usim.supi, self._mnc_digits)
        ephemeral = 1 + self._ue.links.random.getrandbits(EPHEMERAL_BITS)
        return n1.concealed_suci(usim.supi, self._mnc_digits, usim.home_key, ephemeral.to_bytes(32))

    def answer(self, message: Message) -> Message:
        """Returns the answer to a challenge: the response, or why there is none."""
        rand, autn, timers = message["rand"], message["autn"], self._ue.timers
        if self._answered is not None and self._answered[0] == rand and "T3516" in timers:
            return self._answered[1]
        checked = check_autn(self._milenage, rand, autn)
        if not checked.verified:
            return _failure(MAC_FAILURE)
        if not checked.separation_bit:
            return _failure(NOT_5G)
        if not self._accepted.accepts(checked.sqn):
            auts = make_auts(self._milenage, rand, self._accepted.sqn_ms)
            return _failure(SYNCHRONISATION_FAILURE, ("auts", auts))
        self._accepted = self._accepted.with_sqn(checked.sqn)
        answer = answer_challenge(self._milenage, rand, autn, self._serving)
        self._next = answer.k_ausf, message["ng_ksi.ksi"]
        response = n1.message("AuthenticationResponse", ("res_star", answer.res_star))
        self._answered = rand, response
        timers.start("T3516", self._ue.network.flavour.timing.t3516, lambda: None)
        return response

    def secure(self, sealed: Message, request: Message) -> Message | None:
        """Returns the answer to a security mode command, which is protected by the keys that it brings into use.

        Args:
            sealed: The command.
            request: Whole initial message, which is sent again.

        Returns:
            Protected message; plain rejection if the command is not to be trusted; None if it is not one.
        """
        command = sealed["payload"]
        if not isinstance(command, Message) or command.name != "SecurityModeCommand" or self._next is None:
            return None
        (k_ausf, ksi), usim = self._next, self._ue.usim
        chosen = command["selected_nas_security_algorithms"]
        k_amf = derive_k_amf(derive_k_seaf(k_ausf, self._serving), usim.supi)
        end = NasEnd(NasSecurityContext(k_amf, chosen["ciphering"], chosen["integrity"]), ksi, Direction.UPLINK)
        if end.open(sealed).message is None or command["replayed_ue_security_capabilities"] != usim.algorithms:
            return n1.message("SecurityModeReject", ("cause_5gmm", MODE_REJECTED))
        self.end = end
        return end.seal(n1.security_mode_complete(usim.imeisv, request), CIPHERED_NEW_CONTEXT)


def _failure(cause: int, *more: tuple[str, bytes]) -> Message:
    return n1.message("AuthenticationFailure", ("cause_5gmm", cause), *more)
