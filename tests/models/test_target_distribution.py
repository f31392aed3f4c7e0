import math

import pytest
import torch

from gentwin.models.field_scaling import TargetScale
from gentwin.models.noise_copula import fit_normal_scores
from gentwin.models.target_distribution import (
    TargetParameters,
    level_bounds,
    quantile_levels,
    quantile_weights,
    sample_targets,
    target_losses,
)
from gentwin.models.target_heads import TargetHeads
from gentwin.schema import Field

FIELDS = (
    Field("channel_db", low=-math.inf),
    Field("queued_bits", scale="log1p", atoms=(0.0,)),
    Field("ssr", high=1.0, atoms=(0.0, 1.0)),
)
NUM_QUANTILES = 20


@pytest.fixture
def scale() -> TargetScale:
    """Scale of the three fields for one slice, fitted on values with atoms."""
    generator = torch.Generator().manual_seed(0)
    normal, uniform = torch.randn(4000, generator=generator), torch.rand(4000, generator=generator)
    queue = torch.expm1(5.0 + normal) * (uniform > 0.3)
    ssr = (1.4 * uniform - 0.2).clamp(0.0, 1.0)
    scale = TargetScale(FIELDS, num_slices=1, range_margin=0.05)
    scale.fit(torch.stack((normal * 3.0 - 80.0, queue, ssr), dim=-1).unsqueeze(1), torch.ones(4000, 1, 1))
    return scale


def normal_parameters(rows: int) -> TargetParameters:
    """Parameters of a standard normal continuous part; atoms of queue and SSR of known probability."""
    low, high = torch.full((rows, 1, 3), -30.0), torch.full((rows, 1, 3), -30.0)
    low[..., 1] = math.log(0.3 / 0.7)
    low[..., 2], high[..., 2] = math.log(0.1 / 0.9), math.log(0.5 / 0.4)
    grid = torch.special.ndtri(quantile_levels(NUM_QUANTILES)).expand(rows, 1, 3, NUM_QUANTILES)
    return TargetParameters(low, high, torch.zeros(rows, 1, 3), grid)


def uniform_levels(rows: int) -> torch.Tensor:
    return torch.rand(rows, 1, 3, generator=torch.Generator().manual_seed(1))


def test_levels_and_masses() -> None:
    levels, masses = quantile_levels(NUM_QUANTILES), quantile_weights(NUM_QUANTILES)
    assert (levels.diff() > 0).all()
    torch.testing.assert_close(levels, 1.0 - levels.flip(0))
    torch.testing.assert_close(masses.sum(), torch.tensor(1.0))


def test_samples_follow_the_grid_and_the_atoms(scale: TargetScale) -> None:
    values = sample_targets(normal_parameters(20000), uniform_levels(20000), scale)[:, 0]
    channel = (values[:, 0] - scale.mean[0, 0]) / scale.scale[0, 0]
    assert channel.mean().abs() < 0.03
    assert (channel.std() - 1.0).abs() < 0.03
    assert ((values[:, 1] == 0).float().mean() - 0.3).abs() < 0.02
    assert ((values[:, 2] == 0).float().mean() - 0.1).abs() < 0.02
    assert ((values[:, 2] == 1).float().mean() - 0.5).abs() < 0.02
    assert values[:, 1:].min() >= 0
    assert values[:, 2].max() <= 1


def test_order_of_the_grid_does_not_change_what_is_drawn(scale: TargetScale) -> None:
    parameters = normal_parameters(20000)
    swapped = parameters._replace(grid=parameters.grid.flip(-1))
    drawn = [sample_targets(each, uniform_levels(20000), scale)[:, 0, 0] for each in (parameters, swapped)]
    levels = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
    torch.testing.assert_close(drawn[0].quantile(levels), drawn[1].quantile(levels), rtol=0, atol=0.2)


def test_levels_of_own_samples_are_uniform(scale: TargetScale) -> None:
    parameters, noise = normal_parameters(20000), uniform_levels(20000).flip(0)
    values = sample_targets(parameters, uniform_levels(20000), scale)
    low, high = level_bounds(parameters, values, scale)
    found = torch.lerp(low, high, noise).squeeze(1).sort(dim=0).values
    expected = ((torch.arange(20000) + 0.5) / 20000).unsqueeze(-1)
    assert (found - expected).abs().max() < 0.02


def test_scores_keep_their_correlation_through_atoms() -> None:
    generator = torch.Generator().manual_seed(2)
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, -0.5, 1.1]])
    level = torch.special.ndtr(torch.randn(8000, 3, generator=generator) @ mixing.T + torch.tensor([0.0, 0.0, 0.2]))
    is_atom = torch.tensor([0.6, 0.5, 0.0])
    low, high = torch.where(level < is_atom, 0.0, level), torch.where(level < is_atom, is_atom, level)
    found, offset = fit_normal_scores(low.clamp(1e-6, 1 - 1e-6), high.clamp(1e-6, 1 - 1e-6), generator)
    torch.testing.assert_close(found.float(), mixing, rtol=0, atol=0.06)
    torch.testing.assert_close(offset.float(), torch.tensor([0.0, 0.0, 0.2]), rtol=0, atol=0.05)


def test_quantile_loss_is_the_crps_of_a_normal(scale: TargetScale) -> None:
    points = torch.linspace(-2.5, 2.5, 21)
    labels = torch.zeros(21, 1, 3)
    labels[:, 0, 0] = points * scale.scale[0, 0] + scale.mean[0, 0]
    quantile_loss, _ = target_losses(normal_parameters(21), labels, scale)
    density = torch.exp(-0.5 * points**2) / math.sqrt(2 * math.pi)
    exact = points * (2 * torch.special.ndtr(points) - 1) + 2 * density - 1 / math.sqrt(math.pi)
    torch.testing.assert_close(quantile_loss[:, 0, 0] * scale.spread[0, 0], exact, rtol=0, atol=0.01)
    assert (quantile_loss[:, 0, 1:] == 0).all(), "labels at an atom have no continuous part"


def test_gate_loss_is_a_log_probability(scale: TargetScale) -> None:
    labels = torch.tensor([[[-80.0, 0.0, 1.0]], [[-80.0, 100.0, 0.5]]])
    _, gate_loss = target_losses(normal_parameters(2), labels, scale)
    probabilities = torch.tensor([[1.0, 0.3, 0.5], [1.0, 0.7, 0.4]])
    torch.testing.assert_close(gate_loss[:, 0], -probabilities.log(), rtol=0, atol=1e-4)


def test_atoms_of_huge_log_odds_are_probabilities() -> None:
    huge = torch.tensor([[500.0, 500.0, -500.0, -500.0]])
    low, high = TargetParameters(huge, huge.flip(-1), huge, huge).atom_probabilities()
    torch.testing.assert_close(low, torch.tensor([[1.0, 1.0, 0.0, 0.0]]))
    torch.testing.assert_close(high, torch.tensor([[0.0, 0.0, 1.0, 1.0]]))


def test_samples_keep_to_the_range_of_training(scale: TargetScale) -> None:
    parameters = normal_parameters(100)
    wild = parameters._replace(grid=parameters.grid * 1e6)
    values = sample_targets(wild, uniform_levels(100), scale)
    assert torch.isfinite(values).all()
    assert values[..., 0].min() > -80.0 - 3.0 * 6
    assert values[..., 1].max() < math.exp(11.0)


def test_an_atom_far_from_the_rest_is_reached() -> None:
    scale = TargetScale(FIELDS[2:], num_slices=1, range_margin=0.05)
    scale.fit(torch.linspace(0.1, 0.4, 50).reshape(50, 1, 1), torch.ones(50, 1, 1))
    low, high, *rest = (part[:, :, 2:] for part in normal_parameters(1000))
    values = sample_targets(TargetParameters(low, high, *rest), uniform_levels(1000)[..., :1], scale)
    assert {0.0, 1.0} <= set(values.flatten().tolist())


def test_constant_target_stays_constant() -> None:
    scale = TargetScale(FIELDS[:1], num_slices=1, range_margin=0.05)
    scale.fit(torch.full((50, 1, 1), -70.0), torch.ones(50, 1, 1))
    parameters = TargetParameters(*(part[:, :, :1] for part in normal_parameters(50)))
    values = sample_targets(parameters, uniform_levels(50)[..., :1], scale)
    torch.testing.assert_close(values, torch.full_like(values, -70.0))


def test_spread_is_what_a_regression_cannot_explain() -> None:
    generator = torch.Generator().manual_seed(3)
    features, noise = (torch.randn(3000, 1, 1, generator=generator) for _ in range(2))
    fields = (Field("loud", low=-math.inf), Field("quiet", low=-math.inf))
    scale = TargetScale(fields, num_slices=1, range_margin=0.0)
    scale.fit(torch.cat((noise, features + 0.1 * noise), dim=-1), features)
    expected = math.sqrt(2 / math.pi) * torch.tensor([[1.0, 0.1]])
    torch.testing.assert_close(scale.spread, expected, rtol=0.1, atol=0)


def test_rows_sorted_by_member_equal_all_members() -> None:
    torch.manual_seed(0)
    heads = TargetHeads(
        FIELDS,
        num_slices=2,
        input_size=5,
        num_features=4,
        hidden_size=6,
        num_members=3,
        num_quantiles=4,
        range_margin=0.0,
    )
    torch.nn.init.normal_(heads.skip_weight)
    encoding, features = torch.randn(7, 2, 5), torch.randn(7, 2, 4)
    member = torch.tensor([0, 0, 0, 2, 2, 2, 2])
    with torch.no_grad():
        every = heads(encoding, features)
        chosen = heads.forward_sorted(encoding, features, counts=[3, 0, 4])
    rows = torch.arange(7)
    torch.testing.assert_close(chosen.grid, every.grid[member, rows])
    torch.testing.assert_close(chosen.low_logits, every.low_logits[member, rows])
    torch.testing.assert_close(chosen.high_logits, every.high_logits[member, rows])
    torch.testing.assert_close(chosen.location, every.location)
