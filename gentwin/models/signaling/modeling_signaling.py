"""The message twin: a causal transformer over the tokens of dialogues, in the blocks of Llama."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, LlamaForCausalLM
from transformers.modeling_outputs import CausalLMOutputWithPast

from gentwin.models.modeling_twin import TwinModel
from gentwin.models.signaling.configuration_signaling import SignalingTwinConfig

IGNORED = -100
"""Label of a position that is not learnt."""


class SignalingTwinForCausalLM(TwinModel, LlamaForCausalLM):
    """Message twin that continues dialogues as a 5G core does.

    It is Llama with another loss, so whatever works with Llama works with it: `generate`, `Trainer`, PEFT,
    quantisation, export. Packed sequences are told apart by `position_ids` that begin anew, with no attention mask. For
    many answers in little time there is [`Decoder`][gentwin.models.signaling.decoding.Decoder].
    """

    config_class = SignalingTwinConfig
    has_statistics = False
    accepts_loss_kwargs = False  # the loss is a mean over weights, which `Trainer` cannot count

    def weight_layers(self) -> list[list[nn.Parameter]]:
        """Returns the weights of each block, and of the output: the last norm and the vectors of tokens.

        Vectors of tokens weigh what is said as well as what is heard, and another core has words of its own.
        """
        output = (self.model.norm, self.get_input_embeddings(), self.lm_head)
        weights = dict.fromkeys(weight for module in output for weight in module.parameters())
        return [*(list(layer.parameters()) for layer in self.model.layers), list(weights)]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        said: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Predicts the token after each one, and compares it with `labels`.

        Args:
            input_ids: Tokens, `(B, T)`.
            attention_mask: `(B, T)`, 0 at padding; None if there is none, or sequences are packed.
            position_ids: `(B, T)`, from 0 in every sequence that is packed.
            past_key_values: Of earlier tokens.
            inputs_embeds: In place of tokens, `(B, T, hidden_size)`.
            labels: Tokens again, `(B, T)`, each the target of the position before it; -100 where nothing is learnt.
            said: `(B, T)` bool, true at tokens that the core says, which count 1; others count `heard_loss_weight`. If
                not given every label counts 1.
            use_cache: Whether to return `past_key_values`.
            logits_to_keep: Number of positions at the end to give logits of, 0 for all.
            **kwargs: As `LlamaForCausalLM` takes them.

        Returns:
            Loss, the weighted mean of the cross entropy of all labels, in nats, if there are labels; logits
            `(B, T, vocab_size)`. In training with labels logits are left out: only what counts is worked out.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **kwargs,
        )
        hidden = outputs.last_hidden_state
        loss = None
        if labels is not None:
            loss = dialogue_loss(self.lm_head, hidden, labels, said, self.config.heard_loss_weight)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=None if self.training and labels is not None else self.lm_head(_kept(hidden, logits_to_keep)),
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


def dialogue_loss(head: nn.Module, hidden: Tensor, labels: Tensor, said: Tensor | None, heard_weight: float) -> Tensor:
    """Returns the weighted mean of the cross entropy of the labels, each predicted at the position before it.

    Args:
        head: Maps vectors `(N, D)` to logits `(N, V)`.
        hidden: What is known at each position, `(B, T, D)`.
        labels: Tokens `(B, T)`, -100 where nothing is learnt.
        said: `(B, T)`, true at tokens that count 1, while others count `heard_weight`; None if all count 1.
        heard_weight: From 0. At 0 their logits are not worked out.

    Returns:
        Scalar in nats per token; 0 if nothing counts.
    """
    targets = labels[:, 1:]
    weights = (targets != IGNORED).to(torch.float32)
    if said is not None:
        weights = weights * torch.where(said[:, 1:].bool(), 1.0, float(heard_weight))
    counted = weights > 0
    logits = head(hidden[:, :-1][counted]).float()
    losses = nn.functional.cross_entropy(logits, targets[counted], reduction="none")
    weights = weights[counted]
    return (losses * weights).sum() / weights.sum().clamp(min=torch.finfo(torch.float32).tiny)


def _kept(hidden: Tensor, logits_to_keep: int | Tensor) -> Tensor:
    if isinstance(logits_to_keep, int):
        return hidden[:, -logits_to_keep:]  # 0 keeps all
    return hidden[:, logits_to_keep]
