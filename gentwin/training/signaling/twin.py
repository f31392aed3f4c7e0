"""The twin that a run begins with: untrained, or trained and partly frozen or adapted."""

from __future__ import annotations

from typing import Any

from huggingface_hub.errors import StrictDataclassError
from torch import nn

import gentwin.models
from gentwin.models.modeling_twin import TwinModel
from gentwin.models.signaling import (
    SignalingLstmTwinForCausalLM,
    SignalingTokenizer,
    SignalingTwinForCausalLM,
)
from gentwin.schema import did_you_mean
from gentwin.training.arguments import ArgumentsError, ModelArguments
from gentwin.training.signaling.arguments import TransferArguments
from gentwin.training.signaling.token_vectors import compose_vectors

_CLASSES = {cls.config_class.model_type: cls for cls in (SignalingTwinForCausalLM, SignalingLstmTwinForCausalLM)}
_FOLLOWS = ("vocab_size", "vocabulary_version", "protocols", "pad_token_id", "eos_token_id")


def build_message_twin(
    arguments: ModelArguments, transfer: TransferArguments, tokenizer: SignalingTokenizer, sequence_length: int
) -> TwinModel:
    """Returns the twin to train; set the seed before.

    Args:
        arguments: Which twin, and its configuration.
        transfer: What it begins with.
        tokenizer: Whose tokens it speaks.
        sequence_length: Tokens of a row, at most its positions.

    Raises:
        ArgumentsError: If there is no such twin, its configuration refuses a field, or it cannot be transferred.
        CheckpointError: If the twin to begin with is damaged, or speaks other tokens.
        ImportError: If adapters are wanted and peft is not installed.
    """
    name = arguments.model_type
    if name not in _CLASSES:
        remedy = did_you_mean(name, _CLASSES)
        raise ArgumentsError(f"`model_type` must be one of {', '.join(_CLASSES)}, got {name!r}{remedy}")
    if transfer.init_from is None:
        twin = _CLASSES[name](_configuration(arguments, tokenizer))
        compose_vectors(twin.get_input_embeddings(), tokenizer.vocabulary)
    else:
        twin = _trained(arguments, transfer.init_from, tokenizer)
    positions = getattr(twin.config, "max_position_embeddings", sequence_length)
    if sequence_length > positions:
        raise ArgumentsError(
            f"`sequence_length` must be at most `max_position_embeddings` of the twin, {positions}, got "
            f"{sequence_length}."
        )
    if transfer.freeze_layers:
        freeze_layers(twin, transfer.freeze_layers)
    if transfer.lora_rank:
        add_adapters(twin, transfer.lora_rank, transfer.lora_alpha)
    return twin


def _configuration(arguments: ModelArguments, tokenizer: SignalingTokenizer) -> Any:
    taken = [field for field in _FOLLOWS if field in arguments.model_config]
    if taken:
        raise ArgumentsError(f"`model_config` must leave `{taken[0]}` to the tokenizer, got one; remove it.")
    try:
        config_class = _CLASSES[arguments.model_type].config_class
        return config_class.for_tokenizer(tokenizer, **arguments.model_config)
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise ArgumentsError(f"`model_config`: {' '.join(str(error).split())}") from error


def _trained(arguments: ModelArguments, name: str, tokenizer: SignalingTokenizer) -> TwinModel:
    if arguments.model_config:
        raise ArgumentsError(f"`model_config` must be left to `init_from` {name!r}, got {arguments.model_config}.")
    twin = gentwin.models.from_pretrained(name)
    if twin.config.model_type != arguments.model_type:
        raise ArgumentsError(
            f"`init_from` must be a twin of `model_type` {arguments.model_type!r}, got {name!r} of "
            f"{twin.config.model_type!r}."
        )
    twin.config.check_tokenizer(tokenizer)
    return twin.train()


def freeze_layers(twin: TwinModel, number: int) -> None:
    """Keeps the lowest layers of a twin as they are.

    Vectors of tokens are learnt still, as what is said is weighed by them, and another core has words of its own.

    Args:
        twin: The twin; it is changed.
        number: Of layers.

    Raises:
        ArgumentsError: If it has no more than that.
    """
    layers = twin.config.num_hidden_layers
    if number >= layers:
        raise ArgumentsError(f"`freeze_layers` must be less than the layers of the twin, {layers}, got {number}.")
    if isinstance(twin, SignalingLstmTwinForCausalLM):
        frozen = [
            parameter for name, parameter in twin.lstm.named_parameters() if int(name.rpartition("_l")[2]) < number
        ]
    else:
        frozen = [parameter for layer in twin.model.layers[:number] for parameter in layer.parameters()]
    for parameter in frozen:
        parameter.requires_grad_(False)


def add_adapters(twin: TwinModel, rank: int, alpha: float | None = None) -> None:
    """Adds adapters to the products in all layers of a transformer, and keeps everything else but vectors of tokens.

    Args:
        twin: The twin; it is changed.
        rank: Of the adapters.
        alpha: Their scale over the rank; twice the rank if not given.

    Raises:
        ArgumentsError: If the twin is no transformer, or peft is not installed.

    Source: E. Hu et al., "LoRA: low-rank adaptation of large language models", 2021.
    """
    if isinstance(twin, SignalingLstmTwinForCausalLM):
        raise ArgumentsError(f"`lora_rank` must be 0 for an LSTM, got {rank}; use `freeze_layers`.")
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise ArgumentsError("`lora_rank` needs peft: `pip install gentwin[transfer]`.") from None
    targets = [name for name, module in twin.model.layers.named_modules() if isinstance(module, nn.Linear)]
    names = sorted({name.rpartition(".")[2] for name in targets})
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha or 2 * rank, target_modules=names), twin)
    twin.get_input_embeddings().requires_grad_(True)


def merge_adapters(twin: TwinModel) -> None:
    """Adds what adapters have learnt to the weights that they stand beside, and removes them."""
    for module in list(twin.modules()):
        for name, child in list(module.named_children()):
            if hasattr(child, "get_base_layer"):
                child.merge()
                setattr(module, name, child.get_base_layer())
