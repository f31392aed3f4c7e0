"""Loss landscapes, where the curvature is known or can be measured another way."""

import math

import numpy as np
import pytest
import torch

from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.rl import Batch, LearnerArguments, make_learner
from gentwin.rl.landscape import (
    filter_normalised,
    loss_along_gradient,
    loss_surface,
    plot_gradient_lines,
    plot_loss_surfaces,
    sharpness,
)

NUM_ACTIONS, SIZE = 3, 4


def some_transitions(count=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    before, after = torch.randn(2, count, SIZE, generator=generator)
    actions = torch.randint(NUM_ACTIONS, (count,), generator=generator)
    rewards = torch.randn(count, generator=generator)
    return Batch(before, actions, rewards, after, torch.zeros(count))


def learner_of(head="plain", algorithm="dqn", hidden_sizes=(8,)):
    torch.manual_seed(1)
    fields = [f"observation.{index}" for index in range(SIZE)]
    network = QNetworkModel(
        QNetworkConfig(
            observation_fields=fields,
            num_actions=NUM_ACTIONS,
            hidden_sizes=list(hidden_sizes),
            head=head,
            num_particles=5,
            noise_size=3,
            critic_sizes=[4],
        )
    )
    learner = make_learner(network, LearnerArguments(algorithm=algorithm, discount=0.5))
    learner.prepare(some_transitions(500, seed=7))
    return learner


LEARNERS = [("plain", "dqn", (8,)), ("dueling", "double_dqn", (8,)), ("particles", "gan_dqn", (8, 8, 8))]


def linear_learner():
    """A learner whose hidden layer passes everything on, so that half its loss is a quadratic of the last layer."""
    learner = learner_of(hidden_sizes=(2 * SIZE,))
    layer = learner.network.trunk[0]
    with torch.no_grad():
        layer.weight.copy_(torch.cat((torch.eye(SIZE), -torch.eye(SIZE))))
        layer.bias.zero_()
    layer.requires_grad_(False)
    return learner


def test_curvature_of_a_quadratic_is_the_known_one():
    learner, batch = linear_learner(), some_transitions()
    # Only the last layer moves, so the loss is a parabola: three points give its second derivative exactly.
    head = list(learner.network.head.parameters())
    features = learner.network.trunk(learner.network.features(batch.observations))
    ones = torch.ones(len(features), 1)
    chosen = torch.nn.functional.one_hot(batch.actions, NUM_ACTIONS).float()
    design = (chosen[:, :, None] * torch.cat((features, ones), 1)[:, None]).flatten(1)
    hessian = design.T @ design / len(design)
    gradient = torch.autograd.grad(learner.loss(batch, np.random.default_rng(0)), head)
    vector = torch.cat((gradient[0], gradient[1][:, None]), dim=1).flatten()
    line = loss_along_gradient(learner, batch, np.linspace(-1, 1, 5), seed=0)
    vector = vector / vector.norm()
    expected = float(vector @ hessian @ vector)
    assert line.curvature == pytest.approx(expected, rel=1e-4)
    fitted = np.polynomial.polynomial.polyfit(line.strengths, line.losses, 2)
    np.testing.assert_allclose(fitted[1:], [line.gradient_norm, expected / 2], rtol=1e-3)


@pytest.mark.parametrize(("head", "algorithm", "hidden_sizes"), LEARNERS)
def test_slope_is_the_gradients_and_the_agent_is_as_before(head, algorithm, hidden_sizes):
    learner, batch = learner_of(head, algorithm, hidden_sizes), some_transitions()
    before = {name: values.clone() for name, values in learner.network.state_dict().items()}
    line = loss_along_gradient(learner, batch, [-1e-2, 0.0, 1e-2], seed=0)
    slope = (line.losses[2] - line.losses[0]) / 2e-2
    assert slope == pytest.approx(line.gradient_norm, rel=0.05)
    assert line.losses[1] == pytest.approx(learner.loss(batch, np.random.default_rng(0)).item(), rel=1e-6)
    loss_surface(learner, batch, 0.5, 3, seed=0)
    sharpness(learner, batch, 0.5, 2, seed=0)
    after = learner.network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    learner.update(batch, np.random.default_rng(0))


def test_directions_have_the_length_of_every_neurons_weights():
    parameters = list(learner_of().network.parameters())
    direction = filter_normalised(parameters, torch.Generator().manual_seed(0))
    for part, parameter in zip(direction, parameters, strict=True):
        if parameter.ndim == 1:
            assert not part.any()
        else:
            torch.testing.assert_close(part.norm(dim=1), parameter.norm(dim=1))


def test_scale_of_a_layer_does_not_change_the_sharpness():
    """Of ReLU layers, one can be doubled and the next halved: the same function, so the same sharpness."""
    batch, found = some_transitions(), []
    for factor in (1.0, 8.0):
        learner = learner_of()
        with torch.no_grad():
            for network in (learner.network, learner.target):
                for values in network.trunk.parameters():
                    values.mul_(factor)
                network.head.values.weight.div_(factor)
        found.append(sharpness(learner, batch, 0.3, 4, seed=2))
    assert found[0] == pytest.approx(found[1], rel=1e-3)
    assert found[0] > 0


def test_middle_of_the_surface_is_the_loss_and_seeds_repeat():
    learner, batch = learner_of(), some_transitions()
    surfaces = [loss_surface(learner, batch, 0.4, 5, seed) for seed in (0, 0, 1)]
    assert surfaces[0].losses.shape == (5, 5)
    assert surfaces[0].losses[2, 2] == pytest.approx(learner.loss(batch, np.random.default_rng(0)).item(), rel=1e-6)
    np.testing.assert_array_equal(surfaces[0].losses, surfaces[1].losses)
    assert not np.allclose(surfaces[0].losses, surfaces[2].losses)


def test_losses_can_be_put_in_another_unit():
    learner, batch = learner_of(), some_transitions()
    line = loss_along_gradient(learner, batch, [0.0, 0.1], seed=0)
    surface = loss_surface(learner, batch, 0.4, 3, seed=0)
    scaled = line.scaled(4.0)
    np.testing.assert_allclose(scaled.losses, 4 * line.losses)
    assert (scaled.gradient_norm, scaled.curvature) == (4 * line.gradient_norm, 4 * line.curvature)
    np.testing.assert_allclose(surface.scaled(4.0).losses, 4 * surface.losses)


def test_parameters_are_put_back_after_an_error():
    learner, batch = learner_of(), some_transitions()
    before = [values.clone() for values in learner.network.parameters()]
    broken = Batch(batch.observations, batch.actions + 100, batch.rewards, batch.next_observations, batch.terminated)
    with pytest.raises(RuntimeError):
        loss_surface(learner, broken, 0.4, 3, seed=0)
    assert all(torch.equal(now, then) for now, then in zip(learner.network.parameters(), before, strict=True))


def test_pictures_are_written(tmp_path):
    learner, batch = learner_of(), some_transitions()
    line = loss_along_gradient(learner, batch, np.linspace(-0.1, 0.1, 3), seed=0)
    surface = loss_surface(learner, batch, 0.4, 3, seed=0)
    lines = plot_gradient_lines({"plain": line, "with twin": line}, tmp_path / "line.png")
    surfaces = plot_loss_surfaces({"plain": surface, "with twin": surface}, tmp_path / "surface.png")
    assert min(lines.stat().st_size, surfaces.stat().st_size) > 3000


def test_wrong_numbers_are_refused():
    learner, batch = learner_of(), some_transitions()
    for strengths in ([], [math.nan]):
        with pytest.raises(ValueError, match="`strengths`"):
            loss_along_gradient(learner, batch, strengths, seed=0)
    for radius, points, name in ((0.0, 3, "radius"), (0.1, 4, "num_points"), (0.1, 1, "num_points")):
        with pytest.raises(ValueError, match=f"`{name}`"):
            loss_surface(learner, batch, radius, points, seed=0)
    for radius, directions, name in ((math.inf, 3, "radius"), (0.1, 0, "num_directions")):
        with pytest.raises(ValueError, match=f"`{name}`"):
            sharpness(learner, batch, radius, directions, seed=0)
