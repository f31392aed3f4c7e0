"""Trains an agent of admission control on the policy twin and a twin of the queues, and judges it beside heuristics.

    accelerate launch recipes/train_admission_agent.py --config recipes/agent_admission.yaml

Another network, a faster look, further rounds after an interruption:

    accelerate launch recipes/train_admission_agent.py --network.preset small --output_dir outputs/agent_small
    accelerate launch recipes/train_admission_agent.py --num_rounds 1 --twin_enhanced.practice_updates 500
    accelerate launch recipes/train_admission_agent.py --resume_from_checkpoint true --num_rounds 5

Keys of the YAML file and options are the fields of `gentwin.rl.recipe.arguments`; `twin_enhanced` holds those of
`gentwin.rl.AdmissionArguments`. The folder holds the agent, `metrics.json` and the last two checkpoints.
"""

import json
import sys
from pathlib import Path

import gymnasium
import torch
from accelerate import Accelerator
from gymnasium.vector import VectorEnv
from transformers.utils import logging

from gentwin.networks.admission.policies import Policy, fifo_greedy, revenue_greedy
from gentwin.rl import (
    AdmissionArguments,
    AdmissionTrainer,
    LearnerArguments,
    evaluate,
    greedy_policy,
    per_state,
    q_network_config,
)
from gentwin.rl.recipe.arguments import AGENT_ARGUMENT_CLASSES, AgentSections, RunArguments, shaping_arguments
from gentwin.rl.recipe.setup import NO_RECORD, read_section, save_round
from gentwin.training import ArgumentsError, given_arguments, parse_arguments, prepare_output_dir
from gentwin.training.arguments import require
from gentwin.training.report import portable_path, refuse, write_arguments

SCRIPT = "recipes/train_admission_agent.py"
ENVIRONMENT = "gentwin/SliceAdmission-v0"
DEFAULT_CONFIG = Path(__file__).parent / "agent_admission.yaml"
WITHOUT_EFFECT = {"use_twin": True, "start_from": None, "guard_bound": None, "sibling_runs": None}


def make_env(sections: AgentSections, num_envs: int) -> VectorEnv:
    """Returns the network, with endless episodes unless `network.episode_steps` says otherwise."""
    try:
        return gymnasium.make_vec(ENVIRONMENT, num_envs=num_envs, **{"episode_steps": None, **sections.network})
    except (ValueError, TypeError) as error:
        raise ArgumentsError(f"section `network`: {error}") from error


def prepare(argv: list[str]) -> tuple[AgentSections, RunArguments, AdmissionTrainer, Path | None]:
    """Returns arguments, trainer and the checkpoint to resume from; all checks happen here."""
    sections, run = parse_arguments(argv, DEFAULT_CONFIG, __doc__.splitlines()[0], AGENT_ARGUMENT_CLASSES)
    torch.set_num_threads(run.torch_threads)
    run.require_one_process()
    for name, usual in WITHOUT_EFFECT.items():
        require(getattr(run, name) == usual, name, "left out for admission control", getattr(run, name))
    learning = read_section(LearnerArguments, sections.learning, "learning")
    loops = read_section(AdmissionArguments, sections.twin_enhanced, "twin_enhanced")
    env = make_env(sections, run.num_envs)
    try:
        config = q_network_config(env, **sections.agent)
        policy = fifo_greedy(env.unwrapped.parameters)
        trainer = AdmissionTrainer(env, config, learning, loops, run.seed, policy, Accelerator(cpu=run.use_cpu))
    except (ValueError, TypeError) as error:
        raise ArgumentsError(" ".join(str(error).split())) from error
    return sections, run, trainer, prepare_output_dir(run, NO_RECORD, shaping_arguments(sections, run))


def judge(run: RunArguments, sections: AgentSections, policy: Policy) -> dict[str, float]:
    """Returns revenue per second and its standard error; all policies meet the same requests."""
    found = evaluate(policy, make_env(sections, run.evaluation_copies), run.evaluation_steps, run.evaluation_seed)
    return {"revenue_per_s": found.mean, "standard_error": found.standard_error}


def train(sections: AgentSections, run: RunArguments, trainer: AdmissionTrainer, resume: Path | None) -> list[dict]:
    """Makes the remaining rounds, with an evaluation and a checkpoint after each; returns an entry for every round."""
    history = []
    if resume is not None:
        print(f"resuming from {portable_path(resume)}")
        trainer.load_state(resume / "trainer")
        history = json.loads((resume / "history.json").read_text(encoding="utf-8"))
    while len(history) < run.num_rounds:
        done = trainer.round()
        found = judge(run, sections, greedy_policy(trainer.agent.averaged))
        history.append({"real_decisions": done.real_steps, "num_updates": done.num_updates, **found})
        save_round(run.output_dir, trainer, history, shaping_arguments(sections, run))
        print(f"round {len(history)}: {done.real_steps} real decisions, {found['revenue_per_s']:.3f} per second")
    return history


def main(argv: list[str]) -> None:
    """Runs the recipe."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        sections, run, trainer, resume = prepare(argv)
        history = train(sections, run, trainer, resume)
    except (ArgumentsError, FileNotFoundError) as error:
        refuse(f"train_admission_agent.py: {error}")
    folder, env = Path(run.output_dir), trainer.env
    trainer.agent.averaged.save_pretrained(folder)
    write_arguments(folder, given_arguments(argv, DEFAULT_CONFIG, AGENT_ARGUMENT_CLASSES), SCRIPT)
    metrics = {"history": history}
    for policy in (fifo_greedy, revenue_greedy):
        metrics[policy.__name__] = judge(run, sections, per_state(policy(env.unwrapped.parameters), env))
        print(f"{policy.__name__}: {metrics[policy.__name__]['revenue_per_s']:.3f} per second")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
