"""Adapting a trained twin to a little data of a new kind, in one call for twins of every family."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import Any

from transformers import set_seed

from gentwin.models.modeling_twin import TwinModel
from gentwin.training.arguments import TransferArguments, TwinTrainingArguments
from gentwin.training.families import family_of
from gentwin.training.transfer import merge_adapters, restrict


@dataclass(frozen=True)
class Adaptation:
    """What came of an adaptation.

    Args:
        twin: The adapted twin, in evaluation mode; like any other of its class.
        loss_before: Mean loss of the twin given on the validation data, in the unit of its class.
        loss_after: That of the adapted twin.
    """

    twin: TwinModel
    loss_before: float
    loss_after: float


def adapt(
    twin: TwinModel,
    train: Any,
    validation: Any,
    *,
    freeze_layers: int = 0,
    lora_rank: int = 0,
    lora_alpha: float | None = None,
    max_steps: int = 200,
    learning_rate: float = 1e-3,
    batch_size: int = 8,
    sequence_length: int | None = None,
    seed: int = 0,
    **training: Any,
) -> Adaptation:
    """Adapts a trained twin to a few data of a new kind: another slice, policy, load or core.

    All weights are learnt, or those above some frozen layers, or adapters (LoRA) beside them, which are merged in the
    end. The twin keeps the standardisation that its weights rely on, and gets ranges, start states, joint noise and
    temperature of the new data as far as it has them.

    Args:
        twin: Any twin that `recipes/train_twin.py` trains; it stays as it is.
        train: Few data: `Transitions` for a twin of slice dynamics, `Decisions` for a policy twin, a `DialogueSet` for
            a message twin.
        validation: More of the same, on which losses are measured. Temperature or joint noise is fitted on it, too.
        freeze_layers: Lowest layers that stay as they are, as the twin's `weight_layers` counts them.
        lora_rank: Rank of adapters that are learnt in place of the layers below the output; needs peft.
        lora_alpha: What adapters are scaled by, over their rank; twice the rank by default.
        max_steps: Optimiser steps.
        learning_rate: Highest learning rate of AdamW; it rises over the first steps, then falls to 0 as a cosine.
        batch_size: Sequences, decisions or rows of packed dialogues of a step.
        sequence_length: Steps or tokens of a sequence: by default 50 steps or 1,024 tokens, or as many as there are.
        seed: Of adapters, order and draws.
        **training: Other fields of [`TwinTrainingArguments`][gentwin.training.arguments.TwinTrainingArguments].

    Returns:
        The adapted twin, and its losses before and after.

    Raises:
        ArgumentsError: If a value is out of range, the twin has not the layers for it, or the data do not fit it.
        TypeError: If the data are not of the kind that the twin learns from.
    """
    # What it begins with is at hand; its name only says that there is something to begin with.
    name = twin.name_or_path or type(twin).__name__
    transfer = TransferArguments(name, freeze_layers, lora_rank, lora_alpha)
    family = family_of(twin.config.model_type)
    adapted = family.copy_for(twin, train)
    set_seed(seed)
    restrict(adapted, transfer)
    with tempfile.TemporaryDirectory() as folder:
        usual = {"output_dir": folder, "lr_scheduler_type": "cosine", "warmup_steps": 0.05, "disable_tqdm": True}
        usual |= dict.fromkeys(("save_strategy", "eval_strategy", "logging_strategy"), "no")
        given = {"max_steps": max_steps, "learning_rate": learning_rate, "global_batch_size": batch_size, "seed": seed}
        arguments = TwinTrainingArguments(**{**usual, **given, **training})
        trainer = family.make_trainer(adapted, train, validation, arguments, sequence_length)
        before = trainer.evaluate()["eval_loss"]
        trainer.train()
        merge_adapters(adapted)
        after = trainer.evaluate()["eval_loss"]
    adapted.requires_grad_(True)
    return Adaptation(adapted.eval(), before, after)
