"""Tokens of signaling dialogues, as transformers tokenizes text."""

from gentwin.models.signaling.tokenization_signaling import SignalingTokenizer

__all__ = ["SignalingTokenizer"]
