"""Arguments of a message twin's run: what dialogues it learns from, and what it begins with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from gentwin.training.arguments import about, require
from gentwin.yaml_text import load_yaml

MESSAGES, BYTES = "messages", "bytes"


def _none(value: str | None) -> str | None:
    """Returns what was given; nothing for `none`, the way to undo the choice of a YAML file."""
    return None if str(value).lower() == "none" else value


@dataclass
class DialogueArguments:
    """What dialogues to learn from, and how they are divided.

    Raises:
        ArgumentsError: If a value is out of range.
    """

    _argument_group_name = "data"
    compared: ClassVar = ("captures", "subscribers", "syntheses", "synthesis_seed")
    # The dialogues themselves are known by their fingerprint.
    shaping: ClassVar = (
        *("validation_captures", "test_captures", "capture_repeats", "train_dialogues", "split_seed"),
        *("sequence_length", "hint_dropout", "tokens"),
    )

    captures: str | None = field(
        default=None,
        metadata=about("Folder of captures; every pcap below it is one, called by its name. `none` for none."),
    )
    subscribers: str | None = field(
        default=None,
        metadata=about("Database of the captures' subscribers, YAML or SQLite; without one they have no hints."),
    )
    validation_captures: list[str] = field(
        default_factory=list, metadata=about("Captures for choosing the checkpoint.")
    )
    test_captures: list[str] = field(
        default_factory=list, metadata=about("Captures for the final evaluation; the others are for training.")
    )
    capture_repeats: int = field(
        default=1, metadata=about("How often a recorded dialogue is in an epoch, beside a synthesised one once.")
    )
    syntheses: dict | str | None = field(
        default=None,
        metadata=about(
            "Traffic to synthesise, by a name of your own: what `gentwin synthesize --config` takes, and `runs`, the "
            "number of seeds, 1 by default; `profiles` and `limits.back_off` may be `varied`, others in every run. One "
            "more run is held out: half of its dialogues for validation, half for the test."
        ),
    )
    synthesis_seed: int = field(default=0, metadata=about("Seed of the first run of each synthesis."))
    train_dialogues: int | None = field(
        default=None,
        metadata=about("Number of dialogues of UEs to learn from, drawn at random; all by default. For few-shot runs."),
    )
    split_seed: int = field(default=0, metadata=about("Seed of that draw."))
    sequence_length: int = field(
        default=2048, metadata=about("Tokens of a row; dialogues are packed into rows, and cut between turns.")
    )
    hint_dropout: float = field(
        default=0.1,
        metadata=about(
            "Share of dialogues without hints: half of these have none, the other half lack each kind with probability "
            "one half."
        ),
    )
    tokens: str = field(
        default=MESSAGES,
        metadata=about(
            "What dialogues consist of: `messages`, fields and slots, with hints; or `bytes`, as they were on the "
            "link, joined by byte pair encoding to as many tokens: a baseline."
        ),
    )
    examples_cache: str = field(
        default="outputs/examples", metadata=about("Folder where dialogues are kept as tokens; made once.")
    )

    def __post_init__(self) -> None:
        self.captures, self.subscribers = _none(self.captures), _none(self.subscribers)
        if isinstance(self.syntheses, str):
            self.syntheses = load_yaml(self.syntheses)
        self.syntheses = self.syntheses or {}
        shaped = isinstance(self.syntheses, dict) and all(isinstance(v, dict) for v in self.syntheses.values())
        require(shaped, "syntheses", "mappings by name", self.syntheses)
        require(
            self.captures is not None or bool(self.syntheses),
            "captures",
            "a folder if there are no `syntheses`",
            self.captures,
        )
        for name, least in (("capture_repeats", 1), ("sequence_length", 16)):
            require(getattr(self, name) >= least, name, f"at least {least}", getattr(self, name))
        require(self.tokens in (MESSAGES, BYTES), "tokens", f"{MESSAGES} or {BYTES}", self.tokens)
        few = self.train_dialogues
        require(few is None or few >= 1, "train_dialogues", "at least 1", few)
        require(0 <= self.hint_dropout <= 1, "hint_dropout", "from 0 to 1", self.hint_dropout)


@dataclass
class AgreementArguments:
    """How the trained twin is judged; more is in `recipes/evaluate.py`."""

    _argument_group_name = "evaluation"

    sibling_runs: list[str] | None = field(
        default=None,
        metadata=about(
            "Output folders of runs that differ in the seed only; the model card then states mean and spread."
        ),
    )
