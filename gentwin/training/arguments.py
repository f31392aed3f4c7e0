"""Arguments of a training run: dataclasses, defaults from YAML, and a command line that wins over both."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import torch
from transformers import HfArgumentParser, TrainingArguments

from gentwin.datasets.converters import LAYOUTS
from gentwin.schema import did_you_mean
from gentwin.training.command_line import (
    ArgumentsError,
    about,
    as_command_line,
    read_yaml,
    require,
    take_entries,
    take_option,
    with_entry,
)
from gentwin.yaml_text import load_yaml

CONFIG_KEY = "model_config"
# Fields of `transformers.TrainingArguments` that `--help` shows; the others are accepted as well.
SHOWN_TRAINING_FIELDS = (
    "output_dir", "num_train_epochs", "max_steps", "learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay",
    "max_grad_norm", "gradient_accumulation_steps", "seed", "eval_strategy", "eval_steps", "save_strategy",
    "save_steps", "save_total_limit", "load_best_model_at_end", "logging_steps", "use_cpu", "bf16",
    "resume_from_checkpoint",
)  # fmt: skip

_TRAINING_FIELDS = {entry.name for entry in dataclasses.fields(TrainingArguments)}


def num_cores() -> int:
    """Returns the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class DataArguments:
    """What to learn from, and how it is divided.

    Raises:
        ArgumentsError: If a value is out of range.
    """

    _argument_group_name = "data"
    # The record itself is known by its fingerprint.
    shaping: ClassVar = (
        *("validation_size", "test_size", "split_seed", "train_episodes"),
        *("sequence_length", "sequence_stride"),
    )
    compared: ClassVar = ("data_path", "data_layout")

    data_path: str = field(
        default="data/slicing_dynamic/transitions.parquet",
        metadata=about(
            "Parquet file of transitions, or a public KPI log with `data_layout`. A relative path starts from the "
            "current directory."
        ),
    )
    data_layout: str | None = field(
        default=None,
        metadata=about(
            f"Layout of a public KPI log, converted on the fly: {', '.join(LAYOUTS)}. `none` for a file of transitions."
        ),
    )
    validation_size: float = field(
        default=0.1,
        metadata=about(
            "Episodes kept for choosing the checkpoint and for calibration: a share below 1, else their number."
        ),
    )
    test_size: float = field(
        default=0.15, metadata=about("Episodes kept for the final evaluation: a share below 1, else their number.")
    )
    split_seed: int = field(
        default=0, metadata=about("Seed of the division into training, validation and test episodes.")
    )
    train_episodes: int | None = field(
        default=None, metadata=about("Number of training episodes that are used, the first ones; all by default.")
    )
    sequence_length: int = field(default=50, metadata=about("Steps of a training sequence."))
    sequence_stride: int | None = field(
        default=None,
        metadata=about(
            "Steps between the starts of two training sequences of an episode; half of `sequence_length` by default."
        ),
    )

    def __post_init__(self) -> None:
        if str(self.data_layout).lower() == "none":  # the way to undo the choice of a YAML file
            self.data_layout = None
        known = self.data_layout is None or self.data_layout in LAYOUTS
        require(known, "data_layout", f"none or one of {', '.join(LAYOUTS)}", self.data_layout)
        for name in ("validation_size", "test_size"):
            value = getattr(self, name)
            require(0 < value < 1 or (value >= 1 and value == int(value)), name, "a share below 1 or a number", value)
        few = self.train_episodes
        require(few is None or few >= 1, "train_episodes", "at least 1", few)
        require(self.sequence_length >= 2, "sequence_length", "at least 2", self.sequence_length)
        if self.sequence_stride is None:
            self.sequence_stride = self.sequence_length // 2
        limit = f"from 1 to `sequence_length` = {self.sequence_length}"
        require(1 <= self.sequence_stride <= self.sequence_length, "sequence_stride", limit, self.sequence_stride)


@dataclass
class ModelArguments:
    """Which twin to train.

    Raises:
        ArgumentsError: If `model_config` is not a mapping.
    """

    _argument_group_name = "model"
    shaping: ClassVar = ("model_type", CONFIG_KEY)

    model_type: str = field(default="gentwin_slice_lstm", metadata=about("Twin: `model_type` of its configuration."))
    model_config: dict | str | None = field(
        default=None,
        metadata=about(
            "Fields of the twin's configuration: a mapping in YAML, `--model_config.hidden_size 64` on the command "
            "line."
        ),
    )

    def __post_init__(self) -> None:
        if isinstance(self.model_config, str):
            self.model_config = load_yaml(self.model_config)
        self.model_config = self.model_config or {}
        require(isinstance(self.model_config, dict), CONFIG_KEY, "a mapping", self.model_config)


@dataclass
class TransferArguments:
    """What a twin begins with, and what of it is learnt; the same for twins of every family.

    Raises:
        ArgumentsError: If a value is out of range, or there is nothing to transfer from.
    """

    _argument_group_name = "transfer"
    shaping: ClassVar = ("init_from", "freeze_layers", "lora_rank", "lora_alpha")

    init_from: str | None = field(
        default=None,
        metadata=about("Trained twin to begin with: a folder or `gentwin/<name>`. `none` to train from scratch."),
    )
    freeze_layers: int = field(
        default=0, metadata=about("Lowest layers that stay as they are; that of the output is learnt in any case.")
    )
    lora_rank: int = field(
        default=0,
        metadata=about(
            "Rank of adapters (LoRA, needs peft) that are learnt in place of the layers below the output, merged in "
            "the end."
        ),
    )
    lora_alpha: float | None = field(
        default=None, metadata=about("What adapters are scaled by, over their rank; twice the rank by default.")
    )

    def __post_init__(self) -> None:
        if str(self.init_from).lower() == "none":  # the way to undo the choice of a YAML file
            self.init_from = None
        for name in ("freeze_layers", "lora_rank"):
            value = getattr(self, name)
            require(value >= 0, name, "at least 0", value)
            require(value == 0 or self.init_from is not None, name, "0 without `init_from`", value)
        both = self.freeze_layers and self.lora_rank
        require(not both, "lora_rank", "0 with `freeze_layers`", self.lora_rank, "adapters freeze all layers")
        require(self.lora_alpha is None or self.lora_alpha > 0, "lora_alpha", "above 0", self.lora_alpha)

    def describe(self) -> str:
        """Returns what the twin began with as a sentence for its card; nothing if it was trained from scratch."""
        if self.init_from is None:
            return ""
        how = f", its {self.freeze_layers} lowest layers kept" if self.freeze_layers else ""
        how = f", adapted by adapters of rank {self.lora_rank}" if self.lora_rank else how
        path = Path(self.init_from)
        is_here = path.is_absolute() and path.is_relative_to(Path.cwd())
        return f"It began as `{path.relative_to(Path.cwd()) if is_here else self.init_from}`{how}. "


@dataclass
class EvaluationArguments:
    """How the trained twin is judged on the test episodes.

    Raises:
        ArgumentsError: If a value is out of range.
    """

    _argument_group_name = "evaluation"
    compared: ClassVar = (
        *("horizons", "rollout_starts", "rollout_samples", "burn_in_steps"),
        *("evaluation_baselines", "evaluation_seed"),
    )

    horizons: list[int] = field(
        default_factory=lambda: [1, 10, 50], metadata=about("Steps of a roll-out at which errors are reported.")
    )
    rollout_starts: int = field(
        default=192, metadata=about("Number of roll-outs, started at random steps of the test episodes.")
    )
    rollout_samples: int = field(default=48, metadata=about("Futures drawn for each roll-out."))
    burn_in_steps: int = field(default=20, metadata=about("True steps before each start that fill the twin's memory."))
    evaluation_baselines: bool = field(
        default=False,
        metadata=about(
            "Also score 50 nearest neighbours and gradient boosting, fitted on the training episodes; takes minutes."
        ),
    )
    evaluation_seed: int = field(default=0, metadata=about("Seed of starts and draws."))
    plot_fields: list[str] | None = field(
        default=None, metadata=about("Targets in the roll-out plot; the first two of each kind by default.")
    )
    sibling_runs: list[str] | None = field(
        default=None,
        metadata=about(
            "Output folders of runs that differ in the seed only; the model card then states mean and spread."
        ),
    )

    def __post_init__(self) -> None:
        self.horizons = sorted(set(self.horizons))
        require(bool(self.horizons) and self.horizons[0] >= 1, "horizons", "numbers of steps from 1", self.horizons)
        require(self.rollout_starts >= 1, "rollout_starts", "at least 1", self.rollout_starts)
        # The 90 % interval of fewer draws has no meaning.
        require(self.rollout_samples >= 20, "rollout_samples", "at least 20", self.rollout_samples)
        require(self.burn_in_steps >= 0, "burn_in_steps", "at least 0", self.burn_in_steps)


@dataclass
class TwinTrainingArguments(TrainingArguments):
    """`transformers.TrainingArguments` with the batch size of all processes together.

    `global_batch_size` is divided among processes and gradient accumulation steps, so a run means the same on any
    number of processes. One process drives one device.

    Raises:
        ArgumentsError: If the batch cannot be divided evenly.
    """

    _argument_group_name = "training (transformers.TrainingArguments)"
    # Those that change the weights or the choice among them, not where, how fast or how visibly it runs.
    shaping: ClassVar = (
        "num_train_epochs", "max_steps", "global_batch_size", "gradient_accumulation_steps", "learning_rate",
        "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "optim", "optim_args", "weight_decay",
        "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "seed", "data_seed", "bf16", "fp16",
        "dataloader_drop_last", "eval_strategy", "eval_steps", "save_strategy", "save_steps",
        "load_best_model_at_end", "metric_for_best_model",
    )  # fmt: skip

    global_batch_size: int = field(default=16, metadata=about("Sequences of one optimiser step, over all processes."))
    torch_threads: int | None = field(
        default=None,
        metadata=about(
            "Threads of a process that computes on the CPU; the cores divided by the machine's processes by default."
        ),
    )
    overwrite_output_dir: bool = field(
        default=False,
        metadata=about(
            "Start anew although `output_dir` holds the checkpoints of an unfinished run; they are deleted."
        ),
    )
    resume_from_checkpoint: str | None = field(
        default=None,
        metadata=about(
            "true: go on from the last complete checkpoint in `output_dir`, if there is one. Or the folder of a "
            "checkpoint."
        ),
    )
    output_dir: str | None = field(
        default="outputs/twin", metadata=about("Folder for checkpoints, the trained twin, its card and plots.")
    )
    report_to: list[str] = field(
        default_factory=lambda: ["none"],
        metadata=about("Where to log to besides the progress bar, such as tensorboard."),
    )
    # Batches that are not full would differ between numbers of processes.
    dataloader_drop_last: bool = field(
        default=True, metadata=about("Leave out the sequences of an epoch that do not fill a batch.")
    )
    # All parameters of a twin take part in every step; looking for others costs time.
    ddp_find_unused_parameters: bool | None = field(
        default=False, metadata=about("Whether DistributedDataParallel looks for idle parameters.")
    )

    def __post_init__(self) -> None:
        # Without this, processes started on a machine without accelerators would each train on their own.
        self.use_cpu = self.use_cpu or not torch.accelerator.is_available()
        super().__post_init__()
        require(self.global_batch_size >= 1, "global_batch_size", "at least 1", self.global_batch_size)
        parts = self.world_size * self.gradient_accumulation_steps
        remedy = "change one of the three"
        divisor = f"a multiple of processes x `gradient_accumulation_steps` = {parts}"
        require(self.global_batch_size % parts == 0, "global_batch_size", divisor, self.global_batch_size, remedy)
        require(
            self.torch_threads is None or self.torch_threads >= 1, "torch_threads", "at least 1", self.torch_threads
        )
        self.per_device_train_batch_size = self.global_batch_size // parts
        limit = self.save_total_limit
        require(limit is None or limit >= 2, "save_total_limit", "at least 2", limit, "the last may be torn by a crash")
        if self.device.type == "cpu":
            self.dataloader_pin_memory = False
        if self.torch_threads is None:
            local_processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
            self.torch_threads = max(1, num_cores() // local_processes)

    @property
    def n_gpu(self) -> int:
        """At most 1: more devices are used by more processes, never by `DataParallel`."""
        return min(1, super().n_gpu)


ARGUMENT_CLASSES = (DataArguments, ModelArguments, TransferArguments, EvaluationArguments, TwinTrainingArguments)


class _Parser(HfArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ArgumentsError(f"{message}; see --help.")


def parse_arguments(
    argv: Sequence[str],
    default_config: str | Path,
    description: str = "",
    classes: tuple[type, ...] = ARGUMENT_CLASSES,
) -> tuple[Any, ...]:
    """Reads the arguments of a recipe.

    Values come, in this order of precedence, from the command line (`--key value`), from the YAML file named by
    `--config` (else `default_config`), and from the dataclasses. Keys are the fields of the dataclasses; entries of a
    field that holds a mapping are given one by one as `--field.entry value`.

    Args:
        argv: Command line without the program's name.
        default_config: YAML file if there is no `--config`.
        description: Shown by `--help`.
        classes: Dataclasses of arguments; by default those of a twin of slice dynamics.

    Returns:
        An object of each class, checked.

    Raises:
        ArgumentsError: If a key is unknown (naming the nearest one), or a value has the wrong type or range.
        FileNotFoundError: If there is no such YAML file.
    """
    parser = _make_parser(default_config, description, classes)
    words = _complete_line(argv, default_config, classes)
    *parsed, rest = parser.parse_args_into_dataclasses(words, return_remaining_strings=True, look_for_args_file=False)
    if rest:
        name = rest[0].lstrip("-").partition("=")[0].replace("-", "_")
        known = [*_known_names(classes), "config"]
        raise ArgumentsError(f"`{rest[0]}` is not an argument{did_you_mean(name, known)} See --help.")
    return tuple(parsed)


def given_arguments(
    argv: Sequence[str], default_config: str | Path, classes: tuple[type, ...] = ARGUMENT_CLASSES
) -> dict[str, Any]:
    """Returns what a YAML file and a command line that `parse_arguments` accepts give, as plain values for YAML.

    `--config` with these values is the same run. Values that follow from others, from the machine or from defaults are
    not among them.

    Args:
        argv: Command line without the program's name.
        default_config: YAML file if there is no `--config`.
        classes: As for `parse_arguments`.
    """
    parser = _make_parser(default_config, "", classes)
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    namespace, _ = parser.parse_known_args(_complete_line(argv, default_config, classes))
    values = {name: _plain(value) for name, value in vars(namespace).items()}
    for name in _mapping_names(classes):
        if isinstance(values.get(name), str):
            values[name] = load_yaml(values[name])
    return values


def read_setting(argv: Sequence[str], default_config: str | Path, name: str) -> Any:
    """Returns one setting before all others are known: from the command line, else from the YAML file, else None.

    Args:
        argv: Command line without the program's name.
        default_config: YAML file if there is no `--config`.
        name: Of the setting.

    Raises:
        FileNotFoundError: If there is no such YAML file.
        ArgumentsError: If it is not YAML, or not a mapping.
    """
    config, argv = take_option(list(argv), "--config", str(default_config))
    value, _ = take_option(argv, f"--{name}", "")
    return value or read_yaml(config).get(name)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _known_names(classes: tuple[type, ...]) -> list[str]:
    return [field.name for cls in classes for field in dataclasses.fields(cls) if field.init]


def _mapping_names(classes: tuple[type, ...]) -> list[str]:
    """Returns the fields that hold a mapping whose entries may be given one by one."""
    # HfArgumentParser narrows the types of fields, not the annotations of the class.
    return [name for cls in classes for name, kind in cls.__annotations__.items() if "dict" in str(kind)]


def _complete_line(argv: Sequence[str], default_config: str | Path, classes: tuple[type, ...]) -> list[str]:
    """Returns the values of the YAML file as a command line, followed by those of `argv`, which win."""
    config, argv = take_option(list(argv), "--config", str(default_config))
    defaults = read_yaml(config)
    known = _known_names(classes)
    for key in defaults:
        if key not in known:
            raise ArgumentsError(f"{config}: `{key}` is not an argument{did_you_mean(str(key), known)}")
    for name in _mapping_names(classes):
        entries, argv = take_entries(argv, name)
        for path, value in entries.items():
            defaults = with_entry(defaults, f"{name}.{path}", value)
    words = [*as_command_line(defaults), *argv]
    given = [word.partition("=")[0].replace("-", "_") for word in words]
    if TwinTrainingArguments in classes and "__per_device_train_batch_size" in given:
        raise ArgumentsError("`per_device_train_batch_size` follows from `global_batch_size`; give that one instead.")
    return words


def _make_parser(default_config: str | Path, description: str, classes: tuple[type, ...]) -> _Parser:
    more = "Every other field of transformers.TrainingArguments is accepted as well."
    parser = _Parser(
        classes,
        allow_abbrev=False,
        description=description,
        usage="%(prog)s [--config FILE.yaml] [--key value ...]",
        epilog=more if TwinTrainingArguments in classes else None,
    )
    config_help = f"YAML file with `key: value` lines, which win over the defaults below (default: {default_config})"
    parser.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help=config_help)
    hidden = _TRAINING_FIELDS - {*SHOWN_TRAINING_FIELDS} if TwinTrainingArguments in classes else set()
    for action in parser._actions:
        if action.dest in hidden or action.option_strings[0][:5] == "--no_":
            action.help = argparse.SUPPRESS
        # One spelling is enough to read; the other is accepted.
        action.option_strings = action.option_strings[:1] if action.dest != "help" else action.option_strings
        action.metavar = None if action.choices else action.metavar or action.dest.rpartition("_")[2].upper()
    return parser
