"""Training of twins of slice dynamics on transformers' `Trainer`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from torch.utils.data import DataLoader, Subset
from tqdm.auto import tqdm
from transformers import AutoModel, PrinterCallback, ProgressCallback, Trainer
from transformers.trainer_utils import EvalLoopOutput

import gentwin.models  # noqa: F401 (registers the twins)
from gentwin.datasets import Transitions, concatenate
from gentwin.models.configuration_dynamics import DynamicsTwinConfig
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.schema import TransitionSchema, did_you_mean
from gentwin.training.arguments import ArgumentsError, ModelArguments, TwinTrainingArguments
from gentwin.training.checkpoints import mark_complete
from gentwin.training.data import Splits

CALIBRATION_LENGTHS = 4  # sequences for the joint noise are this many times as long as those of training


def build_twin(arguments: ModelArguments, schema: TransitionSchema) -> DynamicsTwin:
    """Returns an untrained twin for a schema; set the seed before.

    Raises:
        ArgumentsError: If no twin of slice dynamics has that `model_type`, or its configuration refuses a field.
    """
    classes = {cls.model_type: cls for cls in _subclasses(DynamicsTwinConfig) if cls.model_type}
    name = arguments.model_type
    if name not in classes:
        known = sorted(classes)
        raise ArgumentsError(
            f"`model_type` must be one of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}."
        )
    if "schema" in arguments.model_config:
        raise ArgumentsError("`model_config` must leave `schema` to the record, got one; remove it.")
    try:
        config = classes[name](schema=schema.to_dict(), **arguments.model_config)
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise ArgumentsError(f"`model_config`: {' '.join(str(error).split())}") from error
    return AutoModel.from_config(config)


def _subclasses(cls: type) -> list[type]:
    return [cls for child in cls.__subclasses__() for cls in (child, *_subclasses(child))]


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
    """`Trainer` of twins of slice dynamics.

    What it adds: normalisation is fitted on the training sequences before the first step, and the joint noise on those
    of training and validation after the last; losses are means over real steps whatever the number of processes; a
    checkpoint counts only once it is complete; nothing is pickled but the states of optimiser and random generators,
    which are read back as plain tensors.

    Args:
        model: The twin, fitted or not.
        args: Arguments of the run.
        splits: The record; its training and validation parts are used.
        sequence_length: Steps of a training sequence.
        sequence_stride: Steps between the starts of two sequences of an episode.
        run_arguments: From `result_arguments`, kept in every checkpoint to be compared when the run is resumed.
    """

    def __init__(
        self,
        model: DynamicsTwin,
        args: TwinTrainingArguments,
        splits: Splits,
        sequence_length: int,
        sequence_stride: int,
        run_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self.run_arguments = run_arguments
        self.train_record, self.validation_record = splits.train, splits.validation
        self.fingerprint, self.sequence_length = splits.fingerprint, sequence_length
        super().__init__(
            model=model,
            args=args,
            train_dataset=splits.train.sequences(sequence_length, sequence_stride),
            eval_dataset=splits.validation.sequences(sequence_length),
        )
        if len(self.train_dataset) < args.global_batch_size:
            raise ArgumentsError(
                f"`global_batch_size` must be at most the number of training sequences, {len(self.train_dataset)}, got "
                f"{args.global_batch_size}; choose a smaller one, shorter sequences, or a smaller `sequence_stride`."
            )
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        if not args.disable_tqdm:
            self.add_callback(QuietProgress)

    def train(self, resume_from_checkpoint: str | Path | None = None, **kwargs: Any) -> Any:
        """Fits normalisation, trains, and fits the joint noise of the result.

        Args:
            resume_from_checkpoint: A complete checkpoint of the same run.
            **kwargs: As in `Trainer.train`.
        """
        if not bool(self.model.fitted):
            self.model.fit_normalization(**self._record_tensors(self.train_record))
        resume = None if resume_from_checkpoint is None else os.fspath(resume_from_checkpoint)
        output = super().train(resume_from_checkpoint=resume, **kwargs)
        self.model.eval()
        generator = torch.Generator(self.model.device).manual_seed(self.args.seed)
        self.model.fit_copula(**self._whole(self._calibration_sequences()), generator=generator)
        return output

    def _calibration_sequences(self) -> Any:
        """Returns long sequences of training and validation episodes together.

        A shift of the noise by a hundredth of its deviation, which a few episodes cannot exclude, lets slow loads drift
        over a hundred steps; so all episodes but those of the test count.
        """
        record = concatenate([self.train_record, self.validation_record])
        return record.sequences(CALIBRATION_LENGTHS * self.sequence_length)

    def _record_tensors(self, record: Transitions) -> dict[str, torch.Tensor]:
        """Returns a record as one sequence; without overlaps every step counts once."""
        columns = {
            "states": record.state,
            "actions": record.action,
            "contexts": record.context,
            "labels": record.targets,
        }
        tensors = {name: torch.from_numpy(array)[None].to(self.model.device) for name, array in columns.items()}
        return tensors if record.schema.context else {name: tensors[name] for name in tensors if name != "contexts"}

    def loss_of(self, record: Transitions) -> float:
        """Returns the mean loss per real step over a record, in sequences as long as those of validation.

        For the main process alone: it waits for no other.
        """
        batch = self._whole(record.sequences(self.sequence_length))
        total, steps = 0.0, 0
        with torch.no_grad():
            for chunk in torch.arange(len(batch["mask"])).split(self.args.per_device_eval_batch_size):
                part = {name: column[chunk] for name, column in batch.items()}
                count = int(part["mask"].sum())
                total, steps = total + float(self.model(**part).loss) * count, steps + count
        return total / steps

    def _whole(self, dataset: Any) -> dict[str, torch.Tensor]:
        return {name: column.to(self.model.device) for name, column in dataset[:].items()}

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, torch.Tensor], return_outputs: bool = False, **kwargs: Any
    ) -> Any:
        """Returns the loss, weighted so that the average over processes is the mean over all their real steps."""
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        if self.args.world_size > 1:
            steps = inputs["mask"].sum().to(loss.dtype)
            loss = loss * steps / self.accelerator.reduce(steps, "mean")
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
        """Returns the mean loss per real step, over the sequences of all processes."""
        self.model.eval()
        total = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        for inputs in dataloader:
            inputs = self._prepare_inputs(inputs)
            steps = inputs["mask"].sum().double()
            total += torch.stack((self.model(**inputs).loss.double() * steps, steps))
        loss, steps = self.accelerator.reduce(total, "sum").tolist()
        metrics = {f"{metric_key_prefix}_loss": loss / steps}
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
