"""How the copies of a vector environment begin a new episode."""

from __future__ import annotations

from gymnasium.vector import AutoresetMode, VectorEnv

_NAMES = {
    AutoresetMode.NEXT_STEP: "next-step",
    AutoresetMode.SAME_STEP: "same-step, which hides the last state",
    AutoresetMode.DISABLED: "disabled",
}


def checked_autoreset_mode(env: VectorEnv, *allowed: AutoresetMode) -> AutoresetMode:
    """Returns how copies are reset: in the step after the last one of an episode, or by whoever calls `reset`.

    Args:
        env: The environment.
        allowed: Ways that are allowed. Same-step is none of them: the environment then returns the first state of the
            next episode in place of the last one.

    Raises:
        ValueError: If it is another way.
    """
    mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
    if mode not in allowed:
        raise ValueError(
            f"`autoreset_mode` must be {' or '.join(_NAMES[each] for each in allowed)}, got {_NAMES[mode]}; make the "
            "environment with `vector_kwargs={'autoreset_mode': AutoresetMode.NEXT_STEP}`."
        )
    return mode
