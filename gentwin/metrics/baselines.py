"""Forecasters a twin has to beat: persistence, nearest neighbours and gradient boosting.

All share one interface, `fit(transitions)` and the `Forecaster` protocol, and predict the next state and the outcome
from the current state, action and context alone. Those that learn need scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gentwin.metrics.rollouts import History
from gentwin.schema import Field, TransitionSchema

if TYPE_CHECKING:
    from gentwin.datasets import Transitions

QUERY_CHUNK = 65_536


class Baseline:
    """Common part of the baselines: no memory, and predictions kept in the ranges of the targets."""

    schema: TransitionSchema

    def start(self, history: History, num_samples: int, rng: np.random.Generator) -> None:
        """Does nothing: a baseline has no memory."""

    def _clip(self, targets: np.ndarray) -> np.ndarray:
        low = np.array([field.low for field in self.schema.targets], np.float32)
        high = np.array([field.high for field in self.schema.targets], np.float32)
        return np.clip(targets, low, high).astype(np.float32)


class Persistence(Baseline):
    """The next state is the present one, and the outcome its mean in the training record, slice by slice."""

    def fit(self, transitions: Transitions) -> Persistence:
        """Stores the mean outcome."""
        self.schema = transitions.schema
        self._outcome = transitions.outcome.mean(axis=0)
        return self

    def sample(
        self, state: np.ndarray, action: np.ndarray, context: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Returns targets `(B, N, O)`; there is nothing random about them."""
        outcome = np.broadcast_to(self._outcome, (len(state), *self._outcome.shape))
        return np.concatenate([state, outcome], axis=-1).astype(np.float32)


class NearestNeighbours(Baseline):
    """Draws the targets of one of the `k` most similar training steps of the same slice.

    Similarity is Euclidean in state, action and context of the slice: `log1p` fields on the log scale, categories
    one-hot, everything standardised. The search is exact.

    Args:
        k: Neighbours to draw from.
    """

    def __init__(self, k: int = 50) -> None:
        if k < 1:
            raise ValueError(f"`k` must be at least 1, got {k}.")
        self.k = k

    def fit(self, transitions: Transitions) -> NearestNeighbours:
        """Builds one search tree per slice.

        Raises:
            ValueError: If the record has fewer than `k` steps.
        """
        from sklearn.neighbors import KDTree

        if len(transitions) < self.k:
            raise ValueError(f"`k` must be at most the number of training steps, {len(transitions)}, got {self.k}.")
        self.schema, self._targets = transitions.schema, transitions.targets
        features = self._features(transitions.state, transitions.action, transitions.context)
        self._mean, deviation = features.mean(axis=0), features.std(axis=0)
        self._scale = np.where(deviation > 0, deviation, 1.0)
        scaled = (features - self._mean) / self._scale
        self._trees = [KDTree(scaled[:, index]) for index in range(scaled.shape[1])]
        return self

    def sample(
        self, state: np.ndarray, action: np.ndarray, context: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Returns targets `(B, N, O)`: per slice those of one neighbour, so they fit together."""
        rows, chosen = np.arange(len(state)), rng.integers(self.k, size=(len(self._trees), len(state)))
        found = self._neighbours(state, action, context)
        return np.stack(
            [self._targets[found[index, rows, chosen[index]], index] for index in range(len(found))], axis=1
        )

    def all_samples(self, state: np.ndarray, action: np.ndarray, context: np.ndarray) -> np.ndarray:
        """Returns the targets of all neighbours, `(k, B, N, O)`: what `sample` draws from."""
        found = self._neighbours(state, action, context)
        return np.stack([self._targets[found[index].T, index] for index in range(len(found))], axis=2)

    def _neighbours(self, state: np.ndarray, action: np.ndarray, context: np.ndarray) -> np.ndarray:
        """Returns the training steps nearest to each row in each slice, `(N, B, k)` int64."""
        features = (self._features(state, action, context) - self._mean) / self._scale
        found = np.empty((len(self._trees), len(state), self.k), np.int64)
        for index, tree in enumerate(self._trees):
            # Copies of one start ask the same question at the first step.
            asked, inverse = np.unique(features[:, index], axis=0, return_inverse=True)
            answers = np.empty((len(asked), self.k), np.int64)
            for start in range(0, len(asked), QUERY_CHUNK):
                rows = slice(start, start + QUERY_CHUNK)
                answers[rows] = tree.query(asked[rows], self.k, return_distance=False)
            found[index] = answers[inverse.reshape(-1)]
        return found

    def _features(self, state: np.ndarray, action: np.ndarray, context: np.ndarray) -> np.ndarray:
        schema = self.schema
        fields = [*schema.state, *schema.action, *schema.context]
        values = np.concatenate([state, action, context], axis=-1)
        columns = [_feature_columns(values[..., index], field) for index, field in enumerate(fields)]
        return np.concatenate(columns, axis=-1)


class GradientBoosting(Baseline):
    """Gradient-boosted trees, one model per slice and target, that see state, action and context of all slices.

    The models predict the conditional median, on the log scale for `log1p` fields. A point forecast; with
    `residuals=True` a residual of held-back training steps is added to each prediction, which gives a distribution.

    Args:
        residuals: Whether to draw residuals.
        max_iter: Largest number of trees of a model; fewer if a tenth of the data held back says so.
        seed: Seed of what is held back.
    """

    RESIDUAL_SHARE = 0.1

    def __init__(self, residuals: bool = False, max_iter: int = 300, seed: int = 0) -> None:
        self.residuals, self.max_iter, self.seed = residuals, max_iter, seed

    def fit(self, transitions: Transitions) -> GradientBoosting:
        """Fits the models; about a second per slice and target for 50,000 steps."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        self.schema = transitions.schema
        features = self._features(transitions.state, transitions.action, transitions.context)
        targets = _to_scale(transitions.targets, self.schema.targets)
        rng = np.random.default_rng(self.seed)
        held_back = rng.random(len(targets)) < (self.RESIDUAL_SHARE if self.residuals else 0.0)
        self._models, self._residuals = [], []
        for index in np.ndindex(targets.shape[1:]):
            target = targets[(slice(None), *index)]
            model = HistGradientBoostingRegressor(
                loss="absolute_error",
                max_iter=self.max_iter,
                learning_rate=0.1,
                early_stopping=True,
                validation_fraction=0.1,
                random_state=self.seed,
            )
            model.fit(features[~held_back], target[~held_back])
            self._models.append(model)
            if self.residuals:
                self._residuals.append(target[held_back] - model.predict(features[held_back]))
        return self

    def sample(
        self, state: np.ndarray, action: np.ndarray, context: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Returns targets `(B, N, O)`; random only with `residuals=True`."""
        features = self._features(state, action, context)
        asked, inverse = np.unique(features, axis=0, return_inverse=True)
        columns = []
        for number, model in enumerate(self._models):
            values = model.predict(asked)[inverse.reshape(-1)]
            if self.residuals:
                values = values + rng.choice(self._residuals[number], size=len(values))
            columns.append(values)
        shape = (len(state), len(self.schema.slices), len(self.schema.targets))
        return self._clip(_from_scale(np.stack(columns, axis=-1).reshape(shape), self.schema.targets))

    @staticmethod
    def _features(state: np.ndarray, action: np.ndarray, context: np.ndarray) -> np.ndarray:
        return np.concatenate([state, action, context], axis=-1).reshape(len(state), -1)


def _feature_columns(values: np.ndarray, field: Field) -> np.ndarray:
    if field.categories:
        return np.eye(field.categories, dtype=np.float32)[values.astype(np.int64)]
    return (np.log1p(values) if field.scale == "log1p" else values)[..., None]


def _to_scale(targets: np.ndarray, fields: tuple[Field, ...]) -> np.ndarray:
    is_log = np.array([field.scale == "log1p" for field in fields])
    return np.where(is_log, np.log1p(np.where(is_log, targets, 0.0)), targets)


def _from_scale(values: np.ndarray, fields: tuple[Field, ...]) -> np.ndarray:
    is_log = np.array([field.scale == "log1p" for field in fields])
    return np.where(is_log, np.expm1(np.where(is_log, values, 0.0)), values)
