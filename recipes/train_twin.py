"""Trains a twin of a sliced network on recorded transitions, judges it on held-out episodes, and saves it.

One process; uses the GPU if there is one:

    accelerate launch recipes/train_twin.py
    accelerate launch recipes/train_twin.py --config recipes/slice_transformer.yaml --seed 1

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
`transformers.TrainingArguments`; see --help. An unknown one is refused before any work.
"""

import sys
import time
from pathlib import Path

import torch
from transformers import set_seed
from transformers.utils import logging

from gentwin.datasets import TransitionError
from gentwin.training import (
    ArgumentsError,
    TwinTrainer,
    build_twin,
    check_arguments,
    evaluate_twin,
    given_arguments,
    load_splits,
    parse_arguments,
    prepare_output_dir,
    result_arguments,
    write_model_card,
)
from gentwin.training.arguments import ARGUMENT_CLASSES
from gentwin.training.checkpoints import SIBLING_ARGUMENTS
from gentwin.training.checks import caveats
from gentwin.training.model_card import describe_hardware, describe_versions, read_sibling_figures, require_siblings
from gentwin.training.report import (
    portable_command,
    portable_path,
    print_report,
    write_arguments,
    write_metrics,
    write_plots,
)

DEFAULT_CONFIG = Path(__file__).parent / "slice_lstm.yaml"


def prepare(argv: list[str]) -> tuple:
    """Returns arguments, record, trainer, checkpoint to resume from and sibling figures; all checks happen here."""
    arguments = data, model, evaluation, training = parse_arguments(argv, DEFAULT_CONFIG, __doc__.splitlines()[0])
    torch.set_num_threads(training.torch_threads)
    splits = load_splits(data)
    check_arguments(splits, data, evaluation, training)
    if evaluation.sibling_runs:
        given = given_arguments(argv, DEFAULT_CONFIG)
        require_siblings(evaluation.sibling_runs, given, ARGUMENT_CLASSES, SIBLING_ARGUMENTS)
    siblings = read_sibling_figures(evaluation.sibling_runs or [])
    set_seed(training.seed)
    twin = build_twin(model, splits.schema)
    shaping = result_arguments(data, model, training)
    trainer = TwinTrainer(twin, training, splits, data.sequence_length, data.sequence_stride, shaping)
    resume = prepare_output_dir(training, splits.fingerprint, shaping)
    return arguments, splits, trainer, resume, siblings


def prepare_or_exit(argv: list[str]) -> tuple:
    """Does what `prepare` does, or ends the program with one message and nothing written."""
    try:
        return prepare(argv)
    except (ArgumentsError, TransitionError, FileNotFoundError) as error:
        raise SystemExit(f"train_twin.py: {error}") from None


def report(arguments: tuple, given: dict, splits, trainer: TwinTrainer, siblings: list, run: dict) -> None:
    """Evaluates the trained twin, and writes checkpoint, metrics, plots and card; on the main process only."""
    data, _, evaluation, training = arguments
    folder, twin = Path(training.output_dir), trainer.model
    trainer.save_model()
    write_arguments(folder, given)
    scores = evaluate_twin(twin, splits, evaluation)
    figures = {"test_loss": round(trainer.loss_of(splits.test), 4), **scores.figures()}
    captions = write_plots(folder, twin, splits, scores, evaluation, trainer.state.log_history)
    warnings = caveats(trainer.state.global_step, figures)
    write_model_card(folder, twin, splits, data, scores, figures, siblings, run, captions, warnings)
    write_metrics(folder, figures, scores, run)
    print_report(scores, figures, folder, warnings)


def main(argv: list[str]) -> None:
    """Runs the recipe."""
    arguments, splits, trainer, resume, siblings = prepare_or_exit(argv)
    training = arguments[-1]
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if resume is not None and training.should_save:
        print(f"resuming from {portable_path(resume)}")
    begin = time.perf_counter()
    trainer.train(resume)
    run = {
        "command": portable_command(argv),
        "training_s": round(time.perf_counter() - begin, 1),
        "hardware": describe_hardware(training.device, training.world_size),
        "versions": describe_versions(),
        "seed": training.seed,
        "fingerprint": splits.fingerprint,
        "splits": splits.describe(),
    }
    if training.should_save:
        report(arguments, given_arguments(argv, DEFAULT_CONFIG), splits, trainer, siblings, run)
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()


if __name__ == "__main__":
    main(sys.argv[1:])
