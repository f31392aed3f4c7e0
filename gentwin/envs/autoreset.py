"""How the copies of a vector environment begin a new episode."""

from __future__ import annotations

from gymnasium.vector import AutoresetMode, VectorEnv


def checked_autoreset_mode(env: VectorEnv) -> AutoresetMode:
    """Returns how copies are reset: in the step after the last one of an episode, or by whoever calls `reset`.

    Raises:
        ValueError: If it is within the last step, of which the environment then returns the first state of the next
            episode.
    """
    mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
    if mode is AutoresetMode.SAME_STEP:
        raise ValueError(
            "`autoreset_mode` must be next-step or disabled, got same-step, which hides the last state; make the "
            "environment with `vector_kwargs={'autoreset_mode': AutoresetMode.NEXT_STEP}`."
        )
    return mode
