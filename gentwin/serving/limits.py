"""How much a core that is served takes from others."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """What keeps a core in service whatever is sent to it. Beyond a limit, others wait or are cut off, never the core.

    Args:
        message_octets: Longest message; a link with a longer one is closed.
        links: Number of base stations at a time; further ones are turned away.
        share: Messages of one link that are heard in one batch.
        batch: Messages of all links that are heard in one batch.
        waiting_octets: What may wait to be heard of one link; more is not read from it until then.
        unsent_octets: What may wait to be sent to one link; a link that does not read more is closed.
        partial_seconds: From the begin of a message to its end; a link that takes longer is closed.
        refusals: Messages before NG setup, of one link; a link with more is closed.
        answer_seconds: From a request on N4 to anything of the user plane; then it is told that it does not answer.
        setup_seconds: From a new link to its successful NG setup; a link that takes longer is closed.

    Raises:
        ValueError: If one is not positive.
    """

    message_octets: int = 1 << 16
    links: int = 256
    share: int = 32
    batch: int = 256
    waiting_octets: int = 1 << 18
    unsent_octets: int = 1 << 20
    partial_seconds: float = 10.0
    refusals: int = 100
    answer_seconds: float = 5.0
    setup_seconds: float = 60.0

    def __post_init__(self) -> None:
        for known in fields(self):
            value = getattr(self, known.name)
            if not value > 0:
                raise ValueError(f"`{known.name}` must be positive, got {value!r}.")
