"""Records decisions of an admission policy without learning.

The data set in `data/admission_busy` was recorded with:

    python recipes/record_admission.py --preset busy --num-episodes 60 --episode-steps 50 --seed 0 \\
        --output data/admission_busy/transitions.parquet
"""

from pathlib import Path
from typing import Annotated

import gymnasium
import typer

import gentwin.envs  # noqa: F401 (registers the environments)
from gentwin.envs.recorder import TransitionRecorder
from gentwin.networks.admission.policies import fifo_greedy, revenue_greedy

POLICIES = {"greedy": fifo_greedy, "by-revenue": revenue_greedy}


def record(
    output: Path,
    policy: str,
    preset: str,
    load: float | None,
    num_episodes: int,
    episode_steps: int,
    seed: int,
    overwrite: bool = False,
) -> None:
    """Records `num_episodes` copies of the network, each for `episode_steps` decisions in a row."""
    env = gymnasium.make_vec("gentwin/SliceAdmission-v0", num_envs=num_episodes, preset=preset, load=load)
    network = env.unwrapped.network
    decide = POLICIES[policy](network.parameters)
    provenance = {"preset": preset, "load": max(network.parameters.offered_load), "policy": policy, "seed": seed}
    recorder = TransitionRecorder(env, output, provenance=provenance, overwrite=overwrite)
    recorder.reset(seed=seed)
    for _ in range(episode_steps):
        recorder.step(decide(network.state_values()))
    recorder.close()


def main(
    output: Annotated[Path, typer.Option(help="Parquet file to write.")],
    policy: Annotated[str, typer.Option(help="greedy or by-revenue.")] = "greedy",
    preset: Annotated[str, typer.Option(help="light, busy, overload or small.")] = "busy",
    load: Annotated[float | None, typer.Option(help="Offered load; that of the preset by default.")] = None,
    num_episodes: Annotated[int, typer.Option(min=1, help="Episodes, each a copy of the network.")] = 60,
    episode_steps: Annotated[int, typer.Option(min=1, max=500, help="Decisions per episode.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Of the network.")] = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Record decisions of a policy in the admission network."""
    if policy not in POLICIES:
        raise typer.BadParameter(f"must be one of {', '.join(POLICIES)}, got {policy!r}", param_hint="--policy")
    output.parent.mkdir(parents=True, exist_ok=True)
    record(output, policy, preset, load, num_episodes, episode_steps, seed, overwrite)


if __name__ == "__main__":
    typer.run(main)
