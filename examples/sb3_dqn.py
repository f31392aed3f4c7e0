"""DQN of stable-baselines3: learns in 256 copies of the twin, is judged on the network."""

import gymnasium as gym
from sb3_vec_env import GymnasiumVecEnv
from setting import compare, parse_arguments, scaled
from stable_baselines3 import DQN

import gentwin  # noqa: F401 (makes the environments known)

args = parse_arguments(__doc__)
twin = gym.make_vec("gentwin/TwinSlicing-v0", 256, twin="gentwin/slice-lstm-dynamic", observation_fields="all")
network = gym.make_vec("gentwin/RanSlicing-v0", 64, preset="dynamic", observation_fields="all")

model = DQN(
    "MlpPolicy",
    GymnasiumVecEnv(scaled(twin)),
    policy_kwargs={"net_arch": [256, 256]},
    learning_rate=1e-3,
    gamma=0.7,
    batch_size=512,
    buffer_size=100_000,
    learning_starts=2_560,
    train_freq=1,
    gradient_steps=2,
    tau=0.01,
    target_update_interval=256,
    exploration_fraction=0.5,
    seed=args.seed,
    device="cpu",
)
model.learn(256 * args.steps)
compare("DQN", lambda states: model.predict(states, deterministic=True)[0], scaled(network), args)
