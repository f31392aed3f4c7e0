"""What a run that trained an agent leaves in its folder: card, metrics, plot, and a table on the screen."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from gentwin.models.q_network import QNetworkModel
from gentwin.rl.anchors import EQUAL
from gentwin.rl.evaluation import Evaluation
from gentwin.training.plots import COLORS, FAINT, INK, new_figure, save_figure
from gentwin.training.report import ARGUMENTS_NAME, METRICS_NAME, portable_path

PLOT_NAME = "plots/progress.png"
ANCHOR_STYLES = ("dotted", "dashed", "solid", "dashdot", (0, (6, 2, 1, 2, 1, 2)))
USE = """import gentwin, gymnasium
from gentwin.rl import evaluate, greedy_policy

agent = gentwin.from_pretrained("{name}")
env = gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=32, {arguments})
print(evaluate(greedy_policy(agent, env), env, num_steps=200, seed=1).mean)
"""
LIMITATIONS = (
    "It was trained and judged on a simulated network with the arguments above; other loads, channels or weights of "
    "the utility need another agent.",
    "It always gives an answer: observations unlike any it has seen give actions without ground.",
    "Standard errors are over copies of the network in the evaluation, not over trainings.",
)


@dataclass(frozen=True)
class AgentResult:
    """How a trained agent did.

    Args:
        evaluation: Of the trained agent.
        anchors: Of the policies it is compared with, on the same episodes.
        history: One entry for each round: `real_steps`, `num_updates`, `utility`, `standard_error`.
        guard: From `guard_counts`, empty without a guard.
        violations: From `violation_figures`, empty if the interactions were not kept.
        siblings: Headline numbers of runs that differ in the seed only.
    """

    evaluation: Evaluation
    anchors: Mapping[str, Evaluation]
    history: Sequence[Mapping[str, float]]
    guard: Mapping[str, int] = field(default_factory=dict)
    violations: Mapping[str, float] = field(default_factory=dict)
    siblings: Sequence[Mapping[str, float]] = ()

    def figures(self) -> dict[str, float]:
        """Returns the headline numbers."""
        best = max(entry.mean for entry in self.anchors.values())
        equal = self.anchors[EQUAL].mean
        figures = {"utility": self.evaluation.mean, "utility_standard_error": self.evaluation.standard_error}
        if best > equal:
            figures["share_of_best_anchor_gain"] = (self.evaluation.mean - equal) / (best - equal)
        for name, entry in self.anchors.items():
            figures[f"utility_{name.replace(' ', '_')}"] = entry.mean
        counts = {"real_interactions": "real_steps", "num_updates": "num_updates"}
        return {name: float(f"{value:.6g}") for name, value in figures.items()} | {
            **{name: int(self.history[-1][key]) for name, key in counts.items()},
            **self.guard,
            **self.violations,
        }

    def rows(self) -> list[list[str]]:
        """Returns utilities as text, header first; the last column compares policies copy by copy."""
        rows = [["policy", "utility", "agent less policy"], ["**this agent**", _plus_minus(self.evaluation), ""]]
        for name, entry in sorted(self.anchors.items(), key=lambda item: -item[1].mean):
            paired = Evaluation(self.evaluation.utility - entry.utility, self.evaluation.reward - entry.reward)
            rows.append([name, _plus_minus(entry), _plus_minus(paired, sign="+")])
        return rows

    def spread(self) -> str:
        """Returns utility over seeds in words, empty without siblings."""
        if not self.siblings:
            return ""
        values = np.array([self.evaluation.mean, *(other["utility"] for other in self.siblings)])
        return (
            f"Over {len(values)} trainings that differ in the seed only: utility {values.mean():.3f} ± "
            f"{values.std(ddof=1):.3f} (mean ± standard deviation), lowest {values.min():.3f}."
        )

    def safety(self) -> str:
        """Returns what the training did to SLAs and how often a guard stepped in, in words; empty if unknown."""
        sentences = []
        if found := self.violations:
            steps = self.history[-1]["real_steps"]
            sentences.append(
                f"While it trained, some slice lost more than {100 * found['violation_bound']:g} % of its packets to "
                f"its SLA in {found['violated_windows']:,} of {steps:,} interactions; the worst slice lost "
                f"{100 * found['mean_worst_violation']:.1f} % on average."
            )
        if asked := self.guard:
            sentences.append(
                f"The guard was asked about {asked['guarded_decisions']:,} actions and replaced "
                f"{asked['replaced_by_the_guard']:,}; at {asked['without_an_allowed_allocation']:,} decisions no "
                "allocation was within its bound."
            )
        return " ".join(sentences)

    def metrics(self) -> dict[str, Any]:
        """Returns every number behind the figures, for JSON."""
        everything = {"agent": self.evaluation, **self.anchors}
        return {
            "history": [dict(entry) for entry in self.history],
            "utility_by_copy": {name: entry.utility.tolist() for name, entry in everything.items()},
        }


def _plus_minus(evaluation: Evaluation, sign: str = "") -> str:
    return f"{evaluation.mean:{sign}.3f} ± {evaluation.standard_error:.3f}"


def plot_progress(result: AgentResult, path: str | Path) -> Path:
    """Draws the utility over real interactions with the lines of the anchors, and returns the PNG written."""
    figure, axes = new_figure(1, 1, (6.4, 3.8))
    axis = axes[0, 0]
    steps = [entry["real_steps"] for entry in result.history]
    utilities = [entry["utility"] for entry in result.history]
    errors = [entry["standard_error"] for entry in result.history]
    axis.errorbar(steps, utilities, errors, marker="o", markersize=4, color=COLORS[0], capsize=2, label="this agent")
    for (name, entry), style in zip(result.anchors.items(), ANCHOR_STYLES, strict=True):
        axis.axhline(entry.mean, color=INK if style == "solid" else FAINT, linestyle=style, linewidth=1, label=name)
    axis.set_xlim(left=0)
    axis.set_xlabel("interactions with the network", fontsize=8)
    axis.set_ylabel("mean utility", fontsize=8)
    axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return save_figure(figure, Path(path))


def write_agent_card(
    folder: str | Path, agent: QNetworkModel, network: Mapping[str, Any], result: AgentResult, run: Mapping[str, Any]
) -> Path:
    """Writes `README.md` beside the agent.

    Args:
        folder: Output folder.
        agent: The trained network.
        network: Arguments of the environment it acts in.
        result: How it did.
        run: `command`, `training_s`, `hardware`, `versions`, `seed`, and in words `method` and, if there was a guard,
            `guard`: whom it asked.

    Returns:
        The path of the card.
    """
    name = Path(folder).resolve().name.replace("_", "-")
    tags = ["gentwin", "reinforcement-learning", "network-slicing", agent.config.model_type, network.get("preset", "")]
    front = {"license": "apache-2.0", "library_name": "gentwin", "tags": [tag for tag in tags if tag]}
    arguments = ", ".join(f"{key}={value!r}" for key, value in network.items())
    usage = USE.format(name=portable_path(folder), arguments=arguments)
    size = sum(values.numel() for values in agent.parameters())
    last = result.history[-1]
    versions = ", ".join(f"{library} {number}" for library, number in run["versions"].items())
    sections = (
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# {name}",
        f"An agent that divides the band of a sliced network anew at every decision: a Q-network with the head "
        f"`{agent.config.head}`, {agent.config.num_actions:,} allocations, {size:,} parameters. {run['method']}",
        f"## Use\n\n```python\n{usage}```",
        f"## Data\n\nNo recorded data: {last['real_steps']:,} interactions with `gentwin/RanSlicing-v0` ({arguments}), "
        f"all made in this run." + (f" {run['guard']}" if "guard" in run else ""),
        f"## Training\n\n```bash\n{run['command']}\n```\n\nTook {run['training_s']:.0f} s on {run['hardware']}; seed "
        f"{run['seed']}; {last['num_updates']:,} updates. All arguments are in `{ARGUMENTS_NAME}`. Versions: "
        f"{versions}.",
        f"## Results\n\nMean utility ± standard error over {len(result.evaluation.utility)} copies of the network, all "
        f"policies on the same episodes, which no training saw. The last column is the mean difference copy by copy.\n"
        f"\n{_markdown(result.rows())}",
        *(text for text in (result.spread(), result.safety()) if text),
        f"![Utility over interactions]({PLOT_NAME})\n\n*Utility after every round over interactions with the network; "
        "lines: policies without deep learning.*",
        "## Limitations\n\n" + "\n".join(f"- {text}" for text in LIMITATIONS),
    )
    path = Path(folder) / "README.md"
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return path


def write_agent_metrics(folder: str | Path, result: AgentResult, run: Mapping[str, Any]) -> None:
    """Writes `metrics.json`: `figures` (headlines), `metrics` (everything) and `run`; it appears in one step."""
    path = Path(folder) / METRICS_NAME
    partial = path.with_name(f"{METRICS_NAME}.partial")
    content = {"figures": result.figures(), "metrics": result.metrics(), "run": dict(run)}
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)


def print_agent_report(result: AgentResult, folder: str | Path) -> None:
    """Prints the table of utilities and where everything is."""
    console = Console()
    header, *rows = result.rows()
    last = result.history[-1]
    title = f"utility after {last['real_steps']:,} interactions and {last['num_updates']:,} updates, ± standard error"
    table = Table(title=title, box=None, padding=(0, 2))
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        emphasis = row[0].startswith("**")
        table.add_row(*(cell.strip("*") for cell in row), style="bold" if emphasis else None)
    console.print(table)
    console.print(f"agent, card, metrics and plot: [bold]{portable_path(folder)}[/]")


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
