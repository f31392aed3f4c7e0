"""Twins of three families that have learnt from general traffic, and a little data of each type of slice.

A type is a usage scenario of IMT-2030 (Recommendation ITU-R M.2160). What is general, and what a type has of its own:

- policies: the greedy policy at three loads; a busy network in which three times as many requests are of the type, and
  others must leave a share of every resource free;
- slices: four slices of the same traffic in one cell; the slice of the type has its own traffic, the others go on;
- messages: the recorded core and traffic like it; a core for subscribers of the type only, with a behaviour of theirs,
  that decides in other ways what the specification leaves open.
"""

from __future__ import annotations

import dataclasses
import tempfile
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch

import gentwin
from gentwin.datasets import Decisions, Transitions, read_transitions
from gentwin.envs.recorder import record_transitions
from gentwin.metrics.decisions import macro_accuracy
from gentwin.models import PolicyTwinConfig, PolicyTwinModel, SignalingTokenizer, SliceTransformerTwinConfig, TwinModel
from gentwin.models.slice_transformer import SliceTransformerTwinModel
from gentwin.networks.admission import admission_parameters, resource_demand
from gentwin.networks.admission.policies import PriorityPolicy
from gentwin.networks.slicing import SliceParameters
from gentwin.networks.slicing.policies import RandomPolicy
from gentwin.signaling.core.plain import from_plain
from gentwin.signaling.resolver import synthesised_examples
from gentwin.signaling.resolver.examples import UE
from gentwin.training import EvaluationArguments, ModelArguments, Splits, TransferArguments, adapt, evaluate_twin
from gentwin.training.evaluation import TWIN
from gentwin.training.policy import score_policy
from gentwin.training.signaling import DialogueSet, agreement, build_message_twin
from recipes.comparison.policy_twins import record_decisions
from recipes.figures.message_twins import required

TYPES = ("immersive", "hrllc", "massive", "ubiquitous")
TRAIN, GENERAL, TEST, SPACING = 10, 1_000_000, 2_000_000, 1000  # seeds; copies of a network take those that follow
FULL, FREEZE, LORA, SCRATCH = "full", "freeze", "lora", "scratch"


@dataclasses.dataclass(frozen=True)
class Method:
    """How a twin learns few data.

    Args:
        options: Of `adapt`.
        begins: Whether it begins with the general twin, and not untrained.
    """

    options: dict[str, Any]
    begins: bool = True


class Family(ABC):
    """Twins of one family.

    Args:
        seed: Of the general twin and of what is judged on.

    Attributes:
        name: Of the family.
        unit: Of few data.
        score_name: What is judged, in percent; higher is better.
        counts: Of few data, those of a curve.
        few: The one at which methods are compared.
        methods: By name.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    score_name: ClassVar[str]
    counts: ClassVar[tuple[int, ...]]
    few: ClassVar[int]
    methods: ClassVar[dict[str, Method]]

    def __init__(self, seed: int) -> None:
        self.seed = seed
        torch.manual_seed(seed)
        self.general = self.make_general()

    @abstractmethod
    def make_general(self) -> TwinModel:
        """Returns the twin of general traffic."""

    @abstractmethod
    def untrained(self, train: Any) -> TwinModel:
        """Returns a twin without training, its statistics those of `train`."""

    @abstractmethod
    def few_data(self, kind: str, count: int, seed: int) -> Any:
        """Returns so many training data of a type of slice; more of one seed begin with the fewer."""

    @abstractmethod
    def score(self, twin: TwinModel, kind: str) -> float:
        """Returns how good a twin is on test data of a type of slice, in percent."""

    def learnt(self, train: Any, **options: Any) -> TwinModel:
        """Returns a twin trained from scratch."""
        return adapt(self.untrained(train), train, train, seed=self.seed, use_cpu=True, **options).twin

    def run(self, method: str, kind: str, count: int, seed: int) -> float:
        """Returns the score of a twin that has learnt so many data of a type of slice."""
        chosen, train = self.methods[method], self.few_data(kind, count, seed)
        torch.manual_seed(seed)
        start = self.general if chosen.begins else self.untrained(train)
        options = {**self.options(count), **chosen.options}
        return self.score(adapt(start, train, train, seed=seed, use_cpu=True, **options).twin, kind)

    @abstractmethod
    def options(self, count: int) -> dict[str, Any]:
        """Returns options of `adapt` that all methods share."""


class Policies(Family):
    """Policy twins; the score is macro accuracy."""

    name, unit, score_name = "policy", "decisions", "macro accuracy, %"
    counts, few = (10, 30, 100, 300), 30
    methods: ClassVar = {
        FULL: Method({"learning_rate": 3e-3}),
        FREEZE: Method({"learning_rate": 3e-3, "freeze_layers": 1}),
        LORA: Method({"learning_rate": 1e-2, "lora_rank": 4}),
        SCRATCH: Method({"learning_rate": 5e-3}, begins=False),
    }
    loads = (0.7, 1.75, 3.0)
    reserved = 0.25  # share of every resource that other slices must leave free
    stretches = 20  # networks that decisions come from
    general_steps, steps = 1000, 150  # of training

    def make_general(self) -> TwinModel:
        parts = [
            record_decisions(self.stretches, 50, GENERAL + SPACING * number, admission_parameters("busy", load=load))
            for number, load in enumerate(self.loads)
        ]
        return self.learnt(_joined(parts), max_steps=self.general_steps, learning_rate=5e-3, batch_size=128)

    def untrained(self, train: Decisions) -> TwinModel:
        config = PolicyTwinConfig(schema=train.schema.to_dict(), **resource_demand(admission_parameters("busy")))
        twin = PolicyTwinModel(config)
        arrays = {"states": train.states, "masks": train.masks, "labels": train.actions}
        twin.fit_normalization(**{name: torch.from_numpy(array) for name, array in arrays.items()})
        return twin

    def few_data(self, kind: str, count: int, seed: int) -> Decisions:
        record = self._of_type(kind, max(self.counts) // self.stretches, TRAIN + SPACING * seed)
        # In turn from every network, so that few are of as many networks as can be.
        order = np.argsort(np.arange(len(record)) % (len(record) // self.stretches), kind="stable")
        return record.take(order[:count])

    def score(self, twin: TwinModel, kind: str) -> float:
        test = self._of_type(kind, 100, TEST + SPACING * self.seed)
        scores = score_policy(twin, test, test)
        return 100 * macro_accuracy(scores.actions, scores.predicted)

    def options(self, count: int) -> dict[str, Any]:
        return {"max_steps": self.steps, "batch_size": min(32, count)}

    @cache  # noqa: B019 (families live as long as the figure)
    def _of_type(self, kind: str, num_steps: int, seed: int) -> Decisions:
        base = admission_parameters("busy")
        slices = [
            dataclasses.replace(entry, arrivals_per_s=(3 if entry.name == kind else 1) * entry.arrivals_per_s)
            for entry in base.slices
        ]
        parameters = base.replace(slices=tuple(slices)).with_load(1.75)
        policy = PriorityPolicy(parameters, reserve={name: self.reserved for name in TYPES if name != kind})
        return record_decisions(self.stretches, num_steps, seed, parameters, policy)


def _joined(parts: list[Decisions]) -> Decisions:
    episodes = [part.episode + 1000 * number for number, part in enumerate(parts)]
    arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in ("states", "masks", "actions"))
    return Decisions(parts[0].schema, np.concatenate(episodes), *arrays)


GENERAL_TRAFFIC = {
    "interarrival": "exponential", "interarrival_ms": 50.0, "packet_size": "lognormal", "packet_bits": (60e3,),
    "packet_cap_bits": 2e6, "packet_log_std": 0.6, "latency_sla_ms": 100.0, "mean_sessions": 8.0, "session_s": 40.0,
}  # fmt: skip
TRAFFIC: dict[str, dict[str, Any]] = {
    "immersive": {
        "interarrival": "periodic", "interarrival_ms": 1000 / 60, "packet_size": "lognormal", "packet_bits": (176e3,),
        "packet_cap_bits": 2e6, "packet_log_std": 0.3, "latency_sla_ms": 50.0, "mean_sessions": 4.0, "session_s": 30.0,
        "rate_log_std": 0.4, "rate_correlation_s": 6.6,
    },
    "hrllc": {
        "interarrival": "exponential", "interarrival_ms": 5.0, "packet_size": "constant", "packet_bits": (4e3,),
        "latency_sla_ms": 10.0, "mean_sessions": 10.0, "session_s": 60.0,
    },
    "massive": {
        "interarrival": "exponential", "interarrival_ms": 200.0, "packet_size": "constant", "packet_bits": (2e3,),
        "latency_sla_ms": 1000.0, "mean_sessions": 20.0, "session_s": 20.0,
    },
    "ubiquitous": {
        "interarrival": "exponential", "interarrival_ms": 50.0, "packet_size": "lognormal", "packet_bits": (170e3,),
        "packet_cap_bits": 4e6, "packet_log_std": 0.8, "latency_sla_ms": 300.0, "mean_sessions": 15.0,
        "session_s": 40.0, "burst_on_s": 2.3, "burst_off_s": 5.5,
    },
}  # fmt: skip
"""Traffic of each type; gaming and streaming of the preset `dynamic`, the others are ours."""


class Slices(Family):
    """Twins of slice dynamics; the score is the skill ten steps ahead in the slice of the type."""

    name, unit, score_name = "slice", "episodes", "skill over persistence, %"
    counts, few = (1, 2, 8), 2
    methods: ClassVar = {
        FULL: Method({"learning_rate": 2e-3}),
        FREEZE: Method({"learning_rate": 2e-3, "freeze_layers": 2}),
        LORA: Method({"learning_rate": 5e-3, "lora_rank": 4}),
        SCRATCH: Method({"learning_rate": 1e-2}, begins=False),
    }
    general_steps, steps = 500, 100  # of training
    general_episodes, test_episodes, episode_steps = 40, 16, 60
    sizes: ClassVar = {
        "hidden_size": 24, "embedding_size": 16, "head_hidden_size": 24, "num_members": 2, "num_quantiles": 12,
        "num_hidden_layers": 2, "num_attention_heads": 2, "window": 8,
    }  # fmt: skip

    def make_general(self) -> TwinModel:
        return self.learnt(
            self._record(None, self.general_episodes, GENERAL),
            max_steps=self.general_steps,
            learning_rate=1e-2,
            batch_size=min(16, self.general_episodes),
        )

    def untrained(self, train: Transitions) -> TwinModel:
        twin = SliceTransformerTwinModel(SliceTransformerTwinConfig(schema=train.schema.to_dict(), **self.sizes))
        arrays = {"states": train.state, "actions": train.action, "contexts": train.context, "labels": train.targets}
        given = {name: torch.from_numpy(array)[None] for name, array in arrays.items() if array.shape[-1]}
        twin.fit_normalization(**given)
        return twin

    def few_data(self, kind: str, count: int, seed: int) -> Transitions:
        record = self._record(kind, max(self.counts), TRAIN + SPACING * seed)
        return record.select(record.episodes[:count])

    def score(self, twin: TwinModel, kind: str) -> float:
        known = self._record(kind, max(self.counts), TRAIN)
        test = self._record(kind, self.test_episodes, TEST + SPACING * self.seed)
        arguments = EvaluationArguments(horizons=[10], rollout_starts=64, rollout_samples=20, burn_in_steps=10)
        rows = evaluate_twin(twin, Splits(known, known, test, ""), arguments).rows
        errors = {(row["forecaster"], row["target"]): row["crps"] for row in rows if row["slice"] == kind}
        ratios = [
            error / errors["persistence", target]
            for (forecaster, target), error in errors.items()
            if forecaster == TWIN and errors["persistence", target] > 0
        ]
        return 100 * (1 - float(np.mean(ratios)))

    def options(self, count: int) -> dict[str, Any]:
        return {"max_steps": self.steps, "batch_size": min(8, 2 * count), "sequence_length": self.episode_steps // 2}

    @cache  # noqa: B019
    def _record(self, kind: str | None, num_episodes: int, seed: int) -> Transitions:
        """Returns episodes of a cell in which the slice of one type, if any, has traffic of its own."""
        slices = tuple(
            SliceParameters(name=name, user_share=0.25, **(TRAFFIC[name] if name == kind else GENERAL_TRAFFIC))
            for name in TYPES
        )
        arguments = {"preset": "dynamic", "observation_fields": "all", "slices": slices, "num_threads": 1}
        env = gymnasium.make_vec(
            "gentwin/RanSlicing-v0", num_envs=num_episodes, episode_steps=self.episode_steps, **arguments
        )
        policy = RandomPolicy(len(env.unwrapped.allocations), np.random.default_rng(seed), hold_steps=5)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "transitions.parquet"
            recorder = record_transitions(env, path)
            observation, _ = recorder.reset(seed=seed)
            for _ in range(self.episode_steps):
                observation, *_ = recorder.step(policy(observation))
            recorder.close()
            return read_transitions(path)


SUBSCRIPTIONS = {
    "immersive": ("1-000101", "internet", 80, 6, 400_000_000),
    "hrllc": ("2-000102", "internet", 82, 2, 20_000_000),
    "massive": ("3-000103", "iot", 79, 12, 64_000),
    "ubiquitous": ("1-000104", "internet", 9, 9, 50_000_000),
}
"""Slice, data network, 5QI, priority and rate of the subscribers of each type."""
BEHAVIOUR: dict[str, dict[str, float]] = {
    "immersive": {"modify": 20, "move_xn": 15, "session": 40},
    "hrllc": {"modify": 10, "move_n2": 15, "move_xn": 15, "send": 40},
    "massive": {"idle": 40, "update": 20, "switch_off": 15, "session": 2, "move_xn": 0, "move_n2": 0},
    "ubiquitous": {"move_idle": 30, "move_n2": 10, "radio_failure": 5, "deregister": 10},
}


class Messages(Family):
    """Message twins; the score is the share of messages of the core that are exact, each after the true ones."""

    name, unit, score_name = "message", "dialogues", "exact messages, %"
    counts, few = (10, 30), 10
    methods: ClassVar = {
        FULL: Method({"learning_rate": 1e-3}),
        FREEZE: Method({"learning_rate": 1e-3, "freeze_layers": 2}),
        LORA: Method({"learning_rate": 3e-3, "lora_rank": 8}),
        SCRATCH: Method({"learning_rate": 3e-3}, begins=False),
    }
    num_test = 20
    length = 1024

    def make_general(self) -> TwinModel:
        return gentwin.from_pretrained(required("signaling-open5gs"))

    def untrained(self, train: DialogueSet) -> TwinModel:
        given = ModelArguments("gentwin_signaling", {"max_position_embeddings": self.length})
        return build_message_twin(given, TransferArguments(), SignalingTokenizer(), self.length)

    def few_data(self, kind: str, count: int, seed: int) -> DialogueSet:
        return self._dialogues(kind, max(self.counts), TRAIN + SPACING * seed).take(range(count))

    def score(self, twin: TwinModel, kind: str) -> float:
        test = self._dialogues(kind, self.num_test, TEST + SPACING * self.seed)
        found = agreement(twin, test, SignalingTokenizer().vocabulary, self.length)
        return 100 * found.figures("test")["test_exact_messages"]

    def options(self, count: int) -> dict[str, Any]:
        return {"max_steps": {10: 25, 30: 60}[count], "batch_size": 1, "sequence_length": self.length}

    @cache  # noqa: B019
    def _dialogues(self, kind: str, count: int, seed: int) -> DialogueSet:
        name, network, five_qi, priority, rate = SUBSCRIPTIONS[kind]
        subscription = {"slice": name, "dnn": network, "five_qi": five_qi, "priority": priority}
        rates = {"uplink": rate, "downlink": rate}
        configuration = {
            "ues": count, "duration": 30.0,
            "network": {"flavour": {"name": "generic"}, "slices": [entry[0] for entry in SUBSCRIPTIONS.values()]},
            "profiles": [{"subscriptions": [{**subscription, **rates}], **rates}],
            "workload": {"arrivals": count / 10, "think_time": 2.0, "behaviour": BEHAVIOUR[kind]},
        }  # fmt: skip
        found = (entry for entry in synthesised_examples(from_plain(configuration), seed) if entry.kind == UE)
        return DialogueSet.of_examples(found, SignalingTokenizer().vocabulary, f"{kind}/{seed}")


FAMILIES: tuple[type[Family], ...] = (Policies, Slices, Messages)
