"""Ensembles of heads that give the distribution of targets from an encoding of a slice."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gentwin.models.field_scaling import TargetScale
from gentwin.models.target_distribution import TargetParameters
from gentwin.schema import Field

ABSENT_ATOM_LOGIT = -30.0


class TargetHeads(nn.Module):
    """Heads of an ensemble for `O` targets: per member one hidden layer and one linear layer on a shared encoding.

    A linear skip connection per slice from the features to the location of every target carries what a regression on
    the current state already knows, such as that the next state is near the present one.

    Args:
        fields: The `O` target fields.
        num_slices: Number of slices `N`.
        input_size: Width `D` of the encoding.
        num_features: Number of features `F` the skip connection sees.
        hidden_size: Width of the hidden layer.
        num_members: Number of members `M`.
        num_quantiles: Size `Q` of the grid.
        range_margin: Passed to [`TargetScale`][gentwin.models.field_scaling.TargetScale].
    """

    def __init__(
        self,
        fields: tuple[Field, ...],
        num_slices: int,
        input_size: int,
        num_features: int,
        hidden_size: int,
        num_members: int,
        num_quantiles: int,
        range_margin: float,
    ) -> None:
        super().__init__()
        self.num_targets = len(fields)
        self.num_quantiles = num_quantiles
        self.scale = TargetScale(fields, num_slices, range_margin)
        self.register_buffer("atom_offset", torch.zeros(2, self.num_targets), persistent=False)
        output_size = self.num_targets * (2 + num_quantiles)
        self.hidden_weight = nn.Parameter(torch.empty(num_members, input_size, hidden_size))
        self.output_weight = nn.Parameter(torch.empty(num_members, hidden_size, output_size))
        self.skip_weight = nn.Parameter(torch.empty(num_features, self.num_targets))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the weights of every member independently."""
        is_atom = torch.stack((self.scale.has_low, self.scale.has_high))
        self.atom_offset.copy_(torch.where(is_atom, 0.0, ABSENT_ATOM_LOGIT))
        for weight in (self.hidden_weight, self.output_weight):
            nn.init.uniform_(weight, -(weight.shape[1] ** -0.5), weight.shape[1] ** -0.5)
        nn.init.zeros_(self.skip_weight)

    def forward(self, encoding: Tensor, features: Tensor) -> TargetParameters:
        """Returns the parameters of all members.

        Args:
            encoding: `(R, N, D)`.
            features: `(R, N, F)`.

        Returns:
            Parameters with the leading axes `(M, R)`; the location is that of all members, with the leading axis `R`.
        """
        hidden = nn.functional.silu(torch.matmul(encoding.flatten(0, 1), self.hidden_weight))
        output = torch.bmm(hidden, self.output_weight)
        return self._split(output.unflatten(1, encoding.shape[:2]), features)

    def forward_sorted(self, encoding: Tensor, features: Tensor, counts: list[int]) -> TargetParameters:
        """Returns the parameters `(R, ...)` of one member per row, rows being sorted by member.

        Args:
            encoding: `(R, N, D)`.
            features: `(R, N, F)`.
            counts: Number of rows of each member.
        """
        rows = encoding.flatten(0, 1)
        sizes = [count * encoding.shape[1] for count in counts]
        hidden = nn.functional.silu(_grouped_matmul(rows, self.hidden_weight, sizes))
        output = _grouped_matmul(hidden, self.output_weight, sizes)
        return self._split(output.unflatten(0, encoding.shape[:2]), features)

    def _split(self, output: Tensor, features: Tensor) -> TargetParameters:
        low, high, grid = output.split((self.num_targets, self.num_targets, self.num_targets * self.num_quantiles), -1)
        location = features @ self.skip_weight
        grid = grid.unflatten(-1, (-1, self.num_quantiles))
        return TargetParameters(low + self.atom_offset[0], high + self.atom_offset[1], location, grid)


def _grouped_matmul(rows: Tensor, weight: Tensor, sizes: list[int]) -> Tensor:
    """Multiplies consecutive groups of `rows` `(R, D)` by the matrices of `weight` `(M, D, H)`."""
    if torch.is_grad_enabled():
        return torch.cat([group @ matrix for group, matrix in zip(rows.split(sizes), weight, strict=True)])
    result = rows.new_empty(rows.shape[0], weight.shape[-1])
    for group, out, matrix in zip(rows.split(sizes), result.split(sizes), weight, strict=True):
        torch.mm(group, matrix, out=out)
    return result
