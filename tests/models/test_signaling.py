"""Message twins: the contract of all twins, and what both of them promise besides."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import AutoModelForCausalLM

from gentwin.hub import CheckpointError
from gentwin.models import (
    SignalingLstmTwinConfig,
    SignalingLstmTwinForCausalLM,
    SignalingTokenizer,
    SignalingTwinConfig,
    SignalingTwinForCausalLM,
)
from gentwin.signaling.dialogue import Vocabulary
from tests.twin_contract import TwinContract

SIZE = 40  # tokens
PAD, END = 0, 1


def tokens_of(batch: int, length: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, SIZE, (batch, length), generator=generator)


class MessageContract(TwinContract):
    """What a message twin promises: a weighted loss, packed sequences as if they were apart, and `generate`."""

    auto_class = AutoModelForCausalLM

    def make_batch(self, size: int = 8) -> dict[str, Tensor]:
        tokens = tokens_of(size, 10)
        return {"input_ids": tokens, "labels": tokens.clone(), "said": tokens % 2 == 0}

    def make_twin(self, **fields):
        torch.manual_seed(3)
        return self.model_class(type(self.make_config())(**{**self.sizes, **fields})).eval()

    def make_config(self):
        return self.model_class.config_class(**self.sizes)

    # Loss

    @pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
    def test_loss_is_the_weighted_mean(self, weight):
        model, tokens = self.make_twin(heard_loss_weight=weight), tokens_of(3, 12)
        labels, said = tokens.clone(), tokens % 3 == 0
        labels[:, 5] = -100
        output = model(tokens, labels=labels, said=said)
        losses = torch.nn.functional.cross_entropy(
            output.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="none"
        )
        weights = torch.where(said, 1.0, weight)[:, 1:].flatten() * (labels[:, 1:] != -100).flatten()
        torch.testing.assert_close(output.loss, (losses * weights).sum() / weights.sum())

    def test_loss_is_the_same_in_training_without_logits(self):
        model, batch = self.make_twin(), self.make_batch()
        expected = model(**batch).loss
        output = model.train()(**batch)
        assert output.logits is None
        torch.testing.assert_close(output.loss, expected)

    def test_without_sides_every_label_counts(self):
        model, tokens = self.make_twin(), tokens_of(2, 6)
        everything = model(tokens, labels=tokens, said=torch.ones_like(tokens, dtype=torch.bool))
        assert torch.equal(model(tokens, labels=tokens).loss, everything.loss)

    def test_nothing_that_counts_costs_nothing(self):
        model, tokens = self.make_twin().train(), tokens_of(2, 6)
        loss = model(tokens, labels=tokens, said=torch.zeros_like(tokens)).loss
        loss.backward()
        assert loss.item() == 0.0
        assert all(p.grad is None or not p.grad.any() for p in model.parameters())

    # Sequences

    def test_packed_sequences_do_not_see_each_other(self):
        model, tokens = self.make_twin(), tokens_of(2, 12)
        positions = torch.tensor([[*range(5), *range(7)], [*range(3), *range(4), *range(5)]])
        packed = model(tokens, position_ids=positions, use_cache=False).logits
        for row, ends in ((0, (0, 5, 12)), (1, (0, 3, 7, 12))):
            for start, end in pairwise(ends):
                apart = model(tokens[row : row + 1, start:end]).logits[0]
                torch.testing.assert_close(packed[row, start:end], apart, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_padding_leaves_no_trace(self, side):
        model, tokens = self.make_twin(), tokens_of(1, 5)
        padding = torch.full((1, 3), PAD)
        padded = torch.cat((padding, tokens) if side == "left" else (tokens, padding), dim=1)
        mask = padded != PAD
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        both = torch.cat((padded, tokens_of(1, 8)))
        masks = torch.cat((mask, torch.ones(1, 8, dtype=torch.bool))).long()
        found = model(both, attention_mask=masks, position_ids=torch.cat((positions, torch.arange(8)[None])))
        expected = model(tokens).logits[0]
        torch.testing.assert_close(found.logits[0][mask[0]], expected, rtol=1e-4, atol=1e-6)

    def test_logits_of_the_end_alone(self):
        model, tokens = self.make_twin(), tokens_of(2, 6)
        assert torch.equal(model(tokens, logits_to_keep=2).logits, model(tokens).logits[:, -2:])

    def test_generate_takes_the_likeliest_until_the_end_of_a_message(self):
        model, tokens = self.make_twin(), tokens_of(2, 4)
        found = model.generate(tokens, max_new_tokens=6, do_sample=False)
        for row, continued in zip(tokens, found, strict=True):
            expected = row[None]
            for _ in range(6):
                if expected[0, -1] == END:
                    break
                following = model(expected).logits[:, -1].argmax(-1, keepdim=True)
                expected = torch.cat((expected, following), dim=1)
            assert torch.equal(continued[: expected.shape[1]], expected[0])
            assert (continued[expected.shape[1] :] == PAD).all()

    def test_generate_from_padded_prompts(self):
        model, tokens = self.make_twin(), tokens_of(2, 6)
        tokens[0, :3] = PAD
        found = model.generate(tokens, attention_mask=(tokens != PAD).long(), max_new_tokens=4, do_sample=False)
        alone = model.generate(tokens[:1, 3:], max_new_tokens=4, do_sample=False)
        assert torch.equal(found[0, 3 : 3 + alone.shape[1]], alone[0])

    def test_generation_settings_are_saved(self, folder):
        loaded = self.model_class.from_pretrained(folder)
        assert (loaded.generation_config.eos_token_id, loaded.generation_config.pad_token_id) == (END, PAD)
        assert torch.equal(loaded.lm_head.weight, loaded.get_input_embeddings().weight)

    # Configuration

    def test_tokenizer_and_twin_belong_together(self):
        tokenizer = SignalingTokenizer(vocabulary=Vocabulary.of_schema(("nas",)))
        other = SignalingTokenizer(vocabulary=Vocabulary(reversed(tokenizer.vocabulary.tokens)))
        sizes = {name: value for name, value in self.sizes.items() if name != "vocab_size"}
        config = self.model_class.config_class.for_tokenizer(tokenizer, **sizes)
        config.check_tokenizer(tokenizer)
        assert (config.vocab_size, config.protocols) == (len(tokenizer.vocabulary), ["nas"])
        with pytest.raises(CheckpointError, match=r"`vocabulary_version`.*own folder"):
            config.check_tokenizer(other)
        config.vocabulary_version = None
        config.check_tokenizer(other)
        config.vocab_size += 1
        with pytest.raises(CheckpointError, match=r"`vocab_size`.*`for_tokenizer`"):
            config.check_tokenizer(other)

    @pytest.mark.parametrize(
        ("field", "value"),
        [("view", "both"), ("heard_loss_weight", -0.1), ("heard_loss_weight", float("inf")), ("vocab_size", 0)],
    )
    def test_bad_fields_are_refused_by_name(self, field, value):
        with pytest.raises(StrictDataclassError, match=f"`{field}`"):
            self.make_twin(**{field: value})

    def test_sizes_are_refused_by_name(self):
        for field in ("hidden_size", "num_hidden_layers"):
            with pytest.raises(StrictDataclassError, match=f"`{field}`"):
                self.make_twin(**{field: 0})


class TestSignalingTwin(MessageContract):
    model_class = SignalingTwinForCausalLM
    sizes = {  # noqa: RUF012
        "vocab_size": SIZE,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
        "initializer_range": 0.3,
    }

    def test_heads_must_share_keys_evenly(self):
        with pytest.raises(StrictDataclassError, match="`num_attention_heads`"):
            self.make_twin(num_attention_heads=4, num_key_value_heads=3)

    def test_adapters_train_and_merge(self):
        peft = pytest.importorskip("peft")
        model, batch = self.make_twin(), self.make_batch()
        before = model(**batch).logits
        settings = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"])
        adapted = peft.get_peft_model(model, settings)
        losses = [loss for _, loss in self._train(adapted, num_steps=6)]
        assert losses[-1] < losses[0]
        merged = adapted.eval().merge_and_unload()
        assert type(merged) is SignalingTwinForCausalLM
        assert not torch.allclose(merged(**batch).logits, before)


class TestSignalingLstmTwin(MessageContract):
    model_class = SignalingLstmTwinForCausalLM
    sizes = {  # noqa: RUF012
        "vocab_size": SIZE,
        "embedding_size": 12,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "initializer_range": 0.5,
    }

    def test_state_stands_for_what_was_read(self):
        model, tokens = self.make_twin(), tokens_of(2, 9)
        whole = model(tokens)
        first = model(tokens[:, :4])
        rest = model(tokens[:, 4:], state=first.state)
        torch.testing.assert_close(rest.logits, whole.logits[:, 4:])
        for found, expected in zip(rest.state, whole.state, strict=True):
            torch.testing.assert_close(found, expected)

    def test_padding_at_the_end_keeps_the_state(self):
        model, tokens = self.make_twin(), tokens_of(2, 6)
        mask = torch.tensor([[1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]])
        before = model(tokens_of(2, 3, seed=1)).state
        after = model(tokens, attention_mask=mask, state=before).state
        alone = model(tokens[:1, :4], state=tuple(part[:, :1].contiguous() for part in before)).state
        for found, expected, old in zip(after, alone, before, strict=True):
            torch.testing.assert_close(found[:, :1], expected)
            assert torch.equal(found[:, 1:], old[:, 1:])


def test_both_twins_have_as_many_parameters():
    counts = [
        sum(parameter.numel() for parameter in model_class(config_class()).parameters())
        for model_class, config_class in (
            (SignalingTwinForCausalLM, SignalingTwinConfig),
            (SignalingLstmTwinForCausalLM, SignalingLstmTwinConfig),
        )
    ]
    assert 1.3e6 < counts[0] < 2e6
    assert counts[1] == pytest.approx(counts[0], rel=0.01)
