"""What carries messages from one role to another; every one on N2 and N4 is recorded when it is sent."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Protocol

from gentwin.signaling.core.clock import Clock
from gentwin.signaling.core.configuration import Faults
from gentwin.signaling.core.servers import Work
from gentwin.signaling.messages import Message, Record

REPEATED_AFTER = 0.001  # seconds until the second of a datagram that comes twice


class Node(Protocol):
    """A role at the end of N2 or N4."""

    address: str
    up: bool

    def receive(self, message: Message, sender: Node, stream: int) -> None:
        """Takes a message."""


class Connection(Protocol):
    """What one end knows of a UE's connection on N2."""

    gone: bool
    sent: float


class Links:
    """N2, N4 and the air.

    Args:
        clock: Simulated time.
        random: For faults.
        faults: What goes wrong.
        start: Time at zero of the clock, in seconds since 1970.
    """

    def __init__(self, clock: Clock, random: Random, faults: Faults, start: float) -> None:
        self.clock, self.random, self.faults = clock, random, faults
        self.records: deque[Record] = deque()
        self._start = start

    @property
    def seconds(self) -> int:
        """Wall clock: whole seconds since 1970."""
        return int(self.clock.now + self._start)

    def happens(self, probability: float) -> bool:
        """Returns whether something of a probability happens now."""
        return bool(probability) and self.random.random() < probability

    # ------------------------------------------------------------ N2

    def send_ngap(
        self,
        message: Message,
        sender: Node,
        receiver: Node,
        stream: int,
        work: Work | None,
        about: Connection | None = None,
        last: bool = False,
    ) -> float:
        """Returns in how many seconds a message is sent on N2; those of a connection are sent in order.

        Args:
            message: What.
            sender: Who.
            receiver: To whom.
            stream: SCTP stream.
            work: To be done before; None for none.
            about: Connection without which there is nothing to send any more; None if it is about none.
            last: Whether it is sent even if the connection is gone.
        """
        now = self.clock.now
        time = now if work is None else now + work.seconds()
        if about is not None:
            time = about.sent = max(time, about.sent)
        waits = None if last else about
        self.clock.at(time, self._carry_ngap, message, sender, receiver, stream, waits)
        return time - now

    def _carry_ngap(
        self, message: Message, sender: Node, receiver: Node, stream: int, about: Connection | None
    ) -> None:
        if sender.up and receiver.up and (about is None or not about.gone):
            self._record(message, sender, receiver, stream)
            receiver.receive(message, sender, stream)

    def _record(self, message: Message, sender: Node, receiver: Node, stream: int) -> None:
        time = self.clock.now + self._start
        self.records.append(Record(message, time, sender.address, receiver.address, stream))

    # ------------------------------------------------------------ N4

    def send_pfcp(self, message: Message, sender: Node, receiver: Node, work: Work | None) -> float:
        """Returns in how many seconds a message is sent on N4; arguments as of `send_ngap`."""
        wait = 0.0 if work is None else work.seconds()
        self.clock.after(wait, self._carry_pfcp, message, sender, receiver)
        return wait

    def _carry_pfcp(self, message: Message, sender: Node, receiver: Node) -> None:
        if not sender.up:
            return
        self._record(message, sender, receiver, 0)
        faults, draw = self.faults, self.random.random
        if faults.datagram_loss and draw() < faults.datagram_loss:
            return
        late = faults.late_by if faults.datagram_late and draw() < faults.datagram_late else 0.0
        if faults.datagram_repeat and draw() < faults.datagram_repeat:
            self.clock.after(late + REPEATED_AFTER, self._repeat, message, sender, receiver)
        if late:
            self.clock.after(late, self._hand_over, message, sender, receiver)
        else:
            self._hand_over(message, sender, receiver)

    def _hand_over(self, message: Message, sender: Node, receiver: Node) -> None:
        if receiver.up:
            receiver.receive(message, sender, 0)

    def _repeat(self, message: Message, sender: Node, receiver: Node) -> None:
        self._record(message, sender, receiver, 0)
        self._hand_over(message, sender, receiver)
