"""Physical units in and out of a twin: standardised input features and the scale of its targets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gentwin.schema import Field, TransitionSchema

MIN_VARIANCE = 1e-12
MIN_SPREAD = 0.02
NUM_RANDOM_FEATURES = 128
MAX_REGRESSION_ROWS = 20_000


def masked_moments(values: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """Returns mean and standard deviation over the first axis where `keep` is true; a constant gets deviation 1."""
    values = values.double()
    count = keep.sum(dim=0).clamp(min=1)
    mean = torch.where(keep, values, 0.0).sum(dim=0) / count
    variance = torch.where(keep, (values - mean).square(), 0.0).sum(dim=0) / count
    return mean, torch.where(variance > MIN_VARIANCE, variance.sqrt(), 1.0)


def regression_error(features: Tensor, values: Tensor, keep: Tensor) -> Tensor:
    """Returns how well a quick regression predicts each value: a yardstick of what is predictable at all.

    The regression is linear in the features and in a fixed set of random nonlinear ones.

    Args:
        features: `(R, N, F)`.
        values: `(R, N, O)`.
        keep: `(R, N, O)` bool, the rows of each value to use.

    Returns:
        `(N, O)` mean absolute errors in the unit of the values, 1 where there are no rows.
    """
    stride = -(-len(features) // MAX_REGRESSION_ROWS)
    features, values, keep = (tensor[::stride].double() for tensor in (features, values, keep))
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(features.shape[-1], NUM_RANDOM_FEATURES, generator=generator, dtype=torch.float64)
    directions = directions.to(features.device) * (2.0 / features.shape[-1]) ** 0.5
    features = torch.cat((features, torch.tanh(features @ directions)), dim=-1)
    ridge = 1e-5 * torch.eye(features.shape[-1], dtype=torch.float64, device=features.device)
    error = torch.ones(values.shape[1:], dtype=torch.float64, device=values.device)
    for index in range(values.shape[1]):
        for target in range(values.shape[2]):
            rows = keep[:, index, target].bool()
            if rows.any():
                x, y = features[rows, index], values[rows, index, target]
                weights = torch.linalg.solve(x.T @ x / len(x) + ridge, x.T @ y / len(x))
                error[index, target] = (y - x @ weights).abs().mean()
    return error


class FieldEncoder(nn.Module):
    """Turns state, action and context of each slice into standardised features.

    A number becomes its value on the field's scale, standardised per slice, and a log1p number its plain value as well;
    a number with atoms also gets an indicator for each atom; a category becomes one indicator per class. The last
    features indicate the slice: matrices that see them need no bias.

    Args:
        schema: Schema of the transitions.
        clip: Standardised values are limited to plus or minus this.
    """

    def __init__(self, schema: TransitionSchema, clip: float) -> None:
        super().__init__()
        self.clip = clip
        fields = (*schema.state, *schema.action, *schema.context)
        self._logs = [i for i, field in enumerate(fields) if field.scale == "log1p" and not field.categories]
        # On the log scale full buffers of very different sizes look alike, so these fields enter linearly as well.
        self._numbers = self._logs + [i for i, field in enumerate(fields) if not field.categories]
        self._indicators = [
            (i, float(value))
            for i, field in enumerate(fields)
            for value in (range(field.categories) if field.categories else field.atoms)
        ]
        self.num_slices = num_slices = len(schema.slices)
        num_numbers = len(self._numbers)
        self.register_buffer("mean", torch.zeros(num_slices, num_numbers))
        self.register_buffer("scale", torch.ones(num_slices, num_numbers))
        self.register_buffer("number_source", torch.zeros(num_numbers, dtype=torch.long), persistent=False)
        self.register_buffer("indicator_source", torch.zeros(len(self._indicators), dtype=torch.long), persistent=False)
        self.register_buffer("indicator_value", torch.zeros(len(self._indicators)), persistent=False)
        self.register_buffer("slice_indicator", torch.zeros(num_slices, num_slices), persistent=False)
        self.reset_parameters()

    @property
    def num_features(self) -> int:
        """Number of features of one slice."""
        return len(self._numbers) + len(self._indicators) + self.num_slices

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Fills the constants of the schema and neutral statistics."""
        self.mean.zero_()
        self.scale.fill_(1.0)
        self.slice_indicator.copy_(torch.eye(self.num_slices))
        self.number_source.copy_(torch.tensor(self._numbers))
        if self._indicators:
            self.indicator_source.copy_(torch.tensor([i for i, _ in self._indicators]))
            self.indicator_value.copy_(torch.tensor([value for _, value in self._indicators]))

    def _scaled_numbers(self, values: Tensor) -> Tensor:
        numbers = values.index_select(-1, self.number_source)
        logs = numbers[..., : len(self._logs)]
        logs.copy_(torch.log1p(logs.clamp(min=0.0)))
        return numbers

    @torch.no_grad()
    def fit(self, values: Tensor) -> None:
        """Sets the statistics from `values` `(R, N, S + A + C)`."""
        numbers = self._scaled_numbers(values)
        mean, scale = masked_moments(numbers, torch.ones_like(numbers, dtype=torch.bool))
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def forward(self, values: Tensor) -> Tensor:
        """Maps `values` `(..., N, S + A + C)` in physical units to features `(..., N, num_features)`."""
        numbers = ((self._scaled_numbers(values) - self.mean) / self.scale).clamp(-self.clip, self.clip)
        indicators = (values.index_select(-1, self.indicator_source) == self.indicator_value).to(numbers.dtype)
        slices = self.slice_indicator.expand(*values.shape[:-1], -1)
        return torch.cat((numbers, indicators, slices), dim=-1)


class TargetScale(nn.Module):
    """Maps targets between physical units and the standardised scale of the heads, per slice and target.

    Args:
        fields: The `O` target fields.
        num_slices: Number of slices `N`.
        range_margin: Share of the training range by which samples may leave it.

    Attributes:
        spread: `(N, O)` error of a quick regression in standardised units. Losses are measured in it, or targets that
            can be predicted to a few percent would not count beside those that are mostly noise.
    """

    def __init__(self, fields: tuple[Field, ...], num_slices: int, range_margin: float) -> None:
        super().__init__()
        self.fields = fields
        self.range_margin = range_margin
        for name in ("mean", "scale", "spread", "minimum", "maximum"):
            self.register_buffer(name, torch.zeros(num_slices, len(fields)))
        for name in ("low", "high"):
            self.register_buffer(name, torch.zeros(len(fields)), persistent=False)
        for name in ("is_log", "has_low", "has_high"):
            self.register_buffer(name, torch.zeros(len(fields), dtype=torch.bool), persistent=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Fills the constants of the schema and neutral statistics."""
        self.mean.zero_()
        self.scale.fill_(1.0)
        self.spread.fill_(1.0)
        self.minimum.zero_()
        self.maximum.zero_()
        self.low.copy_(torch.tensor([field.low for field in self.fields]))
        self.high.copy_(torch.tensor([field.high for field in self.fields]))
        self.is_log.copy_(torch.tensor([field.scale == "log1p" for field in self.fields]))
        self.has_low.copy_(torch.tensor([field.low in field.atoms for field in self.fields]))
        self.has_high.copy_(torch.tensor([field.high in field.atoms for field in self.fields]))

    @torch.no_grad()
    def fit(self, values: Tensor, features: Tensor) -> None:
        """Sets statistics, range and spread from the continuous part of values, and what predicts them.

        Args:
            values: `(R, N, O)` in physical units.
            features: `(R, N, F)`.
        """
        scaled = self.to_scale(values)
        keep = self.is_continuous(values)
        mean, scale = masked_moments(scaled, keep)
        minimum = torch.where(keep, scaled, torch.inf).amin(dim=0)
        maximum = torch.where(keep, scaled, -torch.inf).amax(dim=0)
        # A target that was always at an atom has no continuous part; its range is then a point.
        minimum = torch.where(minimum.isinf(), mean, minimum.double())
        maximum = torch.where(maximum.isinf(), mean, maximum.double())
        margin = self.range_margin * (maximum - minimum)
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        minimum, maximum = self._from_scale(minimum - margin), self._from_scale(maximum + margin)
        self.minimum.copy_(torch.where(self.has_low, self.low, minimum.maximum(self.low)))
        self.maximum.copy_(torch.where(self.has_high, self.high, maximum.minimum(self.high)))
        self.spread.copy_(regression_error(features, self.standardize(values), keep).clamp(min=MIN_SPREAD))

    @torch.no_grad()
    def widen(self, values: Tensor) -> None:
        """Extends the range to that of more values `(R, N, O)` in physical units; mean and scale stay.

        A twin that is fitted again must be able to say what it has seen since.
        """
        keep, scaled = self.is_continuous(values), self.to_scale(values)
        lowest = torch.where(keep, scaled, torch.inf).amin(dim=0)
        highest = torch.where(keep, scaled, -torch.inf).amax(dim=0)
        low, high = self.to_scale(self.minimum), self.to_scale(self.maximum)
        lowest, highest = torch.where(lowest.isinf(), low, lowest), torch.where(highest.isinf(), high, highest)
        margin = self.range_margin * (highest - lowest)
        self.minimum.copy_(self.minimum.minimum(self._from_scale(lowest - margin).maximum(self.low)))
        self.maximum.copy_(self.maximum.maximum(self._from_scale(highest + margin).minimum(self.high)))

    def at_low_atom(self, values: Tensor) -> Tensor:
        """Returns true where physical `values` `(..., O)` are at the low atom of their field."""
        return self.has_low & (values <= self.low)

    def at_high_atom(self, values: Tensor) -> Tensor:
        """Returns true where physical `values` `(..., O)` are at the high atom of their field."""
        return self.has_high & (values >= self.high)

    def is_continuous(self, values: Tensor) -> Tensor:
        """Returns true where physical `values` `(..., O)` are not at an atom."""
        return ~(self.at_low_atom(values) | self.at_high_atom(values))

    def to_scale(self, values: Tensor) -> Tensor:
        """Returns `log(1 + value)` of the log1p fields and the other fields as they are."""
        return torch.where(self.is_log, torch.log1p(values.clamp(min=0.0)), values)

    def standardize(self, values: Tensor) -> Tensor:
        """Maps physical values `(..., N, O)` to standardised units."""
        return (self.to_scale(values) - self.mean) / self.scale

    def restore(self, standardized: Tensor) -> Tensor:
        """Maps standardised values `(..., N, O)` to physical units, inside the range seen in training."""
        values = self._from_scale(standardized * self.scale + self.mean)
        return values.maximum(self.minimum).minimum(self.maximum)

    def _from_scale(self, scaled: Tensor) -> Tensor:
        return torch.where(self.is_log, torch.expm1(scaled), scaled)
