"""A vector environment of gymnasium whose copies end together, in the form that stable-baselines3 trains on."""

from stable_baselines3.common.vec_env.base_vec_env import VecEnv


class GymnasiumVecEnv(VecEnv):
    def __init__(self, envs):
        self.envs = envs
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self):
        seed, self._seeds = self._seeds[0], [None] * self.num_envs
        return self.envs.reset(seed=seed)[0]

    def step_async(self, actions):
        self.actions = actions

    def step_wait(self):
        observations, rewards, _, truncated, _ = self.envs.step(self.actions)
        infos = [{} for _ in range(self.num_envs)]
        if truncated.all():  # the next episode begins in the step that ends one, in gymnasium a step later
            infos = [{"terminal_observation": last, "TimeLimit.truncated": True} for last in observations]
            observations, _ = self.envs.reset()
        return observations, rewards.astype("float32"), truncated, infos

    def close(self):
        self.envs.close()

    def get_attr(self, attr_name, indices=None):
        return [getattr(self.envs, attr_name)] * self.num_envs

    def set_attr(self, attr_name, value, indices=None):
        setattr(self.envs, attr_name, value)

    def env_method(self, method_name, *method_args, indices=None, **method_kwargs):
        return [getattr(self.envs, method_name)(*method_args, **method_kwargs)] * self.num_envs

    def env_is_wrapped(self, wrapper_class, indices=None):
        return [False] * self.num_envs
