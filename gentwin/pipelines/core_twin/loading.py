"""Message twins with their tokenizers, from checkpoints."""

from __future__ import annotations

from os import PathLike

from gentwin.hub import CheckpointError
from gentwin.models.auto import from_pretrained
from gentwin.models.modeling_twin import TwinModel
from gentwin.models.signaling import SignalingTokenizer
from gentwin.models.signaling.configuration_signaling import SignalingConfig


def load_twin(name: str | PathLike[str]) -> tuple[TwinModel, SignalingTokenizer]:
    """Returns a message twin and its tokenizer.

    Args:
        name: `gentwin/<name>` of a shipped checkpoint, a folder, or a Hub name.

    Raises:
        CheckpointError: If it is no message twin, or is damaged.
    """
    model = from_pretrained(name)
    if not isinstance(model.config, SignalingConfig):
        kind = model.config.model_type
        raise CheckpointError(
            f"`name` must be a message twin, such as gentwin/signaling-open5gs, got {kind!r} in {name!r}."
        )
    return model, SignalingTokenizer.from_pretrained(name)
