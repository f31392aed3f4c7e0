"""Whether a message twin admits and rejects as the physical policy does, with a policy twin beside it and alone.

Dialogues of the reference core in which the greedy policy admits sessions of four slices that share resources, the
network `busy` of the admission problem. Sessions are asked for by 1 to 64 UEs in turn, with the same rates in all: the
more UEs, the less of it is in the dialogue of one of them. Judged are the turns in which the policy decided: a request
(accepted, rejected for a full queue, or silence while it waits), and the end of waiting (accepted or rejected).

The policy twin is asked whatever the physical policy is asked, in the same states, and its decision is the hint in the
dialogue. Where it admits at another time than the physical policy, the answer is wrong: silence in place of an
acceptance, or an acceptance in place of silence. Alone, twins lack the hints of the policy and nothing else.

Source: Tao et al., "Wireless network digital twin for 6G: generative AI as a key enabler", figure 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gentwin.metrics import Share
from gentwin.metrics.answers import POLICY, DecoderPredictor, Exchange, Predictor, answered, exchanges_of, messages_of
from gentwin.metrics.sequences import refusal_of
from gentwin.models import PolicyTwinModel, SignalingTokenizer, from_pretrained
from gentwin.networks.admission import admission_parameters
from gentwin.pipelines.core_twin.policies import SLICES, load_policy
from gentwin.signaling.core import (
    OPEN5GS,
    AdmissionConfiguration,
    DataNetwork,
    Demand,
    NetworkConfiguration,
    Policy,
    Population,
    Profile,
    Resource,
    Situation,
    Station,
    Subscription,
    SynthesisConfiguration,
    Tenant,
    Timing,
    Verdict,
    Workload,
)
from gentwin.signaling.core.configuration import EMBB
from gentwin.signaling.core.policy import SESSION, Decision, Load
from gentwin.signaling.dialogue import Automaton
from gentwin.signaling.dialogue.hints import event, hint
from gentwin.signaling.resolver import hints, synthesised_examples
from gentwin.signaling.resolver.examples import UE
from gentwin.signaling.resolver.policy import NEAR as SAME_TIME
from gentwin.training.plots import COLORS, FAINT, new_figure, save_figure
from recipes.figures.message_twins import checkpoint, required
from recipes.figures.recordings import ROOT
from recipes.figures.result import Result

GOAL = "policy-dependent answers, 1 to 64 UEs: >= 99 % right with the policy twin, about the majority rate without"
COUNTS, QUICK_COUNTS = (1, 2, 4, 8, 16, 32, 64), (1, 8, 64)
DURATION, QUICK_DURATION = 300.0, 90.0  # simulated seconds
QUICK_DECISIONS = 150
FIRST_SEED = 8_000_000  # far from those of training
LAST_SECONDS = 1.0  # of a recording, in which answers may be cut off
ROWS = 16
RIGHT, NEAR = 0.99, 0.05  # of the majority rate, without a policy twin
DATA_NETWORKS = ("internet", "ims", "iot", "edge")  # of the slices: what is said of a session names its data network
WITH_POLICY, ALONE, LSTM, MAJORITY = "message twin with policy twin", "message twin", "LSTM", "most frequent answer"
MEASURES = ("accuracy", "precision", "recall")
DECIDED, POLICY_WAIT = event("decided"), hint("policy", "wait")
REQUEST = "request"
ACCEPTED, SILENCE = "accepted", "silence"
PATH = ROOT / "outputs/figures/hierarchy.png"


def network_of(ues: int, duration: float) -> SynthesisConfiguration:
    """Returns the network `busy` of the admission problem as a core meets it, with sessions of so many UEs."""
    parameters = admission_parameters("busy")
    slices = (EMBB, *SLICES.values())
    tenants = (
        Tenant(SLICES[known.name], known.name, known.demand, known.timeout_s, known.queue_places)
        for known in parameters.slices
    )
    where = dict(zip(SLICES.values(), DATA_NETWORKS, strict=True))
    demands = (
        Demand(SLICES[known.name], where[SLICES[known.name]], known.arrivals_per_s, known.service_s)
        for known in parameters.slices
    )
    resources = map(Resource, parameters.resources, parameters.capacity)
    return SynthesisConfiguration(
        ues=ues,
        duration=duration,
        network=NetworkConfiguration(
            stations=(Station(1, "127.0.2.1:41621"), Station(2, "127.0.2.2:41622", "000002")),
            slices=slices,
            data_networks=tuple(DataNetwork(dnn, f"10.{45 + place}.0.0/16") for place, dnn in enumerate(DATA_NETWORKS)),
            flavour=replace(OPEN5GS, timing=Timing(t3580=60.0)),  # nobody asks again while a request waits
        ),
        population=Population(requested_slices=slices),
        workload=Workload(arrivals=32.0, think_time=1e6, demands=tuple(demands)),
        admission=AdmissionConfiguration(tuple(resources), tuple(tenants)),
        profiles=(Profile(tuple(Subscription(of, where.get(of, DATA_NETWORKS[0])) for of in slices)),),
    )


# ---------------------------------------------------------------- decisions


@dataclass(slots=True)
class Opinion:
    """What a policy twin says of something, beside the physical policy.

    Args:
        time: In seconds of the simulated clock.
        agrees: Whether both say the same.
        decision: Of the policy twin, on a request.
    """

    time: float
    agrees: bool
    decision: Decision | None = None


class Beside(Policy):
    """Lets a physical policy decide, and notes what a twin of it says in the same states.

    Args:
        physical: That decides.
        twin: That is asked as well.

    Attributes:
        requests: Opinions on requests, in the order of time.
        admissions: Opinions on requests that waited and are admitted, likewise.
        early: How often the twin admits one that waits where the physical policy admits another one or nobody.
    """

    def __init__(self, physical: Policy, twin: Policy) -> None:
        self._physical, self._twin = physical, twin
        self.requests: list[Opinion] = []
        self.admissions: list[Opinion] = []
        self.early = 0

    def decide(self, situation: Situation) -> Decision:
        """Returns what the physical policy says."""
        found = self._physical.decide(situation)
        if situation.procedure == SESSION and situation.slice in SLICES.values():
            other = self._twin.decide(situation)
            self.requests.append(Opinion(situation.time, found == other, other))
        return found

    def choose(self, waiting: Sequence[Situation]) -> int | None:
        """Returns whom the physical policy admits."""
        place, other = self._physical.choose(waiting), self._twin.choose(waiting)
        if place is not None:
            self.admissions.append(Opinion(waiting[0].time, place == other))
        self.early += other is not None and other != place
        return place

    def relief(self, load: Load) -> int:
        """Returns the relief that the physical policy asks for."""
        return self._physical.relief(load)


class Asked(NamedTuple):
    """A turn in which the policy decided.

    Args:
        kind: `request`, or `decided` at the end of waiting.
        told: The turn with the hint of the policy twin.
        untold: The turn without the hint of a policy.
        is_late: Whether the policy twin would not admit then what the physical policy admits.
    """

    kind: str
    told: Exchange
    untold: Exchange
    is_late: bool


def asked_of(
    turns: Sequence[Exchange], times: Sequence[float], found: Beside, until: float = float("inf")
) -> Iterator[Asked]:
    """Yields the turns of a dialogue in which the policy decided; the turns between are told before the next one.

    Args:
        turns: Of a dialogue.
        times: Of each, in seconds of the simulated clock.
        found: Opinions.
        until: Time after which no turn is judged.
    """
    told: list[str] = []
    untold: list[str] = []
    for turn, time in zip(turns, times, strict=True):
        if time > until:
            return
        bare = turn.without_hints([POLICY])
        heard, opinion = turn.heard, _opinion(turn, time, found)
        if opinion is not None:
            kind = DECIDED if turn.heard[0] == DECIDED else REQUEST
            if opinion.decision is not None and not opinion.agrees:
                heard = [*bare.heard, *hints.decision(opinion.decision, "cause_5gsm")]
            is_late = kind == DECIDED and not opinion.agrees
            yield Asked(
                kind, turn._replace(heard=[*told, *heard]), bare._replace(heard=[*untold, *bare.heard]), is_late
            )
            told, untold = [], []
        else:
            told, untold = [*told, *turn.heard, *turn.said], [*untold, *bare.heard, *turn.said]


def _opinion(turn: Exchange, time: float, found: Beside) -> Opinion | None:
    """Returns what the policy twin says of a turn; None if the policy of slices was not asked about it."""
    verdicts = {hint(POLICY, verdict.value) for verdict in Verdict} & {*turn.hints}
    if not verdicts:
        return None
    if turn.heard[0] != DECIDED:
        return next(iter(_at(found.requests, time)), None)
    if hint(POLICY, "reject") in verdicts:  # patience has ended: nobody is asked
        return Opinion(time, True)
    opinions = _at(found.admissions, time)
    return Opinion(time, all(known.agrees for known in opinions)) if opinions else None


def _at(opinions: Iterable[Opinion], time: float) -> list[Opinion]:
    return [known for known in opinions if abs(known.time - time) <= SAME_TIME]


def dialogues(ues: int, duration: float, seed: int, twin: PolicyTwinModel) -> tuple[list[list[Asked]], Beside]:
    """Returns the turns of dialogues in which the policy decided, and the opinions on them."""
    configuration = network_of(ues, duration)
    physical = configuration.policy
    found = Beside(physical, load_policy(twin, configuration.network, configuration.admission))
    sequences = []
    for example in synthesised_examples(configuration, seed, found):
        if example.kind == UE:
            times = [time - configuration.network.start for time in example.times]
            turns = exchanges_of(example.tokens, example.said)
            sequences.append([*asked_of(turns, times, found, duration - LAST_SECONDS)])
    return [sequence for sequence in sequences if sequence], found


# ---------------------------------------------------------------- answers


class Confusion(Counter):
    """How often something was said in place of what the core said: by kind of turn, answer of the core, answer."""

    def share(self) -> Share:
        """Returns how often the answer was right."""
        return Share(sum(count for (_, core, said), count in self.items() if core == said), self.total())

    def scores(self) -> dict[str, Any]:
        """Returns accuracy, and precision and recall, both the mean over the answers of the core, in shares."""
        core, said, right = Counter(), Counter(), Counter()
        for (_, wanted, answer), count in self.items():
            core[wanted] += count
            said[answer] += count
            right[wanted] += count * (wanted == answer)
        precision = [right[answer] / said[answer] if said[answer] else 0.0 for answer in core]
        recall = [right[answer] / core[answer] for answer in core]
        share = self.share()
        return {
            "accuracy": share.value,
            "interval": share.interval(),
            "precision": sum(precision) / len(core),
            "recall": sum(recall) / len(core),
        }

    def majority(self) -> Confusion:
        """Returns what comes of the most frequent answer to each kind of turn."""
        best: dict[str, str] = {}
        for kind in {kind for kind, _, _ in self}:
            answers = Counter()
            for (of, core, _), count in self.items():
                answers[core] += count * (of == kind)
            best[kind] = min(answers, key=lambda answer: (-answers[answer], answer))
        found = Confusion()
        for (kind, core, _), count in self.items():
            found[kind, core, best[kind]] += count
        return found


def answer_of(tokens: Sequence[str]) -> str:
    """Returns what a turn says: accepted, silence, or what is refused, with its cause and whether it backs off."""
    messages = messages_of(tokens)
    if messages is None:
        return "no message"
    refused = refusal_of(messages)
    if refused and any("back_off" in token for token in tokens):
        return f"{refused}, back off"
    return refused or (ACCEPTED if messages else SILENCE)


def judged(
    predictor: Predictor, sequences: Sequence[Sequence[Asked]], automaton: Automaton, early: int | None = None
) -> Confusion:
    """Returns what was said in place of what the core said.

    Args:
        predictor: That answers.
        sequences: Turns of each dialogue.
        automaton: Of the messages.
        early: How often the policy twin admits what should wait; None to answer without it.
    """
    found = Confusion()
    kinds = [iter(sequence) for sequence in sequences]
    turns = [[one.untold if early is None else one.told for one in sequence] for sequence in sequences]
    for one in answered(predictor, turns, automaton, ROWS):
        asked = next(kinds[one.sequence])
        late = early is not None and asked.is_late
        found[asked.kind, answer_of(one.exchange.said), SILENCE if late else answer_of(one.said)] += 1
    if early:
        found[DECIDED, SILENCE, ACCEPTED] += early
    return found


# ---------------------------------------------------------------- the figure


def measure(full: bool, seed: int) -> Result:
    """Judges twins with a policy twin and without over numbers of UEs, and draws accuracy, precision and recall."""
    torch.set_num_threads(1)
    tokenizer = SignalingTokenizer()
    automaton = tokenizer.automaton(bounds=None)
    twin = DecoderPredictor(from_pretrained(required("signaling-admission")), tokenizer, ROWS)
    lstm = checkpoint("signaling-admission-lstm")
    other = None if lstm is None else DecoderPredictor(from_pretrained(lstm), tokenizer, ROWS)
    policy = from_pretrained(required("policy-admission-greedy"))
    figure: dict[str, dict[int, Any]] = {name: {} for name in (WITH_POLICY, ALONE, LSTM, MAJORITY)}
    agreement = Share()
    for count in COUNTS if full else QUICK_COUNTS:
        duration = DURATION if full else QUICK_DURATION
        sequences, found = dialogues(count, duration, FIRST_SEED + 1000 * seed + count, policy)
        kept = sequences if full else first(sequences, QUICK_DECISIONS)
        early = round(found.early * sum(map(len, kept)) / sum(map(len, sequences)))
        agreement += Share(sum(known.agrees for known in found.requests), len(found.requests))
        with_policy = judged(twin, kept, automaton, early)
        figure[WITH_POLICY][count] = with_policy.scores() | {"decisions": with_policy.total()}
        figure[ALONE][count] = judged(twin, kept, automaton).scores()
        figure[MAJORITY][count] = with_policy.majority().scores()
        if other is not None:
            figure[LSTM][count] = judged(other, kept, automaton).scores()
    draw(figure, PATH)
    baseline = figure.pop(MAJORITY)
    right = min(scores["accuracy"] for scores in figure[WITH_POLICY].values())
    near = all(figure[ALONE][count]["accuracy"] <= baseline[count]["accuracy"] + NEAR for count in baseline)
    last = max(baseline)
    ratio = figure[WITH_POLICY][last]["accuracy"] / baseline[last]["accuracy"]
    figure["policy_twin_agrees"] = agreement.value
    return Result(figure, GOAL, right >= RIGHT and near, {MAJORITY: baseline}, ratio)


def first(sequences: Sequence[list[Asked]], decisions: int) -> list[list[Asked]]:
    """Returns as many whole dialogues as have some number of decisions together."""
    kept: list[list[Asked]] = []
    while len(kept) < len(sequences) and sum(map(len, kept)) < decisions:
        kept.append(sequences[len(kept)])
    return kept


def draw(figure: dict[str, dict[int, Any]], path: Path) -> Path:
    """Draws accuracy, precision and recall over the number of UEs; what was not measured is left out."""
    canvas, axes = new_figure(1, len(MEASURES), (3.6, 2.6), sharex=True)
    for axis, name in zip(axes[0], MEASURES, strict=True):
        for place, (label, points) in enumerate(figure.items()):
            style = (
                {"color": FAINT, "linestyle": "--"} if label == MAJORITY else {"color": COLORS[place], "marker": "o"}
            )
            if points:
                axis.plot([*points], [100 * scores[name] for scores in points.values()], label=label, **style)
        axis.set_xscale("log", base=2)
        axis.set_title(name, fontsize=9)
        axis.set_ylabel("% of policy-dependent answers", fontsize=8)
        axis.set_xlabel("concurrent UEs", fontsize=8)
    axes[0][0].legend(fontsize=7, frameon=False)
    return save_figure(canvas, path)
