"""Recurrent twin of slice dynamics: an LSTM state-transition model and a reward model on its encoding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gentwin.models.modeling_distributional import DistributionalTwin
from gentwin.models.modeling_dynamics import State
from gentwin.models.slice_lstm.configuration_slice_lstm import SliceLstmTwinConfig


class SliceLstmTwinModel(DistributionalTwin):
    """LSTM twin of a sliced network; every slice runs through the same weights with an embedding of its own.

    The memory of a copy is the pair of LSTM vectors of each slice, two tensors `(B, N, hidden_size)`.

    Source: Zhang et al., "Digital Twin-Enhanced Deep Reinforcement Learning for Resource Management in Networks
    Slicing", equation 9: `s' ~ P(s' | s, a)` by an LSTM and `r ~ R(r | s, a)` by a dense network.
    """

    config_class = SliceLstmTwinConfig

    def __init__(self, config: SliceLstmTwinConfig) -> None:
        super().__init__(config)
        # Features hold the slice's indicator, which takes the place of biases.
        self.embedding = nn.Linear(self.field_encoder.num_features, config.embedding_size, bias=False)
        self.lstm = nn.LSTM(config.embedding_size, config.hidden_size, bias=False, batch_first=True)
        self.build_heads(config.embedding_size + config.hidden_size)
        self.post_init()

    def weight_layers(self) -> list[list[nn.Parameter]]:
        """Returns the weights of the embedding, the LSTM and the heads."""
        return [list(part.parameters()) for part in (self.embedding, self.lstm, self.heads)]

    def initial_memory(self, num_copies: int) -> State:
        """Returns zero LSTM vectors, two tensors `(num_copies, N, hidden_size)`."""
        shape = (num_copies, self.num_slices, self.config.hidden_size)
        return torch.zeros(shape, device=self.device), torch.zeros(shape, device=self.device)

    def encode_sequence(self, features: Tensor) -> Tensor:
        embedded = nn.functional.silu(self.embedding(features))
        batch, _, slices, _ = embedded.shape
        hidden, _ = self.lstm(embedded.transpose(1, 2).flatten(0, 1))
        hidden = hidden.unflatten(0, (batch, slices)).transpose(1, 2)
        return torch.cat((embedded, hidden), dim=-1)

    def encode_step(self, features: Tensor, memory: State) -> tuple[Tensor, State]:
        embedded = nn.functional.silu(self.embedding(features))
        hidden, cell = (part.flatten(0, 1) for part in memory)
        # One matrix per gate, so that each gate is contiguous.
        size = (4, self.config.hidden_size, -1)
        gates = embedded.flatten(0, 1) @ self.lstm.weight_ih_l0.view(size).mT
        gates.baddbmm_(hidden.expand(4, -1, -1), self.lstm.weight_hh_l0.view(size).mT)
        write, keep = torch.sigmoid(gates[:2])
        cell = torch.addcmul(keep * cell, write, torch.tanh(gates[2]))
        hidden = torch.sigmoid(gates[3]) * torch.tanh(cell)
        hidden, cell = (part.unflatten(0, embedded.shape[:2]) for part in (hidden, cell))
        return torch.cat((embedded, hidden), dim=-1), (hidden, cell)
