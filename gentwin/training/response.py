"""What the network answers to an action, and what its twin answers: surfaces and curves beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
from matplotlib.axes import Axes
from matplotlib.tri import Triangulation

import gentwin.envs  # noqa: F401 (makes the environments known to gymnasium)
from gentwin.metrics import TwinForecaster, rollout_cases
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.networks.slicing import PRESETS, slicing_parameters, slicing_schema
from gentwin.schema import TransitionSchema
from gentwin.training.arguments import EvaluationArguments
from gentwin.training.data import Splits, has_users
from gentwin.training.plots import INK, chosen_fields, field_label, new_figure, save_figure, slice_colors

SURFACE_STEPS, SETTLING_STEPS, TWIN_COPIES = 24, 6, 32
CURVE_STARTS, CURVE_DRAWS, CURVE_POINTS = 64, 8, 12
LEAST_RECORDS = 20


@dataclass(frozen=True)
class Surface:
    """Mean utility of holding each allocation.

    Args:
        allocations: `(num_actions, 3)` Hz.
        network: `(num_actions,)` utilities, by simulation.
        twin: `(num_actions,)` utilities, by the twin.
    """

    allocations: np.ndarray
    network: np.ndarray
    twin: np.ndarray


def has_surface(schema: TransitionSchema) -> bool:
    """Returns whether the record is of a preset of the slicing network with three slices, which can be simulated."""
    return (
        schema.name in PRESETS and len(schema.slices) == 3 and schema == slicing_schema(slicing_parameters(schema.name))
    )


def utility_surface(twin: DynamicsTwin, seed: int = 0, num_decisions: int = 20_000) -> Surface:
    """Holds every allocation for some seconds in the network and in the twin, and averages the utility.

    All allocations meet the same users, and the twin starts where the network does.

    Args:
        twin: A trained twin of a preset of the slicing network.
        seed: Of both environments.
        num_decisions: Decisions simulated in the network, over all allocations; at least two copies take each.

    Returns:
        Utilities with unit weights, the first steps left out.
    """
    schema = twin.transition_schema
    arguments = {"preset": schema.name, "observation_fields": "all", "episode_steps": None}
    num_actions = int(gymnasium.make("gentwin/RanSlicing-v0", preset=schema.name).action_space.n)
    copies = max(2, num_decisions // (num_actions * SURFACE_STEPS))
    network = gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=copies, **arguments)
    starts = network.reset(seed=seed)[0].reshape(copies, len(schema.slices), len(schema.state))
    imagined = gymnasium.make_vec(
        "gentwin/TwinSlicing-v0", num_envs=TWIN_COPIES, twin=twin, horizon=None, start_states=starts
    )
    answers = [[_hold(env, action, seed) for action in range(num_actions)] for env in (network, imagined)]
    return Surface(network.unwrapped.allocations, *np.array(answers))


def _hold(env: gymnasium.vector.VectorEnv, action: int, seed: int) -> float:
    """Returns the mean utility under a fixed action, some steps to settle left out; actions share their randomness."""
    env.reset(seed=seed)
    actions = np.full(env.num_envs, action)
    utilities = [env.step(actions)[-1]["utility"].mean() for _ in range(SURFACE_STEPS)]
    return float(np.mean(utilities[SETTLING_STEPS:]))


def plot_surface(surface: Surface, schema: TransitionSchema, path: Path) -> Path:
    """Draws the utility over all divisions of the band: network, twin, and their difference."""
    figure, axes = new_figure(1, 3, (3.9, 2.7))
    shares = surface.allocations / surface.allocations.sum(axis=1, keepdims=True)
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
    grid = Triangulation(*(shares @ corners).T)
    both = np.concatenate([surface.network, surface.twin])
    scale = {"vmin": both.min(), "vmax": both.max(), "cmap": "viridis"}
    limit = float(np.abs(surface.twin - surface.network).max()) or 1.0
    panels = (
        ("network", surface.network, scale, "mean utility"),
        ("twin", surface.twin, scale, "mean utility"),
        (
            "twin - network",
            surface.twin - surface.network,
            {"vmin": -limit, "vmax": limit, "cmap": "RdBu_r"},
            "difference",
        ),
    )
    for axis, (title, values, style, label) in zip(axes[0], panels, strict=True):
        drawn = axis.tripcolor(grid, values, shading="gouraud", **style)
        figure.colorbar(drawn, ax=axis, shrink=0.7, pad=0.02).set_label(label, fontsize=8)
        if label != "difference":
            best = int(values.argmax())
            axis.plot(grid.x[best], grid.y[best], "*", color="white", markeredgecolor=INK, markersize=11)
            title += f": best {values[best]:.2f}"
        _label_corners(axis, schema, corners)
        axis.set_title(title.replace("twin - network", "twin minus network"), fontsize=10)
    figure.suptitle(f"Utility of every fixed allocation, {schema.name}; ★ is the best", fontsize=10)
    return save_figure(figure, path)


def _label_corners(axis: Axes, schema: TransitionSchema, corners: np.ndarray) -> None:
    places = (("left", "top"), ("right", "top"), ("center", "bottom"))
    offsets = ((-0.04, -0.03), (0.04, -0.03), (0.0, 0.02))
    colors = slice_colors(schema)
    for name, corner, (horizontal, vertical), offset in zip(schema.slices, corners, places, offsets, strict=True):
        label = f"all to {name}"
        axis.text(*(corner + offset), label, ha=horizontal, va=vertical, fontsize=8, color=colors[name])
    axis.set_aspect("equal")
    axis.set_xlim(-0.06, 1.06)
    axis.set_ylim(-0.1, 0.97)
    axis.set_axis_off()


def plot_curves(twin: DynamicsTwin, splits: Splits, arguments: EvaluationArguments, path: Path) -> Path:
    """Draws what the twin expects if one slice's action is changed and all else stays as recorded.

    Points are means of the whole record at about the same action. They mix all conditions in which that action was
    chosen, so a twin need not pass through them, but its curve should rise and fall as they do.

    Args:
        twin: A trained twin.
        splits: The record; conditions are drawn from the test episodes.
        arguments: Fields, burn-in and seed.
        path: PNG file to write.
    """
    schema = splits.schema
    fields, action = chosen_fields(schema, arguments.plot_fields), schema.action[0]
    figure, axes = new_figure(len(fields), len(schema.slices), (3.2, 2.1), sharex="col")
    for column, (name, color) in enumerate(slice_colors(schema).items()):
        values, answers = _answers(twin, splits, column, arguments)
        for row, field in enumerate(fields):
            target = schema.targets.index(field)
            axis = axes[row, column]
            axis.plot(values, answers[:, target], color=color, linewidth=1.5, marker=".", label="twin, action changed")
            points = _record_means(splits, column, target, values)
            axis.plot(*points, "o", color=INK, markersize=3.5, label="record, mean")
            axis.set_ylim(bottom=0 if field.low == 0 else None)
            if column == 0:
                axis.set_ylabel(field_label(field), fontsize=8)
            if row == 0:
                axis.set_title(name, fontsize=10, color=color, fontweight="bold")
        axes[-1, column].set_xlabel(field_label(action), fontsize=8)
    axes[0, -1].legend(fontsize=7, frameon=False)
    figure.suptitle(f"Next step as a function of {field_label(action)}", fontsize=10)
    return save_figure(figure, path)


def _answers(
    twin: DynamicsTwin, splits: Splits, index: int, arguments: EvaluationArguments
) -> tuple[np.ndarray, np.ndarray]:
    """Returns values of the first action `(V,)` and the twin's mean targets `(V, O)` of slice `index`."""
    present = has_users(splits.schema, splits.train.context)[:, index]
    values = _levels(splits.train.action[present, index, 0])
    rng = np.random.default_rng(arguments.evaluation_seed)
    cases = rollout_cases(splits.test, CURVE_STARTS, 1, arguments.evaluation_seed, arguments.burn_in_steps)
    starts, draws = len(cases.start_states), CURVE_DRAWS * len(values)
    populated = has_users(splits.schema, cases.contexts[:, 0])[:, index]
    forecaster = TwinForecaster(twin)
    forecaster.start(cases.history, draws, rng)
    actions = cases.actions[:, 0].repeat(draws, axis=0)
    actions[:, index, 0] = np.tile(values.repeat(CURVE_DRAWS), starts)
    contexts = cases.contexts[:, 0].repeat(draws, axis=0)
    targets = forecaster.sample(cases.start_states.repeat(draws, axis=0), actions, contexts, rng)
    answers = targets[:, index].reshape(starts, len(values), CURVE_DRAWS, -1)
    return values, answers[populated | ~populated.any()].mean(axis=(0, 2))


def _levels(recorded: np.ndarray) -> np.ndarray:
    values = np.unique(recorded)
    if len(values) > CURVE_POINTS:
        values = np.unique(np.quantile(values, np.linspace(0, 1, CURVE_POINTS), method="nearest"))
    return values.astype(np.float32)


def _record_means(splits: Splits, index: int, target: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns means `(x, y)` of the record over the steps whose action is nearest to each of `values`."""
    present = has_users(splits.schema, splits.train.context)[:, index]
    action, seen = splits.train.action[present, index, 0], splits.train.targets[present, index, target]
    nearest = np.abs(action[:, None] - values).argmin(axis=1)
    groups = [nearest == number for number in range(len(values))]
    groups = [group for group in groups if group.sum() >= LEAST_RECORDS]
    return np.array([action[group].mean() for group in groups]), np.array([seen[group].mean() for group in groups])
