"""What a decoder runs: the weights of a twin as arrays, and the memory of many contexts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from gentwin.models.modeling_twin import TwinModel
from gentwin.models.signaling import decoding_kernels as kernels
from gentwin.models.signaling.decoding_weights import FLOAT32, WEIGHTS, Matrix
from gentwin.models.signaling.modeling_signaling import SignalingTwinForCausalLM
from gentwin.models.signaling.modeling_signaling_lstm import SignalingLstmTwinForCausalLM

_TURNS_BY_LENGTH = ("dynamic", "longrope")


class Engine(Protocol):
    """Runs a twin over new tokens of several contexts, each in a row of its memory.

    Attributes:
        head: Vectors of the tokens that are said, `(vocabulary, D)`.
        length: How many tokens a row can hold; None if any number.
        weight_bytes: Memory of projections and vectors of tokens.
    """

    head: Matrix
    length: int | None
    weight_bytes: int

    def advance(self, rows: Sequence[int], tokens: Sequence[Sequence[int]], wanted: Sequence[int]) -> np.ndarray:
        """Reads tokens.

        Args:
            rows: Each once.
            tokens: Of each row, at least one, and no more than it has room for.
            wanted: How many of them, at the end, something is wanted of, at least 1.

        Returns:
            What is known after each wanted token, `(sum of wanted, D)`; times `head` these are logits.
        """

    def drop(self, row: int, count: int) -> None:
        """Forgets the last tokens of a row, of those that `advance` read last."""

    def reset(self, row: int) -> None:
        """Forgets a row."""

    def save(self, row: int) -> dict[str, np.ndarray]:
        """Returns copies of what is remembered of a row."""

    def restore(self, row: int, state: dict[str, np.ndarray]) -> None:
        """Remembers what `save` returned.

        Raises:
            ValueError: If it is that of a twin of other sizes, or too long.
        """


def engine_for(model: TwinModel, rows: int, length: int | None, weights: str = FLOAT32) -> Engine:
    """Returns the engine that runs a twin.

    Args:
        model: Transformer or LSTM.
        rows: How many contexts.
        length: Most tokens of a context; None for as many as the twin has positions.
        weights: How its weights are held, `float32` or `int8`.

    Raises:
        TypeError: If it is no message twin, or adapters are on it.
        ValueError: If it has blocks that the engine does not know, or not so many positions; if weights cannot be held
            so.
    """
    if weights not in WEIGHTS:
        raise ValueError(f"`weights` must be one of {', '.join(WEIGHTS)}, got {weights!r}")
    if type(model) is SignalingTwinForCausalLM:
        return TransformerEngine(model, rows, length, weights)
    if type(model) is SignalingLstmTwinForCausalLM:
        return LstmEngine(model, rows, weights)
    known = "SignalingTwinForCausalLM or SignalingLstmTwinForCausalLM"
    raise TypeError(f"`model` must be a {known}, with adapters merged into it, got a {type(model).__name__}")


class TransformerEngine:
    """Runs the transformer: projections that read the same are one, and keys and values have their place beforehand.

    Memory is taken by pages of 256 tokens as rows fill up, `2 * layers * heads of keys * size * 4` bytes a token, and
    used again by other rows when it is free.

    Args:
        model: The twin.
        rows: How many contexts.
        length: Most tokens of a context.
        weights: How projections and vectors of tokens are held, `float32` or `int8`.
    """

    def __init__(self, model: SignalingTwinForCausalLM, rows: int, length: int | None, weights: str) -> None:
        config = model.config
        _check_blocks(config, length)
        self.length = config.max_position_embeddings if length is None else length
        layers = model.model.layers
        stacks = (
            [_joined(b.self_attn.q_proj, b.self_attn.k_proj, b.self_attn.v_proj) for b in layers],
            [_joined(block.self_attn.o_proj) for block in layers],
            [_joined(block.mlp.gate_proj, block.mlp.up_proj) for block in layers],
            [_joined(block.mlp.down_proj) for block in layers],
        )
        projections = [Matrix.of(np.stack(stack), weights, inputs=-2) for stack in stacks]
        tokens, self.head = _vectors(model.model.embed_tokens, model.lm_head, weights)
        self.weight_bytes = _bytes(tokens, self.head, *projections)
        self._weights = (
            *_apart(tokens, *projections),
            np.stack([_norms(block) for block in layers]),
            _array(model.model.norm.weight),
            np.float32(config.rms_norm_eps),
            *_turns(model, self.length),
        )
        each = -(-self.length // kernels.PAGE)
        shape = config.num_hidden_layers, 2, config.num_key_value_heads, config.head_dim, kernels.PAGE
        self._memory = np.zeros((rows * each, *shape), np.float32)  # of which the system gives what is written to
        self._pages = np.zeros((rows, each), np.int64)
        self._free = list(range(rows * each))[::-1]
        self._filled = np.zeros(rows, np.int64)

    def advance(self, rows: Sequence[int], tokens: Sequence[Sequence[int]], wanted: Sequence[int]) -> np.ndarray:
        """Reads tokens; see [`Engine`][gentwin.models.signaling.decoding_engines.Engine]."""
        numbers, counts, ends = np.array(rows), np.array([len(new) for new in tokens]), np.array(wanted)
        hidden = np.empty((ends.sum(), self.head.values.shape[1]), np.float32)
        starts = self._filled[numbers]
        for row, end in zip(rows, starts + counts, strict=True):
            self._fill(row, end)
        most = -(-(starts + counts).max() // kernels.PAGE)
        pages = np.ascontiguousarray(self._pages[numbers, :most])
        flat = np.array([token for new in tokens for token in new])
        kernels.advance_transformer(*self._weights, self._memory, pages, flat, starts, counts, ends, hidden)
        return hidden

    def _fill(self, row: int, end: int) -> None:
        """Gives a row as many pages as it needs for so many tokens, and takes those that it does not need."""
        before, after = (-(-count // kernels.PAGE) for count in (self._filled[row], end))
        for page in range(before, after):
            self._pages[row, page] = self._free.pop()
        self._free += self._pages[row, after:before].tolist()
        self._filled[row] = end

    def drop(self, row: int, count: int) -> None:
        """Forgets the last tokens of a row."""
        self._fill(row, self._filled[row] - count)

    def reset(self, row: int) -> None:
        """Forgets a row."""
        self._fill(row, 0)

    def save(self, row: int) -> dict[str, np.ndarray]:
        """Returns copies of pages and their number of tokens."""
        end = self._filled[row]
        return {"filled": np.array(end), "pages": self._memory[self._pages[row, : -(-end // kernels.PAGE)]]}

    def restore(self, row: int, state: dict[str, np.ndarray]) -> None:
        """Remembers pages.

        Raises:
            ValueError: If they are those of a twin of other sizes, or too many.
        """
        end = int(state["filled"])
        if not 0 <= end <= self.length:
            raise ValueError(f"`filled` must be at most {self.length} tokens, got {end}")
        each = -(-end // kernels.PAGE)
        _check_shapes(state, {"pages": (each, *self._memory.shape[1:])})
        self._fill(row, end)
        self._memory[self._pages[row, :each]] = state["pages"]


class LstmEngine:
    """Runs the LSTM; the state of a row is its memory, however long the context.

    Args:
        model: The twin.
        rows: How many contexts.
        weights: How projections and vectors of tokens are held, `float32` or `int8`.
    """

    length = None

    def __init__(self, model: SignalingLstmTwinForCausalLM, rows: int, weights: str) -> None:
        config, lstm = model.config, model.lstm
        depth, size = config.num_hidden_layers, config.hidden_size
        above = [_transposed(getattr(lstm, f"weight_ih_l{layer}")) for layer in range(1, depth)]
        arrays = (
            np.stack(above) if above else np.zeros((0, size, 4 * size), np.float32),
            _transposed(lstm.weight_ih_l0),
            np.stack([_transposed(getattr(lstm, f"weight_hh_l{layer}")) for layer in range(depth)]),
            _transposed(model.projection.weight),
        )
        projections = [Matrix.of(array, weights, inputs=-2) for array in arrays]
        tokens, self.head = _vectors(model.embedding, model.lm_head, weights)
        self.weight_bytes = _bytes(tokens, self.head, *projections)
        self._weights = (
            *_apart(tokens, *projections),
            np.stack([_array(getattr(lstm, f"bias_ih_l{i}") + getattr(lstm, f"bias_hh_l{i}")) for i in range(depth)]),
        )
        self._states = np.zeros((rows, depth, 2, size), np.float32)
        self._last: dict[int, np.ndarray] = {}  # states before and after each token that was read last

    def advance(self, rows: Sequence[int], tokens: Sequence[Sequence[int]], wanted: Sequence[int]) -> np.ndarray:
        """Reads tokens; see [`Engine`][gentwin.models.signaling.decoding_engines.Engine]."""
        numbers, counts = np.array(rows), np.array([len(new) for new in tokens])
        flat = np.array([token for new in tokens for token in new])
        before = self._states[numbers]
        trail = np.empty((len(flat), *before.shape[1:]), np.float32)
        hidden = np.empty((len(flat), self.head.values.shape[1]), np.float32)
        kernels.advance_lstm(*self._weights, before, flat, counts, trail, hidden)
        ends = np.cumsum(counts)
        self._states[numbers] = trail[ends - 1]
        self._last = {
            row: np.concatenate((before[place : place + 1], trail[end - count : end]))
            for place, (row, count, end) in enumerate(zip(rows, counts, ends, strict=True))
        }
        return np.concatenate([hidden[end - few : end] for end, few in zip(ends, wanted, strict=True)])

    def drop(self, row: int, count: int) -> None:
        """Forgets the last tokens of a row."""
        self._states[row] = self._last[row][-1 - count]

    def reset(self, row: int) -> None:
        """Forgets a row."""
        self._states[row] = 0.0

    def save(self, row: int) -> dict[str, np.ndarray]:
        """Returns a copy of the state."""
        return {"state": self._states[row].copy()}

    def restore(self, row: int, state: dict[str, np.ndarray]) -> None:
        """Remembers a state.

        Raises:
            ValueError: If it is that of a twin of other sizes.
        """
        _check_shapes(state, {"state": self._states.shape[1:]})
        self._states[row] = state["state"]


def _check_blocks(config: object, length: int | None) -> None:
    for name, expected in (("hidden_act", "silu"), ("attention_bias", False), ("mlp_bias", False)):
        if getattr(config, name) != expected:
            raise ValueError(
                f"`{name}` of the twin must be {expected!r} to be decoded here, got {getattr(config, name)!r}"
            )
    if config.head_dim % 4:
        raise ValueError(f"`head_dim` of the twin must be a multiple of 4 to be decoded here, got {config.head_dim}")
    turn = config.rope_parameters["rope_type"]
    if turn in _TURNS_BY_LENGTH:
        raise ValueError(f"`rope_type` of the twin must not depend on the length to be decoded here, got {turn!r}")
    if length is not None and not 2 <= length <= config.max_position_embeddings:
        raise ValueError(
            f"`length` must be from 2 to the {config.max_position_embeddings} positions of the twin, got {length}"
        )


def _check_shapes(state: dict[str, np.ndarray], expected: dict[str, tuple[int, ...]]) -> None:
    for name, shape in expected.items():
        if state[name].shape != shape:
            raise ValueError(f"`{name}` must be of shape {shape} for this twin, got {state[name].shape}")


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().to("cpu", torch.float32).numpy())


def _transposed(weight: Tensor) -> np.ndarray:
    return _array(weight.T)


def _joined(*projections: torch.nn.Linear) -> np.ndarray:
    """Returns the weights of projections of one input as those of one, inputs first."""
    return _transposed(torch.cat([projection.weight for projection in projections]))


def _vectors(read: torch.nn.Embedding, said: torch.nn.Linear, weights: str) -> tuple[Matrix, Matrix]:
    """Returns the vectors of tokens that are read and said, the same ones if the twin has them once."""
    found = Matrix.of(_array(read.weight), weights)
    return found, found if said.weight is read.weight else Matrix.of(_array(said.weight), weights)


def _apart(*matrices: Matrix) -> tuple:
    """Returns the values of each, and the scales of all as the last one."""
    return (*(matrix.values for matrix in matrices), tuple(matrix.scales for matrix in matrices))


def _bytes(*matrices: Matrix) -> int:
    """Returns the memory of matrices, each counted once."""
    return sum(matrix.nbytes for matrix in {id(matrix): matrix for matrix in matrices}.values())


def _norms(block: torch.nn.Module) -> np.ndarray:
    return np.stack([_array(block.input_layernorm.weight), _array(block.post_attention_layernorm.weight)])


def _turns(model: SignalingTwinForCausalLM, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns cosines and sines of positions, `(positions, size / 2)`: their halves are the same."""
    places = torch.arange(length, device=model.device)[None]
    half = model.config.head_dim // 2
    cosines, sines = model.model.rotary_emb(torch.zeros(1, device=model.device), places)
    return _array(cosines[0, :, :half]), _array(sines[0, :, :half])
