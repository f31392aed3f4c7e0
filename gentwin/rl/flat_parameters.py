"""Parameters of a network in one tensor, so that a step of an optimiser is a handful of operations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn
from torch.optim.adam import adam


@torch.no_grad()
def flatten(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Turns parameters into views of one tensor and returns it, `(P,)`.

    For everybody else the parameters stay what they were, as long as nobody moves them to another device.
    """
    values = torch.cat([parameter.reshape(-1) for parameter in parameters])
    for parameter, piece in zip(parameters, unflatten(values, parameters), strict=True):
        parameter.data = piece
    return values


def unflatten(values: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Returns views of a tensor `(P,)` with the shapes of some tensors."""
    pieces = values.split([tensor.numel() for tensor in like])
    return [piece.view(tensor.shape) for piece, tensor in zip(pieces, like, strict=True)]


class FlatAdam:
    """Adam on parameters that are views of one tensor.

    Args:
        parameters: All of one type and device; their values are kept.
        learning_rate: Step size.
        betas: Decay rates of the averages of gradients and of their squares.
        max_grad_norm: Longest gradient.
        accelerator: In several processes the first one's values are taken over, and gradients are averaged.

    Attributes:
        values: The tensor, `(P,)`.
        gradients: One for each parameter, to be filled in before `step`; views of one tensor.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        learning_rate: float,
        betas: tuple[float, float],
        max_grad_norm: float,
        accelerator: Accelerator,
    ) -> None:
        self._parameters, self._accelerator, self._max_grad_norm = parameters, accelerator, max_grad_norm
        self._learning_rate, self._betas = learning_rate, betas
        self.values = nn.Parameter(flatten(parameters))
        if accelerator.num_processes > 1:
            self.values.data.copy_(broadcast(self.values.detach()))
        self.values.grad = torch.zeros_like(self.values)
        self.gradients = unflatten(self.values.grad, parameters)
        self._mean, self._square = torch.zeros_like(self.values.data), torch.zeros_like(self.values.data)
        self._num_steps = torch.zeros((), device=self.values.device)

    def minimise(self, loss: Tensor) -> None:
        """Makes a step that lowers `loss` `()`, a function of all parameters."""
        torch.cat([found.reshape(-1) for found in torch.autograd.grad(loss, self._parameters)], out=self.values.grad)
        self.step()

    @torch.no_grad()
    def step(self) -> None:
        """Makes a step with what is in `gradients`, which it scales.

        Raises:
            RuntimeError: If the parameters were moved.
        """
        if self._parameters[0].data_ptr() != self.values.data_ptr():
            raise RuntimeError(
                "`network` was moved after its learner was made; make the learner with an accelerator on that device."
            )
        gradient = self.values.grad
        if self._accelerator.num_processes > 1:
            gradient.copy_(self._accelerator.reduce(gradient, "mean"))
        norm = gradient.norm()
        if gradient.is_cuda or norm > self._max_grad_norm:  # elsewhere looking costs less than multiplying by 1
            gradient.mul_((self._max_grad_norm / (norm + 1e-6)).clamp_(max=1.0))
        with _tiny_numbers_as_zero(gradient.device):
            # `torch.optim.Adam` calls the same, after a tenth of a millisecond of groups, hooks and profiling.
            adam(
                [self.values], [gradient], [self._mean], [self._square], [], [self._num_steps],
                fused=True, amsgrad=False, beta1=self._betas[0], beta2=self._betas[1], lr=self._learning_rate,
                weight_decay=0.0, eps=1e-8, maximize=False,
            )  # fmt: skip

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the state of Adam; the values belong to the network."""
        return {"mean": self._mean, "square": self._square, "num_steps": self._num_steps}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Puts back what `state_dict` returned."""
        for name, values in self.state_dict().items():
            values.copy_(state[name])


@contextmanager
def _tiny_numbers_as_zero(device: torch.device) -> Iterator[None]:
    """Has the processor treat numbers below 1.2e-38 as zero.

    Averages of gradients that stay zero, as behind dead ReLUs, decay to such numbers, and arithmetic with them is some
    hundred times slower: they can double the time of a step.
    """
    already = device.type != "cpu" or np.float32(1e-39) * np.float32(1) == 0
    if not already:
        torch.set_flush_denormal(True)
    try:
        yield
    finally:
        if not already:
            torch.set_flush_denormal(False)
