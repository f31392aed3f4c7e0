"""The twin of an admission network as a gymnasium environment: `gentwin/TwinAdmission-v0`."""

from __future__ import annotations

import os
from typing import Any

from gentwin.datasets import Transitions, read_transitions
from gentwin.envs.single_copy import SingleCopyEnv
from gentwin.envs.slice_admission import SliceAdmissionVectorEnv
from gentwin.envs.slicing import refuse_foreign_arguments
from gentwin.networks.admission import AdmissionParameters, admission_schema, estimate_parameters

FOREIGN_ARGUMENTS = {"episode_steps": "the length of an episode is `horizon` here"}


class TwinAdmissionVectorEnv(SliceAdmissionVectorEnv):
    """Batched form of [`TwinAdmissionEnv`][gentwin.envs.twin_admission.TwinAdmissionEnv]:
    `gymnasium.make_vec("gentwin/TwinAdmission-v0")`.

    Arguments are those of the scalar environment, with `num_envs` first.

    Attributes:
        dynamics: Parameters of the twin: what is known of the network, with the rates that were learned.
    """

    length_argument = "horizon"

    def __init__(
        self,
        num_envs: int = 1,
        *,
        twin: str | os.PathLike | Transitions | AdmissionParameters,
        preset: str = "busy",
        horizon: int | None = 500,
        **arguments: Any,
    ) -> None:
        refuse_foreign_arguments(arguments, FOREIGN_ARGUMENTS, "gentwin/TwinAdmission-v0")
        self._given = twin
        super().__init__(num_envs, preset=preset, episode_steps=horizon, **arguments)
        del self._given

    def _dynamics(self) -> AdmissionParameters:
        known, given = self.parameters, self._given
        if not isinstance(given, AdmissionParameters):
            given = fit_dynamics(given if isinstance(given, Transitions) else read_transitions(given), known)
        if known.replace(slices=given.slices, patience=given.patience) != given or _agreed(given) != _agreed(known):
            raise ValueError(
                f"`twin` must be one of the network {known.preset!r} with these slices, demands, prices and "
                "capacities; only rates and patience are learned. Make the environment with the arguments of the "
                "network it is a twin of."
            )
        self.dynamics = given
        return given


def fit_dynamics(record: Transitions, known: AdmissionParameters) -> AdmissionParameters:
    """Returns the parameters of a network with its rates learned from a record; nothing else of `known` has an effect.

    Args:
        record: Transitions of the network under any policy.
        known: Slices, demands, prices, capacities and places of queues.

    Raises:
        ValueError: If it is a record of another network, or no time passes in it.
    """
    schema = admission_schema(known)
    for name, found, wanted in (
        ("slices", record.schema.slices, schema.slices),
        ("state", _names(record.schema.state), _names(schema.state)),
        ("outcome", _names(record.schema.outcome), _names(schema.outcome)),
    ):
        if found != wanted:
            raise ValueError(
                f"`{name}` of the record's schema must be that of the network, {list(wanted)}, got {list(found)}; "
                "record `gentwin/SliceAdmission-v0` with the same slices and resources."
            )
    return estimate_parameters(known, record.state, record.action, record.outcome, record.next_state)


def _names(fields: tuple) -> tuple[str, ...]:
    return tuple(field.name for field in fields)


def _agreed(parameters: AdmissionParameters) -> list[tuple]:
    """Returns what is agreed with the tenants."""
    return [(s.name, s.demand, s.revenue, s.penalty, s.queue_places) for s in parameters.slices]


class TwinAdmissionEnv(SingleCopyEnv):
    """A learned twin in place of the network: the environment of
    [`SliceAdmissionEnv`][gentwin.envs.slice_admission.SliceAdmissionEnv].

    ## Description

    Spaces, masks, rewards, info keys and arguments are those of `gentwin/SliceAdmission-v0`. Requests, services and
    time-outs come at rates that were estimated from recorded transitions, under whatever policy. What tenants have
    agreed with the network (demand, revenue, penalty, places of queues) and its capacity are known; the rates, the
    load and the patience of the preset are not looked at, but for the bounds of the observation space.

    The twin knows the mechanics of the network and learns its numbers: Poisson arrivals, exponential services, patience
    that is deterministic or exponential as the record says. A network of another kind needs another twin.

    ## Action space, observation space, rewards, info, starting state

    As in `gentwin/SliceAdmission-v0`.

    ## Episode end

    Episodes never terminate. They are truncated after `horizon` decisions.

    ## Arguments

    ```python
    import gentwin, gymnasium

    env = gymnasium.make_vec(
        "gentwin/TwinAdmission-v0", num_envs=256, twin="data/admission_busy/transitions.parquet", preset="busy"
    )
    ```

    Args:
        twin: What the twin is learned from: a Parquet file of transitions, or `Transitions` in memory; or parameters
            with rates learned before, the `dynamics` of another twin.
        preset: Of the network: whose demands, prices and capacities hold.
        horizon: Decisions per episode; `None` for endless ones.
        observation_fields: As in `gentwin/SliceAdmission-v0`.
        num_threads: Threads of the batched form.
        **parameters: As in `gentwin/SliceAdmission-v0`, if they are not those of the preset.

    ## Version history

    * v0: first version.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(TwinAdmissionVectorEnv(1, **arguments))
