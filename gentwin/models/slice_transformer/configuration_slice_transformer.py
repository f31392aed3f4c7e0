"""Configuration of the attention twin of slice dynamics."""

from __future__ import annotations

from huggingface_hub.dataclasses import strict

from gentwin.models.configuration_dynamics import DistributionalTwinConfig


@strict
class SliceTransformerTwinConfig(DistributionalTwinConfig):
    r"""Configuration of [`SliceTransformerTwinModel`][gentwin.models.slice_transformer.SliceTransformerTwinModel].

    Fields besides those of
    [`DistributionalTwinConfig`][gentwin.models.configuration_dynamics.DistributionalTwinConfig]:

    Args:
        num_hidden_layers: Number of attention blocks.
        num_attention_heads: Number of attention heads; divides `hidden_size`.
        window: Number of latest steps, the present one included, that a block attends to. It bounds the memory of a
            roll-out of any length.

    Raises:
        ValueError: If a number is not positive or the heads do not divide `hidden_size`.
    """

    model_type = "gentwin_slice_transformer"

    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    window: int = 16

    def validate_attention(self) -> None:
        """Checks the attention blocks; run by `strict` after construction."""
        for name in ("num_hidden_layers", "num_attention_heads", "window"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"`hidden_size` must be a multiple of `num_attention_heads` = {self.num_attention_heads}, "
                f"got {self.hidden_size}."
            )
