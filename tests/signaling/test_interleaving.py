"""Turns of several contexts in one sequence."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gentwin.signaling.dialogue.hints import WAIT
from gentwin.signaling.resolver.examples import Example
from gentwin.signaling.resolver.interleaving import interleaved, interleaved_examples

HEARD, SAID = "<gnb>amf> ngap:NGReset <end> <node=known>", "<amf>gnb> ngap:NGResetAcknowledge <end> <wait>"


def example(*times: float, heard: str = HEARD) -> Example:
    """Returns one turn at each time; the first message begins the context."""
    tokens, said = [], []
    for place in range(len(times)):
        words = heard.replace("ngap:NGReset", "<begin> ngap:NGReset") if place == 0 else heard
        tokens += [*words.split(), *SAID.split()]
        said += [False] * len(words.split()) + [True] * len(SAID.split())
    return Example(tokens, said, "ue", list(times))


def alone(together: Example, number: int) -> Example:
    """Returns what is of one context, without its number."""
    tokens, said, mine = [], [], False
    begins = True
    for place, (token, by_core) in enumerate(zip(together.tokens, together.said, strict=True)):
        if begins:
            mine = together.tokens[place + 1] == f"<ctx:{number}>"
        begins = token == WAIT
        if mine and not token.startswith("<ctx:"):
            tokens.append(token)
            said.append(by_core)
    return Example(tokens, said)


def test_turns_are_in_the_order_of_time_with_their_numbers():
    together = interleaved([example(1.0, 4.0), example(2.0, 3.0)])
    assert together.times == [1.0, 2.0, 3.0, 4.0]
    assert [token for token in together.tokens if token.startswith("<ctx:")] == [
        *(["<ctx:1>"] * 2 + ["<ctx:2>"] * 4 + ["<ctx:1>"] * 2)
    ]
    assert together.tokens[:5] == ["<gnb>amf>", "<ctx:1>", "<begin>", "ngap:NGReset", "<end>"]


def test_what_nobody_says_has_a_number_too():
    together = interleaved([example(1.0, 2.0, heard="<timer:T3550> <registration=none>")])
    assert together.tokens[:3] == ["<timer:T3550>", "<ctx:1>", "<registration=none>"]
    assert together.said[:4] == [False, False, False, True]


def test_every_dialogue_is_there_as_it_was():
    examples = [example(*[place + 0.1 * turn for turn in range(place % 5 + 1)]) for place in range(20)]
    groups = [*interleaved_examples(examples, (2, 7), seed=3, spread=5.0)]
    assert [one.times == sorted(one.times) for one in groups] == [True] * len(groups)
    found = []
    for group in groups:
        numbers = {token for token in group.tokens if token.startswith("<ctx:")}
        assert len(numbers) <= 7
        found += [alone(group, number) for number in range(1, len(numbers) + 1)]
    expected = sorted((example.tokens, example.said) for example in examples)
    assert sorted((one.tokens, one.said) for one in found) == expected


def test_dialogues_that_are_together_begin_within_the_spread():
    (group,) = interleaved_examples([example(1e9), example(5.0), example(-3.0)], 3, spread=0.5)
    assert 0 <= group.times[0] <= group.times[-1] <= 0.5


def test_the_same_seed_gives_the_same_groups():
    examples = [example(float(place)) for place in range(9)]
    one, again, other = ([*interleaved_examples(examples, 3, seed)] for seed in (1, 1, 2))
    assert one == again != other
    assert [len(group.times) for group in one] == [3, 3, 3]


@pytest.mark.parametrize("count", [0, 65, (2, 1), (0, 3)])
def test_counts_out_of_range_are_refused(count):
    with pytest.raises(ValueError, match="`count`"):
        next(interleaved_examples([example(1.0)], count))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="`examples`"):
        interleaved([example(1.0)] * 65)
    with pytest.raises(ValueError, match="`offsets`"):
        interleaved([example(1.0)], [1.0, 2.0])
    with pytest.raises(ValueError, match="`examples`"):
        interleaved([])


def test_turns_keep_their_order_where_times_are_equal():
    together = interleaved([example(1.0, 1.0, 1.0), example(1.0, 1.0)])
    assert all(first <= second for first, second in pairwise(together.times))
    assert alone(together, 1).tokens == example(1.0, 1.0, 1.0).tokens
