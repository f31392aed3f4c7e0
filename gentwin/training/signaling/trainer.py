"""Training of message twins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset, SequentialSampler

from gentwin.models.modeling_twin import TwinModel
from gentwin.models.signaling.modeling_signaling import IGNORED
from gentwin.models.signaling.tokenization_signaling import SignalingTokenizer
from gentwin.training.arguments import TwinTrainingArguments
from gentwin.training.signaling.packing import PackedDialogues
from gentwin.training.trainer import TwinTrainer


class SignalingTrainer(TwinTrainer):
    """`TwinTrainer` of message twins, which learn from rows of packed dialogues.

    Args:
        model: The twin.
        args: Arguments of the run.
        tokenizer: Saved with the twin.
        train: Rows to learn from, anew in every epoch.
        validation: Rows that choose the checkpoint.
        fingerprint: Of the dialogues.
        run_arguments: From `result_arguments`.
    """

    def __init__(
        self,
        model: TwinModel,
        args: TwinTrainingArguments,
        tokenizer: SignalingTokenizer,
        train: PackedDialogues,
        validation: PackedDialogues,
        fingerprint: str,
        run_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(model, args, fingerprint, run_arguments, train_dataset=train, eval_dataset=validation)
        self.tokenizer = tokenizer

    def count(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Returns the number of tokens in a batch that are learnt, by their weight."""
        weights = inputs["said"] + self.model.config.heard_loss_weight * ~inputs["said"]
        return (weights * (inputs["labels"] != IGNORED))[:, 1:].sum()

    def loss_of_batch(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Returns the loss of a batch without working out logits of everything."""
        return self.model(**inputs, logits_to_keep=1, use_cache=False).loss

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> SequentialSampler:
        # Rows are in an order of their own in every epoch.
        return SequentialSampler(self.train_dataset if train_dataset is None else train_dataset)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        super()._save(output_dir, state_dict)
        self.tokenizer.save_pretrained(output_dir or self.args.output_dir)
