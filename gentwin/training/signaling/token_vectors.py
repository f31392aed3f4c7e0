"""Vectors of tokens before training: those of the parts of a token, added up.

A token such as `seid=<ref:SEID#6>` is a field and a value in one. With a vector of its own it would have to be learnt
alone, however rare it is; as the sum of `seid`, `ref` and `#6` it begins beside its likes. So what a twin learns of a
field, above all to repeat what a hint says of it, holds for all its values from the start.
"""

from __future__ import annotations

import torch
from torch import nn

from gentwin.signaling.dialogue import Vocabulary

OWN = 0.5  # of a token's own vector, beside those of its parts


def parts_of(token: str) -> list[str]:
    """Returns what a token consists of: field and value, protocol and message, hint and value; itself if it is one.

    Example:
        ```python
        >>> parts_of("seid=<ref:SEID#6>")
        ['seid=', 'ref', '#6']
        >>> parts_of("<security=verified>")
        ['<security=', 'verified']
        ```
    """
    name, equals, value = token.partition("=")
    if not equals:
        protocol, colon, message = token.partition(":")
        return [f"{protocol}:", message] if colon and message else [token]
    if name.startswith("<"):
        return [f"{name}=", value.rstrip(">")]
    kind, colon, identifier = value.partition(":")
    if not (colon and kind.startswith("<")):
        return [f"{name}=", value]
    _, sharp, number = identifier.rstrip(">").partition("#")
    return [f"{name}=", kind.lstrip("<"), *([f"#{number}"] if sharp else [])]


def compose_vectors(embeddings: nn.Embedding, vocabulary: Vocabulary) -> None:
    """Replaces the vectors of all tokens by sums of those of their parts, as long as before on average.

    Args:
        embeddings: Of the tokens, untrained; what they are drawn from is the seed of torch.
        vocabulary: The tokens.
    """
    parts = [parts_of(token) for token in vocabulary.tokens]
    numbers = {part: number for number, part in enumerate(dict.fromkeys(part for found in parts for part in found))}
    with torch.no_grad():
        weight = embeddings.weight
        scale = weight.std()
        drawn = torch.randn(len(numbers), weight.shape[1], dtype=weight.dtype)
        for token, found in enumerate(parts):
            own = OWN * torch.randn(weight.shape[1], dtype=weight.dtype)
            shared = drawn[[numbers[part] for part in found]].sum(0)
            weight[token] = scale * (shared + own) / (len(found) + OWN**2) ** 0.5
