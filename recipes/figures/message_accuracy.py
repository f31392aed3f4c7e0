"""Whether the message twin says what the recorded core said in captures that were held out, beside baselines.

Turn by turn, one UE at a time, each after what was really said. And in closed loop: UEs, base stations and user plane
of the reference core register, open sessions, move and leave; the figure is the share of procedures that end as they
may.
"""

from __future__ import annotations

import torch

from gentwin.models import SignalingTokenizer
from gentwin.models.signaling.configuration_signaling import SEPARATE
from gentwin.signaling.core import SynthesisConfiguration
from recipes.evaluation.candidates import BASELINES, baseline, converse, twin
from recipes.evaluation.judging import Judged, judge
from recipes.figures.message_twins import checkpoint, dialogues, held_out, required
from recipes.figures.result import Result

GOAL = "held-out captures, one UE: F1 >= 99.99 %, exact message >= 99.5 %; closed loop: >= 99 % of procedures complete"
SERVED = 0.7  # of the procedures that the reference core is asked for
SHOWN = ("procedures", "completion", "violations", "rules", "reference")
QUICK_DIALOGUES, QUICK_UES, UES, DURATION = 12, 5, 50, 60.0


def measure(full: bool, seed: int) -> Result:
    """Judges the twin, the LSTM if there is one, and what learns from the same captures here."""
    torch.set_num_threads(1)
    folder = required("signaling-open5gs")
    captures, learnt = held_out(folder, every=full)
    asked = dialogues(captures)
    asked = asked if full else asked[:: max(1, len(asked) // QUICK_DIALOGUES)]
    known = dialogues(learnt)
    candidates = [twin(found) for found in (folder, checkpoint("signaling-open5gs-lstm")) if found is not None]
    candidates += [baseline(name, SEPARATE, known) for name in BASELINES]
    automaton = SignalingTokenizer().automaton(bounds=None)
    ours, *others = (judge(each, asked, automaton) for each in candidates)
    closed = converse(folder, SynthesisConfiguration(ues=UES if full else QUICK_UES, duration=DURATION), seed)
    scores = ours.scores
    figure = {
        "captures": [path.stem for path in captures],
        "dialogues": len(asked),
        **_scores(ours),
        "mistakes": [f"{count} x {what}" for what, count in ours.mistakes.most_common(5)],
        "closed_loop": {
            name: closed[name] for name in ("procedures", "completion", "violations", "rules", "reference")
        },
    }
    served = closed["completion"] >= 0.99 and closed["procedures"] >= SERVED * closed["reference"]["procedures"]
    met = scores.elements.f1 >= 0.9999 and scores.messages.value >= 0.995 and served
    best = max(other.scores.messages.value for other in others)
    wrong = max(1 - scores.messages.value, 1 / scores.messages.of)
    return Result(figure, GOAL, met, {other.name: _scores(other) for other in others}, (1 - best) / wrong)


def _scores(judged: Judged) -> dict[str, object]:
    """Returns the scores of a run; shares, not per cent."""
    names = ("f1", "message_f1", "exact_message", "exact_turn", "type", "silence", "refusals", "turns", "messages")
    found = judged.figures()
    return {**{name: found[name] for name in names}, "exact_message_interval": found["exact_message_interval"]}
