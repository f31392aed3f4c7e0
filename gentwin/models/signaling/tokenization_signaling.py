"""Tokenizer of signaling dialogues, and the file of its vocabulary."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizer

from gentwin.hub import CheckpointError, resolve
from gentwin.schema import did_you_mean
from gentwin.signaling.dialogue import (
    DIRECTIONS,
    END,
    PADDING,
    Automaton,
    Bounds,
    GrammarError,
    Vocabulary,
    to_message,
    to_tokens,
    unframed,
)
from gentwin.signaling.messages import Message

VOCABULARY_FORMAT = 1
MOST_BYTES, MOST_TOKENS, LONGEST_TOKEN = 8_000_000, 65_536, 256
SMALL = Bounds()
SHOWN = 80  # characters of what is no token, in an error


class SignalingTokenizer(PreTrainedTokenizer):
    """Tokenizer whose words are the tokens of [`gentwin.signaling.dialogue`][gentwin.signaling.dialogue].

    A text is tokens with spaces between them. Nothing is normalised, split or added, so `decode` of what was encoded
    is the same text; a word that is no token is an error, as a message with it would be another message. `<end>` is
    the `eos_token`: it ends every message, so that `generate` stops after one, and `skip_special_tokens` would leave
    it out. `<pad>` is the `pad_token`.

    The vocabulary follows from the protocols, not from data, and is fixed: tokens cannot be added. It is saved with its
    hash as `vocabulary.json` and read back without pycrate.

    Args:
        vocab_file: Path of a `vocabulary.json`, as `save_pretrained` writes it.
        vocabulary: The tokens, if there is no file; those of all messages of NGAP, NAS and PFCP if not given.
        **kwargs: As in [`PreTrainedTokenizer`](https://huggingface.co/docs/transformers/main_classes/tokenizer), such
            as `padding_side`.

    Raises:
        CheckpointError: If the file is not a vocabulary, or not the one that was saved.
        ImportError: If pycrate is not installed and neither file nor vocabulary is given.

    Example:
        ```python
        >>> tokenizer = SignalingTokenizer()
        >>> batch = tokenizer(
        ...     ["nas:ServiceAccept <end>", "nas:RegistrationReject cause_5gmm=7 <end>"],
        ...     padding=True,
        ...     return_tensors="pt",
        ... )
        >>> tokenizer.batch_decode(batch["input_ids"])
        ['nas:ServiceAccept <end> <pad>', 'nas:RegistrationReject cause_5gmm=7 <end>']
        >>> tokenizer.decode_messages(batch["input_ids"][0])
        [Message(protocol='nas', name='ServiceAccept', fields=Fields())]
        ```
    """

    vocab_files_names = {"vocab_file": "vocabulary.json"}  # noqa: RUF012 (as transformers declares it)
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012 (as transformers declares it)

    def __init__(
        self, vocab_file: str | os.PathLike[str] | None = None, vocabulary: Vocabulary | None = None, **kwargs: Any
    ) -> None:
        if vocab_file is None and kwargs.get("name_or_path"):
            raise CheckpointError(f"{kwargs['name_or_path']!r} holds no `{self.vocab_files_names['vocab_file']}`.")
        if vocab_file is not None:
            vocabulary = read_vocabulary(vocab_file)
        self.vocabulary = Vocabulary.of_schema() if vocabulary is None else vocabulary
        for number, token in kwargs.get("added_tokens_decoder", {}).items():
            if self.vocabulary.ids.get(str(token)) != number:
                raise CheckpointError(
                    f"`added_tokens_decoder` must agree with the vocabulary, got {number}: {token!s}."
                )
        super().__init__(**{"pad_token": PADDING, "eos_token": END, **kwargs})

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], *inputs: Any, **kwargs: Any
    ) -> SignalingTokenizer:
        """Loads a tokenizer.

        Args:
            pretrained_model_name_or_path: `gentwin/<name>` of a shipped checkpoint, a folder, or a Hub name.
            *inputs: As in transformers.
            **kwargs: As in transformers.

        Raises:
            CheckpointError: If there is no vocabulary, or it is refused.
        """
        return super().from_pretrained(resolve(pretrained_model_name_or_path), *inputs, **kwargs)

    # ---------------------------------------------------------------- what transformers asks for

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return len(self.vocabulary)

    def get_vocab(self) -> dict[str, int]:
        """Returns the number of every token."""
        return dict(self.vocabulary.ids)

    def tokenize(self, text: str, **kwargs: Any) -> list[str]:
        """Returns the words of a text, whether they are tokens or not."""
        return text.split()

    def _convert_token_to_id(self, token: str) -> int:
        number = self.vocabulary.ids.get(token)
        if number is None:
            raise ValueError(self._unknown(token))
        return number

    def _unknown(self, token: str) -> str:
        end = did_you_mean(token, self.vocabulary.tokens) if len(token) <= SHOWN else "."
        known = f"{self.vocabulary.version} of {', '.join(self.vocabulary.protocols)}"
        return (
            f"{token[:SHOWN]!r} is not in the vocabulary {known}; a text must be tokens with spaces between them{end}"
        )

    def _convert_id_to_token(self, index: int) -> str:
        if not 0 <= index < len(self.vocabulary):
            raise IndexError(f"a number of a token must be from 0 to {len(self.vocabulary) - 1}, got {index}")
        return self.vocabulary.tokens[index]

    def _add_tokens(self, new_tokens: list[Any], special_tokens: bool = False) -> int:
        unknown = [str(token) for token in new_tokens if str(token) not in self.vocabulary.ids]
        if unknown:
            raise ValueError(f"the vocabulary is that of the protocols, no token can be added to it, got {unknown[:8]}")
        return super()._add_tokens(new_tokens, special_tokens)

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        """Writes `vocabulary.json`: format, hash, protocols and tokens.

        Args:
            save_directory: Folder.
            filename_prefix: Put before the name of the file, with a hyphen.

        Returns:
            Path of the file.
        """
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        path = Path(save_directory) / (prefix + self.vocab_files_names["vocab_file"])
        content = {
            "format": VOCABULARY_FORMAT,
            "version": self.vocabulary.version,
            "protocols": self.vocabulary.protocols,
            "tokens": self.vocabulary.tokens,
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return (str(path),)

    # ---------------------------------------------------------------- messages

    def encode_messages(self, messages: Iterable[Message]) -> list[int]:
        """Returns the numbers of the tokens of messages, one after the other.

        Those of an [`Utterance`][gentwin.signaling.dialogue.views.Utterance] are
        `tokenizer.convert_tokens_to_ids(utterance.tokens)`.

        Args:
            messages: Any that a codec decoded, with slots in place of identifiers if
                [`canonicalise`][gentwin.signaling.dialogue.bindings.canonicalise] put them there.

        Raises:
            ValueError: If one has a token that is not in the vocabulary, as when its protocol is not.
            ImportError: If one is of NGAP and pycrate is not installed.
        """
        return [number for message in messages for number in self.convert_tokens_to_ids(to_tokens(message))]

    def decode_messages(self, ids: Iterable[int]) -> list[Message]:
        """Returns the messages of numbers of tokens.

        Args:
            ids: Of whole messages, or of utterances, of which direction and context are left out; `<pad>` is skipped.

        Returns:
            The messages, with slots in place of identifiers if they had them.

        Raises:
            GrammarError: If the tokens are no messages, or the last one has no end.
            DecodeError: If what is raw in them is none.
            IndexError: If a number is that of no token.
        """
        found: list[Message] = []
        tokens: list[str] = []
        for token in self.convert_ids_to_tokens(list(ids)):
            if token == PADDING:
                continue
            tokens.append(token)
            if token == END:
                found.append(to_message(unframed(tokens).tokens if tokens[0] in DIRECTIONS else tokens))
                tokens = []
        if tokens:
            raise GrammarError(f"the last message has {len(tokens)} tokens and no {END!r}")
        return found

    def automaton(self, bounds: Bounds | None = SMALL, slots: bool = True) -> Automaton:
        """Returns what says which tokens may come next, a row of booleans over this vocabulary.

        Args:
            bounds: How large messages may become; see [`Automaton`][gentwin.signaling.dialogue.automaton.Automaton].
            slots: Whether identifiers are slots; else they are spelt.

        Raises:
            CheckpointError: If the vocabulary was saved by a gentwin with other messages or fields.
            ImportError: If NGAP is in the vocabulary and pycrate is not installed.
        """
        known = Vocabulary.of_schema(self.vocabulary.protocols)
        if known.version != self.vocabulary.version:
            raise CheckpointError(
                f"the vocabulary must be that of the installed gentwin, {known.version}, for it to know the grammar,"
                f" got {self.vocabulary.version}; install the gentwin that it was saved with, or train anew."
            )
        return Automaton(self.vocabulary, bounds, slots)


def read_vocabulary(path: str | os.PathLike[str]) -> Vocabulary:
    """Returns the vocabulary in a file.

    Args:
        path: Of a file that `save_pretrained` has written.

    Raises:
        CheckpointError: If it is too large, is none, is of another format, or was changed.
        OSError: If it cannot be read.
    """
    where = f"`{Path(path).name}`"
    size = Path(path).stat().st_size
    if size > MOST_BYTES:
        raise CheckpointError(f"{where} must be at most {MOST_BYTES} bytes, got {size}; it is no vocabulary.")
    try:
        content = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{where} must be JSON ({type(error).__name__}); it is damaged or no vocabulary."
        ) from None
    if not isinstance(content, dict) or content.get("format") != VOCABULARY_FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise CheckpointError(
            f"`format` of {where} must be {VOCABULARY_FORMAT}, got {_shown(found)}; use the gentwin that saved it."
        )
    vocabulary = Vocabulary(_checked(content.get("tokens"), where))
    if content.get("version") != vocabulary.version:
        raise CheckpointError(
            f"`version` of {where} must be the hash {vocabulary.version} of its tokens, got"
            f" {_shown(content.get('version'))}; it was changed since it was saved."
        )
    if content.get("protocols") != list(vocabulary.protocols):
        raise CheckpointError(
            f"`protocols` of {where} must be {list(vocabulary.protocols)}, got {_shown(content.get('protocols'))}."
        )
    return vocabulary


def _checked(tokens: Any, where: str) -> list[str]:
    """Returns the tokens in a file if they can be those of a vocabulary."""
    if not isinstance(tokens, list) or len(tokens) > MOST_TOKENS:
        raise CheckpointError(f"`tokens` of {where} must be a list of at most {MOST_TOKENS}.")
    wrong = [t for t in tokens if not isinstance(t, str) or not 0 < len(t) <= LONGEST_TOKEN or t.split() != [t]]
    if wrong:
        raise CheckpointError(
            f"`tokens` of {where} must be texts of 1 to {LONGEST_TOKEN} characters without spaces, got"
            f" {_shown(wrong[0])}."
        )
    if len(set(tokens)) != len(tokens) or not {PADDING, END} <= set(tokens):
        raise CheckpointError(f"`tokens` of {where} must be there once each, `{PADDING}` and `{END}` among them.")
    return tokens


def _shown(value: Any) -> str:
    return repr(value)[:SHOWN]
