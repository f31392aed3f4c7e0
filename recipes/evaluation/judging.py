"""Twins and baselines answer held-out dialogues turn by turn, and each run becomes one row of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from gentwin.metrics import AnswerScores, kind_of, ratio_interval
from gentwin.metrics.answers import Answered, Exchange, Predictor, answered, exchanges_of, messages_of
from gentwin.models.signaling.configuration_signaling import INTERLEAVED
from gentwin.signaling.dialogue import Automaton
from gentwin.signaling.dialogue.hints import STIMULI
from gentwin.signaling.dialogue.schema import PROTOCOLS
from gentwin.signaling.resolver.examples import Example
from gentwin.signaling.resolver.interleaving import interleaved_examples

COUNTS = (1, 2, 4, 8, 16, 32, 64)
MISTAKES = 30


@dataclass
class Judged:
    """What came of one run.

    Args:
        name: Of what answered.
        view: `separate` or `interleaved`.
        concurrency: UEs at a time.
        hints: Whether it was given hints.
        dialogues: Scores of each sequence: a dialogue, or several that are interleaved.
        seconds: Of each answer.
        mistakes: How often it was wrong in what way.
        examples: One answer of each kind of mistake.
    """

    name: str
    view: str
    concurrency: int
    hints: bool
    dialogues: list[AnswerScores] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    mistakes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def scores(self) -> AnswerScores:
        """Those of all dialogues together."""
        return sum(self.dialogues, AnswerScores())

    def interval(self, of: str, seed: int = 0) -> tuple[float, float]:
        """Returns the 95 % bootstrap interval over dialogues of `f1`, `exact_message` or `exact_turn`."""
        pairs = {
            "f1": [(2 * each.elements.both, each.elements.wanted + each.elements.said) for each in self.dialogues],
            "exact_message": [(each.messages.right, each.messages.of) for each in self.dialogues],
            "exact_turn": [(each.turns.right, each.turns.of) for each in self.dialogues],
        }
        return ratio_interval(*zip(*pairs[of], strict=True), seed=seed)

    def milliseconds(self, quantile: float) -> float:
        """Returns a quantile of the time of an answer, of the processor."""
        return 1e3 * float(np.quantile(self.seconds, quantile))

    def figures(self) -> dict[str, Any]:
        """Returns everything as plain values, for JSON."""
        return {
            "name": self.name,
            "view": self.view,
            "concurrency": self.concurrency,
            "hints": self.hints,
            **self.scores.figures(),
            "f1_interval": self.interval("f1"),
            "exact_message_interval": self.interval("exact_message"),
            "answer_ms_p50": self.milliseconds(0.5),
            "answer_ms_p99": self.milliseconds(0.99),
            "worst_elements": {
                path: {"both": known.both, "wanted": known.wanted, "said": known.said}
                for path, known in self.scores.worst_paths()
            },
            "refused": [
                {"core": core, "twin": twin, "count": count}
                for (core, twin), count in self.scores.refusals.most_common()
            ],
            "mistakes": [
                {"what": what, "count": count, **self.examples[what]}
                for what, count in self.mistakes.most_common(MISTAKES)
            ],
        }


def sequences_of(
    examples: Sequence[Example], view: str, concurrency: int, hints: bool = True, seed: int = 0
) -> list[list[Exchange]]:
    """Returns what is asked in one run.

    Args:
        examples: Dialogues of one UE each.
        view: `separate`, a sequence each, or `interleaved`, as many in one as there are UEs at a time.
        concurrency: UEs at a time.
        hints: Whether hints are given.
        seed: Of which dialogues are together.
    """
    if view == INTERLEAVED:
        examples = [*interleaved_examples(examples, concurrency, seed)]
    found = [exchanges_of(example.tokens, example.said) for example in examples]
    return found if hints else [[turn.without_hints() for turn in turns] for turns in found]


@dataclass(frozen=True)
class Candidate:
    """What is to be judged.

    Args:
        name: It is called.
        view: `separate` or `interleaved`, as it has learnt.
        predictor: It, for up to 64 contexts at a time.
    """

    name: str
    view: str
    predictor: Predictor


def judge(
    candidate: Candidate,
    examples: Sequence[Example],
    automaton: Automaton,
    concurrency: int = 1,
    hints: bool = True,
    seed: int = 0,
) -> Judged:
    """Lets a twin or a baseline answer everything that the core answered in some dialogues.

    Args:
        candidate: What answers.
        examples: Dialogues of one UE each.
        automaton: Of the messages.
        concurrency: UEs at a time: contexts, or UEs in one sequence.
        hints: Whether hints are given.
        seed: Of which dialogues are together.
    """
    found = Judged(candidate.name, candidate.view, concurrency, hints)
    sequences = sequences_of(examples, candidate.view, concurrency, hints, seed)
    scores = [AnswerScores() for _ in sequences]
    rows = 1 if candidate.view == INTERLEAVED else concurrency
    answers = answered(candidate.predictor, sequences, automaton, rows)
    name = f"{candidate.name}, {concurrency} UEs at a time"
    for one in tqdm(answers, name, sum(map(len, sequences)), leave=False, unit="answer", disable=None):
        one.count(scores[one.sequence])
        found.seconds.append(one.seconds)
        if not one.is_exact:
            what = mistake(one)
            found.mistakes[what] += 1
            found.examples.setdefault(what, example_of_mistake(one))
    found.dialogues = [each for each in scores if each.turns.of]
    return found


def mistake(one: Answered) -> str:
    """Returns in what way an answer is wrong: what was asked, and the first token that is another."""
    wanted, said = ([*tokens, ""] for tokens in (one.exchange.said, one.said))
    place = next(place for place, pair in enumerate(zip(wanted, said, strict=False)) if pair[0] != pair[1])
    core, twin = (kinds(tokens) for tokens in (one.exchange.said, one.said))
    heard = one.exchange.heard[: one.exchange.stimulus]
    asked = " ".join(token for token in heard if token in STIMULI or token.partition(":")[0] in PROTOCOLS)
    answer = core if core == twin else f"{core} -> {twin}"
    return f"{asked} | {answer} | {wanted[place]} -> {said[place]}"


def kinds(tokens: Sequence[str]) -> str:
    """Returns the kinds of messages in an answer."""
    messages = messages_of(tokens)
    return "no message" if messages is None else ", ".join(map(kind_of, messages)) or "silence"


def example_of_mistake(one: Answered) -> dict[str, str]:
    """Returns what was heard, said, and should have been said."""
    return {"heard": " ".join(one.exchange.heard), "core": " ".join(one.exchange.said), "twin": " ".join(one.said)}
