"""What carries messages from one role to another; every one on N2 and N4 is recorded when it is sent."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Protocol

from gentwin.signaling.core.clock import Clock
from gentwin.signaling.messages import Message, Record


class Node(Protocol):
    """A role at the end of N2 or N4."""

    address: str

    def receive(self, message: Message, sender: Node, stream: int) -> None:
        """Takes a message."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong on links, as probabilities. N2 is reliable; the air and N4 are not.

    Args:
        radio_loss: That a NAS message is lost between UE and base station, in either direction.
        datagram_loss: That a message on N4 is lost.
        datagram_repeat: That a message on N4 arrives twice.
        datagram_late: That a message on N4 is late.
        late_by: By how much, in seconds.
        handover_refused: That a base station has no room for a UE that is handed over.
        handover_cancelled: That a base station takes back a handover that was prepared.
    """

    radio_loss: float = 0.0
    datagram_loss: float = 0.0
    datagram_repeat: float = 0.0
    datagram_late: float = 0.0
    late_by: float = 3.0
    handover_refused: float = 0.0
    handover_cancelled: float = 0.0


class Links:
    """N2, N4 and the air.

    Args:
        clock: Simulated time.
        random: For delays and faults.
        faults: What goes wrong.
        spread: Standard deviation of the logarithm of delays.
        start: Time at zero of the clock, in seconds since 1970.
    """

    def __init__(self, clock: Clock, random: Random, faults: Faults, spread: float, start: float) -> None:
        self.clock, self.random, self.faults = clock, random, faults
        self.records: deque[Record] = deque()
        self._spread, self._start = spread, start
        self._last: dict[tuple[str, str, int], float] = {}

    @property
    def seconds(self) -> int:
        """Wall clock: whole seconds since 1970."""
        return int(self.clock.now + self._start)

    def delay(self, median: float) -> float:
        """Returns a random time around a median, in seconds."""
        return median * self.random.lognormvariate(0.0, self._spread)

    def happens(self, probability: float) -> bool:
        """Returns whether something of a probability happens now."""
        return bool(probability) and self.random.random() < probability

    def send_ngap(self, message: Message, sender: Node, receiver: Node, stream: int, median: float) -> None:
        """Sends a message on N2; those of a stream arrive in order.

        Args:
            message: What.
            sender: Who.
            receiver: To whom.
            stream: SCTP stream.
            median: Of the time until then, in seconds.
        """
        key = (sender.address, receiver.address, stream)
        time = max(self.clock.now + self.delay(median), self._last.get(key, 0.0))
        self._last[key] = time
        self.clock.at(time, self._carry_ngap, message, sender, receiver, stream)

    def send_pfcp(self, message: Message, sender: Node, receiver: Node, median: float) -> None:
        """Sends a message on N4; arguments as of `send_ngap`."""
        self.clock.after(self.delay(median), self._carry_pfcp, message, sender, receiver)

    def _record(self, message: Message, sender: Node, receiver: Node, stream: int) -> None:
        time = self.clock.now + self._start
        self.records.append(Record(message, time, sender.address, receiver.address, stream))

    def _carry_ngap(self, message: Message, sender: Node, receiver: Node, stream: int) -> None:
        self._record(message, sender, receiver, stream)
        receiver.receive(message, sender, stream)

    def _carry_pfcp(self, message: Message, sender: Node, receiver: Node) -> None:
        self._record(message, sender, receiver, 0)
        faults, draw = self.faults, self.random.random
        if faults.datagram_loss and draw() < faults.datagram_loss:
            return
        late = faults.late_by if faults.datagram_late and draw() < faults.datagram_late else 0.0
        if faults.datagram_repeat and draw() < faults.datagram_repeat:
            self.clock.after(late + self.delay(0.001), self._repeat, message, sender, receiver)
        if late:
            self.clock.after(late, receiver.receive, message, sender, 0)
        else:
            receiver.receive(message, sender, 0)

    def _repeat(self, message: Message, sender: Node, receiver: Node) -> None:
        self._record(message, sender, receiver, 0)
        receiver.receive(message, sender, 0)
