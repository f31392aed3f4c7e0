"""How accurate message twins are when several UEs are served at a time, 1 to 64 of them.

The twin with a context for each UE answers in rows of their own. A transformer and an LSTM of equal size that were
trained with all UEs in one sequence answer there, in the order of time; they remember as much as they can. Intervals
are drawn over groups of dialogues that are together.
"""

from __future__ import annotations

from typing import Any

import torch

from gentwin.models import SignalingTokenizer
from recipes.evaluation.candidates import twin
from recipes.evaluation.judging import COUNTS, Judged, judge
from recipes.evaluation.report import draw_concurrency
from recipes.figures.message_twins import dialogues, held_out, required
from recipes.figures.recordings import ROOT
from recipes.figures.result import Result

GOAL = "1 to 64 UEs: a context each: F1 falls by < 0.1 point; one sequence: above the LSTM at every count"
QUICK_COUNTS, QUICK_DIALOGUES = (1, 8, 64), 64
TWINS = "signaling-open5gs", "signaling-interleaved", "signaling-interleaved-lstm"


def measure(full: bool, seed: int) -> Result:
    """Judges three twins at every number of UEs, and draws accuracy, precision and recall."""
    torch.set_num_threads(1)
    folders = [required(name) for name in TWINS]
    captures, _ = held_out(folders[0], every=full)
    asked = dialogues(captures)
    asked = asked if full else asked[:QUICK_DIALOGUES]
    automaton = SignalingTokenizer().automaton(bounds=None)
    counts = COUNTS if full else QUICK_COUNTS
    runs = [[judge(twin(folder), asked, automaton, count, seed=seed) for count in counts] for folder in folders]
    draw_concurrency([run for of_twin in runs for run in of_twin], ROOT / "outputs/figures/message_concurrency.png")
    apart, together, lstm = ({run.concurrency: _scores(run) for run in of_twin} for of_twin in runs)
    values = [each["f1"] for each in apart.values()]
    fall = max(values[0] - value for value in values)
    ahead = [together[count]["f1"] - lstm[count]["f1"] for count in counts]
    clear = [together[count]["f1_interval"][0] > lstm[count]["f1_interval"][1] for count in counts]
    figure = {"a_context_each": apart, "one_sequence": together, "fall": fall, "ahead": ahead, "intervals_apart": clear}
    met = fall < 0.001 and min(ahead) > 0
    wrong = max(1 - together[counts[-1]]["f1"], 1e-6)
    return Result(figure, GOAL, met, {"lstm_one_sequence": lstm}, (1 - lstm[counts[-1]]["f1"]) / wrong)


def _scores(judged: Judged) -> dict[str, Any]:
    """Returns the scores of a run; shares, not per cent."""
    found, names = judged.figures(), ("accuracy", "precision", "recall", "f1", "f1_interval", "exact_message")
    return {name: found[name] for name in names}
