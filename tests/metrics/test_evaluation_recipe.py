"""The recipe that judges message twins: runs, tables, JSON and plots."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path

import pytest
import torch
from rich.console import Console

from gentwin.metrics.answers import ContextPredictor
from gentwin.models import SignalingTokenizer, SignalingTwinConfig, SignalingTwinForCausalLM
from gentwin.models.signaling.configuration_signaling import INTERLEAVED, SEPARATE
from gentwin.signaling.core.plain import from_plain
from gentwin.signaling.dialogue.hints import WAIT
from gentwin.signaling.resolver.examples import Example
from gentwin.signaling.resolver.interleaving import interleaved_examples
from recipes import evaluate
from recipes.evaluation.candidates import baseline, converse, synthesised, twin
from recipes.evaluation.judging import Candidate, judge
from recipes.evaluation.report import print_results, write_results

pytest.importorskip("pycrate_asn1dir.NGAP")

SMALL = {
    "ues": 4,
    "duration": 12.0,
    "workload": {"arrivals": 2.0, "think_time": 2.0},
    "network": {"stations": [{"number": 1, "address": "127.0.2.1:41621"}]},
}


@cache
def examples() -> tuple[Example, ...]:
    return tuple(synthesised(from_plain(SMALL), count=4, seed=1))


@cache
def tokenizer() -> SignalingTokenizer:
    return SignalingTokenizer()


@cache
def automaton():
    return tokenizer().automaton(bounds=None)


class Truthful(ContextPredictor):
    """Says what was said where the tokens before are the same."""

    def __init__(self, known: list[Example]) -> None:
        encode = tokenizer().vocabulary.encode
        self.dialogues = [(encode(example.tokens), example.said) for example in known]

    def say(self, context, guide):
        tokens, said = next(known for known in self.dialogues if known[0][: len(context)] == context)
        end = len(context)
        while end < len(tokens) and said[end]:
            guide.advance(tokens[end])  # refused if the grammar or the identifiers of the context do not allow it
            end += 1
        return tokens[len(context) : end]


class Silent:
    """Says nothing, and keeps the tokens that it heard."""

    def __init__(self) -> None:
        self.heard: set[str] = set()

    def answer(self, contexts, guides):
        self.heard |= {token for context in contexts for token in tokenizer().vocabulary.decode(context)}
        return [tokenizer().vocabulary.encode([WAIT]) for _ in contexts]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_who_says_what_was_said_is_right_in_every_way(concurrency):
    found = judge(Candidate("truth", SEPARATE, Truthful(examples())), examples(), automaton(), concurrency)
    scores = found.scores
    assert scores.elements.f1 == scores.messages.value == scores.turns.value == scores.silence.value == 1
    assert scores.turns.of == sum(example.tokens.count(WAIT) for example in examples())
    assert not found.mistakes
    assert found.interval("f1") == found.interval("exact_message") == (1, 1)
    assert len(found.dialogues) == 4


def test_contexts_of_one_sequence_are_answered_there():
    """The grammar takes what was said, with numbers of contexts and their identifiers."""
    together = [*interleaved_examples(examples(), 4, seed=5)]
    found = judge(Candidate("truth", INTERLEAVED, Truthful(together)), examples(), automaton(), 4, seed=5)
    assert found.scores.turns.value == 1
    assert len(found.dialogues) == 1


def test_silence_is_right_where_the_core_is_silent_and_every_mistake_is_named():
    found = judge(Candidate("silent", SEPARATE, Silent()), examples(), automaton(), 2)
    scores = found.scores
    assert scores.messages.right == scores.elements.both == 0
    assert scores.turns.right == scores.silence.right == scores.waits.right == scores.waits.of > 0
    assert sum(found.mistakes.values()) == scores.turns.of - scores.turns.right
    assert any(what.endswith(f"<amf>gnb> -> {WAIT}") for what in found.mistakes)
    assert found.mistakes.keys() == found.examples.keys()


def test_hints_can_be_kept_back():
    for hints in (True, False):
        silent = Silent()
        judge(Candidate("silent", SEPARATE, silent), examples(), automaton(), hints=hints)
        assert ("<security=verified>" in silent.heard) == hints


def test_results_are_written_and_drawn(tmp_path: Path, capsys):
    runs = [
        judge(Candidate("truth", SEPARATE, Truthful(examples())), examples(), automaton(), count) for count in (1, 2)
    ]
    runs.append(judge(Candidate("silent", SEPARATE, Silent()), examples(), automaton(), 1))
    closed = [{"name": "truth", "flavour": "open5gs", "procedures": 3, "completion": 1.0, "violations": 0}]
    path = write_results(tmp_path / "results", runs, closed, {"seed": 0})
    written = json.loads(path.read_text())
    assert [run["f1"] for run in written["turn_by_turn"]] == [1.0, 1.0, 0.0]
    assert written["turn_by_turn"][2]["mistakes"][0]["twin"] == WAIT
    assert (tmp_path / "results/concurrency.png").stat().st_size > 1000
    print_results(runs, closed)
    lines = capsys.readouterr().out.splitlines()
    (header,) = (line for line in lines if "exact message" in line)
    (silent,) = (line for line in lines if "silent" in line)
    assert "refusals" in header and "0.00 [0.00, 0.00]" in silent and not any("…" in line for line in lines)


def test_a_narrow_terminal_gets_one_figure_in_a_line():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=40)
    print_results([judge(Candidate("silent", SEPARATE, Silent()), examples(), automaton(), 1)], [], console)
    lines = [line.split(maxsplit=1) for line in screen.getvalue().splitlines()]
    assert ["F1", "0.000"] in lines and ["twin", "silent"] in lines


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = SignalingTwinConfig.for_tokenizer(tokenizer(), num_key_value_heads=1, max_position_embeddings=512, **sizes)
    folder = tmp_path_factory.mktemp("twin")
    SignalingTwinForCausalLM(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def test_a_twin_that_was_never_trained_is_judged_all_the_same(checkpoint: str):
    found = judge(twin(checkpoint), [examples()[0]], automaton())
    assert found.scores.turns.of == examples()[0].tokens.count(WAIT)
    assert found.scores.malformed <= found.scores.turns.of
    assert found.milliseconds(0.5) > 0


def test_a_twin_that_serves_nobody_completes_nothing(checkpoint: str):
    found = converse(checkpoint, from_plain({**SMALL, "ues": 1}), seed=1)
    assert found["completion"] * found["procedures"] < found["reference"]["procedures"] / 2
    assert found["reference"]["completion"] == 1.0


def test_baselines_learn_from_examples():
    found = judge(baseline("lookup", SEPARATE, examples()), examples(), automaton())
    assert found.scores.messages.value > 0.8
    with pytest.raises(ValueError, match="lookup"):
        baseline("oracle", SEPARATE, examples())
    with pytest.raises(ValueError, match="`train`"):
        baseline("lookup", SEPARATE, [])


def test_the_recipe_runs(checkpoint: str, tmp_path: Path):
    (tmp_path / "small.yaml").write_text(json.dumps(SMALL))
    arguments = {"synthesised_dialogues": 2, "config": tmp_path / "small.yaml", "concurrency": "1,2"}
    evaluate.main([checkpoint], **arguments, output=tmp_path / "results")
    written = json.loads((tmp_path / "results/evaluation.json").read_text())
    assert [run["concurrency"] for run in written["turn_by_turn"]] == [1, 2]
    assert (tmp_path / "results/concurrency.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"concurrency": "0"}, "--concurrency"),
        ({"concurrency": "1,two"}, "--concurrency"),
        ({}, "--data"),
        ({"synthesised_dialogues": 1, "baselines": "lookup"}, "`train`"),
        ({"config": Path("nowhere.yaml")}, "`--config` must be a file, got 'nowhere.yaml'"),
        ({"data": [Path("/nope")]}, "`--data` must be a file, got '/nope'"),
    ],
)
def test_what_cannot_be_judged_is_refused(checkpoint: str, arguments: dict, named: str, capsys):
    with pytest.raises(SystemExit, match=named) as stop:
        evaluate.main([checkpoint], **arguments)
    assert stop.value.code == 2 and named in capsys.readouterr().err
