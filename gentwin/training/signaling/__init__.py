"""Training of message twins: dialogues as tokens, packing, transfer, trainer and card."""

from gentwin.training.signaling.arguments import AgreementArguments, DialogueArguments, TransferArguments
from gentwin.training.signaling.corpus import Corpus, load_corpus
from gentwin.training.signaling.dialogues import DialogueSet
from gentwin.training.signaling.evaluation import Agreement, agreement
from gentwin.training.signaling.packing import PackedDialogues
from gentwin.training.signaling.trainer import SignalingTrainer
from gentwin.training.signaling.twin import add_adapters, build_message_twin, freeze_layers, merge_adapters

__all__ = [
    "Agreement",
    "AgreementArguments",
    "Corpus",
    "DialogueArguments",
    "DialogueSet",
    "PackedDialogues",
    "SignalingTrainer",
    "TransferArguments",
    "add_adapters",
    "agreement",
    "build_message_twin",
    "freeze_layers",
    "load_corpus",
    "merge_adapters",
]
