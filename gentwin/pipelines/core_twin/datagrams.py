"""Reliable delivery on N4: requests are sent again until answered, and those that come again are answered alike.

Source: 3GPP TS 29.244 clause 6.4.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass
from itertools import count

from gentwin.pipelines.core_twin.conversations import Conversation
from gentwin.signaling.core.configuration import Timing
from gentwin.signaling.core.control_plane import Packet
from gentwin.signaling.messages import Message
from gentwin.signaling.resolver.network import host_of

REQUEST, RESPONSE = "Request", "Response"
KEPT_ANSWERS = 4096

Key = tuple[str, int]
"""Host of the other end, and sequence number."""


@dataclass(slots=True)
class _Sent:
    """A request that waits for its response."""

    name: str
    packet: Packet
    conversation: Conversation
    times: int


class Datagrams:
    """Requests of N4 that wait for a response, and responses that may be wanted again.

    Args:
        timing: `t1` and `n1`.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._sent: dict[Key, _Sent] = {}
        self._heap: list[tuple[float, int, Key, _Sent]] = []
        self._order = count()
        self._answers: OrderedDict[tuple[str, int, str], Packet] = OrderedDict()

    def send(self, packet: Packet, message: Message, conversation: Conversation, now: float) -> None:
        """Takes note of a message that goes out: a request will go out again, a response is kept.

        Args:
            packet: That goes out.
            message: In it.
            conversation: In which it is said.
            now: In seconds.
        """
        key = host_of(packet.peer), message["sequence_number"]
        if message.name.endswith(RESPONSE):
            self._answers[(*key, message.name.removesuffix(RESPONSE))] = packet
            if len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)
            return
        self._sent[key] = _Sent(message.name.removesuffix(REQUEST), packet, conversation, 1)
        self._wait(key, now)

    def waits(self, message: Message, peer: str) -> bool:
        """Returns whether a response is waited for."""
        sent = self._sent.get((host_of(peer), message["sequence_number"]))
        return sent is not None and sent.name == message.name.removesuffix(RESPONSE)

    def asked_by(self, message: Message, peer: str) -> Conversation:
        """Returns the conversation in which was asked what a response that is waited for answers."""
        return self._sent[host_of(peer), message["sequence_number"]].conversation

    def answered(self, message: Message, peer: str) -> None:
        """Takes a response that is waited for."""
        self._sent.pop((host_of(peer), message["sequence_number"]), None)

    def answer_again(self, message: Message, peer: str) -> Packet | None:
        """Returns the response that a request was answered with before; None if it is new."""
        found = self._answers.get((host_of(peer), message["sequence_number"], message.name.removesuffix(REQUEST)))
        return None if found is None else Packet(found.protocol, peer, found.data)

    def due(self) -> float | None:
        """Returns when the next request goes out again or is given up; None if none waits."""
        while self._heap and self._sent.get(self._heap[0][2]) is not self._heap[0][3]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def expire(self, now: float) -> tuple[list[Packet], list[Conversation]]:
        """Returns requests that go out again, and conversations whose request was sent as often as it may be."""
        again, given_up = [], []
        while (end := self.due()) is not None and end <= now:
            _, _, key, sent = heapq.heappop(self._heap)
            if sent.times >= self._timing.n1:
                del self._sent[key]
                given_up.append(sent.conversation)
                continue
            sent.times += 1
            again.append(sent.packet)
            self._wait(key, now)
        return again, given_up

    def _wait(self, key: Key, now: float) -> None:
        heapq.heappush(self._heap, (now + self._timing.t1, next(self._order), key, self._sent[key]))
