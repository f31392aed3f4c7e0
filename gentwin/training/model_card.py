"""The card of a trained twin: what it twins, on what data, how good it is, and where it ends."""

from __future__ import annotations

import dataclasses
import json
import math
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

import gentwin.schema
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.schema import Field, TransitionSchema
from gentwin.training.arguments import ArgumentsError, DataArguments, num_cores, read_yaml
from gentwin.training.data import Splits
from gentwin.training.evaluation import Evaluation
from gentwin.training.report import ARGUMENTS_NAME, METRICS_NAME, forecasters, portable_path, score_table

USE = """import gentwin

twin = gentwin.from_pretrained("{name}")
"""
USE_ENVIRONMENT = """
import gymnasium

env = gymnasium.make_vec("gentwin/TwinSlicing-v0", num_envs=64, twin=twin)
"""
USE_STEPS = """
import torch

# {copies} copies of the network; all values are float32 tensors in the units of the fields below.
observation = twin.sample_start({copies})  # ({copies}, {slices}, {state}): yours, or one of the record's
action = torch.tensor({action}).expand({copies}, -1, -1)  # {action_names}
{context}with torch.no_grad():
    memory = twin.initial_state({copies})  # `twin.observe` feeds it steps that you have seen
    expected = twin.predict(observation, action, memory{context_argument}).mean()
    noise = torch.randn({copies}, {slices}, {targets})
    drawn, memory = twin.step(observation, action, memory, noise{context_argument})
observation = drawn[..., :{state}]  # the next state; behind it the outcomes, if there are any
"""
LIMITATIONS = (
    "It knows the conditions of its record only: actions, loads and channels outside the ranges seen in training give "
    "answers without ground. `twin.predict(...).uncertainty()` grows there, but is no guarantee.",
    "It predicts from the slices' own states, actions and contexts; causes that are not in the record appear as noise.",
    "Predicted values stay inside the ranges of the training record, so it never shows an extreme nobody has recorded.",
    "Errors of a roll-out compound. They were measured up to {horizon} steps; longer ones are extrapolation.",
)


def describe_hardware(device: torch.device, num_processes: int) -> str:
    """Returns processor, cores and, if used, accelerator, in words."""
    text = f"{_processor()}, {num_cores()} cores"
    if device.type == "cuda":
        text += f", {torch.cuda.get_device_name(device)}"
    return text + (f", {num_processes} processes" if num_processes > 1 else "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def describe_versions() -> dict[str, str]:
    """Returns the versions of Python and of the libraries a result depends on."""
    libraries = ("torch", "transformers", "accelerate", "numpy")
    return {
        "gentwin": gentwin.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }


def read_sibling_figures(folders: Sequence[str]) -> list[dict[str, float]]:
    """Returns the headline numbers of other finished runs.

    Raises:
        ArgumentsError: If a folder has no `metrics.json` with figures.
    """
    figures = []
    for folder in folders:
        try:
            figures.append(json.loads((Path(folder) / METRICS_NAME).read_text(encoding="utf-8"))["figures"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArgumentsError(
                f"`sibling_runs` must be output folders of finished runs, got {folder!r}, whose `{METRICS_NAME}` is "
                f"missing or damaged ({type(error).__name__})."
            ) from error
    return figures


def require_siblings(
    folders: Sequence[str], given: Mapping[str, Any], classes: Sequence[type], names: Sequence[str]
) -> None:
    """Refuses runs that differ from this one, or from each other, in anything but the seed.

    Args:
        folders: Output folders of finished runs.
        given: Arguments of this run, from `given_arguments`.
        classes: Dataclasses of the arguments, whose defaults stand for what is not given.
        names: Of the arguments that must be the same, without the seed.

    Raises:
        ArgumentsError: If a folder has no readable arguments, names a difference, or has the seed of another run.
    """
    defaults = {}
    for entry in (entry for cls in classes for entry in dataclasses.fields(cls)):
        made = entry.default_factory is not dataclasses.MISSING
        defaults[entry.name] = entry.default_factory() if made else entry.default
    mine = _filled(given, defaults)
    here, seeds = _flat(mine, names), {mine["seed"]: "this run"}
    for folder in folders:
        try:
            values = _filled(read_yaml(Path(folder) / ARGUMENTS_NAME), defaults)
        except (OSError, ArgumentsError) as error:
            raise ArgumentsError(
                f"`sibling_runs` must be output folders of finished runs, got {folder!r}, whose `{ARGUMENTS_NAME}` is "
                f"missing or damaged ({type(error).__name__})."
            ) from error
        there = _flat(values, names)
        changes = [
            f"`{name}` is {_shown(there, name)} there and {_shown(here, name)} here"
            for name in [*here, *(name for name in there if name not in here)]
            if there.get(name) != here.get(name)
        ]
        if changes:
            raise ArgumentsError(
                f"`sibling_runs` must differ from this run in the seed only, but {folder!r} does not: "
                f"{', '.join(changes)}."
            )
        if values["seed"] in seeds:
            raise ArgumentsError(
                f"`sibling_runs` must have seeds of their own, got {folder!r} with seed {values['seed']}, that of "
                f"{seeds[values['seed']]}."
            )
        seeds[values["seed"]] = repr(folder)


def _filled(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Returns arguments as a recipe reads them: what is left out or `null` is the default."""
    return {**defaults, **{name: value for name, value in values.items() if value is not None}}


def _flat(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Returns the values of `names` as JSON holds them, the entries of mappings one by one, paths relative."""
    flat: dict[str, Any] = {}
    pending = [(name, values[name]) for name in names]
    while pending:
        name, value = pending.pop(0)
        if isinstance(value, Mapping):
            pending[:0] = [(f"{name}.{key}", entry) for key, entry in value.items()]
        elif value is not None or "." in name:  # an empty section and none are the same
            flat[name] = portable_path(value) if isinstance(value, str) else value
    return json.loads(json.dumps(flat, default=str))


def _shown(values: Mapping[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else "left out"


def write_model_card(
    folder: str | Path,
    twin: DynamicsTwin,
    splits: Splits,
    data: DataArguments,
    evaluation: Evaluation,
    figures: Mapping[str, float],
    siblings: Sequence[Mapping[str, float]],
    run: Mapping[str, Any],
    captions: Mapping[str, str],
    warnings: Sequence[str] = (),
) -> Path:
    """Writes `README.md` beside the checkpoint.

    Args:
        folder: Output folder.
        twin: The trained twin.
        splits: The record it was trained and judged on.
        data: Where the record came from and how it was divided.
        evaluation: All scores.
        figures: Headline numbers of this run.
        siblings: Headline numbers of runs that differ in the seed only.
        run: `command`, `training_s`, `hardware`, `versions` and `seed`.
        captions: Of the plots, by path relative to the folder.
        warnings: From `caveats`.

    Returns:
        The path of the card.
    """
    schema = splits.schema
    name = Path(folder).resolve().name.replace("_", "-")
    sections = (
        front_matter("time-series", twin.config.model_type, schema.name),
        f"# {name}\n\n{_summary(twin, schema)}",
        *([f"> **Warning.** {' '.join(warnings)}"] if warnings else []),
        f"## Use\n\n{_usage(splits, portable_path(folder))}",
        f"## Data\n\n{_data(splits, data)}",
        f"## Training\n\n{training_section(run)}",
        f"## Results\n\n{_results(evaluation, figures, siblings)}",
        "\n\n".join(f"![{caption}]({path})\n\n*{caption}*" for path, caption in captions.items()),
        "## Limitations\n\n" + "\n".join(f"- {text}" for text in LIMITATIONS).format(horizon=max(evaluation.levels)),
        f"## Fields\n\n{_fields(schema)}",
    )
    path = Path(folder) / "README.md"
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return path


def front_matter(*tags: str) -> str:
    """Returns the head of a card of a twin, with these tags besides those of all twins."""
    tags = ("gentwin", "network-twin", "world-model", *tags)
    values = {"license": "apache-2.0", "library_name": "gentwin", "tags": [tag for tag in tags if tag]}
    return f"---\n{yaml.safe_dump(values, sort_keys=False)}---"


def _summary(twin: DynamicsTwin, schema: TransitionSchema) -> str:
    size = sum(parameter.numel() for parameter in twin.parameters())
    origin = f"`{schema.name}`" if schema.name else "the recorded network"
    return (
        f"A generative twin of the slices {listed(schema.slices)} of {origin}: given the state, the action and what "
        f"it has seen so far, it draws the next state ({listed(f.name for f in schema.state)})"
        + (f" and what the network delivers ({listed(f.name for f in schema.outcome)})" if schema.outcome else "")
        + f" over a window of {schema.step_ms:g} ms. `{type(twin).__name__}`, {size:,} parameters."
    )


def _usage(splits: Splits, name: str) -> str:
    from gentwin.training.response import has_surface

    schema, code = splits.schema, USE.format(name=name)
    if has_surface(schema):
        return f"```python\n{code}{USE_ENVIRONMENT}```"
    copies = 64
    context = f"context = torch.tensor({_example(splits.train.context)}).expand({copies}, -1, -1)\n"
    code += USE_STEPS.format(
        copies=copies,
        slices=len(schema.slices),
        state=len(schema.state),
        targets=len(schema.targets),
        action=_example(splits.train.action),
        action_names=", ".join(field.name for field in schema.action),
        context=context if schema.context else "",
        context_argument=", context" if schema.context else "",
    )
    return f"```python\n{code}```"


def _example(values: np.ndarray) -> list:
    """Returns the values `(num_slices, num_fields)` of the first step of a record, shortened."""
    return [[float(f"{value:.4g}") for value in row] for row in values[0].tolist()]


def _data(splits: Splits, data: DataArguments) -> str:
    layout = f", layout `{data.data_layout}`" if data.data_layout else ""
    parts = ", ".join(
        f"{name} {part['episodes']} ({part['steps']:,} steps)" for name, part in splits.describe().items()
    )
    rows = sum(part["steps"] for part in splits.describe().values()) * len(splits.schema.slices)
    return (
        f"`{portable_path(data.data_path)}`{layout}; {rows:,} rows, fingerprint (SHA-256) `{splits.fingerprint}`. "
        f"Divided by whole episodes with seed {data.split_seed}: {parts}. Validation episodes chose the checkpoint; "
        "with those of training they calibrated it. Test episodes were used for nothing but the results below."
    )


def training_section(run: Mapping[str, Any]) -> str:
    """Returns how a twin was trained: command, what it began as, time, machine, versions."""
    versions = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
    return (
        f"```bash\n{run['command']}\n```\n\n{run['began']}Took {run['training_s']:.0f} s on {run['hardware']}; seed "
        f"{run['seed']}. All arguments are in `{ARGUMENTS_NAME}`. Versions: {versions}."
    )


def _results(evaluation: Evaluation, figures: Mapping[str, float], siblings: Sequence[Mapping[str, float]]) -> str:
    header, *rows = score_table(evaluation)
    return (
        "Continuous ranked probability score (CRPS) of roll-outs over the test episodes under the recorded actions, "
        f"mean over slices; lower is better. Each cell: {forecasters(evaluation)}. Rows marked `log` compare "
        "`log(1 + value)`. The last column is the share of truths in the twin's central 90 % interval, by steps "
        "ahead.\n\n"
        f"{markdown_table(header, rows)}\n\n{figures_table(figures, siblings)}\n\n"
        "`crps_skill_B_k` is 1 less the ratio of the twin's CRPS to that of baseline B, k steps ahead."
    )


def figures_table(figures: Mapping[str, float], siblings: Sequence[Mapping[str, float]]) -> str:
    """Returns headline numbers as a table, with mean and spread if other seeds were trained."""
    rows = []
    for name, value in figures.items():
        others = [other[name] for other in siblings if name in other]
        values = [value, *others]
        spread = f"{statistics.mean(values):.4g} ± {statistics.stdev(values):.2g}" if others else ""
        rows.append([f"`{name}`", f"{value:.4g}", *([spread] if siblings else [])])
    header = ["figure", "this run", *([f"mean ± deviation of {len(siblings) + 1} seeds"] if siblings else [])]
    return markdown_table(header, rows)


def _fields(schema: TransitionSchema) -> str:
    rows = [
        [f"`{field.name}`", role, field.unit, _range(field), field.scale, field.description]
        for role in ("state", "action", "context", "outcome")
        for field in getattr(schema, role)
    ]
    return markdown_table(["field", "role", "unit", "range", "scale", "meaning"], rows)


def _range(field: Field) -> str:
    if field.categories:
        return f"0 … {field.categories - 1}"
    ends = ("∞" if math.isinf(end) else f"{end:g}" for end in (abs(field.low), field.high))
    return ("-" if field.low < 0 else "") + " … ".join(ends)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def listed(names: Any) -> str:
    """Returns names as code, with commas between them."""
    return ", ".join(f"`{name}`" for name in names)
