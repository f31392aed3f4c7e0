"""Attention twin of slice dynamics: a causal transformer over the latest steps of each slice."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gentwin.models.modeling_distributional import DistributionalTwin
from gentwin.models.modeling_dynamics import State
from gentwin.models.slice_transformer.configuration_slice_transformer import SliceTransformerTwinConfig


class SliceTransformerTwinModel(DistributionalTwin):
    """Causal transformer twin of a sliced network; every slice runs through the same weights.

    A token is one step of one slice. Every block attends to the latest `window` steps, and what it needs of them is the
    memory of a copy: keys and values `(B, num_hidden_layers, N, window, hidden_size)`, latest last, and the number of
    steps held `(B,)`.
    """

    config_class = SliceTransformerTwinConfig

    def __init__(self, config: SliceTransformerTwinConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Linear(self.field_encoder.num_features, config.hidden_size, bias=False)
        self.blocks = nn.ModuleList(
            WindowedBlock(config.hidden_size, config.num_attention_heads, config.window)
            for _ in range(config.num_hidden_layers)
        )
        self.norm = nn.LayerNorm(config.hidden_size)
        self.input = nn.Linear(self.field_encoder.num_features, config.embedding_size, bias=False)
        self.build_heads(config.embedding_size + config.hidden_size)
        self.post_init()

    def weight_layers(self) -> list[list[nn.Parameter]]:
        """Returns the weights of both embeddings, of each block, and of the heads with the norm before them."""
        parts = [(self.embedding, self.input), *((block,) for block in self.blocks), (self.norm, self.heads)]
        return [[weight for module in part for weight in module.parameters()] for part in parts]

    def initial_memory(self, num_copies: int) -> State:
        """Returns empty windows: keys and values of zeros and a count of 0."""
        config = self.config
        shape = (num_copies, config.num_hidden_layers, self.num_slices, config.window, config.hidden_size)
        count = torch.zeros(num_copies, dtype=torch.long, device=self.device)
        return torch.zeros(shape, device=self.device), torch.zeros(shape, device=self.device), count

    def encode_sequence(self, features: Tensor) -> Tensor:
        batch, _, slices, _ = features.shape
        hidden = self.embedding(features).transpose(1, 2).flatten(0, 1)
        for block in self.blocks:
            hidden = block(hidden)
        return self._encoding(features, self.norm(hidden).unflatten(0, (batch, slices)).transpose(1, 2))

    def encode_step(self, features: Tensor, memory: State) -> tuple[Tensor, State]:
        keys, values, count = memory
        count = (count + 1).clamp(max=self.config.window)
        slots = torch.arange(self.config.window, device=count.device)
        is_held = (slots >= self.config.window - count.unsqueeze(1)).repeat_interleave(self.num_slices, dim=0)
        shape = features.shape[:2]
        hidden = self.embedding(features).flatten(0, 1)
        next_keys, next_values = [], []
        for index, block in enumerate(self.blocks):
            memory = keys[:, index].flatten(0, 1), values[:, index].flatten(0, 1)
            hidden, (block_keys, block_values) = block.step(hidden, memory, is_held)
            next_keys.append(block_keys.unflatten(0, shape))
            next_values.append(block_values.unflatten(0, shape))
        encoding = self._encoding(features, self.norm(hidden).unflatten(0, shape))
        return encoding, (torch.stack(next_keys, dim=1), torch.stack(next_values, dim=1), count)

    def _encoding(self, features: Tensor, hidden: Tensor) -> Tensor:
        return torch.cat((nn.functional.silu(self.input(features)), hidden), dim=-1)


class WindowedBlock(nn.Module):
    """Pre-norm transformer block whose attention sees the latest `window` steps and knows how long ago each was.

    Args:
        size: Width `D` of a token.
        num_heads: Number of attention heads.
        window: Number of steps seen, the present one included.
    """

    def __init__(self, size: int, num_heads: int, window: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        self.attention_norm = nn.LayerNorm(size)
        self.projection = nn.Linear(size, 3 * size)
        self.output = nn.Linear(size, size)
        self.dense_norm = nn.LayerNorm(size)
        self.expand = nn.Linear(size, 2 * size)
        self.contract = nn.Linear(2 * size, size)
        self.age_bias = nn.Parameter(torch.empty(num_heads, window))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Starts every head with an exponential preference for recent steps, at a rate of its own."""
        age = torch.arange(self.window, device=self.age_bias.device)
        rate = 2.0 ** -torch.arange(self.num_heads, device=self.age_bias.device)
        self.age_bias.copy_(-rate.unsqueeze(1) * age)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens `(R, T, D)` to tokens of the same shape, each seeing the window that ends with it.

        Queries are taken in blocks of `window` steps and see their own block and the one before, so time and memory
        grow with `T`, not with its square.
        """
        steps = tokens.shape[1]
        padding = -steps % self.window
        projected = nn.functional.pad(self.projection(self.attention_norm(tokens)), (0, 0, 0, padding))
        query, key, value = projected.unflatten(1, (-1, self.window)).chunk(3, dim=-1)
        key, value = (torch.cat((nn.functional.pad(x, (0, 0, 0, 0, 1, 0))[:, :-1], x), dim=2) for x in (key, value))
        attended = self._attend(query, key, value, self._block_bias(query.shape[1]))
        return self._finish(tokens, attended.flatten(1, 2)[:, :steps])

    def _block_bias(self, num_blocks: int) -> Tensor:
        """Returns the biases `(num_blocks, num_heads, window, 2 * window)` of keys by age, -inf where not seen."""
        position = torch.arange(2 * self.window, device=self.age_bias.device)
        age = position[self.window :].unsqueeze(1) - position
        is_seen = (age >= 0) & (age < self.window)
        is_first = torch.arange(num_blocks, device=position.device) == 0
        is_seen = is_seen & ~(is_first[:, None, None, None] & (position < self.window))
        return torch.where(is_seen, self.age_bias[:, age.clamp(0, self.window - 1)], -torch.inf)

    def step(
        self, token: Tensor, memory: tuple[Tensor, Tensor], is_held: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Maps the present token `(R, D)`, given the keys and values `(R, window, D)` of earlier ones, latest last.

        Args:
            token: `(R, D)`.
            memory: Keys and values of earlier steps.
            is_held: `(R, window)` bool, true where the shifted memory, the present step included, holds a step.

        Returns:
            The token `(R, D)` and the memory shifted by one step.
        """
        query, key, value = self.projection(self.attention_norm(token)).unsqueeze(1).chunk(3, dim=-1)
        keys, values = torch.cat((memory[0][:, 1:], key), dim=1), torch.cat((memory[1][:, 1:], value), dim=1)
        bias = torch.where(is_held[:, None, None], self.age_bias.flip(-1).unsqueeze(1), -torch.inf)
        return self._finish(token, self._attend(query, keys, values, bias).squeeze(1)), (keys, values)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        query, key, value = (x.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2) for x in (query, key, value))
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return attended.transpose(-3, -2).flatten(-2)

    def _finish(self, tokens: Tensor, attended: Tensor) -> Tensor:
        tokens = tokens + self.output(attended)
        return tokens + self.contract(nn.functional.silu(self.expand(self.dense_norm(tokens))))
