"""Q-networks: the contract of twins for every head, and what heads promise."""

import itertools

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError

from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.models.q_network.heads import FactorisedHead, unit_grid
from gentwin.networks.slicing import PRESETS, allocation_grid, slicing_parameters
from tests.twin_contract import TwinContract

ALLOCATIONS = {"num_actions": 10, "num_slices": 3, "num_units": 6}
HEADS = ("plain", "dueling", "factorised", "particles")


def make_config(head="plain", **fields):
    sizes = {"hidden_sizes": [8, 8, 8], "critic_sizes": [8], "num_particles": 4, "noise_size": 3}
    actions = ALLOCATIONS if head == "factorised" else {"num_actions": 5}
    return QNetworkConfig(**{"observation_fields": ["load", "queue"], "head": head, **sizes, **actions, **fields})


def make_network(head="plain", seed=0, **fields):
    torch.manual_seed(seed)
    network = QNetworkModel(make_config(head, **fields))
    network.mark_fitted()
    return network


class PlainContract(TwinContract):
    model_class = QNetworkModel
    head = "plain"

    def make_config(self):
        return make_config(self.head, observation_scales=["log1p", "linear"])

    def make_batch(self, size=8):
        generator = torch.Generator().manual_seed(3)
        return {
            "observations": torch.rand(size, 2, generator=generator),
            "actions": torch.randint(5, (size,), generator=generator),
            "labels": torch.randn(size, generator=generator),
        }


class TestPlain(PlainContract):
    pass


class TestDueling(PlainContract):
    head = "dueling"


class TestFactorised(PlainContract):
    head = "factorised"


class TestParticles(PlainContract):
    head = "particles"


# Heads


@pytest.mark.parametrize("preset", PRESETS)
def test_actions_of_the_factorised_head_are_the_allocations_of_the_network(preset):
    parameters = slicing_parameters(preset)
    units = round(parameters.bandwidth_hz / parameters.resolution_hz)
    grid = unit_grid(parameters.num_slices, units)
    np.testing.assert_allclose(grid.numpy() * parameters.resolution_hz, allocation_grid(parameters))


@pytest.mark.parametrize(("slices", "units", "knots"), [(2, 9, 3), (3, 8, 4), (3, 17, 12), (4, 7, 50), (3, 3, 5)])
def test_factorised_values_are_sums_of_interpolated_functions(slices, units, knots):
    torch.manual_seed(0)
    head = FactorisedHead(6, slices, units, knots)
    head.reset_parameters()
    features = torch.randn(4, 6)
    values = head(features)
    coefficients = head.coefficients(features).detach().reshape(4, slices, head.num_knots).numpy()
    common = head.value(features).detach().numpy()
    most = units - slices + 1
    positions = np.linspace(0, np.log(most), head.num_knots) if most > 1 else np.zeros(1)
    allocations = [each for each in itertools.product(range(1, most + 1), repeat=slices) if sum(each) == units]
    assert values.shape == (4, len(allocations))
    for row, (action, allocation) in itertools.product(range(4), enumerate(allocations)):
        parts = [
            np.interp(np.log(level), positions, coefficients[row, slice_]) for slice_, level in enumerate(allocation)
        ]
        assert values[row, action].item() == pytest.approx(common[row, 0] + sum(parts), abs=1e-5)


def test_dueling_values_are_a_value_and_centred_advantages():
    network = make_network("dueling")
    observations = torch.randn(6, 2)
    features = network.trunk(network.features(observations))
    means = network.relative_values(observations).mean(dim=1)
    torch.testing.assert_close(means, network.head.value(features).squeeze(1))


def test_particles_depend_on_noise_and_values_do_not():
    network = make_network("particles")
    observations = torch.randn(6, 2)
    drawn = [network.particles(observations, torch.rand(6, 3)) for _ in range(2)]
    assert drawn[0].shape == (6, 5, 4)
    assert not torch.equal(*drawn)
    middle = network.particles(observations, torch.full((6, 3), 0.5))
    torch.testing.assert_close(network.relative_values(observations), middle.mean(dim=2))
    with pytest.raises(ValueError, match="`head` must be 'particles'"):
        make_network().particles(observations, torch.rand(6, 3))


@pytest.mark.parametrize("head", ["plain", "dueling", "factorised"])
def test_gradients_by_hand_equal_those_of_autograd(head):
    network = make_network(head)
    observations, actions = torch.randn(7, 2), torch.tensor([0, 1, 4, 4, 2, 0, 0])
    labels, parameters = torch.randn(7), list(network.parameters())
    found = [torch.full_like(parameter, torch.nan) for parameter in parameters]
    loss = network.value_gradients(observations, actions, labels, found)
    expected = network(observations, actions, labels).loss
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(found, list(torch.autograd.grad(expected, parameters)))


def test_gradients_by_hand_refuse_particles():
    network = make_network("particles")
    with pytest.raises(ValueError, match="`head` must not be 'particles'"):
        network.value_gradients(torch.randn(1, 2), torch.zeros(1, dtype=torch.int64), torch.zeros(1), [])


# Statistics and outputs


def test_statistics_follow_the_experience():
    network = QNetworkModel(make_config(observation_scales=["log1p", "linear"]))
    observations = torch.tensor([[0.0, 5.0], [torch.e - 1, 5.0]])
    network.fit_normalization(observations, torch.tensor([1.0, 3.0]), 0.75)
    assert network.observation_mean.tolist() == pytest.approx([0.5, 5.0])
    assert network.observation_deviation.tolist() == pytest.approx([0.5, 1.0])  # a constant entry is only centred
    assert network.return_offset.item() == pytest.approx(8.0)
    assert network.return_scale.item() == pytest.approx(2.0)
    assert network.features(observations)[1].tolist() == pytest.approx([1.0, 0.0])
    torch.testing.assert_close(network(observations).values, 2 * network.relative_values(observations) + 8)


def test_statistics_of_returns_know_that_episodes_end():
    rng = np.random.default_rng(0)
    returns, discount, share = [], 0.9, 0.2
    for _ in range(20_000):
        returns.append((1 - discount ** rng.geometric(share)) / (1 - discount))
    network = QNetworkModel(make_config())
    terminated = torch.tensor([1.0, 0, 0, 0, 0])
    network.fit_normalization(torch.zeros(5, 2), torch.ones(5), discount, terminated)
    assert network.return_offset.item() == pytest.approx(np.mean(returns), rel=0.02)
    assert network.return_scale.item() == pytest.approx(np.std(returns), rel=0.02)


def test_constant_rewards_without_end_keep_the_unit():
    network = QNetworkModel(make_config())
    network.fit_normalization(torch.zeros(5, 2), torch.ones(5), 0.9)
    assert network.return_offset.item() == pytest.approx(10)
    assert network.return_scale.item() == 1


def test_greedy_actions_have_the_largest_value():
    network = make_network("dueling")
    observations = torch.randn(20, 2)
    assert torch.equal(network.greedy(observations), network(observations).values.argmax(dim=1))


# Refusals


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"observation_fields": []}, "observation_fields"),
        ({"observation_scales": ["cubic", "linear"]}, "observation_scales"),
        ({"observation_scales": ["linear"]}, "observation_scales"),
        ({"hidden_sizes": []}, "hidden_sizes"),
        ({"hidden_sizes": [8, 0]}, "hidden_sizes"),
        ({"critic_sizes": [-1]}, "critic_sizes"),
        ({"num_actions": 0}, "num_actions"),
        ({"num_particles": 0}, "num_particles"),
        ({"noise_size": 0}, "noise_size"),
        ({"feature_clip": 0}, "feature_clip"),
        ({"feature_clip": float("nan")}, "feature_clip"),
        ({"head": "nope"}, "head"),
        ({"head": "particles", "hidden_sizes": [8, 8]}, "hidden_sizes"),
        ({"head": "factorised", "num_slices": 1}, "num_slices"),
        ({"head": "factorised", "num_units": 2}, "num_units"),
        ({"head": "factorised", "num_actions": 11}, "num_actions"),
        ({"head": "factorised", "num_knots": 0}, "num_knots"),
    ],
)
def test_bad_configurations_are_refused_by_name(fields, named):
    with pytest.raises(StrictDataclassError, match=f"`{named}`"):
        make_config(**fields)


def test_bad_inputs_are_refused_by_name():
    network = make_network(observation_scales=["log1p", "linear"])
    with pytest.raises(ValueError, match=r"`observations` must have shape \(B, 2\), got \(4, 3\)"):
        network(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="`actions` must have the shape"):
        network(torch.zeros(4, 2), labels=torch.zeros(4))
    with pytest.raises(ValueError, match="`observations` must be finite"):
        network.fit_normalization(torch.full((2, 2), torch.nan), torch.zeros(2), 0.9)
    with pytest.raises(ValueError, match="`rewards` must be finite"):
        network.fit_normalization(torch.zeros(2, 2), torch.full((2,), torch.inf), 0.9)
    with pytest.raises(ValueError, match="log scale must be at least 0"):
        network.fit_normalization(torch.full((2, 2), -1.0), torch.zeros(2), 0.9)
