"""A run of the recipe with a message twin."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from transformers import set_seed

from gentwin.models.modeling_twin import TwinModel
from gentwin.models.signaling import SignalingTokenizer
from gentwin.models.signaling.configuration_signaling import SEPARATE
from gentwin.training.arguments import ModelArguments, TransferArguments, TwinTrainingArguments
from gentwin.training.checks import few_steps
from gentwin.training.families import TwinRun
from gentwin.training.plots import plot_training
from gentwin.training.report import portable_path, write_metrics
from gentwin.training.signaling.arguments import AgreementArguments, DialogueArguments
from gentwin.training.signaling.card import write_signaling_card
from gentwin.training.signaling.corpus import TEST, VALIDATION, load_corpus
from gentwin.training.signaling.dialogues import DialogueSet, marks_of
from gentwin.training.signaling.evaluation import ALL, agreement, as_rows
from gentwin.training.signaling.packing import PackedDialogues
from gentwin.training.signaling.trainer import SignalingTrainer
from gentwin.training.signaling.twin import build_message_twin

SEQUENCE_LENGTH = 1024  # of an adaptation, if the twin has positions for it


class SignalingRun(TwinRun):
    """A run that trains a message twin on dialogues."""

    argument_classes = (
        *(DialogueArguments, ModelArguments, TransferArguments, AgreementArguments),
        TwinTrainingArguments,
    )
    trainer: SignalingTrainer

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.data, model, self.transfer, _, training = arguments
        tokenizer = SignalingTokenizer()
        with training.main_process_first(desc="making dialogues"):
            view = model.model_config.get("view", SEPARATE)
            self.corpus = load_corpus(self.data, tokenizer.vocabulary, view, not training.disable_tqdm)
        if self.corpus.pairs is not None:
            tokenizer = SignalingTokenizer(vocabulary=self.corpus.vocabulary)
        self.fingerprint = self.corpus.fingerprint
        set_seed(training.seed)
        length = self.data.sequence_length
        twin = build_message_twin(model, self.transfer, tokenizer, length)
        marks, pad = marks_of(tokenizer.vocabulary), tokenizer.pad_token_id
        repeats = np.where(self.corpus.recorded, self.data.capture_repeats, 1)
        seed = training.seed if training.data_seed is None else training.data_seed
        train = PackedDialogues(self.corpus.train, marks, length, pad, repeats, self.data.hint_dropout, seed)
        validation = PackedDialogues(self.corpus.validation, marks, length, pad)
        shaping = self.shaping(arguments)
        self.trainer = SignalingTrainer(twin, training, tokenizer, train, validation, self.fingerprint, shaping)

    @staticmethod
    def make_trainer(
        twin: TwinModel, train: Any, validation: Any, training: TwinTrainingArguments, sequence_length: int | None
    ) -> SignalingTrainer:
        """Returns the trainer of a twin and a `DialogueSet` in memory."""
        for name, part in (("train", train), ("validation", validation)):
            if not isinstance(part, DialogueSet):
                raise TypeError(f"`{name}` must be a DialogueSet for {type(twin).__name__}, got {type(part).__name__}.")
        tokenizer = SignalingTokenizer()
        twin.config.check_tokenizer(tokenizer)
        positions = getattr(twin.config, "max_position_embeddings", SEQUENCE_LENGTH)
        length = sequence_length or min(SEQUENCE_LENGTH, positions)
        marks, pad = marks_of(tokenizer.vocabulary), tokenizer.pad_token_id
        rows = PackedDialogues(train, marks, length, pad, seed=training.seed)
        held_out = PackedDialogues(validation, marks, length, pad)
        return SignalingTrainer(twin, training, tokenizer, rows, held_out, train.fingerprint())

    def describe_splits(self) -> dict[str, dict[str, int]]:
        """Returns the numbers of dialogues and tokens of each part."""
        return self.corpus.describe()

    def save(self) -> None:
        """Saves the twin, adapters merged."""
        super().save()
        if self.corpus.pairs is not None:
            self.corpus.pairs.save(Path(self.trainer.args.output_dir) / "byte_pairs.json")

    def report(self, folder: Path, siblings: Sequence[Mapping[str, float]], run: Mapping[str, Any]) -> None:
        """Compares the twin with what was said, and writes metrics, plots and card."""
        begin = time.perf_counter()
        twin, corpus, vocabulary = self.trainer.model, self.corpus, self.trainer.tokenizer.vocabulary
        scores = {
            part: agreement(twin, dialogues, vocabulary, self.data.sequence_length)
            for part, dialogues in ((VALIDATION, corpus.validation), (TEST, corpus.test))
        }
        figures = {name: value for part, found in scores.items() for name, value in found.figures(part).items()}
        metrics = {f"{part}/{name}": value for part, found in scores.items() for name, value in found.metrics().items()}
        plot_training(self.trainer.state.log_history, folder / "plots/training.png", "nats per token of the core")
        captions = {"plots/training.png": "Loss on training and validation dialogues."}
        warnings = few_steps(self.trainer.state.global_step, self.trainer.args.max_steps)
        write_signaling_card(folder, twin, corpus, self.data, scores, figures, siblings, run, captions, warnings)
        write_metrics(folder, figures, metrics, {**run, "evaluation_s": round(time.perf_counter() - begin, 1)})
        console = Console()
        for name, messages, exact, right in as_rows({n: t for n, t in scores[TEST].sources.items() if n != ALL}):
            console.print(f"test {name:<24}{messages:>8} messages, exact [bold]{exact} %[/], tokens right {right} %")
        for name, value in figures.items():
            console.print(f"{name:<28}[bold]{value:.6g}[/]")
        for text in warnings:
            console.print(f"[bold red]warning[/] {text}", highlight=False)
        console.print(f"twin, card, metrics and plots: [bold]{portable_path(folder)}[/]")
