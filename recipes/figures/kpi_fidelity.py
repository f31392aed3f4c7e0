"""Accuracy of twins trained on real EXPLORA logs, on episodes they have not seen, beside two baselines.

The logs are not part of gentwin (`docs/how-to/train-on-kpi-logs.md` says where they are). The environment variable
`GENTWIN_EXPLORA` names the table of transitions; without it, it is `data/explora_transitions.parquet`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import set_seed

from gentwin.datasets import Transitions
from gentwin.metrics import GradientBoosting, NearestNeighbours, coverage, crps_from_samples
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.training import DynamicsTrainer, build_twin, load_splits, parse_arguments
from recipes.figures.result import Result

RECIPE = Path(__file__).parent.parent / "slice_kpi.yaml"
DEFAULT = Path(__file__).parents[2] / "data" / "explora_transitions.parquet"
SCORED = ("buffer_mean_bytes", "throughput_mbps", "grant_ratio", "packets")
PRB_CURVE = {6: 0.35, 12: 0.77, 18: 0.86, 24: 0.93, 36: 0.98}
LEVELS = (np.arange(100) + 0.5) / 100
MEMORY_STEPS = 256  # runs are cut into pieces of at most this many steps


def log_path() -> Path:
    """Returns the path of the table; raises `FileNotFoundError` with the remedy if there is none."""
    path = Path(os.environ.get("GENTWIN_EXPLORA", DEFAULT))
    if not path.exists():
        raise FileNotFoundError(f"`GENTWIN_EXPLORA` must name the table of EXPLORA transitions, got {path}: not found.")
    return path


def train(seed: int) -> tuple[DynamicsTwin, Transitions, Transitions]:
    """Trains the recipe's twin with `seed`; returns it with the training and the test episodes."""
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "data_path": log_path(),
            "output_dir": folder,
            "seed": seed,
            "split_seed": seed,
            "disable_tqdm": True,
        }
        argv = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        data, model, *_, training = parse_arguments(argv, RECIPE)
        torch.set_num_threads(training.torch_threads)
        splits = load_splits(data)
        set_seed(seed)
        twin = build_twin(model, splits.schema)
        DynamicsTrainer(twin, training, splits, data.sequence_length, data.sequence_stride).train()
    return twin.cpu().eval(), splits.train, splits.test


@torch.inference_mode()
def quantiles(twin: DynamicsTwin, record: Transitions) -> np.ndarray:
    """Returns the predicted quantiles at `LEVELS` of every step from the true history, `(100, num_steps, N, O)`."""
    result = np.empty((len(LEVELS), *record.targets.shape), np.float32)
    pieces = [
        (start, min(start + MEMORY_STEPS, stop))
        for first, stop in record.runs
        for start in range(first, stop, MEMORY_STEPS)
    ]
    pieces.sort(key=lambda piece: piece[0] - piece[1])
    memory = twin.initial_state(len(pieces))
    for offset in range(MEMORY_STEPS):
        rows = np.array([start + offset for start, stop in pieces if start + offset < stop])
        if not len(rows):
            break
        memory = tuple(part[: len(rows)] for part in memory)
        inputs = [torch.from_numpy(values[rows]) for values in (record.state, record.action, record.context)]
        distribution = twin.predict(inputs[0], inputs[1], memory, context=inputs[2])
        result[:, rows] = distribution.quantile(LEVELS.tolist()).numpy()
        memory = twin.observe(inputs[0], inputs[1], memory, context=inputs[2])
    return result


def on_scale(values: np.ndarray, name: str) -> np.ndarray:
    """Returns buffers as log(1 + bytes), everything else as it is."""
    return np.log1p(values) if name.startswith("buffer") else values


def scores(samples: np.ndarray, record: Transitions) -> dict[str, float]:
    """Returns the CRPS of every scored field over slices with users; `samples` `(M, num_steps, N, O)`."""
    names = [field.name for field in record.schema.targets]
    present = record.context[..., [field.name for field in record.schema.context].index("num_ues")] > 0
    table = {}
    for name in SCORED:
        drawn, seen = (on_scale(values[..., names.index(name)], name) for values in (samples, record.targets))
        table[name] = float(crps_from_samples(drawn[:, present], seen[present]).mean())
    return table


def changed_rows(record: Transitions) -> np.ndarray:
    """Returns which steps have another eMBB PRB than the step before in the same run, `(num_steps,)` bool."""
    prb = record.action[:, record.schema.slices.index("embb"), 0]
    changed = np.zeros(len(record), bool)
    for start, stop in record.runs:
        changed[start + 1 : stop] = prb[start + 1 : stop] != prb[start : stop - 1]
    return changed


def changed_errors(median: np.ndarray, record: Transitions) -> dict[str, float]:
    """Returns the MAE on eMBB rows whose PRB changed; `median` `(num_steps, N, O)`."""
    names, embb, rows = (
        [field.name for field in record.schema.targets],
        record.schema.slices.index("embb"),
        changed_rows(record),
    )
    table = {}
    for name in SCORED[:3]:
        ours, seen = (on_scale(values[rows, embb, names.index(name)], name) for values in (median, record.targets))
        table[name] = float(np.abs(ours - seen).mean())
    return table


def grant_curve(mean: np.ndarray, record: Transitions) -> dict[str, list[float]]:
    """Returns predicted and recorded mean eMBB grant ratio by PRB."""
    index, embb = (
        [field.name for field in record.schema.targets].index("grant_ratio"),
        record.schema.slices.index("embb"),
    )
    prb = record.action[:, embb, 0]
    groups = {str(value): prb == value for value in PRB_CURVE if (prb == value).any()}
    return {
        key: [float(values[rows, embb, index].mean()) for values in (mean, record.targets)]
        for key, rows in groups.items()
    }


def measure_once(seed: int) -> dict:
    """Trains and scores one twin and its baselines on one split."""
    twin, training, test = train(seed)
    ours = quantiles(twin, test)
    rng = np.random.default_rng(seed)
    neighbours = NearestNeighbours().fit(training)
    drawn = neighbours.all_samples(test.state, test.action, test.context)
    boosted = GradientBoosting(seed=seed).fit(training).sample(test.state, test.action, test.context, rng)
    present = test.context[..., 0] > 0
    covered = {
        field.name: float(coverage(ours[:, present][..., index], test.targets[present][..., index], 0.9, rng))
        for index, field in enumerate(test.schema.targets)
    }
    return {
        "crps": scores(ours, test),
        "knn_crps": scores(drawn, test),
        "changed_mae": changed_errors(np.median(ours, axis=0), test),
        "boosting_mae": changed_errors(boosted, test),
        "grant_ratio_by_prb": grant_curve(ours.mean(axis=0), test),
        "coverage": covered,
    }


def measure(full: bool, seed: int) -> Result:
    """Measures one split and seed, three if `full`."""
    runs = [measure_once(seed + run) for run in range(3 if full else 1)]

    def mean(key: str) -> dict[str, float]:
        return {name: float(np.mean([run[key][name] for run in runs])) for name in runs[0][key]}

    crps, knn, mae, boosting = mean("crps"), mean("knn_crps"), mean("changed_mae"), mean("boosting_mae")
    curve = runs[0]["grant_ratio_by_prb"]
    predicted = [pair[0] for pair in curve.values()]
    met = (
        all(crps[name] < knn[name] for name in crps)
        and all(mae[name] < boosting[name] for name in mae)
        and all(np.diff(predicted) > 0)
        and max(abs(ours - seen) for ours, seen in curve.values()) <= 0.05
    )
    figure = {
        "crps": crps,
        "changed_mae": mae,
        "grant_ratio_by_prb_predicted_recorded": curve,
        "coverage": mean("coverage"),
        "crps_by_seed": [run["crps"] for run in runs],
        "changed_mae_by_seed": [run["changed_mae"] for run in runs],
    }
    goal = "CRPS below kNN-50; MAE on PRB-changed eMBB rows below boosting; grant ratio rises with PRBs as recorded"
    ratio = {f"crps {name}": knn[name] / crps[name] for name in crps} | {
        f"changed mae {name}": boosting[name] / mae[name] for name in mae
    }
    return Result(figure, goal, met, {"knn_crps": knn, "boosting_changed_mae": boosting}, ratio)
