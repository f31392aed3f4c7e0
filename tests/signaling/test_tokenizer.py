"""The tokenizer: text and numbers, messages and numbers, and the file of its vocabulary."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizer

import gentwin
from gentwin.hub import CheckpointError
from gentwin.models import SignalingTokenizer
from gentwin.signaling.dialogue import Bounds, GrammarError, Vocabulary, framed, to_tokens
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message
from tests.signaling.dialogue_samples import sampled, vocabulary

ACCEPT = "nas:ServiceAccept <end>"
REJECT = "nas:RegistrationReject cause_5gmm=7 <end>"
REJECTION = Message(NAS, "RegistrationReject", Fields.of(cause_5gmm=7))


@pytest.fixture(scope="module")
def tokenizer() -> SignalingTokenizer:
    return SignalingTokenizer(vocabulary=Vocabulary.of_schema((NAS, PFCP)))


@pytest.fixture
def folder(tokenizer: SignalingTokenizer, tmp_path: Path) -> Path:
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def change(folder: Path, edit: Callable[[dict[str, Any]], Any], name: str = "vocabulary.json") -> None:
    """Changes the content of a file that the tokenizer has written."""
    content = json.loads((folder / name).read_text())
    edit(content)
    (folder / name).write_text(json.dumps(content))


# ---------------------------------------------------------------- text


def test_a_text_comes_back_as_it_was(tokenizer: SignalingTokenizer):
    ids = tokenizer(f"{REJECT} {ACCEPT}")["input_ids"]
    assert tokenizer.decode(ids) == f"{REJECT} {ACCEPT}"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "nas:RegistrationReject cause_5gmm=7 nas:ServiceAccept"
    assert tokenizer.convert_tokens_to_ids(REJECT.split()) == ids[:3]
    assert tokenizer.convert_ids_to_tokens(ids[:3]) == REJECT.split() == tokenizer.tokenize(REJECT)


def test_every_token_is_a_word_that_comes_back(tokenizer: SignalingTokenizer):
    text = " ".join(tokenizer.vocabulary.tokens)
    assert tokenizer(text)["input_ids"] == [*range(len(tokenizer))]
    assert tokenizer.decode([*range(len(tokenizer))]) == text
    assert tokenizer.get_vocab()["<end>"] == tokenizer.eos_token_id
    assert len(tokenizer.get_vocab()) == len(tokenizer) == tokenizer.vocab_size


@pytest.mark.parametrize("side", ["right", "left"])
def test_batches_are_padded(tokenizer: SignalingTokenizer, side: str):
    batch = tokenizer([ACCEPT, REJECT], padding=True, padding_side=side, return_tensors="pt")
    assert batch["input_ids"].shape == (2, 3)
    assert (batch["input_ids"] == tokenizer.pad_token_id).sum() == 1 == (batch["attention_mask"] == 0).sum()
    texts = {"right": f"{ACCEPT} <pad>", "left": f"<pad> {ACCEPT}"}
    assert tokenizer.batch_decode(batch["input_ids"]) == [texts[side], REJECT]
    whole = tokenizer.pad({"input_ids": [[1], [1, 2, 3]]}, max_length=4, padding="max_length", return_tensors="np")
    assert isinstance(whole["input_ids"], np.ndarray) and whole["input_ids"].shape == (2, 4)


def test_long_texts_are_cut(tokenizer: SignalingTokenizer):
    cut = tokenizer(REJECT, truncation=True, max_length=2, return_overflowing_tokens=True)
    assert tokenizer.decode(cut["input_ids"]) == "nas:RegistrationReject cause_5gmm=7"
    assert tokenizer.decode(cut["overflowing_tokens"]) == "<end>"


def test_tokens_can_be_given_apart(tokenizer: SignalingTokenizer):
    assert tokenizer(REJECT.split(), is_split_into_words=True)["input_ids"] == tokenizer(REJECT)["input_ids"]


def test_words_that_are_no_tokens_are_refused(tokenizer: SignalingTokenizer):
    with pytest.raises(ValueError, match=r"'nas:ServiceAcept' is not in the vocabulary \w+ of nas, pfcp.*did you mean"):
        tokenizer("nas:ServiceAcept <end>")
    with pytest.raises(ValueError, match="is not in the vocabulary"):
        tokenizer("x" * 100_000)
    with pytest.raises(ValueError, match="is not in the vocabulary"):
        tokenizer.convert_tokens_to_ids("ngap:Paging")
    assert tokenizer.unk_token is None and tokenizer.unk_token_id is None


@pytest.mark.parametrize("number", [-100, -1, 1 << 20])
def test_numbers_of_no_token_are_refused(tokenizer: SignalingTokenizer, number: int):
    with pytest.raises(IndexError, match=f"got {number}"):
        tokenizer.decode([number])


def test_no_token_can_be_added(tokenizer: SignalingTokenizer):
    with pytest.raises(ValueError, match="no token can be added"):
        tokenizer.add_tokens(["nas:NewMessage"])
    with pytest.raises(ValueError, match="no token can be added"):
        SignalingTokenizer(vocabulary=tokenizer.vocabulary, pad_token="[PAD]")
    assert SignalingTokenizer(vocabulary=tokenizer.vocabulary, bos_token="<begin>").bos_token_id > 0


# ---------------------------------------------------------------- messages


def test_messages_become_numbers_and_come_back(tokenizer: SignalingTokenizer):
    automaton, random = tokenizer.automaton(slots=False), np.random.default_rng(0)
    texts = [sampled(automaton, kind, random, True) for kind in ("nas:RegistrationAccept", "pfcp:HeartbeatRequest") * 5]
    ids = [number for tokens in texts for number in tokenizer.convert_tokens_to_ids(tokens)]
    messages = tokenizer.decode_messages(ids)
    assert [to_tokens(message) for message in messages] == texts
    assert tokenizer.encode_messages(messages) == ids
    assert tokenizer.decode_messages([]) == [] == tokenizer.encode_messages([])


def test_messages_are_found_in_padded_utterances(tokenizer: SignalingTokenizer):
    private = Message("other", "Message", Fields.of(cause=1))
    said = [framed(to_tokens(message), "<amf>gnb>", 3, True) for message in (REJECTION, private)]
    ids = tokenizer([" ".join(said[0]), " ".join([*said[1], *to_tokens(private)])], padding=True)["input_ids"]
    assert tokenizer.decode_messages(ids[0]) == [REJECTION]
    assert tokenizer.decode_messages(np.array(ids[1])) == [private, private]


def test_what_is_no_message_is_refused(tokenizer: SignalingTokenizer):
    with pytest.raises(GrammarError, match="no '<end>'"):
        tokenizer.decode_messages(tokenizer(REJECT)["input_ids"][:-1])
    with pytest.raises(GrammarError, match="cannot come here"):
        tokenizer.decode_messages(tokenizer("nas:ServiceAccept cause_5gmm=7 <end>")["input_ids"])
    pytest.importorskip("pycrate_asn1dir.NGAP")
    with pytest.raises(ValueError, match="is not in the vocabulary"):
        tokenizer.encode_messages([Message(NGAP, "OverloadStop")])


def test_the_automaton_speaks_of_the_same_numbers(tokenizer: SignalingTokenizer):
    automaton = tokenizer.automaton(Bounds(items=1))
    automaton.start(["nas:AuthenticationReject"])
    assert tokenizer.decode(automaton.forced()) == "nas:AuthenticationReject"
    assert automaton.allowed().shape == (len(tokenizer),)


def test_a_vocabulary_of_another_grammar_has_no_automaton(tokenizer: SignalingTokenizer):
    older = SignalingTokenizer(vocabulary=Vocabulary(tokenizer.vocabulary.tokens[:-1]))
    assert older.decode(older(REJECT)["input_ids"]) == REJECT
    with pytest.raises(CheckpointError, match="must be that of the installed gentwin"):
        older.automaton()


# ---------------------------------------------------------------- files


def test_the_vocabulary_is_that_of_all_protocols():
    tokens = vocabulary().tokens
    assert SignalingTokenizer().vocabulary.tokens == tokens


def test_a_saved_tokenizer_is_the_same(tokenizer: SignalingTokenizer, folder: Path):
    assert gentwin.SignalingTokenizer is SignalingTokenizer
    for tokenizer_class in (SignalingTokenizer, AutoTokenizer):
        loaded = tokenizer_class.from_pretrained(folder)
        assert type(loaded) is SignalingTokenizer
        assert loaded.get_vocab() == tokenizer.get_vocab()
        assert loaded.special_tokens_map == tokenizer.special_tokens_map
        assert loaded(REJECT)["input_ids"] == tokenizer(REJECT)["input_ids"]
    assert isinstance(tokenizer, PreTrainedTokenizer)
    loaded.save_pretrained(folder / "again")
    assert (folder / "again/vocabulary.json").read_bytes() == (folder / "vocabulary.json").read_bytes()


def test_choices_are_saved(tokenizer: SignalingTokenizer, tmp_path: Path):
    chosen = SignalingTokenizer(vocabulary=tokenizer.vocabulary, padding_side="left", model_max_length=512)
    chosen.save_pretrained(tmp_path)
    loaded = SignalingTokenizer.from_pretrained(tmp_path, bos_token="<begin>")
    assert (loaded.padding_side, loaded.model_max_length, loaded.bos_token) == ("left", 512, "<begin>")


def test_the_file_says_what_is_in_it(tokenizer: SignalingTokenizer, folder: Path):
    content = json.loads((folder / "vocabulary.json").read_text())
    assert list(content) == ["format", "version", "protocols", "tokens"]
    assert content["version"] == tokenizer.vocabulary.version and content["protocols"] == ["nas", "pfcp"]


def test_tokenizers_can_be_copied(tokenizer: SignalingTokenizer):
    for other in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert other(REJECT)["input_ids"] == tokenizer(REJECT)["input_ids"]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda c: c.update(format=2), "`format`"),
        (lambda c: c.pop("format"), "`format`"),
        (lambda c: c["tokens"].reverse(), "`version`"),
        (lambda c: c["tokens"].append("one_more"), "`version`"),
        (lambda c: c.update(version=7), "`version`"),
        (lambda c: c.update(protocols=["nas"]), "`protocols`"),
        (lambda c: c.update(tokens="<pad> <end>"), "`tokens`"),
        (lambda c: c.update(tokens=["<pad>", "<end>", 7]), "`tokens`"),
        (lambda c: c.update(tokens=["<pad>", "<end>", "a b"]), "`tokens`"),
        (lambda c: c.update(tokens=["<pad>", "<end>", "a\nb"]), "`tokens`"),
        (lambda c: c.update(tokens=["<pad>", "<end>", ""]), "`tokens`"),
        (lambda c: c.update(tokens=["<pad>", "<end>", "x" * 1000]), "`tokens`"),
        (lambda c: c.update(tokens=["<pad>", "<end>", "<pad>"]), "`tokens`"),
        (lambda c: c.update(tokens=["<pad>"]), "`tokens`"),
        (lambda c: c.update(tokens=[f"{number}" for number in range(70_000)]), "`tokens`"),
    ],
)
def test_a_changed_vocabulary_is_refused(folder: Path, edit: Callable[[dict[str, Any]], Any], reason: str):
    change(folder, edit)
    with pytest.raises(CheckpointError, match=reason):
        SignalingTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b"[]", b"7", b" " * 9_000_000])
def test_a_file_that_is_no_vocabulary_is_refused(folder: Path, content: bytes):
    (folder / "vocabulary.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"vocabulary\.json"):
        SignalingTokenizer.from_pretrained(folder)


def test_a_folder_without_vocabulary_is_refused(folder: Path):
    (folder / "vocabulary.json").unlink()
    with pytest.raises(CheckpointError, match=r"holds no `vocabulary\.json`"):
        SignalingTokenizer.from_pretrained(folder)
    with pytest.raises(CheckpointError, match="no-such"):
        SignalingTokenizer.from_pretrained("gentwin/no-such")


def test_a_configuration_cannot_rename_tokens(folder: Path):
    change(folder, lambda c: c["added_tokens_decoder"].update({"7": {"content": "other"}}), "tokenizer_config.json")
    with pytest.raises(CheckpointError, match="added_tokens_decoder"):
        SignalingTokenizer.from_pretrained(folder)
    change(folder, lambda c: c["added_tokens_decoder"].pop("7"), "tokenizer_config.json")
    change(folder, lambda c: c.update(extra_special_tokens=["other"]), "tokenizer_config.json")
    with pytest.raises(ValueError, match="no token can be added"):
        SignalingTokenizer.from_pretrained(folder)
