"""Arguments of a run that trains an agent: sections of a YAML file, and how the run is carried out."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from gentwin.rl.learner import LearnerArguments
from gentwin.rl.twin_enhanced import TwinEnhancedArguments
from gentwin.rl.twin_fitting import TwinFitArguments
from gentwin.training.arguments import about, num_cores, require
from gentwin.yaml_text import load_yaml

ENVIRONMENT = "gentwin/RanSlicing-v0"
SECTIONS = ("network", "agent", "learning", "twin_enhanced")
VIOLATION = 0.3  # share of packets outside their SLA above which a window counts as violated, without `guard_bound`
# Of the run: those that change what is learned or what the evaluations after each round mean.
SHAPING = (
    "use_twin", "plain_steps_per_round", "num_envs", "evaluation_copies", "evaluation_steps", "evaluation_seed",
    "start_from", "guard_bound", "guard_twin", "seed",
)  # fmt: skip
# A resumed run may make more rounds and has one seed; runs compared with each other must have as many and others.
SIBLING_ARGUMENTS = (*SECTIONS, *(name for name in SHAPING if name != "seed"), "num_rounds")


def _names(cls: type) -> str:
    return ", ".join(entry.name for entry in dataclasses.fields(cls))


@dataclass
class AgentSections:
    """What learns what, and how; every field is a mapping.

    Raises:
        ArgumentsError: If a field is no mapping.
    """

    _argument_group_name = "sections: mappings in YAML, `--learning.discount 0.8` on the command line"

    network: dict | str | None = field(
        default=None,
        metadata=about(
            f"Arguments of {ENVIRONMENT}, such as preset, observation_fields, resolution_hz or placement_seed; see "
            f"`gentwin env {ENVIRONMENT}`. Episodes have no end unless episode_steps says so."
        ),
    )
    agent: dict | str | None = field(
        default=None,
        metadata=about("Fields of gentwin.models.QNetworkConfig: head, hidden_sizes, num_knots, feature_clip, ..."),
    )
    learning: dict | str | None = field(
        default=None, metadata=about(f"Fields of gentwin.rl.LearnerArguments: {_names(LearnerArguments)}.")
    )
    twin_enhanced: dict | str | None = field(
        default=None,
        metadata=about(
            f"Fields of gentwin.rl.TwinEnhancedArguments: {_names(TwinEnhancedArguments)}; the last one holds fields "
            f"of gentwin.rl.TwinFitArguments, `--twin_enhanced.fit.num_updates 400`: {_names(TwinFitArguments)}."
        ),
    )

    def __post_init__(self) -> None:
        for name in SECTIONS:
            value = getattr(self, name)
            value = load_yaml(value) if isinstance(value, str) else value
            require(value is None or isinstance(value, dict), name, "a mapping", value)
            setattr(self, name, value or {})


@dataclass
class RunArguments:
    """How long the agent learns, how it is judged, and where everything goes.

    Raises:
        ArgumentsError: If a value is out of range.
    """

    _argument_group_name = "run"

    use_twin: bool = field(
        default=True, metadata=about("Practise in a twin fitted to the run's own interactions (section twin_enhanced).")
    )
    num_rounds: int = field(
        default=4, metadata=about("Rounds; after each the agent is evaluated and a checkpoint saved.")
    )
    plain_steps_per_round: int = field(
        default=2000, metadata=about("Interactions of a round without twin; with one, see section twin_enhanced.")
    )
    num_envs: int = field(
        default=8, metadata=about("Copies of the network the agent acts in; interactions with all of them count.")
    )
    evaluation_copies: int = field(default=32, metadata=about("Copies of the network an evaluation runs on."))
    evaluation_steps: int = field(default=200, metadata=about("Decisions of an evaluation in each copy."))
    evaluation_seed: int = field(default=999_000, metadata=about("Seed of all evaluations, so that all meet the same."))
    start_from: str | None = field(
        default=None,
        metadata=about("Trained agent to go on from: a name or folder; its network replaces the section agent."),
    )
    guard_bound: float | None = field(
        default=None,
        metadata=about(
            "Hold actions in the network to allocations under which no slice is expected to lose more than this share "
            "of its packets to its SLA; no guard by default. Windows in which one did lose more are counted; without a "
            f"guard, those above {VIOLATION:g}."
        ),
    )
    guard_twin: str = field(
        default="gentwin/slice-lstm-dynamic",
        metadata=about("Twin the guard asks until the run has one of its own: a name or folder."),
    )
    seed: int = field(default=0, metadata=about("Of everything else."))
    sibling_runs: list[str] | None = field(
        default=None,
        metadata=about(
            "Output folders of finished runs that differ in the seed only; the card then states mean and spread."
        ),
    )
    output_dir: str = field(
        default="outputs/agent", metadata=about("Folder for checkpoints, the trained agent, its card and plot.")
    )
    resume_from_checkpoint: str | None = field(
        default=None,
        metadata=about("true: go on from the last complete checkpoint in `output_dir`. Or the folder of a checkpoint."),
    )
    overwrite_output_dir: bool = field(
        default=False,
        metadata=about(
            "Start anew although `output_dir` holds the checkpoints of an unfinished run; they are deleted."
        ),
    )
    torch_threads: int | None = field(
        default=None, metadata=about("Threads on the CPU; all cores by default, but small networks want one.")
    )
    use_cpu: bool = field(default=False, metadata=about("Compute on the CPU although there is an accelerator."))

    def __post_init__(self) -> None:
        for name in ("num_rounds", "plain_steps_per_round", "num_envs", "evaluation_steps"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        if self.start_from is not None:
            is_same = Path(self.start_from).resolve() == Path(self.output_dir).resolve()
            require(not is_same, "output_dir", "another folder than that of `start_from`", self.output_dir)
        # One copy has no standard error.
        require(self.evaluation_copies >= 2, "evaluation_copies", "at least 2", self.evaluation_copies)
        for name in ("seed", "evaluation_seed"):
            require(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))
        self.torch_threads = num_cores() if self.torch_threads is None else self.torch_threads
        require(self.torch_threads >= 1, "torch_threads", "at least 1", self.torch_threads)

    @property
    def distributed_state(self) -> PartialState:
        """The processes of this run."""
        return PartialState(cpu=self.use_cpu or not torch.accelerator.is_available())

    @property
    def should_save(self) -> bool:
        """Whether this process writes."""
        return self.distributed_state.is_main_process

    def require_one_process(self) -> None:
        """Raises `ArgumentsError` if there are several: interactions are counted in one."""
        found = self.distributed_state.num_processes
        remedy = "launch with `accelerate launch --num_processes 1`, one process for each seed"
        require(found == 1, "--num_processes", "1 for an agent", found, remedy)


AGENT_ARGUMENT_CLASSES = (AgentSections, RunArguments)


def shaping_arguments(sections: AgentSections, run: RunArguments) -> dict[str, Any]:
    """Returns the arguments that a resumed run must share with the one it goes on from, as JSON holds them."""
    values = {f"{name}.{key}": value for name in SECTIONS for key, value in getattr(sections, name).items()}
    values |= {name: getattr(run, name) for name in SHAPING}
    return json.loads(json.dumps(values))
