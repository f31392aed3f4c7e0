"""PPO of stable-baselines3: learns in 256 copies of the twin, is judged on the network."""

import gymnasium as gym
from sb3_vec_env import GymnasiumVecEnv
from setting import compare, parse_arguments, scaled
from stable_baselines3 import PPO

import gentwin  # noqa: F401 (makes the environments known)

args = parse_arguments(__doc__)
twin = gym.make_vec("gentwin/TwinSlicing-v0", 256, twin="gentwin/slice-lstm-dynamic", observation_fields="all")
network = gym.make_vec("gentwin/RanSlicing-v0", 64, preset="dynamic", observation_fields="all")

model = PPO(
    "MlpPolicy",
    GymnasiumVecEnv(scaled(twin)),
    policy_kwargs={"net_arch": [256, 256]},
    learning_rate=5e-4,
    gamma=0.7,
    n_steps=16,
    batch_size=1024,
    n_epochs=4,
    ent_coef=0.01,
    seed=args.seed,
    device="cpu",
)
model.learn(256 * args.steps)
compare("PPO", lambda states: model.predict(states, deterministic=True)[0], scaled(network), args)
