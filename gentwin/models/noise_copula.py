"""Gaussian copula: joint normal scores of targets of which only intervals are known."""

from __future__ import annotations

import torch
from torch import Tensor

NUM_SWEEPS = 20
RIDGE = 1e-4
MAX_MEMORY = 0.6


def fit_normal_scores(low: Tensor, high: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Fits a multivariate normal distribution to scores known to lie in intervals.

    A continuous value has one level and so one score. A value at an atom only bounds its score; drawing it uniformly
    in between would dilute its correlation with the others. So it is drawn given them, under the present estimate,
    alternating with the estimate (stochastic expectation-maximisation). Mean and variance of each score stay those of
    the uniform draw, which do not depend on how normal the scores are jointly.

    Args:
        low: `(R, K)` lower ends of the levels in (0, 1).
        high: `(R, K)` upper ends, at least `low`.
        generator: Source of the draws.

    Returns:
        mixing: `(K, K)` lower triangular matrix that turns independent standard normals into joint scores.
        offset: `(K,)` mean of the scores.

    Source: Hoff, "Extending the rank likelihood for semiparametric copula estimation", Ann. Appl. Stat. 1 (2007).
    """
    low, high = low.double(), high.double()
    draw = torch.rand(low.shape, generator=generator, device=low.device, dtype=low.dtype)
    score = torch.special.ndtri(torch.lerp(low, high, draw))
    is_wide = high > low
    location, scale = score.mean(dim=0), score.std(dim=0)
    columns = is_wide.any(dim=0).nonzero().squeeze(1).tolist()
    bounds = torch.special.ndtri(low), torch.special.ndtri(high)
    for _ in range(NUM_SWEEPS if columns else 0):
        mean, precision = score.mean(dim=0), torch.linalg.inv(_covariance(score))
        for column in columns:
            rows = is_wide[:, column]
            deviation = precision[column, column].rsqrt()
            centred = score[rows] - mean
            pull = centred @ precision[column] - centred[:, column] * precision[column, column]
            centre = mean[column] - pull / precision[column, column]
            ends = [torch.special.ndtr((bound[rows, column] - centre) / deviation) for bound in bounds]
            draw = torch.rand(len(centre), generator=generator, device=low.device, dtype=low.dtype)
            level = torch.lerp(*ends, draw).clamp(1e-9, 1.0 - 1e-9)
            drawn = centre + deviation * torch.special.ndtri(level)
            score[rows, column] = drawn.maximum(bounds[0][rows, column]).minimum(bounds[1][rows, column])
    factor = torch.linalg.cholesky(_covariance(score))
    return factor * (scale / factor.square().sum(dim=1).sqrt()).unsqueeze(1), location


def fit_score_memory(low: Tensor, high: Tensor, follows: Tensor, generator: torch.Generator | None) -> Tensor:
    """Returns the correlation of each score with itself one step later, `(K,)`, between -0.6 and 0.6.

    Args:
        low: `(R, K)` lower ends of the levels in (0, 1), rows in the order of time within each sequence.
        high: `(R, K)` upper ends.
        follows: `(R - 1,)` bool, true where a row is the step after the one before.
        generator: Source of the draws between the ends.
    """
    draw = torch.rand(low.shape, generator=generator, device=low.device, dtype=low.dtype)
    score = torch.special.ndtri(torch.lerp(low, high, draw))
    score = score - score.mean(dim=0)
    products = (score[1:] * score[:-1])[follows].mean(dim=0) if bool(follows.any()) else torch.zeros_like(score[0])
    return (products / score.square().mean(dim=0)).clamp(-MAX_MEMORY, MAX_MEMORY)


def _covariance(score: Tensor) -> Tensor:
    covariance = torch.atleast_2d(score.T.cov())
    return covariance + RIDGE * torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
