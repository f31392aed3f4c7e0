"""Trains a twin, judges it on held-out data, and saves it: of a sliced network, or of the messages of a core.

One process; uses the GPU if there is one:

    accelerate launch recipes/train_twin.py
    accelerate launch recipes/train_twin.py --config recipes/slice_transformer.yaml --seed 1
    accelerate launch recipes/train_twin.py --config recipes/signaling.yaml

Two processes on the CPU (gloo), with the result of one:

    accelerate launch --config_file recipes/accelerate/multi_cpu.yaml --num_processes 2 recipes/train_twin.py

All GPUs of a machine:

    accelerate launch --config_file recipes/accelerate/multi_gpu.yaml --num_processes 8 recipes/train_twin.py

Two machines with four GPUs each; the same line on both, with `--machine_rank 1` on the second:

    accelerate launch --config_file recipes/accelerate/multi_gpu.yaml --num_machines 2 --num_processes 8 \\
        --machine_rank 0 --main_process_ip 10.0.0.1 --main_process_port 29500 recipes/train_twin.py

Go on after an interruption, from the last complete checkpoint:

    accelerate launch recipes/train_twin.py --resume_from_checkpoint true

The same with a run that is finished judges it anew, as to give its card the spread over other seeds:

    accelerate launch recipes/train_twin.py --resume_from_checkpoint true --sibling_runs outputs/seed1 outputs/seed2

Keys of the YAML file and options are the fields of `gentwin.training`'s argument classes and of
`transformers.TrainingArguments`; see --help, with `--config` for those of that recipe. An unknown one is refused before
any work.
"""

import json
import sys
import time
from pathlib import Path

import torch
from transformers.utils import logging

from gentwin.datasets import TransitionError
from gentwin.hub import CheckpointError
from gentwin.signaling.errors import SignalingError
from gentwin.training import ArgumentsError, given_arguments, parse_arguments, prepare_output_dir
from gentwin.training.checkpoints import sibling_arguments, step_of
from gentwin.training.families import TwinRun, run_class
from gentwin.training.model_card import describe_hardware, describe_versions, read_sibling_figures, require_siblings
from gentwin.training.report import METRICS_NAME, portable_command, portable_path, refuse, write_arguments

DEFAULT_CONFIG = Path(__file__).parent / "slice_lstm.yaml"


def prepare(argv: list[str]) -> tuple:
    """Returns what a run needs; all checks happen here.

    That is: arguments, the run, the checkpoint to resume from, sibling figures, what was given, and how the run in the
    folder was trained if it is finished.
    """
    kind = run_class(argv, DEFAULT_CONFIG)
    classes = kind.argument_classes
    arguments = *_, evaluation, training = parse_arguments(argv, DEFAULT_CONFIG, __doc__.splitlines()[0], classes)
    given = given_arguments(argv, DEFAULT_CONFIG, classes)
    torch.set_num_threads(training.torch_threads)
    if evaluation.sibling_runs:
        require_siblings(evaluation.sibling_runs, given, classes, sibling_arguments(classes))
    siblings = read_sibling_figures(evaluation.sibling_runs or [])
    run, before = kind(arguments), finished_facts(Path(training.output_dir))
    resume = prepare_output_dir(training, run.fingerprint, run.shaping(arguments))
    return arguments, run, resume, siblings, given, before


def prepare_or_exit(argv: list[str]) -> tuple:
    """Does what `prepare` does, or ends the program with one message and nothing written."""
    try:
        return prepare(argv)
    except (ArgumentsError, CheckpointError, TransitionError, SignalingError, FileNotFoundError) as error:
        refuse(f"train_twin.py: {error}")


def main(argv: list[str]) -> None:
    """Runs the recipe."""
    arguments, run, resume, siblings, given, before = prepare_or_exit(argv)
    training = arguments[-1]
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if resume is not None and training.should_save:
        print(f"resuming from {portable_path(resume)}", file=sys.stderr)
    begin = time.perf_counter()
    run.trainer.train(resume)
    facts = {
        "command": portable_command(argv),
        "training_s": round(time.perf_counter() - begin, 1),
        "hardware": describe_hardware(training.device, training.world_size),
        "versions": describe_versions(),
        "seed": training.seed,
        "fingerprint": run.fingerprint,
        "splits": run.describe_splits(),
        "began": run.transfer.describe(),
    }
    if resume is not None and step_of(resume) == run.trainer.state.global_step:
        facts |= before
    if training.should_save:
        report(run, Path(training.output_dir), given, siblings, facts)
    run.trainer.accelerator.wait_for_everyone()
    run.trainer.accelerator.end_training()


def finished_facts(folder: Path) -> dict:
    """Returns time, hardware and versions of a run that is finished, in case it is only judged anew; else nothing."""
    path = folder / METRICS_NAME
    try:
        known = json.loads(path.read_text(encoding="utf-8"))["run"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {name: known[name] for name in ("training_s", "hardware", "versions") if name in known}


def report(run: TwinRun, folder: Path, given: dict, siblings: list, facts: dict) -> None:
    """Saves the trained twin, its arguments, and what its family reports; on the main process only."""
    run.save()
    write_arguments(folder, given)
    print("evaluating on held-out data …", file=sys.stderr)
    run.report(folder, siblings, facts)


if __name__ == "__main__":
    main(sys.argv[1:])
