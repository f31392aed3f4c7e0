"""The dialogues of a run: made once from captures and syntheses, kept as tokens, divided by where they come from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

import gentwin.signaling
from gentwin.models.signaling.configuration_signaling import INTERLEAVED, SEPARATE
from gentwin.schema import did_you_mean
from gentwin.signaling.core import Subscribers, read_subscribers, synthesize
from gentwin.signaling.core.plain import from_plain
from gentwin.signaling.dialogue import Vocabulary
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.messages import Record
from gentwin.signaling.records import read_records
from gentwin.signaling.resolver import Example, examples_of_capture, synthesised_examples
from gentwin.signaling.resolver.examples import NETWORK_FILE
from gentwin.signaling.resolver.interleaving import interleaved_examples
from gentwin.training.arguments import ArgumentsError
from gentwin.training.signaling.arguments import BYTES, DialogueArguments
from gentwin.training.signaling.dialogues import UE, DialogueSet, concatenate
from gentwin.training.signaling.profiles import varied
from gentwin.training.signaling.raw_bytes import BYTES as BYTES_VOCABULARY
from gentwin.training.signaling.raw_bytes import BytePairs, byte_examples, messages_of

TRAIN, VALIDATION, TEST = "train", "validation", "test"
RUNS = "runs"
CONTEXTS = (1, 64)  # in an interleaved sequence


@dataclass(frozen=True)
class Source:
    """Where dialogues come from.

    Args:
        name: Of the capture, or of the synthesis and its seed.
        capture: Path of the capture; None if it is synthesised.
        subscribers: Path of the capture's database; None if there is none.
        synthesis: Plain configuration of the synthesis.
        seed: Of the synthesis.
        view: How dialogues are written: each in a sequence, `separate`; several in one, `interleaved`; as `bytes`.
        part: `train`, `validation` or `test`; empty if half of the dialogues are for validation, half for the test.
    """

    name: str
    part: str
    capture: Path | None = None
    subscribers: Path | None = None
    synthesis: Mapping[str, Any] | None = None
    seed: int = 0
    view: str = SEPARATE

    def examples(self) -> Iterator[Example]:
        """Yields the dialogues as examples."""
        if self.view == BYTES:
            return byte_examples(self._records())
        if self.capture is None:
            found = synthesised_examples(from_plain(self.synthesis or {}), self.seed)
        else:
            found = examples_of_capture(self.capture, self.subscribers and _in_memory(self.subscribers))
        if self.view == INTERLEAVED:
            return interleaved_examples((example for example in found if example.kind == UE), CONTEXTS, self.seed)
        return found

    def _records(self) -> list[Record]:
        if self.capture is None:
            return [*synthesize(from_plain(self.synthesis or {}), self.seed)]
        with read_records(self.capture) as reader:
            return [*reader]

    def key(self, vocabulary: Vocabulary) -> str:
        """Returns what the tokens follow from, as a hash: contents of files, configuration, vocabulary, code."""
        digest = hashlib.sha256(f"{vocabulary.version} {_code_version()}".encode())
        network = None if self.capture is None else self.capture.parent / NETWORK_FILE
        for path in (self.capture, self.subscribers, network):
            is_there = path is not None and path.is_file()
            digest.update(hashlib.sha256(path.read_bytes()).digest() if is_there else b"-")
        digest.update(json.dumps([self.synthesis, self.seed, self.view], sort_keys=True, default=str).encode())
        return digest.hexdigest()[:24]


@dataclass(frozen=True)
class Corpus:
    """The dialogues of a run.

    Args:
        train: For the weights.
        validation: For the choice of checkpoint.
        test: For nothing but the final evaluation.
        recorded: For each training dialogue whether it was recorded, and not synthesised.
        vocabulary: Of the tokens.
        pairs: What joined octets to tokens; None if dialogues consist of fields of messages.
    """

    train: DialogueSet
    validation: DialogueSet
    test: DialogueSet
    recorded: np.ndarray
    vocabulary: Vocabulary
    pairs: BytePairs | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all dialogues and of the vocabulary."""
        parts = [self.vocabulary.version, *(part.fingerprint() for part in (self.train, self.validation, self.test))]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def describe(self) -> dict[str, dict[str, int]]:
        """Returns the numbers of dialogues and tokens of each part."""
        parts = {TRAIN: self.train, VALIDATION: self.validation, TEST: self.test}
        return {name: {"dialogues": len(part), "tokens": len(part.tokens)} for name, part in parts.items()}


def load_corpus(
    arguments: DialogueArguments, vocabulary: Vocabulary | None = None, view: str = SEPARATE, progress: bool = True
) -> Corpus:
    """Makes, or finds in the cache, the dialogues of a run, and divides them.

    Args:
        arguments: Which dialogues.
        vocabulary: Of the tokens; that of all messages if not given. Of `bytes` there are as many.
        view: How dialogues of messages are written: `separate` or `interleaved`.
        progress: Whether to show a bar while dialogues are made.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ArgumentsError: If a capture that is named is not there, a synthesis is refused, or nothing is left to train on.
        SignalingError: If a capture or the subscribers cannot be read.
    """
    vocabulary = vocabulary or Vocabulary.of_schema()
    of_bytes = arguments.tokens == BYTES
    size, vocabulary = len(vocabulary), BYTES_VOCABULARY if of_bytes else vocabulary
    sources = [replace(source, view=BYTES if of_bytes else view) for source in list_sources(arguments)]
    folder = Path(arguments.examples_cache)
    found = [(source, folder / f"{source.key(vocabulary)}.npz") for source in sources]
    _make([(source, path) for source, path in found if not path.exists()], vocabulary, progress)
    parts: dict[str, list[DialogueSet]] = {TRAIN: [], VALIDATION: [], TEST: []}
    recorded: list[np.ndarray] = []
    for source, path in found:
        dialogues = DialogueSet.load(path)
        dialogues.sources = (source.name,)  # a file is found by what is in it, whatever it is called
        if source.part:
            parts[source.part].append(dialogues)
        else:
            parts[VALIDATION].append(dialogues.take(range(0, len(dialogues), 2)))
            parts[TEST].append(dialogues.take(range(1, len(dialogues), 2)))
        if source.part == TRAIN:
            recorded.append(np.full(len(dialogues), source.capture is not None))
    for name, sets in parts.items():
        if not sets:
            raise ArgumentsError(
                f"there must be dialogues for {name}, got none; add `syntheses`, or captures with two of them named in "
                "`validation_captures` and `test_captures`."
            )
    train, flags = _drawn(concatenate(parts[TRAIN]), np.concatenate(recorded), arguments)
    corpus = Corpus(train, concatenate(parts[VALIDATION]), concatenate(parts[TEST]), flags, vocabulary)
    return _paired(corpus, size) if of_bytes else corpus


def list_sources(arguments: DialogueArguments) -> list[Source]:
    """Returns where the dialogues of a run come from, captures first.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ArgumentsError: If a capture that is named is not there, or a synthesis is refused.
    """
    return [*_captures(arguments), *_syntheses(arguments)]


def _captures(arguments: DialogueArguments) -> Iterator[Source]:
    if arguments.captures is None:
        return
    folder = Path(arguments.captures)
    if not folder.is_dir():
        raise FileNotFoundError(f"`captures` must be a folder of captures, got {str(folder)!r}, which is none.")
    subscribers = None if arguments.subscribers is None else Path(arguments.subscribers)
    if subscribers is not None and not subscribers.is_file():
        raise FileNotFoundError(f"`subscribers` must be a file, got {str(subscribers)!r}, which does not exist.")
    paths = {path.name.partition(".pcap")[0]: path for path in sorted(folder.rglob("*.pcap*"))}
    if not paths:
        raise FileNotFoundError(f"`captures` must have a pcap below it, got {str(folder)!r} without.")
    part_of = {}
    for part, names in ((VALIDATION, arguments.validation_captures), (TEST, arguments.test_captures)):
        for name in names:
            if name not in paths or name in part_of:
                remedy = did_you_mean(name, paths)
                what = "is held out twice." if name in part_of else f"is none{remedy}"
                raise ArgumentsError(f"`{part}_captures` must be captures below {str(folder)!r}, {name!r} {what}")
            part_of[name] = part
    for name, path in paths.items():
        yield Source(name, part_of.get(name, TRAIN), path, subscribers)


def _syntheses(arguments: DialogueArguments) -> Iterator[Source]:
    for name, values in arguments.syntheses.items():
        values = dict(values)
        runs = values.pop(RUNS, 1)
        if not isinstance(runs, int) or isinstance(runs, bool) or runs < 1:
            raise ArgumentsError(f"`syntheses.{name}.{RUNS}` must be a number from 1, got {runs!r}.")
        for run in range(runs + 1):
            seed = arguments.synthesis_seed + run
            synthesis = varied(values, seed)
            try:
                from_plain(synthesis)
            except SignalingError as error:
                raise ArgumentsError(f"`syntheses.{name}`: {error}") from error
            yield Source(f"{name}/{seed}", TRAIN if run < runs else "", synthesis=synthesis, seed=seed)


def _paired(corpus: Corpus, size: int) -> Corpus:
    """Returns dialogues of octets with those joined that often stand beside each other in training."""
    pairs = BytePairs(messages_of(corpus.train), size)
    parts = {name: pairs.join(getattr(corpus, name)) for name in (TRAIN, VALIDATION, TEST)}
    return replace(corpus, **parts, vocabulary=pairs.vocabulary, pairs=pairs)


def _in_memory(path: Path) -> Subscribers:
    """Returns the subscribers in a file, which stays as it is whatever becomes of them."""
    found = Subscribers()
    for subscriber in read_subscribers(path):
        found.add(subscriber)
    return found


@cache
def _code_version() -> str:
    """Returns a hash of the code that makes dialogues."""
    digest = hashlib.sha256()
    for path in sorted(Path(gentwin.signaling.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _make(missing: Sequence[tuple[Source, Path]], vocabulary: Vocabulary, progress: bool) -> None:
    """Makes the dialogues of sources, and keeps those of each in its file."""
    bar = tqdm(missing, desc="dialogues", unit="source", disable=not (progress and missing), dynamic_ncols=True)
    for source, path in bar:
        bar.set_postfix_str(source.name, refresh=False)
        DialogueSet.of_examples(source.examples(), vocabulary, source.name).save(path)


def _drawn(train: DialogueSet, recorded: np.ndarray, arguments: DialogueArguments) -> tuple[DialogueSet, np.ndarray]:
    """Returns the training dialogues, or as many of them as are wanted."""
    wanted = arguments.train_dialogues
    if wanted is None:
        return train, recorded
    places = np.flatnonzero(train.is_ue)
    if wanted > len(places):
        raise ArgumentsError(
            f"`train_dialogues` must be at most the number of dialogues of UEs, {len(places)}, got {wanted}."
        )
    # The first so many of one order, so that more dialogues are the fewer and others.
    chosen = np.sort(np.random.default_rng(arguments.split_seed).permutation(places)[:wanted])
    return train.take(chosen), recorded[chosen]
