"""Configuration of Q-networks."""

from __future__ import annotations

import dataclasses
import math

from huggingface_hub.dataclasses import strict

from gentwin.models.configuration_twin import TwinConfig

HEADS = ("plain", "dueling", "factorised", "particles")
SCALES = ("linear", "log1p")


@strict
class QNetworkConfig(TwinConfig):
    r"""Configuration of [`QNetworkModel`][gentwin.models.q_network.QNetworkModel].

    Args:
        observation_fields: Name of every entry of an observation, such as `gaming.queued_bits`; their number is that
            of the inputs.
        observation_scales: `linear` or `log1p` for every entry; all linear by default. Entries on the log scale are
            never negative.
        num_actions: Number of actions.
        hidden_sizes: Widths of the hidden layers; Zhang et al. use 256, 256, 128 and 128.
        head: How values of actions come about: `plain`, one output each; `dueling`, a value of the state and an
            advantage each; `factorised`, a sum over slices of functions of their bandwidth; `particles`, a sample of
            returns for each action from a generator, judged by a critic (Dueling GAN-DDQN).
        num_slices: Slices that an allocation divides the band among; needed by `factorised`.
        num_units: Units of the grid that the band has, such as 17; needed by `factorised`. Its actions are all ways
            to give each slice at least one unit, in the order of
            [`allocation_grid`][gentwin.networks.slicing.allocation_grid].
        num_knots: Largest number of knots of a slice's function of its bandwidth in `factorised`.
        num_particles: Particles of each action in `particles`.
        noise_size: Width of the noise that `particles` draws from.
        critic_sizes: Widths of the critic's hidden layers in `particles`.
        feature_clip: Standardised inputs are limited to plus or minus this many standard deviations.

    Raises:
        ValueError: If a size is not positive, or slices and units do not give the number of actions.
    """

    model_type = "gentwin_q_network"

    observation_fields: list[str] = dataclasses.field(default_factory=lambda: ["observation"])
    observation_scales: list[str] = dataclasses.field(default_factory=list)
    num_actions: int = 2
    hidden_sizes: list[int] = dataclasses.field(default_factory=lambda: [256, 256, 128, 128])
    head: str = "plain"
    num_slices: int = 0
    num_units: int = 0
    num_knots: int = 12
    num_particles: int = 30
    noise_size: int = 10
    critic_sizes: list[int] = dataclasses.field(default_factory=lambda: [256, 256])
    feature_clip: float | int = 10.0

    def validate_sizes(self) -> None:
        """Checks names, scales and sizes; run by `strict` after construction."""
        if not self.observation_fields:
            raise ValueError("`observation_fields` must name at least one entry, got none.")
        for scale in self.observation_scales:
            if scale not in SCALES:
                raise ValueError(f"`observation_scales` must be among {SCALES}, got {scale!r}.")
        if self.observation_scales and len(self.observation_scales) != len(self.observation_fields):
            raise ValueError(
                f"`observation_scales` must have {len(self.observation_fields)} entries, one per observation field, "
                f"got {len(self.observation_scales)}."
            )
        for name in ("hidden_sizes", "critic_sizes"):
            if not getattr(self, name) or min(getattr(self, name)) < 1:
                raise ValueError(f"`{name}` must hold positive widths, got {getattr(self, name)}.")
        for name in ("num_actions", "num_knots", "num_particles", "noise_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if not self.feature_clip > 0:
            raise ValueError(f"`feature_clip` must be above 0, got {self.feature_clip}.")

    def validate_head(self) -> None:
        """Checks the head against the actions; run by `strict` after construction."""
        if self.head not in HEADS:
            raise ValueError(f"`head` must be one of {HEADS}, got {self.head!r}.")
        if self.head == "particles" and len(self.hidden_sizes) < 3:
            raise ValueError(
                f"`hidden_sizes` must hold at least 3 widths with head='particles', got {self.hidden_sizes}."
            )
        if self.head != "factorised":
            return
        if self.num_slices < 2 or self.num_units < self.num_slices:
            raise ValueError(
                "`num_slices` must be at least 2 and `num_units` at least as large with head='factorised', got "
                f"{self.num_slices} and {self.num_units}."
            )
        count = math.comb(self.num_units - 1, self.num_slices - 1)
        if count != self.num_actions:
            raise ValueError(
                f"`num_actions` must be {count}, the ways to divide {self.num_units} units among {self.num_slices} "
                f"slices, got {self.num_actions}."
            )
