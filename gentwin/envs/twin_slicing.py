"""The twin of a sliced network as a gymnasium environment: `gentwin/TwinSlicing-v0`."""

from __future__ import annotations

import os
from typing import Any

import gymnasium
import numpy as np
import torch

from gentwin.envs.slicing import SlicingEnv, SlicingVectorEnv, check_finite, refuse_foreign_arguments
from gentwin.envs.slicing_reward import RewardShaping
from gentwin.models import from_pretrained
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.networks.slicing import PRESETS, slicing_parameters

FOREIGN_ARGUMENTS = {
    "episode_steps": "the length of an episode is `horizon` here",
    "placement_seed": "leave it out: a twin draws its users from what it learned; `reset(seed=...)` fixes the draws",
    "num_threads": "leave it out: the copies are one batch; use `torch.set_num_threads`",
}


class TwinSlicingVectorEnv(SlicingVectorEnv):
    """Batched form of [`TwinSlicingEnv`][gentwin.envs.twin_slicing.TwinSlicingEnv]:
    `gymnasium.make_vec("gentwin/TwinSlicing-v0")`.

    All copies are one batch on the device of the twin. Arguments are those of the scalar environment, with `num_envs`
    first.
    """

    length_argument = "horizon"
    reset_options = ("start_states",)

    def __init__(
        self,
        num_envs: int = 1,
        *,
        twin: str | os.PathLike | DynamicsTwin = "gentwin/slice-lstm-dynamic",
        preset: str | None = None,
        horizon: int | None = 200,
        start_states: np.ndarray | dict[str, np.ndarray] | None = None,
        utility_weights: tuple[float, ...] | None = None,
        reward: str = "utility",
        shaping: RewardShaping | dict[str, float] | None = None,
        observation_fields: tuple[str, ...] | str = ("arrived",),
        device: str | torch.device | None = None,
        **parameters: Any,
    ) -> None:
        refuse_foreign_arguments(parameters, FOREIGN_ARGUMENTS, "gentwin/TwinSlicing-v0")
        model = twin if isinstance(twin, DynamicsTwin) else from_pretrained(twin)
        if not isinstance(model, DynamicsTwin):
            raise ValueError(f"`twin` must be a twin of slice dynamics, got {type(model).__name__}.")
        model.require_fitted()
        self.twin = model.eval() if device is None else model.eval().to(device)
        schema = model.transition_schema
        if schema.name not in PRESETS:
            raise ValueError(
                f"`twin` must be a twin of one of the slicing networks {PRESETS}, got one of {schema.name!r}; step "
                "twins of other networks with `twin.step`."
            )
        if preset not in (None, schema.name):
            raise ValueError(
                f"`preset` must be what the twin was trained on, {schema.name!r}, got {preset!r}; leave it out, or "
                "pass a `twin` of that network (`gentwin twins` lists those shipped)."
            )
        super().__init__(
            slicing_parameters(schema.name, **parameters),
            num_envs, utility_weights, reward, shaping, observation_fields, horizon,
        )  # fmt: skip
        if self.schema != schema:
            raise ValueError(
                f"`twin` must have been trained on the preset {schema.name!r} with these parameters: its fields or "
                "ranges differ from the network's; leave the parameters out or train a twin for them."
            )
        self._starts, self._histories = self._checked_starts(start_states)
        self._generator = torch.Generator(self.twin.device)
        self._is_seeded = False

    @torch.inference_mode()
    def uncertainty(self, actions: np.ndarray) -> np.ndarray:
        """Returns how far the members of the twin disagree on what `actions` `(num_envs,)` would bring, `(num_envs,)`.

        It is the mean over slices and targets of
        [`TargetDistribution.uncertainty`][gentwin.models.target_distribution.TargetDistribution.uncertainty], in
        standard deviations of the training data; nothing is stepped. Methods that distrust the twin subtract it from
        rewards or end roll-outs by it.

        Raises:
            gymnasium.error.ResetNeeded: Before the first `reset`.
            ValueError: If `actions` is not one allocation for every copy.
        """
        if not self._was_reset:
            raise gymnasium.error.ResetNeeded("call `reset` before `uncertainty`.")
        values = self.action_values(self._checked(np.asarray(actions))).astype(np.float32)
        action = torch.from_numpy(values).to(self.twin.device)
        found = self.twin.predict(self._state_now, action, self._memory)
        return found.uncertainty().mean(dim=(1, 2)).cpu().numpy()

    def _checked_starts(self, start_states: Any) -> tuple[torch.Tensor | None, dict[str, torch.Tensor] | None]:
        if start_states is None:
            return None, None
        shape = (self.parameters.num_slices, len(self.schema.state))
        if not isinstance(start_states, dict):
            starts = np.asarray(start_states, np.float32)
            if starts.ndim != 3 or starts.shape[1:] != shape or len(starts) == 0:
                raise ValueError(
                    f"`start_states` must have shape (num_starts, {shape[0]}, {shape[1]}), got {starts.shape}."
                )
            check_finite("start_states", starts)
            return torch.from_numpy(starts), None
        if sorted(start_states) != ["actions", "states"]:
            raise ValueError(f"`start_states` must have the keys 'states' and 'actions', got {sorted(start_states)}.")
        states = np.asarray(start_states["states"], np.float32)
        actions = np.asarray(start_states["actions"], np.float32)
        expected = (len(states), states.shape[1] - 1 if states.ndim == 4 else 0, shape[0], 1)
        if states.ndim != 4 or states.shape[2:] != shape or len(states) == 0 or actions.shape != expected:
            raise ValueError(
                f"`start_states` must hold states (num_starts, T + 1, {shape[0]}, {shape[1]}) and actions "
                f"(num_starts, T, {shape[0]}, 1), got {states.shape} and {actions.shape}."
            )
        check_finite("start_states", states)
        check_finite("start_states", actions)
        history = {"states": torch.from_numpy(states[:, :-1].copy()), "actions": torch.from_numpy(actions)}
        return torch.from_numpy(states[:, -1].copy()), history

    @torch.inference_mode()
    def _begin(self, seed: int | None, options: dict[str, Any]) -> None:
        if seed is not None or not self._is_seeded:
            self._generator.manual_seed(int(self.np_random.integers(2**31)) if seed is None else seed)
            self._is_seeded = True
        device = self.twin.device
        starts, histories = self._starts, self._histories
        if "start_states" in options:
            starts, histories = self._checked_starts(options["start_states"])
        self._memory = self.twin.initial_state(self.num_envs)
        if starts is None:
            self._state_now = self.twin.sample_start(self.num_envs, self._generator)
            return
        chosen = torch.randint(len(starts), (self.num_envs,), generator=self._generator, device=device).cpu()
        self._state_now = starts[chosen].to(device)
        if histories is not None:
            past, actions = histories["states"][chosen].to(device), histories["actions"][chosen].to(device)
            for step in range(past.shape[1]):
                self._memory = self.twin.observe(past[:, step], actions[:, step], self._memory)

    @torch.inference_mode()
    def _advance(self, actions: np.ndarray) -> None:
        device = self.twin.device
        action = torch.from_numpy(self.action_values(actions).astype(np.float32)).to(device)
        shape = (self.num_envs, self.twin.num_slices, self.twin.num_targets)
        noise = torch.randn(shape, generator=self._generator, device=device)
        member = torch.randint(self.twin.config.num_members, (self.num_envs,), generator=self._generator, device=device)
        targets, self._memory = self.twin.step(self._state_now, action, self._memory, noise, member=member)
        self._state_now = targets[..., : len(self.schema.state)]
        self._targets = targets.cpu().numpy()

    def _state(self) -> np.ndarray:
        return self._state_now.cpu().numpy()

    def _outcome(self) -> np.ndarray:
        return self._targets[..., len(self.schema.state) :]


class TwinSlicingEnv(SlicingEnv):
    """A learned twin in place of the network: the environment of
    [`RanSlicingEnv`][gentwin.envs.ran_slicing.RanSlicingEnv].

    ## Description

    Spaces, reward, info keys and arguments are those of `gentwin/RanSlicing-v0`; what happens in a window is drawn from
    the twin instead of simulated. An agent changes from one to the other by a change of the id; `episode_steps` of the
    network is `horizon` here, and the default twin is one of `dynamic`, where the network's default is `hua2019`.
    Rewards are composed from the twin's satisfaction ratios and spectral efficiencies, so one twin serves every choice
    of weights.

    ## Action space, observation space, rewards, info

    As in `gentwin/RanSlicing-v0` with the preset the twin was trained on.

    ## Starting state

    Without `start_states` an episode starts from a state the twin keeps from its training data. An array
    `(num_starts, num_slices, num_state)` gives states to draw from. A dictionary with `states`
    `(num_starts, T + 1, num_slices, num_state)` and `actions` `(num_starts, T, num_slices, 1)` gives the `T` steps
    before each start as well, from which a recurrent twin forms its memory: roll-outs branched from the real network.
    `reset(options={"start_states": …})` uses others for one episode.

    ## Episode end

    Episodes never terminate. They are truncated after `horizon` decisions.

    ## Arguments

    ```python
    import gentwin, gymnasium

    env = gymnasium.make_vec("gentwin/TwinSlicing-v0", num_envs=4096, twin="gentwin/slice-lstm-dynamic")
    ```

    Args:
        twin: Name (`gentwin/slice-lstm-dynamic`), folder or model.
        preset: May be given as for the network; it must be the one the twin was trained on.
        horizon: Decisions per episode; `None` for endless ones.
        start_states: See above.
        utility_weights: beta, one per slice; all 1 by default.
        reward: `utility` or `shaped`.
        shaping: Thresholds of `shaped`.
        observation_fields: Names of the fields to observe, or `all`.
        device: Where the twin computes; where it is by default.
        **parameters: Fields of the network's parameters that the twin was trained with, if not those of its preset.
            They set spaces, grid and weights; what happens is the twin's alone.

    ## Version history

    * v0: first version.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(TwinSlicingVectorEnv(1, **arguments))
