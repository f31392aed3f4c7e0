"""Training of message twins: dialogues as tokens, packing, transfer, trainer and card."""

from gentwin.training.signaling.arguments import AgreementArguments, DialogueArguments
from gentwin.training.signaling.corpus import Corpus, load_corpus
from gentwin.training.signaling.dialogues import DialogueSet
from gentwin.training.signaling.evaluation import Agreement, agreement
from gentwin.training.signaling.packing import PackedDialogues
from gentwin.training.signaling.trainer import SignalingTrainer
from gentwin.training.signaling.twin import build_message_twin

__all__ = [
    "Agreement",
    "AgreementArguments",
    "Corpus",
    "DialogueArguments",
    "DialogueSet",
    "PackedDialogues",
    "SignalingTrainer",
    "agreement",
    "build_message_twin",
    "load_corpus",
]
