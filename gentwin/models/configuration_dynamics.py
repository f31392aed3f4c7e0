"""What the configurations of all twins of slice dynamics have in common."""

from __future__ import annotations

import dataclasses
from typing import Any

from huggingface_hub.dataclasses import strict

from gentwin.models.configuration_twin import TwinConfig
from gentwin.schema import TransitionSchema


@strict
class DynamicsTwinConfig(TwinConfig):
    r"""Sizes of a twin of slice dynamics: its schema, its encoder's width and the ranges of numbers.

    The numbers of slices and of fields come from the schema alone.

    Args:
        schema: [`TransitionSchema.to_dict()`][gentwin.schema.TransitionSchema.to_dict] of the data the twin is for.
        hidden_size: Width of the recurrent (or attention) representation.
        feature_clip: Standardised inputs are limited to plus or minus this many standard deviations.
        range_margin: Predictions may leave the range seen in training by this share of it, on the target's scale.

    Raises:
        ValueError: If a size is not positive or the schema is not one.
    """

    schema: dict[str, Any] = dataclasses.field(default_factory=dict)
    hidden_size: int = 32
    feature_clip: float | int = 6.0
    range_margin: float | int = 0.05

    def validate_dynamics(self) -> None:
        """Checks sizes and schema; run by `strict` after construction."""
        if self.hidden_size < 1:
            raise ValueError(f"`hidden_size` must be at least 1, got {self.hidden_size}.")
        if self.range_margin < 0:
            raise ValueError(f"`range_margin` must be at least 0, got {self.range_margin}.")
        if not self.feature_clip > 0:
            raise ValueError(f"`feature_clip` must be above 0, got {self.feature_clip}.")
        if self.schema:
            for field in TransitionSchema.from_dict(self.schema).targets:
                if field.categories:
                    raise ValueError(
                        f"`{field.name}` is a category, but twins predict numbers only; make it a context field, or "
                        "one share per category."
                    )

    @property
    def num_members(self) -> int:
        """Number of ensemble members a step may choose from."""
        return 1

    @property
    def transition_schema(self) -> TransitionSchema:
        """The schema as an object; raises `ValueError` if the configuration has none."""
        if not self.schema:
            raise ValueError(
                "`schema` is empty: pass `schema=transition_schema.to_dict()` of the data this twin is for."
            )
        return TransitionSchema.from_dict(self.schema)


@strict
class DistributionalTwinConfig(DynamicsTwinConfig):
    r"""Sizes of a twin that draws from distributions: besides those of
    [`DynamicsTwinConfig`][gentwin.models.configuration_dynamics.DynamicsTwinConfig] its heads.

    Args:
        embedding_size: Width of the embedding of one slice's state, action and context.
        hidden_size: Width of one slice's recurrent (or attention) representation.
        head_hidden_size: Width of the hidden layer of each head of each ensemble member.
        num_members: Number of ensemble members: heads of their own on a shared encoder.
        num_quantiles: Number of quantiles of the continuous part of each target.

    Raises:
        ValueError: If a size is not positive.
    """

    embedding_size: int = 48
    head_hidden_size: int = 48
    num_members: int = 5
    num_quantiles: int = 20

    def validate_heads(self) -> None:
        """Checks the sizes of the heads; run by `strict` after construction."""
        for name in ("embedding_size", "head_hidden_size", "num_members"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if self.num_quantiles < 2:
            raise ValueError(f"`num_quantiles` must be at least 2, got {self.num_quantiles}.")
