"""What both ends of N4 do: requests that are sent again until answered, responses that are kept, heartbeats."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable

from gentwin.signaling.core import n4
from gentwin.signaling.core.clock import Event
from gentwin.signaling.core.configuration import NetworkConfiguration
from gentwin.signaling.core.identifiers import Counter
from gentwin.signaling.core.links import Links
from gentwin.signaling.core.n2 import NTP_EPOCH
from gentwin.signaling.messages import Message

PORT = 8805
KEPT_RESPONSES = 1024
LAST_SEQUENCE = (1 << 24) - 1

Answered = Callable[[Message | None], None]


class _Transaction:
    """A request that waits for its response."""

    __slots__ = ("answered", "message", "sent", "timer")

    def __init__(self, message: Message, answered: Answered) -> None:
        self.message, self.answered = message, answered
        self.sent = 1
        self.timer: Event | None = None


class PfcpNode(ABC):
    """One end of N4.

    Args:
        network: Of the core.
        links: To send with.
        host: Address of this node.
        median: Of the time to answer, in seconds.
    """

    def __init__(self, network: NetworkConfiguration, links: Links, host: str, median: float) -> None:
        self.host, self.address = host, f"{host}:{PORT}"
        self.peer: PfcpNode | None = None
        self.associated = False
        self._network, self._links, self._median = network, links, median
        self._sequences = Counter(1, LAST_SEQUENCE)
        self._open: dict[int, _Transaction] = {}
        self._answers: OrderedDict[int, Message] = OrderedDict()
        self._started = int(network.start) + NTP_EPOCH

    # ------------------------------------------------------------ requests

    def request(
        self, name: str, *pairs: n4.Pair, answered: Answered, seid: int | None = None, median: float | None = None
    ) -> None:
        """Sends a request, and again until there is a response.

        Args:
            name: Of the message.
            pairs: Its elements.
            answered: Called with the response, or with None if there is none.
            seid: Of the receiver's session; None for a message about the node.
            median: Of the time until it is sent, in seconds.
        """
        sequence = self._sequences.allocate(self._open)
        message = n4.message(name, sequence, *pairs, seid=seid)
        transaction = self._open[sequence] = _Transaction(message, answered)
        self._links.send_pfcp(message, self, self.peer, self._median if median is None else median)
        timing = self._network.flavour.timing
        transaction.timer = self._links.clock.after(timing.t1, self._expire, sequence)

    def _expire(self, sequence: int) -> None:
        transaction = self._open[sequence]
        timing = self._network.flavour.timing
        if transaction.sent >= timing.n1:
            del self._open[sequence]
            transaction.answered(None)
            return
        transaction.sent += 1
        self._links.send_pfcp(transaction.message, self, self.peer, 0.0)
        transaction.timer = self._links.clock.after(timing.t1, self._expire, sequence)

    # ------------------------------------------------------------ what comes

    def receive(self, message: Message, sender: PfcpNode, stream: int) -> None:
        """Takes a message: a response ends its transaction, a request that was answered is answered alike."""
        sequence = message["sequence_number"]
        if message.name.endswith("Response"):
            transaction = self._open.pop(sequence, None)
            if transaction is not None:
                transaction.timer.cancel()
                transaction.answered(message)
            return
        kept = self._answers.get(sequence)
        if kept is not None:
            self._links.send_pfcp(kept, self, sender, self._median)
            return
        answer = self._answer(message, sequence)
        self._answers[sequence] = answer
        if len(self._answers) > KEPT_RESPONSES:
            self._answers.popitem(last=False)
        self._links.send_pfcp(answer, self, sender, self._median)

    def _answer(self, message: Message, sequence: int) -> Message:
        """Returns the response to a request that is new."""
        if message.name == "HeartbeatRequest":
            return n4.message("HeartbeatResponse", sequence, ("recovery_time_stamp", self._started))
        return self.answer(message, sequence)

    @abstractmethod
    def answer(self, message: Message, sequence: int) -> Message:
        """Returns the response of the role to a request other than a heartbeat."""

    # ------------------------------------------------------------ heartbeats

    def start_heartbeats(self, median: float) -> None:
        """Sends heartbeats from now on; if one is not answered, the association is gone."""
        stamp = ("recovery_time_stamp", self._started)
        self.request("HeartbeatRequest", stamp, answered=self._heard, median=median)

    def _heard(self, response: Message | None) -> None:
        if response is None:
            self.associated = False
            self.lost_peer()
        elif self.associated:
            self._links.clock.after(self._network.flavour.timing.heartbeat, self.start_heartbeats, 0.0)

    def lost_peer(self) -> None:  # noqa: B027 - only a control plane has something to do then
        """Called when the other end does not answer heartbeats any more."""
