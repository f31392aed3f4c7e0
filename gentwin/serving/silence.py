"""Whether the user plane answers what it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gentwin.signaling.pfcp.messages import BY_NUMBER

REQUESTS = frozenset(number for number, known in BY_NUMBER.items() if known.name.endswith("Request"))


class Silence:
    """Notes requests that go out on N4 and whatever comes back.

    Args:
        seconds: From a request to anything of the user plane, after which it does not answer.
        on_change: Called with `answers=False` when that has passed, with `answers=True` when something comes after
            all.
    """

    def __init__(self, seconds: float, on_change: Callable[..., None]) -> None:
        self._seconds, self._on_change = seconds, on_change
        self._timer: asyncio.TimerHandle | None = None
        self._silent = False

    def asked(self, data: bytes) -> None:
        """Takes a datagram that goes out."""
        if self._timer is None and not self._silent and len(data) > 1 and data[1] in REQUESTS:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def heard(self) -> None:
        """Takes that something has come, even if it waits to be taken."""
        self.stop()
        if self._silent:
            self._silent = False
            self._on_change(answers=True)

    def _expire(self) -> None:
        self._timer, self._silent = None, True
        self._on_change(answers=False)

    def stop(self) -> None:
        """Waits for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
