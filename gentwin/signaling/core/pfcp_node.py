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
from gentwin.signaling.core.servers import Work
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
        work: To answer.
    """

    def __init__(self, network: NetworkConfiguration, links: Links, host: str, work: Work) -> None:
        self.host, self.address, self.up = host, f"{host}:{PORT}", True
        self.peer: PfcpNode | None = None
        self.associated = False
        self.peer_started = 0
        self._network, self._links, self._work = network, links, work
        self._sequences = Counter(1, LAST_SEQUENCE)
        self._open: dict[int, _Transaction] = {}
        self._answers: OrderedDict[int, Message] = OrderedDict()
        self.started = links.seconds + NTP_EPOCH

    # ------------------------------------------------------------ requests

    def request(
        self, name: str, *pairs: n4.Pair, answered: Answered, seid: int | None = None, work: Work | None = None
    ) -> None:
        """Sends a request, and again until there is a response.

        Args:
            name: Of the message.
            pairs: Its elements.
            answered: Called with the response, or with None if there is none.
            seid: Of the receiver's session; None for a message about the node.
            work: To be done before; None for none.
        """
        sequence = self._sequences.allocate(self._open)
        message = n4.message(name, sequence, *pairs, seid=seid)
        transaction = self._open[sequence] = _Transaction(message, answered)
        wait = self._links.send_pfcp(message, self, self.peer, work)
        timing = self._network.flavour.timing
        transaction.timer = self._links.clock.after(wait + timing.t1, self._expire, sequence)

    def _expire(self, sequence: int) -> None:
        transaction = self._open[sequence]
        timing = self._network.flavour.timing
        if transaction.sent >= timing.n1:
            del self._open[sequence]
            transaction.answered(None)
            return
        transaction.sent += 1
        self._links.send_pfcp(transaction.message, self, self.peer, None)
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
            self._links.send_pfcp(kept, self, sender, self._work)
            return
        answer = self._answer(message, sequence)
        self._answers[sequence] = answer
        if len(self._answers) > KEPT_RESPONSES:
            self._answers.popitem(last=False)
        self._links.send_pfcp(answer, self, sender, self._work)

    def _answer(self, message: Message, sequence: int) -> Message:
        """Returns the response to a request that is new."""
        if message.name == "HeartbeatRequest":
            return n4.message("HeartbeatResponse", sequence, ("recovery_time_stamp", self.started))
        return self.answer(message, sequence)

    @abstractmethod
    def answer(self, message: Message, sequence: int) -> Message:
        """Returns the response of the role to a request other than a heartbeat."""

    # ------------------------------------------------------------ heartbeats

    def start_heartbeats(self) -> None:
        """Sends heartbeats from now on; if one is not answered, the association is gone."""
        self.request("HeartbeatRequest", ("recovery_time_stamp", self.started), answered=self._heard)

    def _heard(self, response: Message | None) -> None:
        if response is None:
            self.associated = False
            self.lost_peer()
        elif self.associated and response["recovery_time_stamp"] > self.peer_started:
            self.peer_restarted()
        elif self.associated:
            self._links.clock.after(self._network.flavour.timing.heartbeat, self.start_heartbeats)

    def lost_peer(self) -> None:  # noqa: B027 - only a control plane has something to do then
        """Called when the other end does not answer heartbeats any more."""

    def peer_restarted(self) -> None:  # noqa: B027 - likewise
        """Called when the other end has started again since the association was set up."""

    # ------------------------------------------------------------ failure

    def fail(self) -> None:
        """Fails: what it had begun is lost."""
        self.up = self.associated = False
        for transaction in self._open.values():
            transaction.timer.cancel()
        self._open.clear()
        self._answers.clear()

    def recover(self) -> None:
        """Works again, with another recovery time stamp."""
        self.up, self.started = True, self._links.seconds + NTP_EPOCH
