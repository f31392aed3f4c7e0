"""Loading a twin without naming its class, and making twins known to the Auto classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModel, PreTrainedConfig

from gentwin.hub import CheckpointError
from gentwin.models.checkpoint import local_folder
from gentwin.models.modeling_twin import TwinModel

_MODEL_CLASSES: dict[str, type[TwinModel]] = {}


def register_twin(model_class: type[TwinModel], auto_class: type = AutoModel) -> None:
    """Makes a twin known to the Auto classes and to [`from_pretrained`][gentwin.models.auto.from_pretrained].

    Args:
        model_class: The twin; its `config_class` says the `model_type`.
        auto_class: Auto class that loads it, such as `AutoModel` or `AutoModelForCausalLM`.
    """
    config_class = model_class.config_class
    AutoConfig.register(config_class.model_type, config_class)
    auto_class.register(config_class, model_class)
    _MODEL_CLASSES[config_class.model_type] = model_class


def from_pretrained(name: str | Path, **kwargs: Any) -> TwinModel:
    """Loads a twin of whatever class its configuration names.

    Args:
        name: `gentwin/<name>` of a shipped checkpoint, a folder, or a Hub name.
        **kwargs: As in [`TwinModel.from_pretrained`][gentwin.models.modeling_twin.TwinModel.from_pretrained].

    Returns:
        The twin in evaluation mode.

    Raises:
        CheckpointError: If it is not a twin, or its weights are refused.

    Example:
        ```python
        twin = gentwin.from_pretrained("gentwin/slice-lstm-dynamic")
        ```
    """
    folder = local_folder(str(name), kwargs)
    config_dict, _ = PreTrainedConfig.get_config_dict(folder, subfolder=kwargs.get("subfolder", ""))
    model_type = config_dict.get("model_type")
    if model_type not in _MODEL_CLASSES:
        known = ", ".join(sorted(_MODEL_CLASSES))
        raise CheckpointError(f"`model_type` of {str(name)!r} must be a twin's ({known}), got {model_type!r}.")
    return _MODEL_CLASSES[model_type].from_pretrained(folder, **kwargs)
