"""DQN of TorchRL: learns in 256 copies of the twin, is judged on the network."""

import gymnasium as gym
import torch
from setting import compare, parse_arguments, scaled
from tensordict.nn import TensorDictSequential
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.envs import GymWrapper
from torchrl.modules import MLP, EGreedyModule, QValueActor
from torchrl.objectives import DQNLoss, SoftUpdate
from torchrl_env import ManualReset

import gentwin  # noqa: F401 (makes the environments known)

args = parse_arguments(__doc__)
torch.manual_seed(args.seed)
twin = gym.make_vec("gentwin/TwinSlicing-v0", 256, twin="gentwin/slice-lstm-dynamic", observation_fields="all")
network = gym.make_vec("gentwin/RanSlicing-v0", 64, preset="dynamic", observation_fields="all")
env = GymWrapper(ManualReset(scaled(twin)), categorical_action_encoding=True)
env.set_seed(args.seed)

values = MLP(12, twin.single_action_space.n, num_cells=[256, 256], activation_class=torch.nn.ReLU)
actor = QValueActor(values, spec=env.action_spec_unbatched, action_space="categorical", in_keys=["observation"])
explorer = EGreedyModule(env.action_spec, eps_end=0.05, annealing_num_steps=args.steps // 2)
loss = DQNLoss(actor, action_space="categorical", loss_function="smooth_l1")
loss.make_value_estimator(gamma=0.7)
updater, optimizer = SoftUpdate(loss, tau=0.01), torch.optim.Adam(loss.parameters(), lr=1e-3)
memory = TensorDictReplayBuffer(storage=LazyTensorStorage(100_000), batch_size=512)
policy = TensorDictSequential(actor, explorer)
frames = {"frames_per_batch": 256, "total_frames": 256 * args.steps}
for data in Collector(env, policy, auto_register_policy_transforms=False, **frames):
    memory.extend(data.reshape(-1))
    loss(memory.sample())["loss"].backward()
    optimizer.step()
    optimizer.zero_grad()
    updater.step()
    explorer.step()
compare("DQN", lambda states: values(torch.as_tensor(states)).argmax(1).numpy(), scaled(network), args)
