"""Base class of all twins: a `PreTrainedModel` that loads strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from gentwin.hub import CheckpointError
from gentwin.models.checkpoint import (
    local_folder,
    make_readable,
    no_progress_bar,
    refuse_loading_problems,
    refuse_non_finite,
    verify_checksums,
    write_checksums,
)
from gentwin.models.configuration_twin import TwinConfig

_UPLOAD_KEYS = ("repo_id", "commit_message", "create_pr", "private", "token")


class TwinModel(PreTrainedModel):
    """A learned twin of a network.

    It differs from `PreTrainedModel` where silence would cost a wrong twin:

    - `from_pretrained` refuses missing, unexpected, misshapen and non-finite weights, weights that changed since they
      were saved, configurations of another class, and pickled files; `gentwin/<name>` is found in the package.
    - `post_init` keeps the initialisation of the modules: it calls their own `reset_parameters()`. Only with an
      `initializer_range` in the configuration do linear, convolution and embedding layers get the one of transformers.
    - With `has_statistics`, the persistent buffer `fitted` tells whether the normalisation statistics hold data.

    A subclass sets `config_class`, calls `super().__init__(config)` first and `self.post_init()` last. A module with
    bare parameters or non-persistent buffers must define `reset_parameters()` that fills them, because loading builds
    the model on the meta device; values that were loaded survive the call.

    Attributes:
        has_statistics: Whether the twin carries normalisation statistics; false for twins of discrete messages.
        fitted: Persistent bool tensor of shape `()`, true once the statistics are set; absent without statistics.
    """

    config_class = TwinConfig
    has_statistics: ClassVar[bool] = True
    _is_known_fitted = False

    def __init__(self, config: TwinConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        if self.has_statistics:
            self.register_buffer("fitted", torch.tensor(False))

    def mark_fitted(self) -> None:
        """Records that the normalisation statistics now hold data."""
        self.fitted.fill_(True)

    def require_fitted(self) -> None:
        """Raises `RuntimeError` if the normalisation statistics have never been set."""
        # Reading the flag waits for the device, so a positive answer is kept.
        if not self.has_statistics or self._is_known_fitted:
            return
        if not bool(self.fitted):
            raise RuntimeError(
                f"`fitted` of {type(self).__name__} is false: its normalisation statistics were never set, so its "
                "predictions would have no unit. Fit the statistics on training data or load a trained checkpoint."
            )
        self._is_known_fitted = True

    def weight_layers(self) -> list[list[nn.Parameter]]:
        """Returns the weights of the layers, the lowest first and those that give the output last.

        An adaptation counts layers like this, see `gentwin.training.adapt`. Weights that are in none, such as those of
        a generator beside the twin, are learnt in any case. A twin without layers has none.
        """
        return []

    def _init_weights(self, module: nn.Module) -> None:
        if module is self and self.has_statistics and not getattr(self.fitted, "_is_hf_initialized", False):
            self.fitted.fill_(False)
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding)):
            own_scheme = not hasattr(self.config, "initializer_range")
        else:
            own_scheme = hasattr(module, "reset_parameters") and not isinstance(module, nn.modules.batchnorm._BatchNorm)
        if own_scheme:
            _reset_keeping_loaded(module)
        else:
            super()._init_weights(module)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path | None, *args: Any, strict: bool = True, **kwargs: Any
    ) -> Any:
        """Loads a twin from a shipped checkpoint, a folder or the Hub.

        Args:
            pretrained_model_name_or_path: `gentwin/<name>`, a folder written by `save_pretrained`, or a Hub name.
            *args: Passed to the model class.
            strict: Refuse missing, unexpected and misshapen weights. With false they are re-initialised or ignored, as
                transformers does, for transfer to a changed architecture.
            **kwargs: Arguments of `PreTrainedModel.from_pretrained`, or configuration fields to override.

        Returns:
            The twin in evaluation mode; with `output_loading_info=True` a tuple of it and the loading report.

        Raises:
            CheckpointError: If the folder holds another class, or its weights are missing, unexpected, misshapen, not
                finite, damaged or changed.
            OSError: If there is no configuration or no safetensors file.
        """
        if kwargs.pop("use_safetensors", True) is False:
            raise ValueError("`use_safetensors` must be true: pickled weights can run code and are never loaded.")
        config = kwargs.get("config")
        if isinstance(config, PreTrainedConfig) and not isinstance(config, cls.config_class):
            raise CheckpointError(
                f"`config` must be a {cls.config_class.__name__} for {cls.__name__}, got a {type(config).__name__}."
            )
        name = pretrained_model_name_or_path
        where = f"{str(name)!r}"
        folder = None if name is None else local_folder(str(name), kwargs)
        if folder is not None:
            verify_checksums(Path(folder) / kwargs.get("subfolder", ""))
        wants_info = kwargs.pop("output_loading_info", False)
        kwargs["ignore_mismatched_sizes"] = True  # so that strict loading names them and their shapes
        try:
            with no_progress_bar():
                model, info = super().from_pretrained(
                    folder, *args, use_safetensors=True, output_loading_info=True, **kwargs
                )
        except SafetensorError as error:
            raise CheckpointError(f"weights of {where} are damaged ({error}); get or save them again.") from error
        if strict:
            refuse_loading_problems(info, cls.__name__, where)
        refuse_non_finite(model.state_dict().items(), f"weights of {where}")
        return (model, info) if wants_info else model

    def save_pretrained(
        self,
        save_directory: str | Path,
        is_main_process: bool = True,
        state_dict: dict[str, torch.Tensor] | None = None,
        push_to_hub: bool = False,
        **kwargs: Any,
    ) -> None:
        """Saves configuration, weights and their checksums; arguments as in `PreTrainedModel.save_pretrained`.

        Raises:
            CheckpointError: If a weight is NaN or infinite; nothing is written then.
        """
        refuse_non_finite((self.state_dict() if state_dict is None else state_dict).items(), "weights to save")
        upload = {key: kwargs.pop(key) for key in _UPLOAD_KEYS if key in kwargs}
        super().save_pretrained(save_directory, is_main_process=is_main_process, state_dict=state_dict, **kwargs)
        if is_main_process:
            make_readable(save_directory)
            write_checksums(save_directory)
            if push_to_hub:  # only now, because the checksums belong to what is uploaded
                self.push_to_hub(**{"repo_id": Path(save_directory).name, **upload})


def _reset_keeping_loaded(module: nn.Module) -> None:
    """Calls `module.reset_parameters()`, then puts back the values that were loaded from a checkpoint."""
    loaded = {
        name: tensor.clone()
        for named in (module.named_parameters(), module.named_buffers())
        for name, tensor in named
        if getattr(tensor, "_is_hf_initialized", False)
    }
    module.reset_parameters()
    for name, value in loaded.items():
        owner, _, attribute = name.rpartition(".")
        getattr(module.get_submodule(owner), attribute).copy_(value)
