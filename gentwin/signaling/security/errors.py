"""What goes wrong in security, an argument that cannot be or a check that fails; and the checks of arguments."""

from __future__ import annotations

from gentwin.signaling.errors import SignalingError


class SecurityError(SignalingError):
    """A key, a counter or an algorithm is not what it must be."""


class MacError(SecurityError):
    """A message authentication code is wrong: another key was used, or the data was changed."""


def require_bytes(name: str, value: bytes, *sizes: int) -> None:
    """Checks that an argument is bytes of one of the sizes; any size if none is given.

    The message tells the size and not the value, which may be a secret.

    Raises:
        SecurityError: If it is not.
    """
    if not isinstance(value, bytes):
        raise SecurityError(f"`{name}` must be bytes, got {type(value).__name__}; use `bytes.fromhex` for hex digits.")
    if sizes and len(value) not in sizes:
        allowed = " or ".join(map(str, sizes))
        raise SecurityError(f"`{name}` must have {allowed} bytes, got {len(value)}.")


def require_number(name: str, value: int, bits: int) -> None:
    """Checks that an argument is a number of at most so many bits.

    Raises:
        SecurityError: If it is not.
    """
    if not isinstance(value, int) or not 0 <= value < 1 << bits:
        raise SecurityError(f"`{name}` must be a number from 0 to 2**{bits} - 1, got {value!r}.")


def require_text(name: str, value: str) -> None:
    """Checks that an argument is a text with something in it.

    Raises:
        SecurityError: If it is not.
    """
    if not isinstance(value, str) or not value:
        raise SecurityError(f"`{name}` must be a text that is not empty, got {value!r}.")
