"""What is told of a core: every message, everything that happens, and every refusal."""

from __future__ import annotations

from collections.abc import Callable

from gentwin.pipelines.core_twin.conversations import Conversation
from gentwin.signaling.core.configuration import NetworkConfiguration
from gentwin.signaling.core.control_plane import HAPPENED, HEARD, REFUSED, SAID, CoreEvent, Packet
from gentwin.signaling.core.pfcp_node import PORT
from gentwin.signaling.messages import NGAP, Message, Record
from gentwin.signaling.records import encode_record

Listener = Callable[[CoreEvent], None]


class Journal:
    """Tells a listener what happens at a core.

    Args:
        configuration: Of the core, with its addresses.
        listener: That is told; None for nobody.
    """

    def __init__(self, configuration: NetworkConfiguration, listener: Listener | None = None) -> None:
        self._own = {True: configuration.amf_address, False: f"{configuration.smf_address}:{PORT}"}
        self.listener = listener

    def hears(self, conversation: Conversation, message: Message, packet: Packet, now: float) -> None:
        """Takes a message that came in, with the bytes it was decoded from if they hold no other one."""
        if self.listener is None:
            return
        raw = packet.data if packet.protocol == NGAP else b""
        receiver = self._own[packet.protocol == NGAP]
        record = Record(message, now, packet.peer, receiver, packet.stream, raw)
        self._tell(HEARD, now, packet.peer, conversation, record)

    def says(self, conversation: Conversation | None, message: Message, peer: str, stream: int, now: float) -> Packet:
        """Returns the packet of a message that goes out, and tells of it.

        Raises:
            EncodeError: If the message cannot be encoded.
        """
        own = self._own[message.protocol == NGAP]
        data = encode_record(Record(message, now, own, peer, stream))
        self._tell(SAID, now, peer, conversation, Record(message, now, own, peer, stream, data))
        return Packet(message.protocol, peer, data, stream)

    def happens(self, conversation: Conversation, stimulus: str, now: float) -> None:
        """Takes what happens and nobody says."""
        self._tell(HAPPENED, now, "", conversation, reason=stimulus)

    def refuses(self, conversation: Conversation | None, peer: str, reason: str, now: float) -> None:
        """Takes that something is not answered as it was asked, and why."""
        self._tell(REFUSED, now, peer, conversation, reason=reason)

    def _tell(
        self,
        kind: str,
        now: float,
        peer: str,
        conversation: Conversation | None,
        record: Record | None = None,
        reason: str = "",
    ) -> None:
        if self.listener is not None:
            number = None if conversation is None else conversation.number
            self.listener(CoreEvent(kind, now, peer, number, record, reason))
