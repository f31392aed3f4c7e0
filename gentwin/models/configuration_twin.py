"""Base class of all twin configurations."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from gentwin.hub import CheckpointError, resolve
from gentwin.schema import refuse_unknown_keys

# What transformers itself writes into `config.json`, or passes to a configuration, besides the dataclass fields.
TRANSFORMERS_KEYS = (
    "model_type",
    "_name_or_path",
    "name_or_path",
    "_commit_hash",
    "auto_map",
    "custom_pipelines",
    "transformers_weights",
    "torch_dtype",
    "num_labels",
    "output_attentions",
    "attn_implementation",
    "experts_implementation",
    "per_layer_config",
    "quantization_config",
    "use_cache",
)
# What transformers leaves among the unused arguments of `from_pretrained`.
_LOADING_KEYS = ("_from_auto", "_from_pipeline", "gguf_file", "torch_dtype", "dtype", "trust_remote_code")


@strict
class TwinConfig(PreTrainedConfig):
    """Configuration of a twin: a strict, keyword-only dataclass stored as `config.json`.

    A subclass is decorated with `huggingface_hub.dataclasses.strict` and declares `model_type` and annotated fields
    with defaults, no `__init__`; methods called `validate_<what>` hold the cross checks and run after construction.
    Wrong types are refused by name, unknown keys too, with the nearest field. Annotate a number as `float | int`, since
    an int is not accepted for a float.

    Raises:
        ValueError: If a key is neither a field nor one of transformers' own.
        huggingface_hub.errors.StrictDataclassError: If a field has the wrong type or a cross check fails.
        TypeError: If the class is not decorated.
        CheckpointError: If `model_type` is given and is not the one of this class.

    Example:
        ```python
        @strict
        class LinearTwinConfig(TwinConfig):
            model_type = "gentwin_linear"
            hidden_size: int = 64
        ```
    """

    def __init_subclass__(cls, *args: Any, **kwargs: Any) -> None:
        super().__init_subclass__(*args, **kwargs)
        # `strict` does not check annotations that are strings, as `from __future__ import annotations` makes them.
        annotations = inspect.get_annotations(cls, eval_str=True)
        for field in dataclasses.fields(cls):
            field.type = annotations.get(field.name, field.type)

    def __post_init__(self, **kwargs: Any) -> None:
        if "__class_validators__" not in vars(type(self)):
            raise TypeError(f"{type(self).__name__} must be decorated with `@strict`: its fields would not be checked.")
        model_type = kwargs.pop("model_type", self.model_type)
        if model_type != self.model_type:
            raise CheckpointError(_wrong_model_type(type(self), model_type, "the configuration"))
        refuse_unknown_keys(kwargs, [*_field_names(type(self)), *TRANSFORMERS_KEYS], type(self).__name__)
        super().__post_init__(**kwargs)

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | Path, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Reads `config.json` of a shipped checkpoint, a folder or a Hub name; refuses one of another `model_type`."""
        config_dict, kwargs = super().get_config_dict(resolve(pretrained_model_name_or_path), **kwargs)
        where = f"{str(pretrained_model_name_or_path)!r}"
        if not config_dict:
            raise CheckpointError(f"{where} holds no `config.json`; pass a folder that `save_pretrained` has written.")
        if config_dict.get("model_type") != cls.model_type:
            raise CheckpointError(_wrong_model_type(cls, config_dict.get("model_type"), where))
        return config_dict, kwargs

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Builds the configuration from a dictionary; keyword arguments that are fields override it.

        Overrides are applied before construction, so they pass the same checks.
        """
        return_unused_kwargs = kwargs.pop("return_unused_kwargs", False)
        names = set(_field_names(cls)) - {"dtype"}
        overrides = {key: kwargs.pop(key) for key in list(kwargs) if key in names}
        config, unused = super().from_dict({**config_dict, **overrides}, return_unused_kwargs=True, **kwargs)
        if return_unused_kwargs:
            return config, unused
        unknown = {key: value for key, value in unused.items() if key not in _LOADING_KEYS}
        refuse_unknown_keys(unknown, sorted(names), cls.__name__)
        return config


def _field_names(cls: type[TwinConfig]) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def _wrong_model_type(cls: type[TwinConfig], found: str | None, where: str) -> str:
    return (
        f"`model_type` of {where} must be {cls.model_type!r} for {cls.__name__}, got {found!r}"
        "; `gentwin.from_pretrained` picks the class by itself."
    )
