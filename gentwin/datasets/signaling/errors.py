"""What is wrong with a data set of dialogues, or with what one is to be made of."""

from __future__ import annotations

from gentwin.signaling.errors import SignalingError


class DialogueError(SignalingError):
    """A data set of dialogues that cannot be written or read; the message names the place and a remedy."""
