"""Decisions that were made elsewhere, so that hints can tell them."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.core.policy import ADMIT, Decision, Load, Policy, Situation, Verdict, reject

NEAR = 1e-4  # seconds; times of a clock and of records differ by less


class Asked(NamedTuple):
    """Who asks for what.

    Args:
        procedure: As in [`Situation`][gentwin.signaling.core.policy.Situation].
        supi: Who.
        slice: Of the session it is about; None if it is about none.
        dnn: Data network of that session.
    """

    procedure: str
    supi: str
    slice: Slice | None
    dnn: str | None

    @classmethod
    def of(cls, situation: Situation) -> Asked:
        """Returns who asks for what in a situation."""
        return cls(situation.procedure, situation.supi, situation.slice, situation.dnn)


@dataclass(slots=True)
class Outcome:
    """What became of something that was asked for.

    Args:
        asked: When, in seconds of the simulated clock.
        decision: What was said to that.
        ended: When that was decided which had to wait; else as `asked`.
        last: The decision that held in the end.
    """

    asked: float
    decision: Decision
    ended: float
    last: Decision

    @property
    def waited(self) -> bool:
        """Whether it had to wait."""
        return self.decision.verdict is Verdict.WAIT


class DecisionLog(Policy):
    """A policy that remembers what another one decided.

    ```python
    log = DecisionLog(LoadLimits(registered=15))
    records = [*synthesize(SynthesisConfiguration(), seed=1, policy=log)]
    network = CoreNetwork(configuration, subscribers, policy=log.replay())
    ```

    Args:
        policy: That decides.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._outcomes: dict[Asked, list[Outcome]] = defaultdict(list)

    def decide(self, situation: Situation) -> Decision:
        """Returns the decision of the policy."""
        found = self._policy.decide(situation)
        ended, last = situation.time, found
        if found.verdict is Verdict.WAIT:  # it is rejected when its patience ends, unless it is chosen before
            ended, last = ended + found.patience, reject(found.cause, found.back_off)
        self._outcomes[Asked.of(situation)].append(Outcome(situation.time, found, ended, last))
        return found

    def choose(self, waiting: Sequence[Situation]) -> int | None:
        """Returns whom the policy admits next."""
        place = self._policy.choose(waiting)
        if place is not None:
            chosen = waiting[place]
            known = _nearest(self._outcomes[Asked.of(chosen)], chosen.time - chosen.waited)
            if known is not None:
                known.ended, known.last = chosen.time, ADMIT
        return place

    def relief(self, load: Load) -> int:
        """Returns the relief that the policy asks for."""
        return self._policy.relief(load)

    def replay(self) -> Replay:
        """Returns a policy that decides the same again about who asks the same at the same time."""
        return Replay({asked: [*known] for asked, known in self._outcomes.items()})


class Replay(Policy):
    """A policy that decides as was decided before, and admits what nobody asked for.

    Args:
        outcomes: What became of what was asked for, in the order of time.
    """

    def __init__(self, outcomes: dict[Asked, list[Outcome]]) -> None:
        self._outcomes = outcomes
        self._waited: dict[str, list[tuple[Asked, Outcome]]] = defaultdict(list)
        for asked, known in outcomes.items():
            self._waited[asked.supi] += [(asked, outcome) for outcome in known if outcome.waited]

    def decide(self, situation: Situation) -> Decision:
        """Returns the decision that was made; that on what has waited is to wait on until it was made."""
        known = _nearest(self._outcomes.get(Asked.of(situation), ()), situation.time - situation.waited)
        if known is None:
            return ADMIT
        return known.last if situation.waited and situation.time >= known.ended - NEAR else known.decision

    def waited(self, supi: str) -> list[tuple[Asked, Outcome]]:
        """Returns what a UE asked for that had to wait, in the order in which that was decided."""
        return sorted(self._waited.get(supi, ()), key=lambda entry: entry[1].ended)


def _nearest(known: Sequence[Outcome], time: float) -> Outcome | None:
    """Returns what was asked for at a time; None if nothing was."""
    place = bisect_left(known, time - NEAR, key=lambda outcome: outcome.asked)
    found = min(known[place : place + 2], key=lambda outcome: abs(outcome.asked - time), default=None)
    return found if found is not None and abs(found.asked - time) <= NEAR else None
