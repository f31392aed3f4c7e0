"""Whether the message twin admits and rejects as the policy of a loaded core does, with its hint and without.

Traffic of the reference core that has limits of load, of seeds that no twin was trained on. Judged are the turns in
which the policy decided. What is left out is the hint of the policy alone; everything else that a core knows is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from gentwin.metrics import Share
from gentwin.metrics.answers import (
    POLICY,
    DecoderPredictor,
    Exchange,
    Predictor,
    answered,
    exchanges_of,
    messages_of,
)
from gentwin.metrics.sequences import refusal_of
from gentwin.models import SignalingTokenizer, from_pretrained
from gentwin.signaling.core.plain import from_plain
from gentwin.signaling.dialogue import Automaton
from gentwin.signaling.dialogue.hints import hint
from recipes.evaluation.candidates import synthesised
from recipes.figures.message_twins import required
from recipes.figures.result import Result

GOAL = "load-dependent admission: >= 99.5 % right with the hint of the policy, about the majority rate without"
FIRST_SEED = 7_000_000  # far from those of training
LOADED = {
    "ues": 40,
    "duration": 40.0,
    "limits": {"registered": 20, "sessions": 24, "procedures": 4},
    "workload": {"arrivals": 6.0, "think_time": 3.0},
}
QUICK_DIALOGUES, DIALOGUES = 40, 400
ROWS = 16
DECIDED = frozenset((hint("policy", "admit"), hint("policy", "reject")))
NEAR = 0.05  # of the majority rate, without the hint


def measure(full: bool, seed: int) -> Result:
    """Judges decisions with the hint and without."""
    torch.set_num_threads(1)
    tokenizer = SignalingTokenizer()
    predictor = DecoderPredictor(from_pretrained(required("signaling-open5gs")), tokenizer)
    sequences = asked(DIALOGUES if full else QUICK_DIALOGUES, FIRST_SEED + 1000 * seed)
    automaton = tokenizer.automaton(bounds=None)
    told = judged(predictor, sequences, automaton, hides=False)
    untold = judged(predictor, sequences, automaton, hides=True)
    majority = max(told["rejected"], 1 - told["rejected"])
    figure = {"with_hint": told, "without_hint": untold, "majority_rate": majority}
    met = told["right"] >= 0.995 and abs(untold["right"] - majority) <= NEAR
    return Result(figure, GOAL, met, {"majority_rate": majority}, told["right"] / majority)


def asked(count: int, first_seed: int) -> list[list[Exchange]]:
    """Returns the turns of as many dialogues as are wanted, of networks with seeds from the first one on."""
    found: list[list[Exchange]] = []
    while len(found) < count:
        examples = synthesised(from_plain(LOADED), LOADED["ues"], first_seed)
        found += [exchanges_of(example.tokens, example.said) for example in examples]
        first_seed += 1
    return found[:count]


def judged(
    predictor: Predictor, sequences: Sequence[Sequence[Exchange]], automaton: Automaton, hides: bool
) -> dict[str, Any]:
    """Returns how often what the policy decided is said, in shares.

    Args:
        predictor: That answers.
        sequences: Turns of each dialogue.
        automaton: Of the messages.
        hides: Whether to leave out the hints of the policy, in all turns.
    """
    undecided = [iter([DECIDED.isdisjoint(turn.hints) for turn in turns]) for turns in sequences]
    told = [[turn.without_hints([POLICY]) for turn in turns] for turns in sequences] if hides else sequences
    right, exact, rejected = Share(), Share(), Share()
    for one in answered(predictor, told, automaton, ROWS):
        if next(undecided[one.sequence]):
            continue
        core, twin = (bool(refusal_of(messages_of(tokens) or ())) for tokens in (one.exchange.said, one.said))
        right.count(core == twin)
        exact.count(one.is_exact)
        rejected.count(core)
    shares = {"right": right, "exact_turn": exact, "rejected": rejected}
    return {
        "decisions": right.of,
        **{name: share.value for name, share in shares.items()},
        "right_interval": right.interval(),
    }
