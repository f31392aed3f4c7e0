"""Families of twins that one recipe trains: what a run is told, what it learns from, and what it reports."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from gentwin.models.modeling_twin import TwinModel
from gentwin.training.arguments import TransferArguments, TwinTrainingArguments, read_setting
from gentwin.training.checkpoints import result_arguments
from gentwin.training.trainer import TwinTrainer
from gentwin.training.transfer import merge_adapters

MODEL_TYPE = "model_type"
# Where the family of twins is whose `model_type` begins like this; the first one that does counts.
_FAMILIES = (
    ("gentwin_policy", "gentwin.training.policy.family", "PolicyRun"),
    ("gentwin_signaling", "gentwin.training.signaling.family", "SignalingRun"),
    ("", "gentwin.training.dynamics", "DynamicsRun"),
)


class TwinRun(ABC):
    """A run of the recipe with a twin of one family. Making one checks everything, reads the data and sets the seed.

    Args:
        arguments: Objects of `argument_classes`.

    Attributes:
        argument_classes: Dataclasses of the arguments; the last but one is that of the evaluation, with
            `sibling_runs`, and the last that of the training.
        transfer: What the twin begins with, and what of it is learnt.
        trainer: Of the twin.
        fingerprint: Of the data.

    Raises:
        ArgumentsError: If arguments contradict each other or the data.
        FileNotFoundError: If data are missing.
    """

    argument_classes: ClassVar[tuple[type, ...]]
    transfer: TransferArguments
    trainer: TwinTrainer
    fingerprint: str

    @abstractmethod
    def __init__(self, arguments: Sequence[Any]) -> None: ...

    @staticmethod
    def copy_for(twin: TwinModel, train: Any) -> TwinModel:
        """Returns a copy of a twin for data in memory, for `gentwin.training.adapt`, whose arguments these are."""
        return copy.deepcopy(twin)

    @staticmethod
    @abstractmethod
    def make_trainer(
        twin: TwinModel, train: Any, validation: Any, training: TwinTrainingArguments, sequence_length: int | None
    ) -> TwinTrainer:
        """Returns the trainer of such a copy."""

    @staticmethod
    def shaping(arguments: Sequence[Any]) -> dict[str, Any]:
        """Returns the arguments that shape the weights."""
        return result_arguments(*(entry for entry in arguments if hasattr(entry, "shaping")))

    @abstractmethod
    def describe_splits(self) -> dict[str, dict[str, int]]:
        """Returns how large each part of the data is."""

    def save(self) -> None:
        """Saves the trained twin, adapters merged, into the output folder; on the main process only."""
        merge_adapters(self.trainer.model)
        self.trainer.save_model()

    @abstractmethod
    def report(self, folder: Path, siblings: Sequence[Mapping[str, float]], run: Mapping[str, Any]) -> None:
        """Evaluates the trained twin and writes metrics, plots and card; on the main process only.

        Args:
            folder: Output folder, in which the twin is saved already.
            siblings: Headline numbers of runs of other seeds.
            run: Facts about the run: `command`, `training_s`, `hardware`, `versions` and `seed` among them.
        """


def run_class(argv: Sequence[str], default_config: str | Path) -> type[TwinRun]:
    """Returns the kind of run that a command line and its YAML file ask for, by the `model_type` of the twin.

    Args:
        argv: Command line without the program's name.
        default_config: YAML file if there is no `--config`.

    Raises:
        ArgumentsError: If the YAML file cannot be read.
        FileNotFoundError: If there is no such file.
    """
    return family_of(str(read_setting(argv, default_config, MODEL_TYPE)))


def family_of(model_type: str) -> type[TwinRun]:
    """Returns the kind of run of the family of twins that a `model_type` is of."""
    _, module, name = next(entry for entry in _FAMILIES if model_type.startswith(entry[0]))
    return getattr(import_module(module), name)
