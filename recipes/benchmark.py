"""Measures one figure of gentwin and prints it as one JSON line.

    python recipes/benchmark.py slicing-gates
    python recipes/benchmark.py twin-ranking --full
    python recipes/benchmark.py --help

Each line has the keys `name`, `figure`, `goal`, `met`, `baseline` (measured in the same run), `ratio`, `seconds` and
`command`. The quick version (default) takes minutes; the full one is what the tables in `docs/concepts/figures.md`
hold.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from recipes.figures.result import rounded  # noqa: E402

FIGURES = {
    "slicing-gates": "Utilities of the preset hua2019 against published values.",
    "slicing-speed": "Decisions per second of the network on one core.",
    "dynamic-headroom": "What the preset dynamic offers to a policy that sees the state.",
    "twin-speed": "Steps per second of the twin's environment on one core.",
    "twin-fidelity": "Roll-out errors of the shipped twin on held-out episodes against four forecasters.",
    "twin-ranking": "Whether the twin ranks policies as the network does.",
    "kpi-fidelity": "Accuracy of twins trained on real EXPLORA logs (needs the converted file).",
    "cartpole": "Return of plain DQN on CartPole-v1, beside stable-baselines3's.",
    "rl-speed": "Seconds of 10,000 decisions with an update each, beside stable-baselines3's DQN.",
    "sample-efficiency": "Real interactions to a good policy, with a twin and without.",
    "beats-static": "The final policy on `dynamic` beside the best static allocation and a state-aware heuristic.",
    "distil": "Students of 16 and 4 neurons beside their teachers: utility and time of a decision.",
    "offline": "Learning from a fixed record, twin-enhanced and plain, beside the agent that acts.",
    "landscape": "Sharpness of the minima found with a twin and without.",
    "ablation": "What each part of the twin-enhanced loop is worth.",
    "safe-exploration": "Violations while exploring, with a guard and without.",
    "signaling-lossless": "Whether bytes of messages come back from their tokens.",
    "signaling-tokens": "Tokens of a message, beside byte-level BPE on the same bytes.",
    "signaling-validity": "Whether random tokens under the grammar are messages that can be sent.",
    "signaling-equivariance": "Whether tokens stay the same when all identifiers change.",
    "signaling-dissect": "What tshark makes of synthesised and re-encoded captures (needs tshark).",
    "signaling-speed": "Messages per second of one core, and memory over the size of a capture.",
    "message-accuracy": "Whether the message twin says what a recorded core said, turn by turn and in closed loop.",
    "message-concurrency": "Accuracy of message twins over 1 to 64 UEs at a time, apart and in one sequence.",
    "message-hints": "Whether load-dependent admission follows the hint of the policy.",
    "hierarchy": "Policy-dependent answers of a message twin, with a policy twin and alone, over 1 to 64 UEs.",
    "message-transfer": "Dialogues that a message twin needs to answer as another core does.",
    "message-speed": "Tokens per second and time of an answer of the message twin, beside `generate`, on one core.",
    "admission-speed": "Events per second of the admission network on one core.",
    "admission-anchors": "What policies of admission control earn over the load; on the small network, the optimum.",
    "policy-fidelity": "How well a twin of 1,000 recorded decisions does what the admission policy does.",
    "policy-augmentation": "What augmentations of recorded decisions are worth to a policy twin.",
    "slice-transfer": "What a twin of general traffic is worth where there are few data of one type of slice.",
    "admission-drl": "What DRL on the policy twin earns in admission control, and real decisions it needs.",
    "core-load": "Many UEs register, open a session and leave at a served twin, beside the reference core (Linux).",
    "import-time": "Seconds `import gentwin` takes.",
}

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, rich_markup_mode="markdown")


def add_command(name: str, description: str) -> None:
    """Adds the subcommand that runs the module `recipes.figures.<name>`."""

    @app.command(name, help=description)
    def command(
        full: Annotated[bool, typer.Option("--full/--quick", help="All seeds and steps, or minutes.")] = False,
        seed: Annotated[int, typer.Option(min=0, help="First seed.")] = 0,
    ) -> None:
        started = time.perf_counter()
        result = import_module(f"recipes.figures.{name.replace('-', '_')}").measure(full=full, seed=seed)
        record = {
            "name": name,
            "figure": result.figure,
            "goal": result.goal,
            "met": bool(result.met),
            "baseline": result.baseline,
            "ratio": result.ratio,
            "seconds": time.perf_counter() - started,
            "command": " ".join(["python", "recipes/benchmark.py", *sys.argv[1:]]),
        }
        print(json.dumps(rounded(record)))


for figure_name, figure_description in FIGURES.items():
    add_command(figure_name, figure_description)

if __name__ == "__main__":
    app()
