"""Records of networks: transitions in Parquet, validated, split by episode, cut into sequences for twins."""

from gentwin.datasets.decisions import Decisions, decisions_of, policy_schema, read_decisions
from gentwin.datasets.parquet import TransitionWriter, read_transitions, write_transitions
from gentwin.datasets.sequences import cut_sequences
from gentwin.datasets.transitions import Transitions, concatenate
from gentwin.datasets.validation import TransitionError

__all__ = [
    "Decisions",
    "TransitionError",
    "TransitionWriter",
    "Transitions",
    "concatenate",
    "cut_sequences",
    "decisions_of",
    "policy_schema",
    "read_decisions",
    "read_transitions",
    "write_transitions",
]
