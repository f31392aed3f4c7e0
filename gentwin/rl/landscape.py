"""Loss landscapes: how an agent's loss changes around its parameters.

Source: Zhang et al., "Digital Twin-Enhanced Deep Reinforcement Learning for Resource Management in Networks Slicing",
section III-F; Li et al., "Visualizing the loss landscape of neural nets" (NeurIPS 2018).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.ticker import FormatStrFormatter
from torch import Tensor, nn

from gentwin.rl.learner import QLearner
from gentwin.rl.replay import Batch
from gentwin.training.plots import COLORS, new_figure, save_figure


@dataclass(frozen=True)
class GradientLine:
    """Loss along the direction of its gradient.

    Args:
        strengths: `(L,)`, lambda: distances moved, in the unit of the parameters.
        losses: `(L,)`, of the agent at each; by default squared values in units of its network's `return_scale`.
        gradient_norm: Slope at 0.
        curvature: Second derivative at 0.
    """

    strengths: np.ndarray
    losses: np.ndarray
    gradient_norm: float
    curvature: float

    def scaled(self, factor: float) -> GradientLine:
        """Returns the line of `factor` times the loss.

        With the square of the network's `return_scale` losses are in squared returns, the same unit for every agent.
        """
        return GradientLine(self.strengths, factor * self.losses, factor * self.gradient_norm, factor * self.curvature)


@dataclass(frozen=True)
class LossSurface:
    """Loss on a plane of two random directions.

    Args:
        positions: `(L,)`, distances moved along each direction; 1 is the length of the parameters.
        losses: `(L, L)`, at `positions[i]` along the first and `positions[j]` along the second; in the same unit.
    """

    positions: np.ndarray
    losses: np.ndarray

    def scaled(self, factor: float) -> LossSurface:
        """Returns the surface of `factor` times the loss."""
        return LossSurface(self.positions, factor * self.losses)


def loss_along_gradient(learner: QLearner, batch: Batch, strengths: Sequence[float], seed: int) -> GradientLine:
    """Computes `L(theta + lambda v)` for the unit vector `v` of the gradient (eq. 11).

    The target network stays as it is; the choice of the next action in double Q-learning moves with the parameters.
    The parameters are the same, bit for bit, afterwards.

    Args:
        learner: An agent.
        batch: The transitions `L` is the mean over, on any device.
        strengths: Values of lambda.
        seed: Of the noise of agents that draw; the same for every lambda.

    Raises:
        ValueError: If there are no strengths, one is not finite, or the gradient is zero.
    """
    values = np.asarray(strengths, np.float64)
    if not values.size or not np.isfinite(values).all():
        raise ValueError(f"`strengths` must hold at least one number, all finite, got {list(strengths)}.")
    batch = batch.to(learner.device)
    every = _free(learner)
    found = torch.autograd.grad(_loss(learner, batch, seed), every, create_graph=True, allow_unused=True)
    # What the loss does not depend on, such as a critic, stays where it is.
    parameters = [parameter for parameter, gradient in zip(every, found, strict=True) if gradient is not None]
    gradients = [gradient for gradient in found if gradient is not None]
    norm = math.sqrt(sum(float(gradient.detach().double().square().sum()) for gradient in gradients))
    if norm == 0:
        raise ValueError(
            "`batch` must give a gradient other than zero, which has no direction; give other transitions."
        )
    direction = [gradient.detach() / norm for gradient in gradients]
    slope = sum((gradient * part).sum() for gradient, part in zip(gradients, direction, strict=True))
    bent = torch.autograd.grad(slope, parameters, allow_unused=True)
    pairs = zip(bent, direction, strict=True)
    curvature = sum(float((row * part).sum()) for row, part in pairs if row is not None)
    losses = [_loss_at(learner, batch, parameters, [(value, direction)], seed) for value in values]
    return GradientLine(values, np.array(losses), norm, curvature)


def loss_surface(learner: QLearner, batch: Batch, radius: float, num_points: int, seed: int) -> LossSurface:
    """Computes the loss on a plane through the parameters, along two filter-normalised random directions.

    In such a direction, what enters a neuron moves by a multiple of its own length, so that networks whose layers
    differ in scale can be compared; biases do not move (Li et al., section 4).

    Args:
        learner: An agent; its parameters are the same, bit for bit, afterwards.
        batch: The transitions the loss is the mean over, on any device.
        radius: Largest distance along each direction; 1 moves every neuron's weights by their own length.
        num_points: Positions along each direction, odd so that the parameters themselves are one of them.
        seed: Of directions and of the noise of agents that draw.

    Raises:
        ValueError: If the radius is not positive or the number even or below 3.
    """
    _require_positive("radius", radius)
    if num_points < 3 or num_points % 2 == 0:
        raise ValueError(f"`num_points` must be odd and at least 3, got {num_points}.")
    batch = batch.to(learner.device)
    parameters = _free(learner)
    generator = torch.Generator().manual_seed(seed)
    first, second = (filter_normalised(parameters, generator) for _ in range(2))
    positions = np.linspace(-radius, radius, num_points)
    rows = [
        [_loss_at(learner, batch, parameters, [(x, first), (y, second)], seed) for y in positions] for x in positions
    ]
    return LossSurface(positions, np.array(rows))


def sharpness(learner: QLearner, batch: Batch, radius: float, num_directions: int, seed: int) -> float:
    """Returns by what share of itself the loss rises on average at a distance in filter-normalised directions.

    Args:
        learner: An agent; its parameters are the same, bit for bit, afterwards.
        batch: The transitions the loss is the mean over, on any device.
        radius: Distance; 1 moves every neuron's weights by their own length.
        num_directions: Random directions, each taken both ways, at least 1.
        seed: Of directions and of the noise of agents that draw.

    Returns:
        Mean of `L(theta + radius d) / L(theta) - 1`; 0 for a flat landscape.

    Raises:
        ValueError: If a number is not positive or the loss is 0.
    """
    _require_positive("radius", radius)
    if num_directions < 1:
        raise ValueError(f"`num_directions` must be at least 1, got {num_directions}.")
    batch = batch.to(learner.device)
    parameters = _free(learner)
    with torch.no_grad():
        here = float(_loss(learner, batch, seed))
    if here == 0:
        raise ValueError("`batch` must have a loss above 0 for a relative rise, got 0; give other transitions.")
    generator = torch.Generator().manual_seed(seed)
    directions = [filter_normalised(parameters, generator) for _ in range(num_directions)]
    around = [
        _loss_at(learner, batch, parameters, [(sign * radius, direction)], seed)
        for direction in directions
        for sign in (-1, 1)
    ]
    return float(np.mean(around) / here - 1)


@torch.no_grad()
def filter_normalised(parameters: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Draws a random direction in which the weights into every neuron have the length of those of the network.

    Args:
        parameters: Weights `(outputs, inputs)` and biases `(outputs,)`.
        generator: On the CPU.

    Returns:
        One tensor for each parameter; zero for biases.

    Source: Li et al., section 4.
    """
    direction = []
    for parameter in parameters:
        if parameter.ndim < 2:
            direction.append(torch.zeros_like(parameter))
            continue
        drawn = torch.randn(parameter.shape, generator=generator).to(parameter)
        lengths = parameter.norm(dim=1, keepdim=True) / drawn.norm(dim=1, keepdim=True)
        direction.append(drawn * lengths)
    return direction


def plot_gradient_lines(lines: Mapping[str, GradientLine], path: str | Path) -> Path:
    """Draws losses over lambda, one line for each name (Zhang et al., fig. 7), and returns the PNG written."""
    figure, axes = new_figure(1, 1, (4.8, 3.2))
    axis = axes[0, 0]
    for index, (name, line) in enumerate(lines.items()):
        axis.plot(line.strengths, line.losses, label=name, color=COLORS[index % len(COLORS)], linewidth=1.2)
    axis.set_xlabel("distance along the gradient", fontsize=8)
    axis.set_ylabel("loss", fontsize=8)
    axis.set_yscale("log")
    axis.legend(fontsize=8, frameon=False)
    return save_figure(figure, Path(path))


def plot_loss_surfaces(surfaces: Mapping[str, LossSurface], path: str | Path) -> Path:
    """Draws contours of losses relative to the middle, side by side on one scale, and returns the PNG written."""
    figure, axes = new_figure(1, len(surfaces), (3.4, 3.0), sharex=True, sharey=True)
    rises = {
        name: surface.losses / surface.losses[(len(surface.positions) // 2,) * 2] for name, surface in surfaces.items()
    }
    ends = [(values.min(), values.max()) for values in rises.values()]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    levels = np.geomspace(low, max(high, low * 1.01), 16)
    for axis, (name, values) in zip(axes[0], rises.items(), strict=True):
        positions = surfaces[name].positions
        drawn = axis.contourf(
            positions, positions, values.T, levels=levels, norm=LogNorm(low, levels[-1]), extend="both"
        )
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("first direction", fontsize=8)
        axis.set_aspect("equal")
    axes[0, 0].set_ylabel("second direction", fontsize=8)
    bar = figure.colorbar(drawn, ax=axes, format=FormatStrFormatter("%.3g"), ticks=levels[::3])
    bar.set_label("loss over loss in the middle", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return save_figure(figure, Path(path))


def _require_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"`{name}` must be above 0 and finite, got {value}.")


def _free(learner: QLearner) -> list[nn.Parameter]:
    """Returns the parameters that learning may change."""
    return [parameter for parameter in learner.network.parameters() if parameter.requires_grad]


def _loss(learner: QLearner, batch: Batch, seed: int) -> Tensor:
    return learner.loss(batch, np.random.default_rng(seed))


@torch.no_grad()
def _loss_at(
    learner: QLearner,
    batch: Batch,
    parameters: Sequence[Tensor],
    steps: Sequence[tuple[float, list[Tensor]]],
    seed: int,
) -> float:
    with _moved(parameters, steps):
        return float(_loss(learner, batch, seed))


@contextmanager
def _moved(parameters: Sequence[Tensor], steps: Sequence[tuple[float, list[Tensor]]]) -> Iterator[None]:
    """Moves parameters by multiples of directions, in place; puts copies back, for subtracting would round."""
    kept = [parameter.detach().clone() for parameter in parameters]
    try:
        for distance, direction in steps:
            torch._foreach_add_(list(parameters), direction, alpha=float(distance))
        yield
    finally:
        torch._foreach_copy_(list(parameters), kept)
