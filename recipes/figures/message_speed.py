"""Speed of the message twin's decoder on recorded dialogues, beside `generate` of transformers, on one core.

The twin is made to say what the recorded core said: it is asked at every token which of the allowed ones is the
likeliest, and then the recorded one is taken. So the time is that of a twin that is never wrong, whatever its weights;
here they are drawn at random. Times are those of the processor, so that other work on the machine does not count.

Of the decoder everything counts that is between hearing and having answered: reading what was heard, the grammar, the
answer. Of `generate` only the steps after the first one count, with keys and values of 1,024 tokens and no grammar; on
average contexts hold more here. Guesses are those of answers in other recordings and of what was said before.

The same is measured with weights held as int8.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from gentwin.models import SignalingTwinConfig, SignalingTwinForCausalLM
from gentwin.models.signaling.decoding import Decoder
from gentwin.models.signaling.decoding_weights import FLOAT32, INT8, WEIGHTS
from gentwin.models.signaling.guides import TurnGuide
from gentwin.signaling.contexts import dialogues
from gentwin.signaling.dialogue import DIRECTIONS, Automaton, Vocabulary, separate
from gentwin.signaling.dialogue.directions import AMF_TO_GNB, SMF_TO_UPF
from gentwin.signaling.dialogue.hints import WAIT
from gentwin.signaling.records import read_records
from recipes.figures.recordings import recordings
from recipes.figures.result import Result

GOAL = "one context: >= 8 times the tokens/s of generate, p50 < 20 ms, p99 < 60 ms of an answer"
QUICK = ("n2n4-c02",)
BATCH, CONTEXT = 32, 1024
ROOM = 256  # tokens of room below which a context is cut between two answers
STREAM = 1 << 26  # numbers that are read from memory to see how fast that is


@dataclass
class Exchange:
    """What is heard before an answer, and the answer, as tokens."""

    heard: list[int] = field(default_factory=list)
    said: list[int] = field(default_factory=list)


class Recorded(TurnGuide):
    """Allows what the grammar does, and takes what was recorded.

    Args:
        automaton: Of the messages.
        said: Tokens of the answer.
    """

    def __init__(self, automaton: Automaton, said: list[int]) -> None:
        super().__init__(automaton)
        self._said, self._place = said, 0

    def advance(self, token: int) -> None:
        super().advance(token)
        self._place += 1

    def choose(self, tokens: np.ndarray, logits: np.ndarray) -> int:
        """Returns the recorded token; the likeliest is found all the same, as its time counts."""
        logits.argmax()
        return self._said[self._place]


def exchanges(capture: Path, vocabulary: Vocabulary) -> Iterator[list[Exchange]]:
    """Yields what is heard and said in each dialogue of a recording; every answer ends with `<wait>`."""
    wait = vocabulary.ids[WAIT]
    for dialogue in dialogues(read_records(capture)):
        found = [Exchange()]
        for utterance in separate(dialogue):
            tokens, is_said = vocabulary.encode(utterance.tokens), utterance.tokens[0] in (AMF_TO_GNB, SMF_TO_UPF)
            if found[-1].said and not is_said:
                found.append(Exchange())
            (found[-1].said if is_said and found[-1].heard else found[-1].heard).extend(tokens)
        yield [Exchange(exchange.heard, [*exchange.said, wait]) for exchange in found if exchange.said]


@dataclass
class Replay:
    """What a replay of dialogues took.

    Args:
        tokens: Said.
        answers: Seconds of each answer; in a batch, of all that were made with it.
        seconds: Of all answers.
        cuts: Seconds of cutting contexts that are nearly full, between answers.
    """

    tokens: int = 0
    answers: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cuts: float = 0.0

    def add(self, other: Replay) -> None:
        """Adds what another replay took."""
        self.tokens += other.tokens
        self.answers += other.answers
        self.seconds += other.seconds
        self.cuts += other.cuts

    @property
    def tokens_per_second(self) -> float:
        """Tokens said per second, all told."""
        return self.tokens / (self.seconds + self.cuts)

    def milliseconds(self, quantile: float) -> float:
        """Returns a quantile of the time of an answer."""
        return 1e3 * float(np.quantile(self.answers, quantile))


def replay(decoder: Decoder, automaton: Automaton, talks: Sequence[list[Exchange]], stop: int) -> Replay:
    """Lets a decoder say what was said in dialogues, as many at once as it has rows."""
    result, waiting = Replay(), list(talks)
    left: list[list[Exchange]] = [[] for _ in range(decoder.rows)]
    while waiting or any(left):
        for row in range(decoder.rows):
            if not left[row] and waiting:
                decoder.reset(row)
                left[row] = list(waiting.pop(0))
        rows = [row for row in range(decoder.rows) if left[row]]
        now = [left[row].pop(0) for row in rows]
        guides = [Recorded(automaton, exchange.said) for exchange in now]
        started = time.thread_time()
        for row in rows:
            if decoder.room(row) < ROOM:
                decoder.slide(row)
        begun = time.thread_time()
        answers = decoder.respond(
            rows, guides, {stop}, [exchange.heard for exchange in now], [guide.choose for guide in guides]
        )
        took = time.thread_time() - begun
        if answers != [exchange.said for exchange in now]:
            raise RuntimeError("the decoder did not say what was recorded")
        result.tokens += sum(map(len, answers))
        result.answers += [took] * len(rows)
        result.seconds += took
        result.cuts += begun - started
    return result


def generated(model: SignalingTwinForCausalLM, batch: int, steps: int, seed: int) -> float:
    """Returns tokens per second of `generate`: of the steps after the first one, the faster of two runs."""
    tokens = np.random.default_rng(seed).integers(len(model.lm_head.weight), size=(batch, CONTEXT))
    prompt = torch.from_numpy(tokens)

    def seconds(count: int) -> float:
        started = time.thread_time()
        model.generate(prompt, max_new_tokens=count, min_new_tokens=count, do_sample=False)
        return time.thread_time() - started

    seconds(2)
    short, long = (min(seconds(count) for _ in range(2)) for count in (1, 1 + steps))
    return batch * steps / (long - short)


def bytes_per_second() -> float:
    """Returns how fast one core reads numbers that are in no cache."""
    numbers, best = torch.ones(STREAM), float("inf")
    for _ in range(3):
        started = time.thread_time()
        torch.dot(numbers, numbers)
        best = min(best, time.thread_time() - started)
    return numbers.nbytes / best


def measure(full: bool, seed: int) -> Result:
    """Measures one context and 32 at once, with guesses and without, and `generate` on the same weights."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measured(full, seed)
    finally:
        torch.set_num_threads(threads)


def _measured(full: bool, seed: int) -> Result:
    vocabulary = Vocabulary.of_schema()
    automaton = Automaton(vocabulary, bounds=None, slots=True)
    torch.manual_seed(seed)
    config = SignalingTwinConfig(vocab_size=len(vocabulary), vocabulary_version=vocabulary.version)
    model = SignalingTwinForCausalLM(config).eval()
    told = {path.stem: [talk for talk in exchanges(path, vocabulary) if talk] for path in recordings(every=full)}
    measured = [name for name in told if full or name in QUICK]
    stop, starts = vocabulary.ids[WAIT], vocabulary.encode(DIRECTIONS)

    def run(rows: int, drafted: int, rehearsed: bool, weights: str = FLOAT32) -> Replay:
        warm = Decoder(model, rows, starts=starts, weights=weights)
        replay(warm, automaton, [told[QUICK[0]][0][:3]], stop)  # compiles, fills caches
        result = Replay()
        for name in measured:
            decoder = Decoder(model, rows, starts=starts, drafted=drafted, weights=weights)
            for other in told.keys() - {name} if rehearsed else ():
                for exchange in chain.from_iterable(told[other]):
                    decoder.rehearse(exchange.heard, exchange.said)
            result.add(replay(decoder, automaton, told[name], stop))
        return result

    guessed, plain, many = run(1, 32, True), run(1, 0, False), run(BATCH, 32, True)
    cold = run(1, 32, False)
    guessed_int8, plain_int8, many_int8 = run(1, 32, True, INT8), run(1, 0, False, INT8), run(BATCH, 32, True, INT8)
    one, batch = (generated(model, rows, 96 if full else 32, seed) for rows in (1, BATCH))
    bound = bytes_per_second() / sum(4 * parameter.numel() for parameter in model.parameters())
    figure = {
        "weights": "random, saying what was recorded",
        "tokens_per_s": guessed.tokens_per_second,
        "tokens_per_s_unrehearsed": cold.tokens_per_second,
        "tokens_per_s_without_guesses": plain.tokens_per_second,
        f"tokens_per_s_batch_{BATCH}": many.tokens_per_second,
        "tokens_per_s_int8": guessed_int8.tokens_per_second,
        "tokens_per_s_without_guesses_int8": plain_int8.tokens_per_second,
        f"tokens_per_s_batch_{BATCH}_int8": many_int8.tokens_per_second,
        "weight_megabytes": {weights: Decoder(model, weights=weights).weight_bytes / 1e6 for weights in WEIGHTS},
        "answers": len(guessed.answers),
        "tokens_per_answer": guessed.tokens / len(guessed.answers),
        **{f"answer_ms_p{q}": guessed.milliseconds(q / 100) for q in (50, 99)},
        **{f"answer_ms_p{q}_unrehearsed": cold.milliseconds(q / 100) for q in (50, 99)},
        **{f"answer_ms_p{q}_batch_{BATCH}": many.milliseconds(q / 100) for q in (50, 99)},
        "cuts_share": guessed.cuts / (guessed.cuts + guessed.seconds),
        "over_memory_bound": guessed.tokens_per_second / bound,
        "over_memory_bound_without_guesses": plain.tokens_per_second / bound,
    }
    ratio = guessed.tokens_per_second / one
    baseline = {
        "generate_tokens_per_s": one,
        f"generate_tokens_per_s_batch_{BATCH}": batch,
        "memory_bound_tokens_per_s": bound,
    }
    met = ratio >= 8 and guessed.milliseconds(0.5) < 20 and guessed.milliseconds(0.99) < 60
    return Result(figure, GOAL, met, baseline, {"one": ratio, f"batch_{BATCH}": many.tokens_per_second / batch})
