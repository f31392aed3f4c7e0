"""A vector environment of gymnasium whose copies end together, in the form that TorchRL's `GymWrapper` takes."""

from gymnasium.vector import AutoresetMode, VectorWrapper


class ManualReset(VectorWrapper):
    """Leaves resets to TorchRL, which asks for them by a mask of copies; here always all of them."""

    autoreset_mode = AutoresetMode.DISABLED

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)
