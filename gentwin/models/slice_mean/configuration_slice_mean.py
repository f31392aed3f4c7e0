"""Configuration of the twin of slice dynamics that predicts means."""

from __future__ import annotations

import dataclasses

from huggingface_hub.dataclasses import strict

from gentwin.models.configuration_dynamics import DynamicsTwinConfig


@strict
class SliceMeanTwinConfig(DynamicsTwinConfig):
    r"""Configuration of [`SliceMeanTwinModel`][gentwin.models.slice_mean.SliceMeanTwinModel].

    Fields besides those of [`DynamicsTwinConfig`][gentwin.models.configuration_dynamics.DynamicsTwinConfig]:

    Args:
        hidden_size: Width of the LSTM, which sees all slices at once.
        reward_hidden_sizes: Widths of the hidden layers of the dense network for the outcome.

    Raises:
        ValueError: If there is no hidden layer or a width is not positive.

    Example:
        ```python
        >>> from gentwin import SliceMeanTwinConfig, SliceMeanTwinModel

        >>> config = SliceMeanTwinConfig(schema=transitions.schema.to_dict(), hidden_size=64)
        >>> twin = SliceMeanTwinModel(config)
        ```
    """

    model_type = "gentwin_slice_mean"

    hidden_size: int = 64
    reward_hidden_sizes: list[int] = dataclasses.field(default_factory=lambda: [64, 64])

    def validate_reward(self) -> None:
        """Checks the dense network; run by `strict` after construction."""
        if not self.reward_hidden_sizes or min(self.reward_hidden_sizes) < 1:
            raise ValueError(
                f"`reward_hidden_sizes` must be at least one width of at least 1, got {self.reward_hidden_sizes}."
            )
