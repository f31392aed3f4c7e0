"""Whether arguments and record fit each other, and what a finished run has to warn of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gentwin.datasets.sequences import window_indices
from gentwin.training.arguments import ArgumentsError, DataArguments, EvaluationArguments, TwinTrainingArguments
from gentwin.training.data import Splits

# With fewer optimiser steps the weights have hardly left where they began.
FEW_STEPS = 100


def check_arguments(
    splits: Splits, data: DataArguments, evaluation: EvaluationArguments, training: TwinTrainingArguments
) -> None:
    """Checks before training that the arguments fit the record.

    Raises:
        ArgumentsError: If not; names every argument that does not fit, with values that would.
    """
    problems = [
        *_evaluation_problems(splits, evaluation),
        *_batch_problems(splits, data, training),
    ]
    if problems:
        number = "An argument does" if len(problems) == 1 else f"{len(problems)} arguments do"
        raise ArgumentsError("\n  ".join([f"{number} not fit the record {data.data_path}:", *problems]))


def _evaluation_problems(splits: Splits, evaluation: EvaluationArguments) -> list[str]:
    known = [target.name for target in splits.schema.targets]
    unknown = [name for name in evaluation.plot_fields or () if name not in known]
    problems = []
    if unknown:
        problems.append(
            f"`plot_fields` must be targets of the record, got {', '.join(map(repr, unknown))}; leave it out or choose "
            f"from {', '.join(known)}."
        )
    longest = int(np.diff(splits.test.runs, axis=1).max())
    needed = evaluation.burn_in_steps + max(evaluation.horizons)
    if needed > longest:
        horizons = [step for step in evaluation.horizons if step <= max(1, longest // 2)] or [1]
        burn_in = min(evaluation.burn_in_steps, longest - max(horizons))
        problems.append(
            f"`burn_in_steps` + the largest of `horizons` must be at most the longest test episode, {longest} steps, "
            f"got {evaluation.burn_in_steps} + {max(evaluation.horizons)}; "
            f"`--burn_in_steps {burn_in} --horizons {' '.join(map(str, horizons))}` would do."
        )
    return problems


def _batch_problems(splits: Splits, data: DataArguments, training: TwinTrainingArguments) -> list[str]:
    count = len(window_indices(splits.train.runs, data.sequence_length, data.sequence_stride)[0])
    if training.global_batch_size <= count:
        return []
    parts = training.world_size * training.gradient_accumulation_steps
    largest = count // parts * parts
    remedy = (
        f"`--global_batch_size {largest}` would do, as would a smaller `sequence_length` or `sequence_stride`."
        if largest
        else "choose a smaller `sequence_length` or `sequence_stride`, or fewer processes."
    )
    return [
        f"`global_batch_size` must be at most the number of training sequences, {count}, got "
        f"{training.global_batch_size}; {remedy}"
    ]


def few_steps(num_steps: int, max_steps: int = -1, more: str = "") -> list[str]:
    """Returns a warning of a run of too few optimiser steps, if it was one.

    Args:
        num_steps: Optimiser steps taken.
        max_steps: Argument of the run; not positive if epochs limited it.
        more: What else there is to do about it, if epochs limited it.
    """
    remedy = "raise `max_steps`" if max_steps > 0 else f"record more, or raise `num_train_epochs`{more}"
    if num_steps >= FEW_STEPS:
        return []
    return [f"The twin was trained for {num_steps} optimiser steps only, too few to learn much: {remedy}."]


def caveats(num_steps: int, figures: Mapping[str, float], max_steps: int = -1) -> list[str]:
    """Returns what a user of a trained twin must be warned of, in sentences.

    Args:
        num_steps: Optimiser steps taken.
        figures: Headline numbers.
        max_steps: Argument of the run; not positive if epochs limited it.
    """
    found = few_steps(num_steps, max_steps, ", or lower `sequence_stride` or `global_batch_size`")
    worse = [name.rpartition("_")[2] for name, value in figures.items() if "_persistence_" in name and value < 0]
    if worse:
        found.append(
            f"At `horizons` {', '.join(worse)} its forecasts are worse than persistence, which says that everything "
            "stays as it is: do not rely on them."
        )
    return found
