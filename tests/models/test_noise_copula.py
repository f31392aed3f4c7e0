"""Fits of the joint noise and of its memory."""

import torch

from gentwin.models.noise_copula import MAX_MEMORY, fit_normal_scores, fit_score_memory


def autoregressive_levels(memory: list[float], steps: int, sequences: int, seed: int = 0) -> torch.Tensor:
    """Levels `(sequences * steps, K)` of first-order autoregressive normal scores."""
    generator = torch.Generator().manual_seed(seed)
    rho = torch.tensor(memory)
    score = torch.randn(sequences, len(memory), generator=generator)
    rows = []
    for _ in range(steps):
        rows.append(score)
        score = rho * score + torch.sqrt(1 - rho**2) * torch.randn(score.shape, generator=generator)
    return torch.special.ndtr(torch.stack(rows, dim=1).flatten(0, 1))


def test_memory_is_the_correlation_of_successive_scores():
    level = autoregressive_levels([-0.4, 0.0, 0.3], steps=50, sequences=200)
    follows = torch.ones(len(level) - 1, dtype=torch.bool)
    follows[49::50] = False
    memory = fit_score_memory(level, level, follows, torch.Generator().manual_seed(0))
    torch.testing.assert_close(memory, torch.tensor([-0.4, 0.0, 0.3]), atol=0.04, rtol=0)


def test_memory_stays_in_bounds_and_needs_successive_steps():
    level = autoregressive_levels([-0.95, 0.95], steps=50, sequences=100)
    every = torch.ones(len(level) - 1, dtype=torch.bool)
    assert fit_score_memory(level, level, every, None).abs().max() <= MAX_MEMORY
    assert not fit_score_memory(level, level, torch.zeros_like(every), None).any()


def test_scores_recover_a_known_correlation_through_atoms():
    generator = torch.Generator().manual_seed(0)
    covariance = torch.tensor([[1.0, 0.8], [0.8, 1.0]])
    score = torch.randn(20000, 2, generator=generator) @ torch.linalg.cholesky(covariance).T
    level = torch.special.ndtr(score)
    at_atom = level[:, 0] < 0.4  # 40 % of the first target sit at its low end
    low, high = level.clone(), level.clone()
    low[at_atom, 0], high[at_atom, 0] = 1e-6, 0.4
    mixing, offset = fit_normal_scores(low, high, generator)
    torch.testing.assert_close((mixing @ mixing.T).float(), covariance, atol=0.05, rtol=0)
    assert offset.abs().max() < 0.05
