from typing import ClassVar

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError

import gentwin
from gentwin.models.slice_mean import SliceMeanTwinModel
from tests.models.dynamics_contract import DynamicsContract, toy_sequences


class TestSliceMean(DynamicsContract):
    model_class = SliceMeanTwinModel
    sizes: ClassVar = {"hidden_size": 24, "reward_hidden_sizes": [24, 16]}

    def test_loss_is_a_squared_error_in_variances_of_the_target(self) -> None:
        model, data = self.make_model(), toy_sequences(32, steps=1, seed=1)
        observation, action, context = self.arguments(data)
        with torch.inference_mode():
            output = model(**data)
            means = model.predict(observation, action, model.initial_state(32), context).mean()
        training = toy_sequences(16, steps=12, seed=1)["labels"].flatten(0, 1)
        errors = (means - data["labels"][:, 0]) / training.std(dim=0, correction=0)
        # Target 1 has no bounds at which predictions would be cut off.
        torch.testing.assert_close(output.squared_error[1], errors[..., 1].square().mean())
        torch.testing.assert_close(output.loss, output.squared_error.mean())

    def test_noise_and_member_play_no_part(self) -> None:
        model, data = self.make_model(), self.make_batch()
        state, noise, member = model.initial_state(8), torch.randn(8, 2, 3), torch.zeros(8, dtype=torch.long)
        observation, action, context = self.arguments(data)
        with torch.inference_mode():
            first, _ = model.step(observation, action, state, noise, context)
            other, _ = model.step(observation, action, state, -noise, context, member)
            distribution = model.predict(observation, action, state, context)
        assert torch.equal(first, other)
        for means in (distribution.mean(), distribution.sample(noise), *distribution.quantile([0.01, 0.99])):
            torch.testing.assert_close(means, first)
        assert (distribution.uncertainty() == 0).all()

    def test_the_reward_has_no_memory(self) -> None:
        model, data = self.make_model(), self.make_batch()
        observation, action, context = self.arguments(data)
        state = model.initial_state(8)
        later = model.observe(observation + 1.0, action, state, context)
        with torch.inference_mode():
            first, then = (model.step(observation, action, s, torch.zeros(8, 2, 3), context)[0] for s in (state, later))
        assert torch.equal(first[..., 2], then[..., 2])
        assert not torch.equal(first[..., :2], then[..., :2])

    def test_learns_means(self) -> None:
        torch.manual_seed(0)
        model = self.train(self.model_class(self.make_config()), num_steps=250)
        held_out = toy_sequences(256, steps=2, seed=5)
        observation, action, context = self.arguments(held_out)
        with torch.inference_mode():
            means = model.predict(observation, action, model.initial_state(256), context).mean()
        truth = held_out["labels"][:, 0]
        assert (means[..., 1] - 0.8 * observation[..., 1]).abs().mean() < 0.2
        for target in (0, 2):
            error, spread = (means - truth)[..., target], truth[..., target] - truth[..., target].mean()
            assert error.square().mean() < 0.5 * spread.square().mean()

    @pytest.mark.parametrize("sizes", [[], [0]])
    def test_bad_dense_network_is_refused_by_name(self, sizes: list[int]) -> None:
        with pytest.raises(StrictDataclassError, match="`reward_hidden_sizes`"):
            self.make_config(reward_hidden_sizes=sizes)

    def test_ensembles_are_refused(self) -> None:
        with pytest.raises(ValueError, match="`num_members`"):
            gentwin.SliceMeanTwinConfig(num_members=5)
