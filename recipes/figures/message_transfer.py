"""How many dialogues of another core a message twin needs to answer as it does.

The twin has learnt from the recorded core and from traffic like it. The other core takes the order of the
specification: it accepts a registration before its context is set up, refuses with other causes and messages, and has
other timers. It is learnt from `k` of its dialogues: by all weights, by the upper half of the layers, by adapters
(LoRA), and from scratch, with as many steps each; at the number of the goal with several seeds. Judged are dialogues
of seeds that nobody has learnt from.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gentwin.metrics import bootstrap_interval
from gentwin.models import SignalingTokenizer
from gentwin.signaling.core.plain import from_plain
from gentwin.training.plots import COLORS, new_figure, save_figure
from gentwin.yaml_text import read_yaml
from recipes.evaluation.candidates import synthesised, twin
from recipes.evaluation.judging import judge
from recipes.figures.message_twins import required
from recipes.figures.recordings import ROOT
from recipes.figures.result import Result

GOAL = "k = 100 dialogues of another core: adapted >= 95 % exact messages, ahead of from scratch, intervals apart"
CONFIG = ROOT / "recipes/signaling_transfer.yaml"
FOLDER = ROOT / "outputs/figures/message_transfer"
GOAL_COUNT = 100
STEPS = {10: 50, 30: 100, GOAL_COUNT: 200, 300: 300}
"""Of training, by number of dialogues."""
SEEDS, QUICK_SEEDS = 3, 1
DIALOGUES, QUICK_DIALOGUES = 60, 12
FIRST_SEED = 8_000_000  # far from those of training
ROWS = 16
SCRATCH = "scratch"
CURVES = ("full", SCRATCH)
"""Ways to learn that are compared at every number of dialogues, and in a quick run."""


def methods(start: str) -> dict[str, list[str]]:
    """Returns options of the recipe for every way to learn.

    Args:
        start: Folder of the twin to begin with.
    """
    begin = ["--init_from", start]
    return {
        "full": begin,
        "freeze": [*begin, "--freeze_layers", "2"],
        "lora": [*begin, "--lora_rank", "8", "--learning_rate", "3e-3"],
        SCRATCH: ["--init_from", "none", "--learning_rate", "3e-3"],
    }


def measure(full: bool, seed: int) -> Result:
    """Adapts the twin in every way with every number of dialogues, and judges what comes of it."""
    torch.set_num_threads(1)
    start = required("signaling-open5gs")
    asked = synthesised(from_plain(network()), DIALOGUES if full else QUICK_DIALOGUES, FIRST_SEED + seed)
    automaton = SignalingTokenizer().automaton(bounds=None)

    def exact(folder: str | Path) -> float:
        return judge(twin(str(folder)), asked, automaton, ROWS).scores.messages.value

    options = {name: given for name, given in methods(start).items() if full or name in CURVES}
    several = range(seed, seed + (SEEDS if full else QUICK_SEEDS))
    curves: dict[str, dict[int, list[float]]] = {name: {} for name in options}
    for count in STEPS if full else (GOAL_COUNT,):
        seeds = several if count == GOAL_COUNT else several[:1]
        for name, given in options.items():
            if name not in CURVES and count != GOAL_COUNT:
                continue
            curves[name][count] = [exact(trained(name, count, given, each)) for each in seeds]
    found = {name: {count: _summary(values) for count, values in curve.items()} for name, curve in curves.items()}
    adapted = {name: curve[GOAL_COUNT] for name, curve in found.items() if name != SCRATCH}
    best = max(adapted.values(), key=lambda each: each["exact_message"])
    scratch = found[SCRATCH][GOAL_COUNT]
    apart = best["interval"][0] > scratch["interval"][1]
    met = best["exact_message"] >= 0.95 and apart
    before = exact(start)
    draw_curves(found, before, FOLDER.with_suffix(".png"))
    figure = {"exact_message_before": before, **{name: found[name] for name in found if name != SCRATCH}}
    wrong = max(1 - best["exact_message"], 1e-4)
    return Result(figure, GOAL, met, {SCRATCH: found[SCRATCH]}, (1 - scratch["exact_message"]) / wrong)


def network() -> dict[str, Any]:
    """Returns the traffic of the other core, as the recipe has it."""
    (values,) = read_yaml(CONFIG)["syntheses"].values()
    return {name: value for name, value in values.items() if name != "runs"}


def trained(name: str, count: int, options: list[str], seed: int) -> Path:
    """Returns the folder of a twin that has learnt from some dialogues of the other core, which is kept.

    Its name holds a digest of all that it depends on, so that what was learnt from another twin does not count.
    """
    depends = [CONFIG.read_bytes(), repr((STEPS[count], options[2:])).encode()]
    start = Path(options[options.index("--init_from") + 1])
    depends += [start.joinpath("model.safetensors").read_bytes()] if start.is_dir() else []
    folder = FOLDER / f"{name}-{count}-{seed}-{hashlib.sha256(b''.join(depends)).hexdigest()[:8]}"
    if not (folder / "metrics.json").is_file():
        few = ["--train_dialogues", str(count), "--split_seed", str(seed), "--seed", str(seed)]
        few += ["--max_steps", str(STEPS[count]), "--eval_steps", "0.5", "--save_steps", "0.5"]
        given = ["--config", str(CONFIG), *few, *options, "--output_dir", str(folder), "--disable_tqdm", "true"]
        command = [sys.executable, str(ROOT / "recipes/train_twin.py"), *given]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if run.returncode:
            raise RuntimeError(f"training {folder.name} failed: {run.stderr[-2000:]}")
    return folder


def draw_curves(found: Mapping[str, Mapping[int, Mapping[str, Any]]], before: float, path: Path) -> Path:
    """Draws the share of exact messages over the number of dialogues, one line for each way to learn.

    Args:
        found: By way and number, as in the figure.
        before: Share of the twin that has learnt from none.
        path: Of the picture.
    """
    figure, axes = new_figure(1, 1, (4.6, 3.0))
    axis = axes[0][0]
    for place, (name, curve) in enumerate(found.items()):
        shares = {
            count: [100 * value for value in (each["exact_message"], *each["interval"])]
            for count, each in curve.items()
        }
        counts, middle = [*shares], [of[0] for of in shares.values()]
        spread = [[of[0] - of[1] for of in shares.values()], [of[2] - of[0] for of in shares.values()]]
        axis.errorbar(counts, middle, spread, fmt="o-", capsize=3, color=COLORS[place % len(COLORS)], label=name)
    axis.axhline(100 * before, color="0.5", linestyle=":", label="before")
    axis.set_xscale("log")
    axis.set_xlabel("dialogues of the other core", fontsize=8)
    axis.set_ylabel("% of messages exact", fontsize=8)
    axis.legend(fontsize=7, frameon=False)
    return save_figure(figure, path)


def _summary(values: list[float]) -> dict[str, Any]:
    """Returns the mean over seeds and its interval; of one seed the interval is that value."""
    return {
        "exact_message": float(np.mean(values)),
        "interval": bootstrap_interval(np.array(values), 0, lambda drawn: float(drawn.mean())),
        "seeds": values,
    }
