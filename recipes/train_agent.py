"""Trains an agent that divides the band of a sliced network, judges it beside simpler policies, and saves it.

With practice in a twin, fitted to the run's own interactions (Zhang et al., Algorithm 1 and beyond):

    accelerate launch recipes/train_agent.py --config recipes/agent_dynamic.yaml

The same agent without a twin; the published network with 4,851 allocations:

    accelerate launch recipes/train_agent.py --config recipes/agent_dynamic_plain.yaml
    accelerate launch recipes/train_agent.py --config recipes/agent_zhang2024.yaml

One entry of a section at a time:

    accelerate launch recipes/train_agent.py --learning.discount 0.9 --twin_enhanced.fit.num_updates 400 --seed 1

Go on after an interruption, from the last complete checkpoint, or for more rounds:

    accelerate launch recipes/train_agent.py --resume_from_checkpoint true --num_rounds 8

Go on from a trained agent:

    accelerate launch recipes/train_agent.py --start_from outputs/agent_dynamic --agent null \
        --output_dir outputs/agent_further

With a guard that keeps exploration to allocations under which a twin expects few violations of the SLA:

    accelerate launch recipes/train_agent.py --guard_bound 0.3

Keys of the YAML file and options are the fields of `gentwin.rl.recipe.arguments`; see --help. An unknown one is
refused before any work.
"""

import json
import sys
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from tqdm import tqdm
from transformers.utils import logging

from gentwin.hub import CheckpointError
from gentwin.rl import Evaluation, evaluate, greedy_policy
from gentwin.rl.anchors import anchor_utilities
from gentwin.rl.recipe.arguments import AGENT_ARGUMENT_CLASSES, SIBLING_ARGUMENTS, RunArguments, shaping_arguments
from gentwin.rl.recipe.report import (
    PLOT_NAME,
    AgentResult,
    plot_progress,
    print_agent_report,
    write_agent_card,
    write_agent_metrics,
)
from gentwin.rl.recipe.setup import (
    NO_RECORD,
    AgentSetup,
    build_setup,
    guard_counts,
    make_trainer,
    save_round,
    violation_figures,
)
from gentwin.rl.rounds import RoundTrainer
from gentwin.training import ArgumentsError, given_arguments, parse_arguments, prepare_output_dir
from gentwin.training.model_card import (
    describe_hardware,
    describe_versions,
    read_sibling_figures,
    require_siblings,
)
from gentwin.training.report import portable_command, portable_path, refuse, write_arguments

SCRIPT = "recipes/train_agent.py"
DEFAULT_CONFIG = Path(__file__).parent / "agent_dynamic.yaml"
METHODS = {
    True: "It practised in a twin of the network, fitted to the interactions of its own training (after Zhang et al.).",
    False: "It learned in the network alone.",
}
GUARDED = (
    "A guard asked the twin `{twin}` what to expect of actions{until}; the data that twin was trained on are not among "
    "these interactions."
)


def prepare(argv: list[str]) -> tuple:
    """Returns run arguments, setup, trainer and the checkpoint to resume from; all checks happen here."""
    sections, run = parse_arguments(argv, DEFAULT_CONFIG, __doc__.splitlines()[0], AGENT_ARGUMENT_CLASSES)
    torch.set_num_threads(run.torch_threads)
    run.require_one_process()
    if run.sibling_runs:  # refused before the training, not after it
        given = given_arguments(argv, DEFAULT_CONFIG, AGENT_ARGUMENT_CLASSES)
        require_siblings(run.sibling_runs, given, AGENT_ARGUMENT_CLASSES, SIBLING_ARGUMENTS)
        read_sibling_figures(run.sibling_runs)
    setup = build_setup(sections, run)
    accelerator = Accelerator(cpu=run.use_cpu)
    trainer = make_trainer(setup, run, accelerator)
    resume = prepare_output_dir(run, NO_RECORD, shaping_arguments(sections, run))
    return sections, run, setup, trainer, resume


def train(
    run: RunArguments, setup: AgentSetup, trainer: RoundTrainer, resume: Path | None, shaping: dict
) -> list[dict]:
    """Makes the remaining rounds, with an evaluation and a checkpoint after each; returns an entry for every round."""
    history = []
    if resume is not None:
        print(f"resuming from {portable_path(resume)}", file=sys.stderr)
        trainer.load_state(resume / "trainer")
        history = json.loads((resume / "history.json").read_text(encoding="utf-8"))
    bar = tqdm(total=run.num_rounds, initial=len(history), desc="rounds", unit="round")
    if len(history) > run.num_rounds:
        raise ArgumentsError(
            f"`num_rounds` must be at least the {len(history)} rounds made so far, got {run.num_rounds}."
        )
    while len(history) < run.num_rounds:
        begin = time.perf_counter()
        done = trainer.round()
        found = judge(run, setup, trainer)
        entry = {"real_steps": done.real_steps, "num_updates": done.num_updates, "utility": found.mean}
        entry |= {"standard_error": found.standard_error, "seconds": round(time.perf_counter() - begin, 1)}
        history.append(entry)
        save_round(run.output_dir, trainer, history, shaping)
        bar.set_postfix(interactions=done.real_steps, utility=f"{found.mean:.3f}")
        bar.update()
    bar.close()
    return history


def judge(run: RunArguments, setup: AgentSetup, trainer: RoundTrainer) -> Evaluation:
    """Returns how good the agent is now."""
    policy = greedy_policy(trainer.agent.averaged)
    return evaluate(policy, setup.evaluation_env, run.evaluation_steps, run.evaluation_seed)


def report(
    argv: list[str], run: RunArguments, setup: AgentSetup, trainer: RoundTrainer, history: list[dict], network: dict
) -> None:
    """Evaluates agent and anchors, and writes agent, metrics, plot and card."""
    folder, agent = Path(run.output_dir), trainer.agent.averaged
    agent.save_pretrained(folder)
    write_arguments(folder, given_arguments(argv, DEFAULT_CONFIG, AGENT_ARGUMENT_CLASSES), SCRIPT)
    print("evaluating the policies without deep learning …", file=sys.stderr)
    anchors = anchor_utilities(
        setup.evaluation_env, run.evaluation_steps, run.evaluation_seed,
        bandit_interactions=history[-1]["real_steps"],
    )  # fmt: skip
    siblings = read_sibling_figures(run.sibling_runs or [])
    violations = violation_figures(trainer, run)
    result = AgentResult(judge(run, setup, trainer), anchors, history, guard_counts(trainer), violations, siblings)
    facts = {
        "command": portable_command(argv, SCRIPT),
        "training_s": round(sum(entry["seconds"] for entry in history), 1),
        "hardware": describe_hardware(trainer.agent.device, 1),
        "versions": describe_versions(),
        "seed": run.seed,
        "method": METHODS[run.use_twin] + (f" It began as `{run.start_from}`." if run.start_from else ""),
    }
    if setup.guard is not None:
        until = " until there was one of this run" if run.use_twin else ""
        facts["guard"] = GUARDED.format(twin=portable_path(run.guard_twin), until=until)
    plot_progress(result, folder / PLOT_NAME)
    write_agent_card(folder, agent, network, result, facts)
    write_agent_metrics(folder, result, facts)
    print_agent_report(result, folder)


def main(argv: list[str]) -> None:
    """Runs the recipe."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        sections, run, setup, trainer, resume = prepare(argv)
        history = train(run, setup, trainer, resume, shaping_arguments(sections, run))
    except (ArgumentsError, CheckpointError, FileNotFoundError) as error:
        refuse(f"train_agent.py: {error}")
    except KeyboardInterrupt:
        refuse("\ntrain_agent.py: interrupted; go on with --resume_from_checkpoint true", 130)
    report(argv, run, setup, trainer, history, sections.network)


if __name__ == "__main__":
    main(sys.argv[1:])
