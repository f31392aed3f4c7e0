"""Configurations of the message twins: what they share, and the sizes of each."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import LlamaConfig

from gentwin.hub import CheckpointError
from gentwin.models.configuration_twin import TwinConfig
from gentwin.models.signaling.tokenization_signaling import SignalingTokenizer

SEPARATE, INTERLEAVED = "separate", "interleaved"
VIEWS = (SEPARATE, INTERLEAVED)


@strict
class SignalingConfig(TwinConfig):
    """What every message twin is told: the vocabulary that it speaks, and what it learns of a dialogue.

    Args:
        vocab_size: Number of tokens; that of the tokenizer, as `for_tokenizer` sets it.
        vocabulary_version: Hash of the tokens in order, which `check_tokenizer` compares; None if nobody said.
        protocols: Whose messages are in the vocabulary: `ngap`, `nas`, `pfcp`.
        view: How dialogues are written: `separate`, each context in a sequence of its own, or `interleaved`, all of
            them in one sequence in the order of time.
        heard_loss_weight: Weight of a token that a UE, a base station or a user plane says beside one that the core
            says, from 0. At 0 the twin learns to answer only; above, to make workload as well.
        pad_token_id: Number of `<pad>`.
        eos_token_id: Number of `<end>`, which ends a message.
        bos_token_id: None; a dialogue begins with a direction.
        tie_word_embeddings: Whether tokens are read and said by the same vectors.

    Raises:
        ValueError: If a number is out of its range or the view is none.
    """

    vocab_size: int = 8192
    vocabulary_version: str | None = None
    protocols: list[str] = field(default_factory=lambda: ["ngap", "nas", "pfcp"])
    view: str = SEPARATE
    heard_loss_weight: float | int = 0.0
    pad_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 1
    bos_token_id: int | None = None
    tie_word_embeddings: bool = True

    @classmethod
    def for_tokenizer(cls, tokenizer: SignalingTokenizer, **fields: Any) -> Any:
        """Returns a configuration of a twin that speaks the vocabulary of a tokenizer.

        Args:
            tokenizer: Its size, hash, protocols and special tokens are taken.
            **fields: Others of the configuration, such as `hidden_size`.
        """
        vocabulary = tokenizer.vocabulary
        return cls(
            vocab_size=len(vocabulary),
            vocabulary_version=vocabulary.version,
            protocols=list(vocabulary.protocols),
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            **fields,
        )

    def check_tokenizer(self, tokenizer: SignalingTokenizer) -> None:
        """Checks that a tokenizer is the one that the twin was trained with.

        Raises:
            CheckpointError: If its tokens are others, or in another order.
        """
        vocabulary = tokenizer.vocabulary
        if self.vocabulary_version not in (None, vocabulary.version):
            raise CheckpointError(
                f"`vocabulary_version` of the twin must be that of the tokenizer ({vocabulary.version} of "
                f"{len(vocabulary)} tokens), got {self.vocabulary_version} of {self.vocab_size}; load the tokenizer "
                "from the twin's own folder, or train the twin anew."
            )
        if self.vocab_size != len(vocabulary):
            raise CheckpointError(
                f"`vocab_size` of the twin must be that of the tokenizer ({len(vocabulary)}), got {self.vocab_size}; "
                "make the configuration with `for_tokenizer`."
            )

    def validate_signaling(self) -> None:
        """Checks what message twins share; run by `strict` after construction."""
        if self.vocab_size < 1:
            raise ValueError(f"`vocab_size` must be at least 1, got {self.vocab_size}.")
        if self.view not in VIEWS:
            raise ValueError(f"`view` must be one of {', '.join(VIEWS)}, got {self.view!r}.")
        if not 0 <= self.heard_loss_weight < float("inf"):
            raise ValueError(f"`heard_loss_weight` must be at least 0 and finite, got {self.heard_loss_weight}.")


@strict
class SignalingTwinConfig(SignalingConfig, LlamaConfig):
    """Configuration of [`SignalingTwinForCausalLM`][gentwin.models.signaling.SignalingTwinForCausalLM].

    Fields are those of [`SignalingConfig`][gentwin.models.signaling.configuration_signaling.SignalingConfig] and of
    transformers' `LlamaConfig`; sizes are small by default, 1.7 million parameters with the vocabulary of all
    protocols, of which 0.9 million are vectors of tokens.

    Example:
        ```python
        config = SignalingTwinConfig.for_tokenizer(tokenizer, num_hidden_layers=6)
        ```
    """

    model_type = "gentwin_signaling"

    hidden_size: int = 128
    intermediate_size: int = 384
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int | None = 2
    max_position_embeddings: int = 2048

    def validate_blocks(self) -> None:
        """Checks the attention blocks; run by `strict` after construction."""
        names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
        for name in (*names, "max_position_embeddings"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"`num_attention_heads` must be a multiple of `num_key_value_heads` = {self.num_key_value_heads}, "
                f"got {self.num_attention_heads}."
            )


@strict
class SignalingLstmTwinConfig(SignalingConfig):
    """Configuration of [`SignalingLstmTwinForCausalLM`][gentwin.models.signaling.SignalingLstmTwinForCausalLM].

    Fields besides those of [`SignalingConfig`][gentwin.models.signaling.configuration_signaling.SignalingConfig];
    by default it has as many parameters as the transformer of default sizes, within one per cent.

    Args:
        embedding_size: Number of elements of the vector of a token, read or said.
        hidden_size: Number of cells of a layer.
        num_hidden_layers: Number of layers.
        initializer_range: Standard deviation of the vectors of tokens before training.
        use_cache: Whether the state is returned.

    Raises:
        ValueError: If a number is out of its range.
    """

    model_type = "gentwin_signaling_lstm"

    embedding_size: int = 128
    hidden_size: int = 232
    num_hidden_layers: int = 2
    initializer_range: float | int = 0.02
    use_cache: bool = True

    def validate_lstm(self) -> None:
        """Checks the sizes; run by `strict` after construction."""
        for name in ("embedding_size", "hidden_size", "num_hidden_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if not 0 < self.initializer_range < 1:
            raise ValueError(f"`initializer_range` must be between 0 and 1, got {self.initializer_range}.")
