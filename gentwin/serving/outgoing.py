"""What a core says is told when it is sent: with the time of sending, and whether there was a link for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gentwin.serving.watching import UNSENT, Watch, Watches
from gentwin.signaling.core.control_plane import SAID, CoreEvent, Packet


class Outgoing(Watches):
    """Keeps what a core says until the server has sent it, so that logs and charts show how long an answer took.

    A core works out its answers to a batch one after the other, at the time when the batch was heard; they go out
    together. What does not go out, as the link is down or the core failed, is of kind `unsent`.

    Args:
        watches: Who is told, in this order.

    Example:
        ```python
        watch = Outgoing([MessageLog("core.jsonl"), Ladders()])
        core = load_core("reference", configuration, listener=watch.event)
        server = CoreServer(core, transport, user_plane, watch=watch)
        ```
    """

    def __init__(self, watches: Sequence[Watch]) -> None:
        super().__init__(watches)
        self._held: list[CoreEvent] = []

    def event(self, event: CoreEvent) -> None:
        """Takes what happened at the core; what it says is kept until `sent`."""
        if event.kind == SAID:
            self._held.append(event)
        else:
            super().event(event)

    def sent(self, packets: Sequence[tuple[Packet, bool]], now: float) -> None:
        """Takes what the server has sent, and what it had no link for."""
        went = {(packet.peer, packet.data) for packet, is_sent in packets if is_sent}
        held, self._held = self._held, []
        for event in held:
            reached = event.record is not None and (event.peer, event.record.raw) in went
            super().event(_at(event, now) if reached else replace(_at(event, now), kind=UNSENT, reason="not sent"))
        super().sent(packets, now)


def _at(event: CoreEvent, now: float) -> CoreEvent:
    record = None if event.record is None else replace(event.record, timestamp=now)
    return replace(event, timestamp=now, record=record)
