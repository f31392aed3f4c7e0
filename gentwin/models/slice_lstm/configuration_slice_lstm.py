"""Configuration of the recurrent twin of slice dynamics."""

from __future__ import annotations

from huggingface_hub.dataclasses import strict

from gentwin.models.configuration_dynamics import DistributionalTwinConfig


@strict
class SliceLstmTwinConfig(DistributionalTwinConfig):
    r"""Configuration of [`SliceLstmTwinModel`][gentwin.models.slice_lstm.SliceLstmTwinModel].

    All fields are those of
    [`DistributionalTwinConfig`][gentwin.models.configuration_dynamics.DistributionalTwinConfig].

    Example:
        ```python
        >>> from gentwin import SliceLstmTwinConfig, SliceLstmTwinModel

        >>> config = SliceLstmTwinConfig(schema=transitions.schema.to_dict(), hidden_size=32)
        >>> twin = SliceLstmTwinModel(config)
        ```
    """

    model_type = "gentwin_slice_lstm"
