"""Training of twins on transformers' `Trainer`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from tqdm.auto import tqdm
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import EvalLoopOutput

from gentwin.models.modeling_twin import TwinModel
from gentwin.training.arguments import ArgumentsError, TwinTrainingArguments
from gentwin.training.checkpoints import mark_complete


class QuietProgress(ProgressCallback):
    """One progress bar that shows the latest losses, instead of a line for every log."""

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.current_step = state.global_step
        self._shown: dict[str, str] = {}
        if state.is_world_process_zero:
            self.training_bar = tqdm(
                total=state.max_steps, initial=state.global_step, desc="training", unit="step", dynamic_ncols=True
            )

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs) -> None:
        """Shows nothing: an evaluation takes a moment."""

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if self.training_bar is not None:
            names = {"loss": "loss", "eval_loss": "validation"}
            self._shown |= {label: f"{logs[key]:.4f}" for key, label in names.items() if key in logs}
            self.training_bar.set_postfix(self._shown, refresh=False)


class TwinTrainer(Trainer):
    """`Trainer` of twins.

    What it adds: losses are means over what counts, real steps or tokens, whatever the number of processes; a
    checkpoint counts only once it is complete; nothing is pickled but the states of optimiser and random generators,
    which are read back as plain tensors.

    Args:
        model: The twin.
        args: Arguments of the run.
        fingerprint: Of the data.
        run_arguments: From `result_arguments`, kept in every checkpoint to be compared when the run is resumed.
        **kwargs: As in `Trainer`, data sets among them.

    Raises:
        ArgumentsError: If there are fewer training sequences than in a batch.
    """

    model: TwinModel

    def __init__(
        self,
        model: TwinModel,
        args: TwinTrainingArguments,
        fingerprint: str,
        run_arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.fingerprint, self.run_arguments = fingerprint, run_arguments
        super().__init__(model=model, args=args, **kwargs)
        if len(self.train_dataset) < args.global_batch_size:
            raise ArgumentsError(
                f"`global_batch_size` must be at most the number of training sequences, {len(self.train_dataset)}, got "
                f"{args.global_batch_size}; choose a smaller one, or more data or shorter sequences."
            )
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        if not args.disable_tqdm:
            self.add_callback(QuietProgress)

    def count(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Returns over how many steps or tokens the loss of a batch is a mean."""
        raise NotImplementedError

    def loss_of_batch(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Returns the loss of a batch, when nothing is trained."""
        return self.model(**inputs).loss

    def train(self, resume_from_checkpoint: str | Path | None = None, **kwargs: Any) -> Any:
        """Trains; a run that has made all its steps makes no more, and has the weights that it ended with.

        Args:
            resume_from_checkpoint: A complete checkpoint of the same run.
            **kwargs: As in `Trainer.train`.

        Returns:
            As `Trainer.train`; `None` if there was nothing left to do.
        """
        resume = None if resume_from_checkpoint is None else os.fspath(resume_from_checkpoint)
        if resume is not None and self._restore_finished(Path(resume)):
            return None
        return super().train(resume_from_checkpoint=resume, **kwargs)

    def _restore_finished(self, checkpoint: Path) -> bool:
        """Takes over the last checkpoint of a run if it has made all its steps; returns whether it has.

        `Trainer` would make one more.
        """
        state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        if state.global_step < state.max_steps:
            return False
        best = Path(state.best_model_checkpoint or "").name if self.args.load_best_model_at_end else ""
        chosen = checkpoint.parent / best
        self._load_from_checkpoint(str(chosen if best and chosen.is_dir() else checkpoint))
        self.state = state
        return True

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, torch.Tensor], return_outputs: bool = False, **kwargs: Any
    ) -> Any:
        """Returns the loss, weighted so that the average over processes is the mean over all that counts."""
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        if self.args.world_size > 1:
            count = self.count(inputs).to(loss.dtype)
            loss = loss * count / self.accelerator.reduce(count, "mean")
        return (loss, outputs) if return_outputs else loss

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        """Returns this process's share of the sequences, none of them repeated."""
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        mine = Subset(dataset, range(self.args.process_index, len(dataset), self.args.world_size))
        return DataLoader(mine, self.args.eval_batch_size, collate_fn=self.data_collator)

    @torch.no_grad()
    def evaluation_loop(
        self, dataloader: DataLoader, description: str, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any
    ) -> EvalLoopOutput:
        """Returns the mean loss over what counts in the sequences of all processes."""
        self.model.eval()
        total = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        for inputs in dataloader:
            inputs = self._prepare_inputs(inputs)
            count = self.count(inputs).double()
            total += torch.stack((self.loss_of_batch(inputs).double() * count, count))
        loss, count = self.accelerator.reduce(total, "sum").tolist()
        metrics = {f"{metric_key_prefix}_loss": loss / count}
        return EvalLoopOutput(predictions=None, label_ids=None, metrics=metrics, num_samples=len(dataloader.dataset))

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        # Without the pickled arguments `Trainer` would add.
        folder = output_dir or self.args.output_dir
        os.makedirs(folder, exist_ok=True)
        self.model.save_pretrained(folder, state_dict=state_dict, is_main_process=self.args.should_save)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()  # each process saves the state of its own random generators
        if self.args.should_save:
            folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            mark_complete(folder, self.fingerprint, self.run_arguments)
