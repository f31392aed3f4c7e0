"""Judges message twins on held-out dialogues of a core, beside baselines: turn by turn, and in closed loop.

Everything that the core said is asked for again, after what was really said before, and compared:

    python recipes/evaluate.py outputs/signaling --data data/signaling/n2n4-c04/n2n4-c04.pcap \\
        --subscribers data/signaling/subscribers.yaml

Twins with a context for each UE, and others for which all UEs are in one sequence, over the number of UEs at a time:

    python recipes/evaluate.py outputs/signaling outputs/signaling_lstm outputs/signaling_interleaved \\
        --data … --subscribers … --concurrency 1,2,4,8,16,32,64

Traffic of the reference core that nobody has seen, and the UEs, base stations and user plane of it as partners:

    python recipes/evaluate.py outputs/signaling --synthesised 100 --config recipes/synthesize.yaml --closed-loop

Baselines learn from the captures of `--train`, which are not those of `--data`. Prints a table, and writes
`evaluation.json` with every kind of mistake, and `concurrency.png`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gentwin.hub import CheckpointError  # noqa: E402
from gentwin.models import SignalingTokenizer  # noqa: E402
from gentwin.models.signaling.configuration_signaling import SEPARATE  # noqa: E402
from gentwin.signaling.core import read_subscribers  # noqa: E402
from gentwin.signaling.core.plain import from_plain  # noqa: E402
from gentwin.signaling.errors import DecodeError, SignalingError  # noqa: E402
from gentwin.training.report import refuse  # noqa: E402
from gentwin.yaml_text import read_yaml  # noqa: E402
from recipes.evaluation.candidates import BASELINES, baseline, converse, recorded, synthesised, twin  # noqa: E402
from recipes.evaluation.judging import COUNTS, judge  # noqa: E402
from recipes.evaluation.report import print_results, write_results  # noqa: E402


def counts(text: str) -> tuple[int, ...]:
    """Returns numbers of UEs at a time.

    Raises:
        ValueError: If they are none from 1 to 64.
    """
    found = tuple(int(part) if part.strip().isdigit() else 0 for part in text.split(","))
    if not all(1 <= count <= COUNTS[-1] for count in found):
        raise ValueError(f"`--concurrency` must be numbers from 1 to {COUNTS[-1]} with commas, got {text!r}.")
    return found


def require_files(option: str, paths: Sequence[Path]) -> None:
    """Raises `FileNotFoundError` unless all paths of an option are files."""
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"`{option}` must be a file, got {str(path)!r}, which is none.")


def main(
    checkpoint: Annotated[list[str], typer.Argument(help="Twins: folders, or `gentwin/<name>`.")],
    data: Annotated[list[Path], typer.Option(help="Captures to judge on; none of those learnt from.")] = [],  # noqa: B006
    subscribers: Annotated[
        Path | None, typer.Option(help="Database of the captures' subscribers; without one there are no hints.")
    ] = None,
    synthesised_dialogues: Annotated[
        int, typer.Option("--synthesised", min=0, help="Dialogues of the reference core to judge on.")
    ] = 0,
    config: Annotated[Path | None, typer.Option(help="YAML of that traffic, as of `gentwin synthesize`.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of that traffic, and of who is together.")] = 1_000_000,
    concurrency: Annotated[str, typer.Option(help="UEs at a time, 1 to 64, with commas.")] = "1",
    baselines: Annotated[str, typer.Option(help=f"Of {', '.join(BASELINES)}, with commas.")] = "",
    train: Annotated[list[Path], typer.Option(help="Captures that baselines learn from.")] = [],  # noqa: B006
    hints: Annotated[bool, typer.Option(help="Whether what the core knows is told in hints.")] = True,
    closed_loop: Annotated[
        bool,
        typer.Option(
            help="Let UEs, base stations and user plane of the reference core talk with twins of a context each."
        ),
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Most dialogues to judge on.")] = None,
    output: Annotated[Path, typer.Option(help="Folder for results.")] = Path("outputs/evaluation"),
) -> None:
    """Judges message twins on held-out dialogues."""
    torch.set_num_threads(1)
    try:
        sizes = counts(concurrency)
        require_files("--data", data)
        require_files("--train", train)
        require_files("--config", [config] if config else [])
        configuration = from_plain(read_yaml(config) if config else {"ues": max(10, synthesised_dialogues)})
        database = None if subscribers is None else read_subscribers(subscribers)
        candidates = [twin(name) for name in checkpoint]
        print("reading dialogues …", file=sys.stderr)
        dialogues = [*recorded(data, database), *synthesised(configuration, synthesised_dialogues, seed)][:limit]
        if not dialogues:
            raise ValueError("there must be something to judge on, got none; give `--data` or `--synthesised`.")
        views = dict.fromkeys(candidate.view for candidate in candidates)
        learnt = [*recorded(train, database)] if baselines else []
        candidates += [baseline(name, view, learnt) for view in views for name in baselines.split(",") if name]
    except (CheckpointError, DecodeError, SignalingError, ValueError, OSError) as error:
        refuse(f"evaluate.py: {error}")
    automaton = SignalingTokenizer().automaton(bounds=None)
    results = [judge(each, dialogues, automaton, size, hints, seed) for each in candidates for size in sizes]
    closed: list[dict] = []
    served = [name for name, each in zip(checkpoint, candidates, strict=False) if each.view == SEPARATE and closed_loop]
    for name in served:
        print(f"closed loop of {name} …", file=sys.stderr)
        closed.append(converse(name, configuration, seed))
    asked = {"checkpoints": checkpoint, "data": [path.name for path in data], "dialogues": len(dialogues), "seed": seed}
    print_results(results, closed)
    print(f"written: {write_results(output, results, closed, asked)}")


if __name__ == "__main__":
    typer.run(main)
