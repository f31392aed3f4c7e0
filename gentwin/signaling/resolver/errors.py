"""What a resolver cannot do."""

from __future__ import annotations

from gentwin.signaling.errors import SignalingError


class ResolverError(SignalingError):
    """A slot of a message cannot be filled, or a message cannot be protected.

    Args:
        path: Of the field, such as `nas_pdu.payload.rand`.
        slot: What stands there.
        reason: Why it cannot be filled.
    """

    def __init__(self, path: str, slot: object, reason: str) -> None:
        super().__init__(f"`{path}` is {slot} and cannot be filled: {reason}")
        self.path, self.slot, self.reason = path, str(slot), reason


class SuperfluousRequestError(ResolverError):
    """A request of N4 is for no session: each that there is was sent one in this turn."""
