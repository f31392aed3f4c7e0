"""The message twin that a run begins with: untrained, or trained and partly frozen or adapted."""

from __future__ import annotations

from typing import Any

from huggingface_hub.errors import StrictDataclassError

from gentwin.models.modeling_twin import TwinModel
from gentwin.models.signaling import (
    SignalingLstmTwinForCausalLM,
    SignalingTokenizer,
    SignalingTwinForCausalLM,
)
from gentwin.schema import did_you_mean
from gentwin.training.arguments import ArgumentsError, ModelArguments, TransferArguments
from gentwin.training.signaling.token_vectors import compose_vectors
from gentwin.training.transfer import load_start, restrict

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
        twin = load_start(arguments, transfer.init_from)
        twin.config.check_tokenizer(tokenizer)
    positions = getattr(twin.config, "max_position_embeddings", sequence_length)
    if sequence_length > positions:
        raise ArgumentsError(
            f"`sequence_length` must be at most `max_position_embeddings` of the twin, {positions}, got "
            f"{sequence_length}."
        )
    restrict(twin, transfer)
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
