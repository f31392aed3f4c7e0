"""The message twin as an LSTM, to compare the transformer with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import GenerationMixin
from transformers.utils import ModelOutput

from gentwin.models.modeling_twin import TwinModel
from gentwin.models.signaling.configuration_signaling import SignalingLstmTwinConfig
from gentwin.models.signaling.modeling_signaling import dialogue_loss

LstmState = tuple[Tensor, Tensor]
"""Hidden values and cells, each `(num_hidden_layers, B, hidden_size)`."""


@dataclass
class LstmOutput(ModelOutput):
    """What the LSTM gives.

    Args:
        loss: Weighted mean of the cross entropy of all labels, in nats.
        logits: `(B, T, vocab_size)`.
        state: After the last token of each row; what `generate` keeps between tokens.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    state: LstmState | None = None


class SignalingLstmTwinForCausalLM(TwinModel, GenerationMixin):
    """Message twin whose memory is the state of an LSTM, of the same interface as the transformer.

    `generate` keeps the state instead of keys and values, greedily or by sampling; it cannot search by beams. Padding
    at either side and packed sequences leave no trace in the state.

    Source: layers as in S. Hochreiter, J. Schmidhuber, "Long short-term memory", 1997; the comparison as in Tao et al.,
    arXiv 2302.06980.
    """

    config_class = SignalingLstmTwinConfig
    has_statistics = False
    accepts_loss_kwargs = False
    main_input_name = "input_ids"
    _is_stateful = True
    _tied_weights_keys: ClassVar = {"lm_head.weight": "embedding.weight"}

    def __init__(self, config: SignalingLstmTwinConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.lstm = nn.LSTM(config.embedding_size, config.hidden_size, config.num_hidden_layers, batch_first=True)
        self.projection = nn.Linear(config.hidden_size, config.embedding_size, bias=False)
        self.lm_head = nn.Linear(config.embedding_size, config.vocab_size, bias=False)
        self.post_init()

    def weight_layers(self) -> list[list[nn.Parameter]]:
        """Returns the weights of each layer of the LSTM, and of the output: projection and vectors of tokens."""
        layers: list[list[nn.Parameter]] = [[] for _ in range(self.config.num_hidden_layers)]
        for name, weight in self.lstm.named_parameters():
            layers[int(name.rpartition("_l")[2])].append(weight)
        output = (self.projection, self.embedding, self.lm_head)
        return [*layers, list(dict.fromkeys(weight for module in output for weight in module.parameters()))]

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        """Tells `generate` that there are no keys and values to keep."""
        return False

    def get_input_embeddings(self) -> nn.Module:
        """Returns the vectors of tokens that are read."""
        return self.embedding

    def get_output_embeddings(self) -> nn.Module:
        """Returns the vectors of tokens that are said."""
        return self.lm_head

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        state: LstmState | None = None,
        labels: Tensor | None = None,
        said: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> LstmOutput:
        """Predicts the token after each one, and compares it with `labels`.

        Args:
            input_ids: Tokens, `(B, T)`.
            attention_mask: `(B, T)` or longer, of which the end counts; 0 at padding, which is at one side.
            position_ids: `(B, T)`, from 0 in every sequence that is packed; only looked at without a state.
            state: After earlier tokens.
            labels: As for [`SignalingTwinForCausalLM.forward`][gentwin.models.signaling.SignalingTwinForCausalLM].
            said: As there.
            use_cache: Whether to return the state; never in training with labels.
            logits_to_keep: Number of positions at the end to give logits of, 0 for all.
            **kwargs: What `generate` passes besides is not looked at.

        Returns:
            As there, and the state. Logits are left out in training with labels.
        """
        learns = self.training and labels is not None
        keeps = not learns and (self.config.use_cache if use_cache is None else use_cache)
        starts = None if position_ids is None or state is not None else position_ids == 0
        mask = None if attention_mask is None else attention_mask[:, -input_ids.shape[1] :].bool()
        hidden, state = self._run(self.embedding(input_ids), mask, starts, state, keeps)
        hidden = self.projection(hidden)
        loss = None
        if labels is not None:
            loss = dialogue_loss(self.lm_head, hidden, labels, said, self.config.heard_loss_weight)
        return LstmOutput(
            loss=loss,
            logits=None if learns else self.lm_head(hidden[:, -logits_to_keep:]),
            state=state if keeps else None,
        )

    def _run(
        self, vectors: Tensor, mask: Tensor | None, starts: Tensor | None, state: LstmState | None, keeps: bool
    ) -> tuple[Tensor, LstmState | None]:
        """Runs the layers over vectors `(B, T, D)`: sequences apart, past padding, each from its own state."""
        batch, length = vectors.shape[:2]
        is_plain = (mask is None or bool(mask.all())) and (starts is None or not bool(starts[:, 1:].any()))
        if is_plain:
            return self.lstm(vectors, state)
        mask = vectors.new_ones((batch, length), dtype=torch.bool) if mask is None else mask
        begins = torch.zeros_like(mask) if starts is None else starts.clone()
        begins[:, 0] = True
        if state is None:
            shape = self.config.num_hidden_layers, batch, self.config.hidden_size
            state = vectors.new_zeros(shape), vectors.new_zeros(shape)
        places = mask.flatten().nonzero().squeeze(1)
        if not len(places):
            return vectors.new_zeros((batch, length, self.config.hidden_size)), state
        _, sequence = torch.unique(begins.flatten().cumsum(0)[places], return_inverse=True)
        return self._run_apart(vectors, places, sequence, state, keeps)

    def _run_apart(
        self, vectors: Tensor, places: Tensor, sequence: Tensor, state: LstmState, keeps: bool
    ) -> tuple[Tensor, LstmState | None]:
        """Runs the layers over sequences that are somewhere in rows.

        Args:
            vectors: `(B, T, D)`.
            places: Of tokens that count, in order, among all of them.
            sequence: That each belongs to, from 0.
            state: Before the first token of each row.
            keeps: Whether the state after the last one is wanted; without it, gradients are ten times faster.
        """
        batch, length = vectors.shape[:2]
        lengths = sequence.bincount()
        step = torch.arange(len(places), device=places.device) - (lengths.cumsum(0) - lengths)[sequence]
        rows = places[step == 0] // length
        padded = vectors.new_zeros((len(lengths), int(lengths.max()), vectors.shape[2]))
        padded = padded.index_put((sequence, step), vectors.flatten(0, 1)[places])
        before = state[0][:, rows], state[1][:, rows]
        if keeps:
            packed = pack_padded_sequence(padded, lengths.cpu(), batch_first=True, enforce_sorted=False)
            outputs, after = self.lstm(packed, before)
            outputs, _ = pad_packed_sequence(outputs, batch_first=True)
        else:
            outputs, _ = self.lstm(padded, before)
        hidden = outputs.new_zeros((batch * length, outputs.shape[2]))
        hidden = hidden.index_put((places,), outputs[sequence, step]).unflatten(0, (batch, length))
        if not keeps:
            return hidden, None
        lasts = torch.cat((rows[1:] != rows[:-1], rows.new_ones(1, dtype=torch.bool)))
        kept = tuple(old.index_copy(1, rows[lasts], new[:, lasts]) for old, new in zip(state, after, strict=True))
        return hidden, kept
