"""What is wrong with bytes or fields of a message, and where."""

from __future__ import annotations


class SignalingError(ValueError):
    """Base class of what the signaling package raises for bad input."""


class DecodeError(SignalingError):
    """Bytes are not what they should be.

    Args:
        reason: What is wrong, with the value found.
        offset: Place in the bytes of the message where it was found.
    """

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (at byte {offset})")
        self.reason, self.offset = reason, offset


class EncodeError(SignalingError):
    """A field cannot be put in bytes: unknown, missing, of another type or out of range.

    Args:
        path: Of the field, such as `mobile_identity.tmsi`.
        reason: The constraint, the value received and the remedy.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"`{path}` {reason}")
        self.path, self.reason = path, reason
