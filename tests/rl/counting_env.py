"""A vector environment whose observations say what happened, so that transitions can be checked."""

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space


class CountingEnv(VectorEnv):
    """Every copy counts its steps: the observation is `(copy, episode, step)`, the reward the number of the step.

    Copy `i` ends every episode after `lengths[i]` steps: it terminates if `terminates[i]`, else it is truncated.
    """

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 (Gymnasium's form)

    def __init__(self, lengths, terminates, with_utility=False):
        self.num_envs = len(lengths)
        self.lengths, self.terminates, self.with_utility = np.array(lengths), np.array(terminates), with_utility
        self.single_action_space = spaces.Discrete(4)
        self.single_observation_space = spaces.Box(0, 1000, (3,), np.float32)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.count = np.zeros(self.num_envs, int), np.zeros(self.num_envs, int)
        return self._observation(), {}

    def step(self, actions):
        over = self.count >= self.lengths
        self.episode[over] += 1
        self.count = np.where(over, 0, self.count + 1)
        ends = self.count >= self.lengths
        info = {"utility": self.count * 10.0} if self.with_utility else {}
        return self._observation(), self.count * 1.0, ends & self.terminates, ends & ~self.terminates, info

    def _observation(self):
        return np.stack((np.arange(self.num_envs), self.episode, self.count), axis=1).astype(np.float32)
