"""Configuration of the policy twin."""

from __future__ import annotations

import dataclasses
from typing import Any

from huggingface_hub.dataclasses import strict

from gentwin.models.configuration_twin import TwinConfig
from gentwin.schema import TransitionSchema

LAYOUTS = ("shared", "joint")
GENERATORS = ("none", "actions", "decisions")
SEEN, FREE = ("queued", "oldest_wait_s", "requesting"), "free_"


@strict
class PolicyTwinConfig(TwinConfig):
    r"""Configuration of [`PolicyTwinModel`][gentwin.models.policy.PolicyTwinModel].

    Args:
        schema: [`TransitionSchema.to_dict()`][gentwin.schema.TransitionSchema.to_dict] of what the policy sees:
            `queued`, `oldest_wait_s`, `requesting` and `free_<resource>` of every resource.
        capacity: Units of each resource, by its name.
        demand: Units of each resource, in the order of the schema, that a service holds, by the names of slices.
        layout: `shared`, one network for all slices, or `joint`, a dense network on everything at once.
        hidden_sizes: Widths of the hidden layers of the classifier.
        generator: `none`; `actions`, a GAN that gives states their actions; or `decisions`, one that makes states, too.
        generator_sizes: Widths of the hidden layers of the generator.
        critic_sizes: Widths of the hidden layers of its critic.
        noise_size: Width of the noise that the generator draws from.
        gumbel_temperature: Temperature of the Gumbel-softmax in the training of the generator, above 0.
        gradient_penalty: Weight of the penalty on the slope of the critic.
        feature_clip: Standardised inputs are limited to plus or minus this many standard deviations.
        range_margin: States are drawn up to the longest queues and waits on record and this share of them more.

    Raises:
        ValueError: If a size is not positive, or schema, capacity and demand contradict each other.

    Example:
        ```python
        >>> from gentwin import PolicyTwinConfig, PolicyTwinModel
        >>> from gentwin.networks.admission import admission_parameters, resource_demand

        >>> resources = resource_demand(admission_parameters("busy"))
        >>> twin = PolicyTwinModel(PolicyTwinConfig(schema=decisions.schema.to_dict(), **resources))
        ```
    """

    model_type = "gentwin_policy"

    schema: dict[str, Any] = dataclasses.field(default_factory=dict)
    capacity: dict[str, int] = dataclasses.field(default_factory=dict)
    demand: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    layout: str = "shared"
    hidden_sizes: list[int] = dataclasses.field(default_factory=lambda: [64, 64])
    generator: str = "none"
    generator_sizes: list[int] = dataclasses.field(default_factory=lambda: [64, 64])
    critic_sizes: list[int] = dataclasses.field(default_factory=lambda: [64, 64])
    noise_size: int = 8
    gumbel_temperature: float | int = 0.5
    gradient_penalty: float | int = 10.0
    feature_clip: float | int = 6.0
    range_margin: float | int = 0.1

    def validate_sizes(self) -> None:
        """Checks names and sizes; run by `strict` after construction."""
        for name, known in (("layout", LAYOUTS), ("generator", GENERATORS)):
            if getattr(self, name) not in known:
                raise ValueError(f"`{name}` must be one of {known}, got {getattr(self, name)!r}.")
        for name in ("hidden_sizes", "generator_sizes", "critic_sizes"):
            if not getattr(self, name) or min(getattr(self, name)) < 1:
                raise ValueError(f"`{name}` must hold positive widths, got {getattr(self, name)}.")
        if self.noise_size < 1:
            raise ValueError(f"`noise_size` must be at least 1, got {self.noise_size}.")
        for name in ("gumbel_temperature", "feature_clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be above 0, got {getattr(self, name)}.")
        for name in ("gradient_penalty", "range_margin"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must be at least 0, got {getattr(self, name)}.")

    def validate_resources(self) -> None:
        """Checks schema, capacity and demand against each other; run by `strict` after construction."""
        if not self.schema:
            return
        schema = TransitionSchema.from_dict(self.schema)
        names = [field.name for field in schema.state]
        resources = [name.removeprefix(FREE) for name in names[len(SEEN) :]]
        if tuple(names[: len(SEEN)]) != SEEN or set(resources) != set(self.capacity):
            expected = [*SEEN, *(FREE + name for name in self.capacity)]
            raise ValueError(
                f"`schema` must have the state fields {expected} with this `capacity`, got {names}; "
                "`gentwin.datasets.policy_schema` gives it."
            )
        if not self.capacity or min(self.capacity.values()) < 1:
            raise ValueError(f"`capacity` must hold positive units, got {self.capacity}.")
        if set(self.demand) != set(schema.slices):
            raise ValueError(f"`demand` must be of the slices {list(schema.slices)}, got {list(self.demand)}.")
        units = self.units
        for name, needs in self.demand.items():
            fits = len(needs) == len(units) and all(0 <= need <= most for need, most in zip(needs, units, strict=True))
            if not fits or not any(needs):
                raise ValueError(
                    f"`demand` of slice `{name}` must be one number within `capacity` {units} for every resource, not "
                    f"all 0, got {needs}."
                )

    @property
    def policy_schema(self) -> TransitionSchema:
        """The schema as an object; raises `ValueError` if the configuration has none."""
        if not self.schema:
            raise ValueError("`schema` is empty: pass `schema=decisions.schema.to_dict()` of the records.")
        return TransitionSchema.from_dict(self.schema)

    @property
    def units(self) -> list[int]:
        """Capacity in the order of the schema, `(R,)`."""
        names = [field.name for field in self.policy_schema.state[len(SEEN) :]]
        return [self.capacity[name.removeprefix(FREE)] for name in names]

    @property
    def needs(self) -> list[list[int]]:
        """Demand in the order of the schema, `(K, R)`."""
        return [self.demand[name] for name in self.policy_schema.slices]
