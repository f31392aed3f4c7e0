"""What a run begins with, and what of it is learnt: all weights, those above frozen layers, or adapters (LoRA)."""

from __future__ import annotations

from typing import Any

from torch import nn

import gentwin.models
from gentwin.models.modeling_twin import TwinModel
from gentwin.schema import TransitionSchema
from gentwin.training.arguments import ArgumentsError, ModelArguments, TransferArguments


def load_start(arguments: ModelArguments, name: str) -> TwinModel:
    """Returns the trained twin that a run begins with, in training mode.

    Args:
        arguments: Its `model_type`, and fields of its configuration, which may be repeated but not changed.
        name: A folder, or `gentwin/<name>`.

    Raises:
        ArgumentsError: If it is a twin of another type or configuration.
        CheckpointError: If there is no such twin, or it is damaged.
    """
    twin = gentwin.models.from_pretrained(name)
    if twin.config.model_type != arguments.model_type:
        raise ArgumentsError(
            f"`init_from` must be a twin of `model_type` {arguments.model_type!r}, got {name!r} of "
            f"{twin.config.model_type!r}."
        )
    for field, value in arguments.model_config.items():
        known = getattr(twin.config, field, None)
        if known != value:
            raise ArgumentsError(
                f"`model_config.{field}` must be that of `init_from` {name!r}, {known!r}, got {value!r}; leave it out, "
                "or pass `--init_from none` to train from scratch."
            )
    return twin.train()


def require_same_fields(name: str, twin: TransitionSchema, record: TransitionSchema, timed: bool = True) -> None:
    """Refuses a twin of other slices or fields than those of a record; ranges and descriptions may differ.

    Args:
        name: Of the twin.
        twin: Its schema.
        record: That of the data.
        timed: Whether steps must last as long; decisions come when they come.

    Raises:
        ArgumentsError: If something differs.
    """

    def compared(schema: TransitionSchema, part: str) -> Any:
        value = getattr(schema, part)
        if part in ("slices", "step_ms"):
            return value
        ends = [(field.low in field.atoms, field.high in field.atoms) for field in value]
        return [(field.name, field.unit, field.scale, field.categories) for field in value], ends

    parts = ("slices", "state", "action", "context", "outcome", *(("step_ms",) if timed else ()))
    other = [part for part in parts if compared(twin, part) != compared(record, part)]
    if other:
        listed = ", ".join(f"`{part}`" for part in other)
        raise ArgumentsError(
            f"`init_from` must be a twin of the slices and fields of the record, got {name!r}, of which {listed} "
            "differ; train a twin of this record from scratch."
        )


def restrict(twin: TwinModel, transfer: TransferArguments) -> None:
    """Freezes layers or adds adapters, as the arguments say.

    Args:
        twin: A trained twin; it is changed.
        transfer: What of it is to be learnt.

    Raises:
        ArgumentsError: If the twin has not the layers for it, or peft is not installed.
    """
    if transfer.freeze_layers:
        freeze_layers(twin, transfer.freeze_layers)
    if transfer.lora_rank:
        add_adapters(twin, transfer.lora_rank, transfer.lora_alpha)


def freeze_layers(twin: TwinModel, number: int) -> None:
    """Keeps the lowest layers of a twin as they are.

    Args:
        twin: The twin; it is changed.
        number: Of layers, as [`weight_layers`][gentwin.models.modeling_twin.TwinModel.weight_layers] counts them.

    Raises:
        ArgumentsError: If it has no more than that.
    """
    layers = twin.weight_layers()
    if number >= max(1, len(layers)):
        has = f"has {len(layers)}, that of the output among them" if layers else "has none"
        raise ArgumentsError(
            f"`freeze_layers` must be less than the layers of the twin, got {number}; {type(twin).__name__} {has}."
        )
    for weight in (weight for layer in layers[:number] for weight in layer):
        weight.requires_grad_(False)


def add_adapters(twin: TwinModel, rank: int, alpha: float | None = None) -> None:
    """Adds adapters to the linear layers below the output, whose weights stay; everything else is learnt.

    Args:
        twin: The twin; it is changed.
        rank: Of the adapters.
        alpha: Their scale over the rank; twice the rank if not given.

    Raises:
        ArgumentsError: If a layer below the output has no linear one, as an LSTM, or peft is not installed.

    Source: E. Hu et al., "LoRA: low-rank adaptation of large language models", 2021.
    """
    *lower, _ = twin.weight_layers() or [[]]
    linear = {id(part.weight): name for name, part in twin.named_modules() if isinstance(part, nn.Linear)}
    targets = [[linear[id(weight)] for weight in layer if id(weight) in linear] for layer in lower]
    if not targets or not all(targets):
        raise ArgumentsError(
            f"`lora_rank` must be 0 for {type(twin).__name__}, got {rank}, as not every layer below its output is of "
            "linear ones; use `freeze_layers`."
        )
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise ArgumentsError("`lora_rank` needs peft: `pip install gentwin[transfer]`.") from None
    kept = {id(weight) for layer in lower for weight in layer}
    learnt = [weight for weight in twin.parameters() if id(weight) not in kept]
    names = [name for layer in targets for name in layer]
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha or 2 * rank, target_modules=names), twin)
    for weight in learnt:
        weight.requires_grad_(True)


def merge_adapters(twin: TwinModel) -> None:
    """Adds what adapters have learnt to the weights that they stand beside, and removes them, if there are any."""
    for module in list(twin.modules()):
        for name, child in list(module.named_children()):
            if hasattr(child, "get_base_layer"):
                child.merge()
                setattr(module, name, child.get_base_layer())
    if hasattr(twin, "peft_config"):
        del twin.peft_config
