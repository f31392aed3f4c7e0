"""The sliced radio access network as a gymnasium environment: `gentwin/RanSlicing-v0`."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import numpy as np

from gentwin.envs.slicing import SlicingEnv, SlicingVectorEnv, refuse_foreign_arguments
from gentwin.envs.slicing_reward import RewardShaping
from gentwin.networks.slicing import SlicingNetwork, slicing_parameters

FOREIGN_ARGUMENTS = {
    "horizon": "the length of an episode is `episode_steps` here",
    "twin": "leave it out, or make 'gentwin/TwinSlicing-v0'",
    "start_states": "only a twin can start from given states: make 'gentwin/TwinSlicing-v0'",
    "device": "leave it out: the network runs on the CPU",
}
MAX_KEY = np.iinfo(np.uint64).max


class RanSlicingVectorEnv(SlicingVectorEnv):
    """Batched form of [`RanSlicingEnv`][gentwin.envs.ran_slicing.RanSlicingEnv]:
    `gymnasium.make_vec("gentwin/RanSlicing-v0")`.

    Copies are independent; copy `i` after `reset(seed=s)` is what the scalar environment is after `reset(seed=s + i)`.
    They share the machine's cores. Autoreset is Gymnasium's next-step mode; all episodes have equal length, so all
    copies are reset in the same step. Arguments are those of the scalar environment, with `num_envs` first.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        preset: str = "hua2019",
        urllc_packets: str = "small",
        utility_weights: tuple[float, ...] | None = None,
        reward: str = "utility",
        shaping: RewardShaping | dict[str, float] | None = None,
        observation_fields: tuple[str, ...] | str = ("arrived",),
        episode_steps: int | None = 200,
        placement_seed: int | None = None,
        num_threads: int | None = None,
        **parameters: Any,
    ) -> None:
        refuse_foreign_arguments(parameters, FOREIGN_ARGUMENTS, "gentwin/RanSlicing-v0")
        super().__init__(
            slicing_parameters(preset, urllc_packets=urllc_packets, **parameters),
            num_envs, utility_weights, reward, shaping, observation_fields, episode_steps,
        )  # fmt: skip
        if placement_seed is not None and self.parameters.population == "sessions":
            raise ValueError(
                f"`placement_seed` applies to presets whose users stay, got {placement_seed} for preset "
                f"{preset!r}, where they come and go; leave it out."
            )
        self.network = SlicingNetwork(self.parameters, num_envs, num_threads)
        self.placement_seed = placement_seed
        self._generators: list[np.random.Generator] = []
        self._placement_keys = np.zeros(num_envs, np.uint64)

    def _begin(self, seed: int | None, options: dict[str, Any]) -> None:
        if seed is not None or not self._generators:
            start = int(self.np_random.integers(2**31)) if seed is None else seed
            self._generators = [np.random.default_rng(start + copy) for copy in range(self.num_envs)]
            self._placement_keys = self._keys()
            if self.placement_seed is not None:
                placement = np.random.default_rng(self.placement_seed).integers(MAX_KEY, dtype=np.uint64)
                self._placement_keys[:] = placement
        sessions = self.parameters.population == "sessions"
        self.network.reset(self._keys(), placement_keys=None if sessions else self._placement_keys)

    def identity(self) -> dict[str, Any]:
        """Returns what a training that is gone on with must share with the one that was saved."""
        return {
            "network": dataclasses.asdict(self.parameters),
            "num_envs": self.num_envs,
            "episode_steps": self.episode_steps,
            "utility_weights": self.utility.weights,
            "shaping": None if self.shaping is None else dataclasses.asdict(self.shaping),
            "placement_seed": self.placement_seed,
        }

    def snapshot(self) -> dict[str, Any]:
        """Returns where all copies and their random generators stand, as arrays and JSON-able values.

        Raises:
            gymnasium.error.ResetNeeded: Before the first `reset`.
        """
        if not self._was_reset:
            raise gymnasium.error.ResetNeeded("call `reset` before `snapshot`.")
        return {
            **self.network.snapshot(),
            "placement_keys": self._placement_keys.copy(),
            "generators": [generator.bit_generator.state for generator in self._generators],
            "num_steps": self._num_steps,
            "num_decisions": self.num_decisions,
            "episode_over": self._episode_over,
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Goes back to a snapshot of an environment with the same arguments."""
        self.network.restore(snapshot)
        self._placement_keys = np.array(snapshot["placement_keys"], np.uint64)
        self._generators = [np.random.default_rng() for _ in range(self.num_envs)]
        for generator, state in zip(self._generators, snapshot["generators"], strict=True):
            generator.bit_generator.state = state
        self._num_steps, self.num_decisions = int(snapshot["num_steps"]), int(snapshot["num_decisions"])
        self._episode_over, self._was_reset = bool(snapshot["episode_over"]), True

    def _keys(self) -> np.ndarray:
        return np.array([rng.integers(MAX_KEY, dtype=np.uint64) for rng in self._generators], np.uint64)

    def _advance(self, actions: np.ndarray) -> None:
        self.network.step_blocks(self._blocks[actions])

    def _state(self) -> np.ndarray:
        return self.network.state_values()

    def _outcome(self) -> np.ndarray:
        return self.network.outcome_values()


class RanSlicingEnv(SlicingEnv):
    """One cell divides its band among slices, anew at every decision.

    ## Description

    A base station serves the users of several slices on one band. At every decision the agent chooses how many hertz
    each slice gets; the cell then runs for a window of scheduling slots, in which packets arrive, are scheduled round
    robin within their slice, suffer fading, and are delivered within their service-level agreement (SLA) or not. The
    setting is that of Hua et al. (IEEE JSAC 38(2), 2020) and Zhang et al. ("Digital twin-enhanced deep reinforcement
    learning for resource management in networks slicing").

    | preset | slices | band, grid | actions | window | what it is |
    |---|---|---|---|---|---|
    | `hua2019` | volte, video, urllc | 10 MHz, 1 MHz | 36 | 1 s | as published, quirks included; a bandit |
    | `zhang2024` | volte, video, urllc | 20 MHz, 1 MHz | 171 | 0.2 s | Zhang et al., table I; a bandit |
    | `dynamic` | gaming, conferencing, streaming | 18.36 MHz, 1.08 MHz | 120 | 0.1 s | queues and users live on |

    In the first two presets queues are emptied after every window, so one decision does not influence the next.

    ## Action space

    `Discrete(num_actions)`: an index into `env.unwrapped.allocations`, array `(num_actions, num_slices)` in Hz. Every
    slice gets at least one unit of the grid and the units add up to the band. A slice owns the whole resource blocks
    (RBs) that fit its bandwidth; what does not fit is lost and reported as `quantisation_loss_hz`.

    ## Observation space

    `Box` of `float32`, shape `(num_slices * num_fields,)`: the chosen fields of the first slice, of the second, …

    | field | unit | min | max | presets |
    |---|---|---|---|---|
    | `arrived`: packets that arrived in the last window | packets | 0 | users x slots (dynamic: x 32) | all |
    | `queued_bits`: bits waiting | bit | 0 | queue places x largest packet | dynamic |
    | `head_of_line_ms`: age of the oldest waiting packet | ms | 0 | window + longest SLA, 400 | dynamic |
    | `channel_db`: mean SNR of the connected users | dB | -100 | 150 | dynamic |

    ## Rewards

    `reward="utility"`: `U = alpha * SE + sum_n beta_n * SSR_n` with the SLA satisfaction ratios SSR (share of packets
    delivered within the SLA) and the spectral efficiency SE in b/s/Hz (Zhang et al., eq. 5). `reward="shaped"`: 0 below
    a rising threshold, 1 above it, and `1 + (U - gamma_max) / 2` from `gamma_max` on (eq. 6). The threshold counts the
    decisions since the environment was made. The papers print no constants; ours are in
    [`default_shaping`][gentwin.envs.slicing_reward.default_shaping].

    ## Starting state

    A static population is placed at `reset(seed=…)` and stays through later episodes; nothing has arrived, so the first
    observation is zero. In `dynamic` a population is drawn for every episode, at a random time of day, and runs for 20
    windows under equal allocations.

    ## Episode end

    Episodes never terminate. They are truncated after `episode_steps` decisions.

    ## Info

    Arrays per slice, shape `(num_slices,)`: every observation field; `delivered` within the SLA; `dropped` undelivered;
    `ssr`; `slice_spectral_efficiency`; `delay_p50_ms`, `delay_p95_ms`, `delay_p99_ms` of the packets that left, also
    as `delay_ms` `(num_slices, 3)`; `prb`, the RBs owned. Numbers: `utility`, `spectral_efficiency`,
    `quantisation_loss_hz`. After `reset` the observation fields only.

    ## Arguments

    ```python
    import gentwin, gymnasium

    env = gymnasium.make("gentwin/RanSlicing-v0", preset="dynamic", observation_fields="all")
    observation, info = env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    ```

    Args:
        preset: `hua2019` (default), `zhang2024` or `dynamic`. The default twin of `gentwin/TwinSlicing-v0` is one of
            `dynamic`.
        urllc_packets: `small` (6.4 … 32 kB) or `large` (0.3 … 0.7 MB), for the two published presets.
        utility_weights: beta, one per slice; all 1 by default.
        reward: `utility` or `shaped`.
        shaping: Thresholds `gamma_min`, `gamma_max` and `sigma` of `shaped`.
        observation_fields: Names of the fields to observe, or `all`.
        episode_steps: Decisions per episode; `None` for endless ones.
        placement_seed: Fixes positions and categories of a static population whatever the seed of `reset`.
        num_threads: Threads of the batched form.
        **parameters: Any field of [`SlicingParameters`][gentwin.networks.slicing.SlicingParameters], such as
            `num_users=50` or `resolution_hz=200e3`.

    ## Version history

    * v0: first version.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(RanSlicingVectorEnv(1, **arguments))
