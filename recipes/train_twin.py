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

Keys of the YAML file and options are the fields of `gentwin.training`'s argument classes and of
`transformers.TrainingArguments`; see --help, with `--config` for those of that recipe. An unknown one is refused before
any work.
"""

import sys
import time
from pathlib import Path

import torch
from transformers.utils import logging

from gentwin.datasets import TransitionError
from gentwin.hub import CheckpointError
from gentwin.signaling.errors import SignalingError
from gentwin.training import ArgumentsError, given_arguments, parse_arguments, prepare_output_dir
from gentwin.training.checkpoints import sibling_arguments
from gentwin.training.families import TwinRun, run_class
from gentwin.training.model_card import describe_hardware, describe_versions, read_sibling_figures, require_siblings
from gentwin.training.report import Refused, portable_command, portable_path, write_arguments

DEFAULT_CONFIG = Path(__file__).parent / "slice_lstm.yaml"


def prepare(argv: list[str]) -> tuple:
    """Returns arguments, run, checkpoint to resume from, sibling figures and what was given; all checks happen here."""
    kind = run_class(argv, DEFAULT_CONFIG)
    classes = kind.argument_classes
    arguments = *_, evaluation, training = parse_arguments(argv, DEFAULT_CONFIG, __doc__.splitlines()[0], classes)
    given = given_arguments(argv, DEFAULT_CONFIG, classes)
    torch.set_num_threads(training.torch_threads)
    if evaluation.sibling_runs:
        require_siblings(evaluation.sibling_runs, given, classes, sibling_arguments(classes))
    siblings = read_sibling_figures(evaluation.sibling_runs or [])
    run = kind(arguments)
    resume = prepare_output_dir(training, run.fingerprint, run.shaping(arguments))
    return arguments, run, resume, siblings, given


def prepare_or_exit(argv: list[str]) -> tuple:
    """Does what `prepare` does, or ends the program with one message and nothing written."""
    try:
        return prepare(argv)
    except (ArgumentsError, CheckpointError, TransitionError, SignalingError, FileNotFoundError) as error:
        raise Refused(f"train_twin.py: {error}") from None


def main(argv: list[str]) -> None:
    """Runs the recipe."""
    arguments, run, resume, siblings, given = prepare_or_exit(argv)
    training = arguments[-1]
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if resume is not None and training.should_save:
        print(f"resuming from {portable_path(resume)}")
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
    if training.should_save:
        report(run, Path(training.output_dir), given, siblings, facts)
    run.trainer.accelerator.wait_for_everyone()
    run.trainer.accelerator.end_training()


def report(run: TwinRun, folder: Path, given: dict, siblings: list, facts: dict) -> None:
    """Saves the trained twin, its arguments, and what its family reports; on the main process only."""
    run.save()
    write_arguments(folder, given)
    print("evaluating on held-out data …")
    run.report(folder, siblings, facts)


if __name__ == "__main__":
    main(sys.argv[1:])
