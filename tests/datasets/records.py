"""A small random but consistent record."""

import numpy as np

from gentwin.datasets import Transitions
from gentwin.schema import Field, TransitionSchema

SCHEMA = TransitionSchema(
    slices=("video", "control"),
    state=(Field("queued_bits", "bit", scale="log1p", atoms=(0.0,)), Field("load", high=1.0)),
    action=(Field("prb", high=50.0), Field("scheduler", categories=3)),
    context=(Field("num_users"),),
    outcome=(Field("ssr", high=1.0, atoms=(0.0, 1.0)),),
    step_ms=100.0,
    name="test",
)


def make_record(num_episodes: int = 4, num_steps: int = 10, seed: int = 0, schema=SCHEMA) -> Transitions:
    rng = np.random.default_rng(seed)
    shape = num_episodes * num_steps, len(schema.slices)
    states = rng.random((num_episodes, num_steps + 1, len(schema.slices), 2), dtype=np.float32)
    states[..., 0] *= 1e5
    action = np.stack([rng.integers(0, 51, shape), rng.integers(0, 3, shape)], axis=-1).astype(np.float32)
    return Transitions(
        schema=schema,
        episode=np.repeat(np.arange(num_episodes), num_steps),
        step=np.tile(np.arange(num_steps), num_episodes),
        state=states[:, :-1].reshape(*shape, 2),
        action=action,
        context=rng.integers(1, 9, (*shape, 1)).astype(np.float32),
        outcome=rng.random((*shape, 1), dtype=np.float32),
        next_state=states[:, 1:].reshape(*shape, 2),
        seed=seed,
        provenance={"site": "lab"},
    )
