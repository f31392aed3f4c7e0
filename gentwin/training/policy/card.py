"""The card of a policy twin: what policy it twins, on what decisions, how good it is, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gentwin.datasets.decisions import REMEDIES, UNUSABLE
from gentwin.models.policy import PolicyTwinModel
from gentwin.training.model_card import figures_table, front_matter, listed, markdown_table, training_section
from gentwin.training.policy.arguments import AugmentationArguments, DecisionArguments
from gentwin.training.policy.data import DecisionSplits
from gentwin.training.policy.evaluation import PolicyScores
from gentwin.training.report import portable_path

USE = """```python
import gentwin

twin = gentwin.from_pretrained("{name}")
states = twin.space.sample(8)  # ({shape}): yours, in the units of the fields below
decision = twin.decide(states)
decision.actions, decision.confidence  # slices {slices}; {none} admits none
```"""
LIMITATIONS = (
    "It repeats the policy of its record, be it good or bad, and does not follow its changes.",
    "It sees the fields below. What else the policy looked at appears as uncertainty.",
    "States that the policy's own decisions never led to are not in the record; confidence there is a hint only.",
    "Which admissions are allowed follows from capacity and demand in its configuration; they must be those in force.",
)


def write_policy_card(
    folder: str | Path,
    twin: PolicyTwinModel,
    splits: DecisionSplits,
    arguments: tuple[DecisionArguments, AugmentationArguments],
    scores: PolicyScores,
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
        splits: The decisions.
        arguments: Which decisions, and how they were enriched.
        scores: Of the test.
        figures: Headline numbers.
        siblings: Headline numbers of runs that differ in the seed only.
        run: `command`, `training_s`, `hardware`, `versions` and `seed`.
        captions: Of the plots, by path relative to the folder.
        warnings: What a user must be warned of.

    Returns:
        The path of the card.
    """
    name, schema = Path(folder).resolve().name.replace("_", "-"), twin.policy_schema
    slices = ", ".join(f"{place} {entry}" for place, entry in enumerate(schema.slices))
    shape = f"8, {len(schema.slices)}, {len(schema.state)}"
    use = USE.format(name=portable_path(folder), shape=shape, slices=slices, none=len(schema.slices))
    sections = (
        front_matter("admission-control", twin.config.model_type, schema.name),
        f"# {name}\n\n{_summary(twin)}",
        *([f"> **Warning.** {' '.join(warnings)}"] if warnings else []),
        f"## Use\n\n{use}",
        f"## Data\n\n{_data(splits, *arguments)}",
        f"## Training\n\n{training_section(run)}",
        f"## Results\n\n{_results(scores, figures, siblings)}",
        "\n\n".join(f"![{caption}]({path})\n\n*{caption}*" for path, caption in captions.items()),
        "## Limitations\n\n" + "\n".join(f"- {text}" for text in LIMITATIONS),
        f"## Fields\n\n{_fields(twin)}",
    )
    path = Path(folder) / "README.md"
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return path


def _summary(twin: PolicyTwinModel) -> str:
    size = sum(parameter.numel() for parameter in twin.classifier.parameters())
    schema = twin.policy_schema
    makes = {"none": "", "actions": " A generator gives states their actions.", "decisions": " A generator makes more."}
    origin = f"`{schema.name}`" if schema.name else "the recorded network"
    return (
        f"A twin of the admission policy of {origin}: which of the slices {listed(schema.slices)} it admits next, or "
        "none, given queues and free resources, and how sure that is. "
        f"`{type(twin).__name__}`, layout `{twin.config.layout}`, {size:,} parameters.{makes[twin.config.generator]}"
    )


def _data(splits: DecisionSplits, data: DecisionArguments, enrichment: AugmentationArguments) -> str:
    parts = [[name, *(f"{count:,}" for count in entry.values())] for name, entry in splits.describe().items()]
    text = (
        f"`{portable_path(data.data_path)}`, fingerprint (SHA-256) `{splits.fingerprint}`. Divided by whole episodes "
        f"with seed {data.split_seed}. Validation chose the checkpoint and the temperature of the confidence; the test "
        f"was used for nothing but the results.\n\n{markdown_table(['part', 'episodes', 'decisions'], parts)}"
    )
    if enrichment.augmentation != "none":
        text += (
            f"\n\nAugmentation `{enrichment.augmentation}`, {enrichment.synthetic_ratio:g} for each recorded decision."
        )
    if splits.train.faults:
        rows = [
            [
                f"`{kind}`",
                f"{count:,}",
                "left out" if data.on_fault == "drop" or kind in UNUSABLE else "kept",
                REMEDIES[kind],
            ]
            for kind, count in splits.train.faults.items()
        ]
        text += f"\n\nFaulty decisions:\n\n{markdown_table(['fault', 'decisions', 'were', 'remedy'], rows)}"
    return text


def _results(scores: PolicyScores, figures: Mapping[str, float], siblings: Sequence[Mapping[str, float]]) -> str:
    metrics = scores.metrics()
    rows = [
        [f"`{name}`", f"{metrics[f'{name}/decisions']:,}", f"{100 * metrics[f'{name}/accuracy']:.2f}"]
        for name in scores.names
        if f"{name}/decisions" in metrics
    ]
    return (
        "Test episodes, state by state. Macro accuracy is the mean over actions; a state is rare if fewer or more "
        "requests wait than in 95 % of the training record on either side; the calibration error is over 15 bins.\n\n"
        f"{figures_table(figures, siblings)}\n\n{markdown_table(['action', 'decisions', 'right (%)'], rows)}"
    )


def _fields(twin: PolicyTwinModel) -> str:
    schema, config = twin.policy_schema, twin.config
    rows = [[f"`{field.name}`", field.unit, field.description] for field in schema.state]
    needs = [[f"`{name}`", *map(str, needs)] for name, needs in zip(schema.slices, config.needs, strict=True)] + [
        ["capacity", *map(str, config.units)]
    ]
    resources = [field.name.removeprefix("free_") for field in schema.state[-len(config.units) :]]
    return (
        f"{markdown_table(['field', 'unit', 'meaning'], rows)}\n\n"
        f"{markdown_table(['units of a service', *resources], needs)}"
    )
