"""Twins from checkpoints, baselines from examples, and the dialogues they are judged on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gentwin.metrics.answer_baselines import AnswerLookup, NGram
from gentwin.metrics.answers import DecoderPredictor
from gentwin.models import SignalingTokenizer, from_pretrained
from gentwin.models.signaling.configuration_signaling import INTERLEAVED, SignalingConfig
from gentwin.pipelines.core_twin import CoreTwin
from gentwin.signaling.closed_loop import ClosedLoop, ClosedLoopResult
from gentwin.signaling.core import ControlPlane, ReferenceControlPlane, Subscribers, SynthesisConfiguration
from gentwin.signaling.resolver import Example, examples_of_capture, synthesised_examples
from gentwin.signaling.resolver.examples import UE
from gentwin.signaling.resolver.interleaving import interleaved_examples
from recipes.evaluation.judging import COUNTS, Candidate

BASELINES = {"lookup": AnswerLookup, "ngram": NGram}
"""Those that learn from examples here; an LSTM is a checkpoint as the twin is."""


def twin(checkpoint: str) -> Candidate:
    """Returns a message twin as a candidate.

    Args:
        checkpoint: `gentwin/<name>` of a shipped one, a folder, or a Hub name.

    Raises:
        CheckpointError: If it is no message twin, or speaks another vocabulary than this gentwin.
        ValueError: If it is a twin of something else.
    """
    model, tokenizer = from_pretrained(checkpoint), SignalingTokenizer()
    if not isinstance(model.config, SignalingConfig):
        raise ValueError(f"`checkpoint` must be a message twin, got {model.config.model_type!r} in {checkpoint!r}.")
    model.config.check_tokenizer(tokenizer)
    name = Path(checkpoint).name
    return Candidate(name, model.config.view, DecoderPredictor(model, tokenizer))


def baseline(name: str, view: str, examples: Sequence[Example], seed: int = 0) -> Candidate:
    """Returns a baseline that has learnt from examples.

    Args:
        name: One of `BASELINES`.
        view: `separate` or `interleaved`.
        examples: Dialogues of one UE each.
        seed: Of which dialogues are together, where they are.

    Raises:
        ValueError: If there is no such baseline, or nothing to learn from.
    """
    if name not in BASELINES:
        raise ValueError(f"`baselines` must be of {', '.join(BASELINES)}, got {name!r}.")
    if not examples:
        raise ValueError("`train` must be captures that baselines learn from, got none.")
    if view == INTERLEAVED:
        examples = [*interleaved_examples(examples, (1, COUNTS[-1]), seed)]
    vocabulary = SignalingTokenizer().vocabulary
    learnt = [vocabulary.encode(example.tokens) for example in examples]
    return Candidate(name, view, BASELINES[name](vocabulary).fit(learnt))


def recorded(captures: Sequence[Path], subscribers: Subscribers | None) -> Iterator[Example]:
    """Yields the dialogues of UEs in captures.

    Args:
        captures: Each of a whole network.
        subscribers: Of the core; without them there are no hints.
    """
    for capture in captures:
        yield from (example for example in examples_of_capture(capture, subscribers) if example.kind == UE)


def synthesised(configuration: SynthesisConfiguration, count: int, seed: int) -> list[Example]:
    """Returns the first dialogues of UEs of the reference core.

    Args:
        configuration: What traffic; with at least so many UEs.
        count: How many.
        seed: Of the traffic.
    """
    found = (example for example in synthesised_examples(configuration, seed) if example.kind == UE)
    return [example for example, _ in zip(found, range(count), strict=False)]


def converse(checkpoint: str, configuration: SynthesisConfiguration, seed: int) -> dict[str, Any]:
    """Lets UEs, base stations and user plane of the reference core talk with a twin; returns what came of it.

    The reference core serves them as well, to compare: who is not served asks for less, so a completion counts only
    with about as many procedures. Numbers differ somewhat, as users act by what happened before.

    Args:
        checkpoint: Of a twin with a context for each UE.
        configuration: Network, users, and what goes wrong.
        seed: Of all that is random.
    """

    def result_of(make: Callable[[Subscribers], ControlPlane]) -> ClosedLoopResult:
        subscribers = Subscribers()
        return ClosedLoop(make(subscribers), configuration, seed, subscribers, keep_records=False).run()

    network, policy = configuration.network, configuration.policy
    reference = result_of(lambda known: ReferenceControlPlane(network, known, policy, seed))
    load = {"configuration": network, "policy": policy}
    found = result_of(lambda known: CoreTwin.from_pretrained(checkpoint, subscribers=known, **load))
    return {
        "name": Path(checkpoint).name,
        "flavour": network.flavour.name,
        "procedures": len(found.judged),
        "completion": found.completion if found.judged else 0.0,
        "violations": len(found.violations),
        "rules": dict(found.rules.most_common()),
        "wrong": [str(outcome) for outcome in found.wrong[:20]],
        "reference": {"procedures": len(reference.judged), "completion": reference.completion},
    }
