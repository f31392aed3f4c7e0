"""Records a data set of transitions from the slicing network.

The two data sets in `data/` were recorded with:

    python recipes/record_slicing.py --preset dynamic --num-episodes 240 --episode-steps 300 --seed 0 \\
        --output data/slicing_dynamic/transitions.parquet
    python recipes/record_slicing.py --preset zhang2024 --num-episodes 56 --episode-steps 120 --seed 0 \\
        --output data/slicing_zhang2024/transitions.parquet
"""

from pathlib import Path
from typing import Annotated

import gymnasium
import numpy as np
import typer
from tqdm import trange

import gentwin.envs  # noqa: F401 (registers the environments)
from gentwin.envs.recorder import TransitionRecorder
from gentwin.networks.slicing.policies import exploring_behaviour


def record(
    output: Path, preset: str, num_episodes: int, episode_steps: int, seed: int, overwrite: bool = False
) -> None:
    """Records `num_episodes` copies of the network, each for one episode under its part of the exploring behaviour."""
    env = gymnasium.make_vec(
        "gentwin/RanSlicing-v0",
        num_envs=num_episodes,
        preset=preset,
        observation_fields="all",
        episode_steps=episode_steps,
    )
    network = env.unwrapped
    behaviour = exploring_behaviour(network.parameters, np.random.default_rng(seed))
    recorder = TransitionRecorder(env, output, provenance={"preset": preset, "seed": seed}, overwrite=overwrite)
    observation, _ = recorder.reset(seed=seed)
    shape = (num_episodes, len(network.schema.slices), len(network.schema.state))
    for _ in trange(episode_steps, desc=f"recording {preset}", unit="window", mininterval=1.0):
        observation, *_ = recorder.step(behaviour(observation.reshape(shape)))
    recorder.close()


def main(
    output: Annotated[Path, typer.Option(help="Parquet file to write.")],
    preset: Annotated[str, typer.Option(help="hua2019, zhang2024 or dynamic.")] = "dynamic",
    num_episodes: Annotated[int, typer.Option(min=1, help="Episodes, each a copy of the network.")] = 240,
    episode_steps: Annotated[int, typer.Option(min=2, help="Decisions per episode.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Of network and behaviour.")] = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Record transitions of the slicing network under exploring behaviour."""
    output.parent.mkdir(parents=True, exist_ok=True)
    record(output, preset, num_episodes, episode_steps, seed, overwrite)


if __name__ == "__main__":
    typer.run(main)
