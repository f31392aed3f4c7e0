"""Which dialogue is in which split."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from gentwin.datasets.signaling.errors import DialogueError

SPLITS = ("train", "validation", "test")
DEFAULT_FRACTION = 0.1


@dataclass(frozen=True, slots=True)
class Splits:
    """Divides dialogues by UE or by capture, never by message.

    The messages of a core are near copies of each other, so what is held out decides what a result means.

    In captures that are divided by UE, the split of one whose SUPI is known depends on `seed`, the fractions and the
    SUPI, or the pseudonym of it, alone: it is the same in every such capture, and in every data set written with the
    same key.

    A UE whose SUPI is not known is where those are that had one of its temporary identities. If these are in more than
    one split, it may be any of them: its dialogues are ambiguous, and left out. Where nothing says who it is, as in a
    capture that begins in the middle of a connection, a dialogue is divided as if it were that of another UE.

    What nodes say to each other about no UE goes with its capture.

    Args:
        by: `ue`: the UEs of all captures are divided; `capture`: whole captures are.
        validation: Expected fraction of UEs or captures in that split, 0 to below 1.
        test: Likewise; 0.1 if not given, and 0 if there are `test_captures`.
        test_captures: Names of captures that are in the test split as a whole.
        seed: Another one divides in another way.

    Raises:
        DialogueError: If fractions are out of range, or leave nothing to train on.
    """

    by: Literal["ue", "capture"] = "ue"
    validation: float = DEFAULT_FRACTION
    test: float | None = None
    test_captures: Collection[str] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by not in ("ue", "capture"):
            raise DialogueError(f"`by` must be `ue` or `capture`, got {self.by!r}.")
        if isinstance(self.test_captures, str):
            raise DialogueError(f"`test_captures` must be names in a list, got {self.test_captures!r}.")
        for name in ("validation", "test"):
            value = self.test_fraction if name == "test" else self.validation
            if not 0 <= value < 1:
                raise DialogueError(f"`{name}` must be a fraction from 0 to below 1, got {value!r}.")
        if self.validation + self.test_fraction >= 1:
            raise DialogueError(
                f"`validation` and `test` must leave a fraction to train on, got {self.validation!r} and "
                f"{self.test_fraction!r}; their sum must be below 1."
            )

    @property
    def test_fraction(self) -> float:
        """Expected fraction of what is divided in the test split, beside `test_captures`."""
        if self.test is not None:
            return self.test
        return 0.0 if self.test_captures else DEFAULT_FRACTION

    def as_a_whole(self, capture: str) -> bool:
        """Returns whether all of a capture is in one split."""
        return self.by == "capture" or capture in self.test_captures

    def of_capture(self, capture: str) -> str:
        """Returns the split of a whole capture, or of what is said in it about no UE."""
        return "test" if capture in self.test_captures else self._draw("capture", capture)

    def of_ue(self, identity: str) -> str:
        """Returns the split of a UE in captures that are divided."""
        return self._draw("ue", identity)

    def _draw(self, kind: str, name: str) -> str:
        digest = hashlib.sha256(f"{self.seed}/{kind}/{name}".encode("utf-8", "surrogatepass")).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        if place < self.test_fraction:
            return "test"
        return "validation" if place < self.test_fraction + self.validation else "train"
