import gymnasium
import numpy as np
import pytest

from gentwin.rl import Collector, Experience, ReplayBuffer


@pytest.fixture(scope="session")
def slicing_record():
    """Returns a function that makes a record of a small sliced network under random allocations."""

    def make(preset, num_steps):
        env = gymnasium.make_vec("gentwin/RanSlicing-v0", preset=preset, slots_per_step=20, observation_fields="all")
        experience, rng = Experience(env), np.random.default_rng(0)
        size = env.single_observation_space.shape[0]
        collector = Collector(env, 0, ReplayBuffer(num_steps, size), experience.add)
        while collector.num_steps < num_steps:
            collector.step(lambda observations: rng.integers(env.single_action_space.n, size=len(observations)))
        return experience.transitions()

    return make
