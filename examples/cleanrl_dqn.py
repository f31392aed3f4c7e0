"""DQN as one loop, in the style of CleanRL: learns in 256 copies of the twin, is judged on the network."""

import gymnasium as gym
import torch
from setting import compare, parse_arguments, scaled
from torch.nn import Linear, ReLU, Sequential, functional

import gentwin  # noqa: F401 (makes the environments known)

args = parse_arguments(__doc__)
torch.manual_seed(args.seed)
twin = gym.make_vec("gentwin/TwinSlicing-v0", 256, twin="gentwin/slice-lstm-dynamic", observation_fields="all")
network = gym.make_vec("gentwin/RanSlicing-v0", 64, preset="dynamic", observation_fields="all")
envs, num_actions = scaled(twin), twin.single_action_space.n

values = Sequential(Linear(12, 256), ReLU(), Linear(256, 256), ReLU(), Linear(256, num_actions))
target = torch.optim.swa_utils.AveragedModel(values, avg_fn=lambda old, new, _: old.lerp(new, 0.01))
optimizer, size, ended = torch.optim.Adam(values.parameters(), lr=1e-3), 0, False
memory = [torch.zeros(args.steps, 256, *shape) for shape in ((12,), (1,), (1,), (12,))]
states, _ = envs.reset(seed=args.seed)
for step in range(args.steps):
    explores = torch.rand(256) < max(0.05, 1 - 2 * step / args.steps)
    actions = torch.where(explores, torch.randint(num_actions, (256,)), values(torch.as_tensor(states)).argmax(1))
    following, rewards, _, truncated, _ = envs.step(actions.numpy())
    if not ended:  # the step after a truncation begins the next episode and ignores its actions: no transition
        for part, new in zip(memory, (states, actions[:, None], rewards[:, None], following), strict=True):
            part[size] = torch.as_tensor(new)
        size += 1
    states, ended = following, truncated.all()
    drawn = torch.randint(size, (512,)), torch.randint(256, (512,))
    before, action, reward, after = (part[drawn] for part in memory)
    goal = reward + 0.7 * target(after).amax(1, keepdim=True).detach()
    loss = functional.smooth_l1_loss(values(before).gather(1, action.long()), goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    target.update_parameters(values)
compare("DQN", lambda states: values(torch.as_tensor(states)).argmax(1).numpy(), scaled(network), args)
