"""Training of twins of slice dynamics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoModel

import gentwin.models  # noqa: F401 (registers the twins)
from gentwin.datasets import Transitions, concatenate
from gentwin.models.configuration_dynamics import DynamicsTwinConfig
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.schema import TransitionSchema, did_you_mean
from gentwin.training.arguments import ArgumentsError, ModelArguments, TwinTrainingArguments
from gentwin.training.data import Splits
from gentwin.training.trainer import TwinTrainer

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
        raise ArgumentsError(f"`model_type` must be one of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}")
    if "schema" in arguments.model_config:
        raise ArgumentsError("`model_config` must leave `schema` to the record, got one; remove it.")
    try:
        config = classes[name](schema=schema.to_dict(), **arguments.model_config)
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise ArgumentsError(f"`model_config`: {' '.join(str(error).split())}") from error
    return AutoModel.from_config(config)


def _subclasses(cls: type) -> list[type]:
    return [cls for child in cls.__subclasses__() for cls in (child, *_subclasses(child))]


class DynamicsTrainer(TwinTrainer):
    """`TwinTrainer` of twins of slice dynamics.

    What it adds: normalisation is fitted on the training sequences before the first step, and the joint noise on those
    of training and validation after the last.

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
        self.train_record, self.validation_record = splits.train, splits.validation
        self.sequence_length = sequence_length
        super().__init__(
            model,
            args,
            splits.fingerprint,
            run_arguments,
            train_dataset=splits.train.sequences(sequence_length, sequence_stride),
            eval_dataset=splits.validation.sequences(sequence_length),
        )

    def count(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Returns the number of real steps in a batch."""
        return inputs["mask"].sum()

    def train(self, resume_from_checkpoint: str | Path | None = None, **kwargs: Any) -> Any:
        """Fits normalisation, trains, and fits the joint noise of the result.

        A twin that is adapted keeps its normalisation, which its weights rely on; its ranges are widened.

        Args:
            resume_from_checkpoint: A complete checkpoint of the same run.
            **kwargs: As in `Trainer.train`.
        """
        record = self._record_tensors(self.train_record)
        if not bool(self.model.fitted):
            self.model.fit_normalization(**record)
        else:
            self.model.widen_ranges(record["labels"])
            self.model.keep_starts(record["states"].flatten(0, 1))
        output = super().train(resume_from_checkpoint, **kwargs)
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
