"""The contract of twins of slice dynamics, on top of that of all twins."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor

from gentwin.models.modeling_distributional import DistributionalTwin
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.schema import Field, TransitionSchema
from tests.twin_contract import TwinContract

SCHEMA = TransitionSchema(
    slices=("video", "urllc"),
    state=(Field("queued_bits", "bit", scale="log1p", atoms=(0.0,)), Field("channel_db", "dB", low=-torch.inf)),
    action=(Field("bandwidth_hz", "Hz", high=20e6), Field("scheduler", categories=3)),
    context=(Field("num_users", high=50.0),),
    outcome=(Field("ssr", high=1.0, atoms=(0.0, 1.0)),),
    step_ms=100.0,
    name="toy",
)


def toy_sequences(size: int, steps: int, seed: int, schema: TransitionSchema = SCHEMA) -> dict[str, Tensor]:
    """Draws sequences of a small system whose dynamics are known.

    The channel is an AR(1) process with coefficient 0.8 and noise 0.6, the queue empties with the bandwidth, and the
    share of satisfied packets falls with the next queue, so the two depend on each other.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (size, steps, len(schema.slices))
    bandwidth = torch.rand(shape, generator=generator) * 20e6
    scheduler = torch.randint(3, shape, generator=generator).float()
    num_users = torch.randint(1, 50, (size, 1, 1), generator=generator).expand(shape).float()
    channel, queue = torch.zeros(*shape[:1], shape[2]), torch.zeros(*shape[:1], shape[2])
    states, labels = [], []
    for step in range(steps):
        states.append(torch.stack((queue, channel), dim=-1))
        noise, burst = (torch.randn(channel.shape, generator=generator) for _ in range(2))
        load = num_users[:, step] / 25.0 + 0.5 * burst - bandwidth[:, step] / 10e6
        channel = 0.8 * channel + 0.6 * noise
        queue = (0.5 * queue + 1e4 * (load - 0.2 * channel)).clamp(min=0.0)
        ssr = (1.2 - queue / 2e4).clamp(0.0, 1.0)
        labels.append(torch.stack((queue, channel, ssr), dim=-1))
    return {
        "states": torch.stack(states, dim=1),
        "actions": torch.stack((bandwidth, scheduler), dim=-1),
        "contexts": num_users.unsqueeze(-1),
        "labels": torch.stack(labels, dim=1),
        "mask": torch.ones(shape[:2], dtype=torch.bool),
    }


class DynamicsContract(TwinContract):
    """What a twin of slice dynamics promises besides: causal encodings, pure steps, bounded targets."""

    model_class: type[DynamicsTwin]
    sizes: ClassVar[dict[str, Any]]

    def make_config(self, schema: TransitionSchema = SCHEMA, **changes):
        return self.model_class.config_class(schema=schema.to_dict(), **{**self.sizes, **changes})

    def make_batch(self, size: int = 8) -> dict[str, Tensor]:
        return toy_sequences(size, steps=6, seed=0)

    def fit(self, model: DynamicsTwin) -> None:
        model.fit_normalization(**toy_sequences(16, steps=12, seed=1, schema=model.transition_schema))

    def train(self, model: DynamicsTwin, num_steps: int, **changes: Tensor) -> DynamicsTwin:
        """Trains on toy sequences for some steps."""
        data = {**toy_sequences(128, steps=16, seed=2), **changes}
        model.fit_normalization(**data)
        optimizer = torch.optim.Adam(model.train().parameters(), 5e-3)
        generator = torch.Generator().manual_seed(0)
        for _ in range(num_steps):
            rows = torch.randint(len(data["states"]), (32,), generator=generator)
            loss = model(**{name: tensor[rows] for name, tensor in data.items()}).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return model.eval()

    @torch.inference_mode()
    def roll_out(self, model: DynamicsTwin, size: int, steps: int, seed: int = 0) -> Tensor:
        """Returns targets `(size, steps, N, O)` of the twin left to itself under random actions."""
        data = toy_sequences(size, steps, seed=3, schema=model.transition_schema)
        generator = torch.Generator().manual_seed(seed)
        num_state = len(model.transition_schema.state)
        observation, state, targets = data["states"][:, 0], model.initial_state(size), []
        for step in range(steps):
            noise = torch.randn(data["labels"][:, step].shape, generator=generator)
            member = torch.randint(model.config.num_members, (size,), generator=generator)
            drawn, state = model.step(
                observation, data["actions"][:, step], state, noise, data["contexts"][:, step], member
            )
            observation = drawn[..., :num_state]
            targets.append(drawn)
        return torch.stack(targets, dim=1)

    def arguments(self, data: dict[str, Tensor], step: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Observation, action and context of one step."""
        return tuple(data[name][:, step] for name in ("states", "actions", "contexts"))

    # Time

    def test_steps_encode_what_sequences_encode(self) -> None:
        model, data = self.make_model(), toy_sequences(3, steps=9, seed=4)
        features = model.field_encoder(torch.cat([data[name] for name in ("states", "actions", "contexts")], dim=-1))
        memory, encodings = model.initial_memory(3), []
        with torch.no_grad():
            for step in range(9):
                encoding, memory = model.encode_step(features[:, step], memory)
                encodings.append(encoding)
            torch.testing.assert_close(torch.stack(encodings, dim=1), model.encode_sequence(features))

    def test_the_future_does_not_reach_back(self) -> None:
        model, data = self.make_model(), toy_sequences(3, steps=9, seed=4)
        features = model.field_encoder(torch.cat([data[name] for name in ("states", "actions", "contexts")], dim=-1))
        changed = features.clone()
        changed[:, 5:] += 1.0
        with torch.no_grad():
            before, after = model.encode_sequence(features), model.encode_sequence(changed)
        torch.testing.assert_close(before[:, :5], after[:, :5])
        assert not torch.allclose(before[:, 5:], after[:, 5:])

    def test_padding_does_not_matter(self) -> None:
        model, data = self.make_model(), self.make_batch()
        data["mask"][:, 4:] = False
        loss = model(**data).loss
        data["labels"][:, 4:] = torch.nan
        data["states"][:, 4:] = 7.0
        assert torch.equal(loss, model(**data).loss)
        short = {name: tensor[:, :4] for name, tensor in data.items()}
        torch.testing.assert_close(loss, model(**short).loss)

    # Steps

    def test_step_is_a_function_of_its_arguments(self) -> None:
        model, data = self.make_model(), self.make_batch()
        state, noise = model.initial_state(8), torch.randn(8, 2, 3)
        observation, action, context = self.arguments(data)
        with torch.inference_mode():
            first, next_state = model.step(observation, action, state, noise, context)
            again, _ = model.step(observation, action, state, noise, context)
            later, _ = model.step(observation, action, next_state, noise, context)
        assert torch.equal(first, again)
        assert not torch.equal(first, later)
        assert all(len(part) == 8 for part in next_state)

    def test_long_roll_outs_stay_in_range(self) -> None:
        targets = self.roll_out(self.make_model(), size=16, steps=300)
        training = toy_sequences(16, steps=12, seed=1)["labels"]
        assert torch.isfinite(targets).all()
        assert (targets[..., 0] >= 0).all()
        assert (targets[..., 0] <= 3 * training[..., 0].max()).all()
        assert ((targets[..., 2] >= 0) & (targets[..., 2] <= 1)).all()

    # Schema and shapes

    def test_slices_and_fields_come_from_the_schema(self) -> None:
        schema = TransitionSchema(
            slices=tuple("abcde"), state=SCHEMA.state[:1], action=SCHEMA.action[:1], outcome=(), step_ms=100.0
        )
        torch.manual_seed(0)
        model = self.model_class(self.make_config(schema))
        states, actions = torch.rand(4, 6, 5, 1), torch.rand(4, 6, 5, 1)
        model.fit_normalization(states, actions, labels=states)
        assert torch.isfinite(model(states, actions, labels=states).loss)
        targets, _ = model.step(states[:, 0], actions[:, 0], model.initial_state(4), torch.randn(4, 5, 1))
        assert targets.shape == (4, 5, 1)

    @pytest.mark.parametrize("name", ["states", "actions", "contexts", "labels"])
    def test_wrong_shape_is_refused_by_name(self, name: str) -> None:
        model, batch = self.make_model(), self.make_batch()
        with pytest.raises(ValueError, match=f"`{name}` must have shape"):
            model(**{**batch, name: batch[name][..., :-1]})
        if name in ("contexts", "labels"):
            with pytest.raises(ValueError, match=f"`{name}`.*got None"):
                model(**{**batch, name: None})

    def test_a_step_refuses_what_would_spread(self) -> None:
        model, batch = self.make_model(), self.make_batch()
        schema = model.transition_schema
        states, actions, contexts = (batch.get(name) for name in ("states", "actions", "contexts"))
        copies = len(states)
        inputs = [states[:, 0].clone(), actions[:, 0], model.initial_state(copies)]
        noise = torch.zeros(copies, model.num_slices, model.num_targets)
        context = {} if contexts is None else {"context": contexts[:, 0]}
        with pytest.raises(TypeError, match="`observation` must be a torch tensor, got ndarray"):
            model.step(inputs[0].numpy(), *inputs[1:], noise, **context)
        with pytest.raises(ValueError, match="`noise` must be a torch tensor"):
            model.step(*inputs, noise.numpy(), **context)
        inputs[0][1, 0, 0] = torch.nan
        message = f"`{schema.state[0].name}` of slice `{schema.slices[0]}` must be finite, got nan in copy 1"
        for call in (model.predict, model.observe):
            with pytest.raises(ValueError, match=message):
                call(*inputs, **context)
        with pytest.raises(ValueError, match=message):
            model.step(*inputs, noise, **context)

    def test_statistics_refuse_what_is_not_finite(self) -> None:
        model, batch = self.model_class(self.make_config()), self.make_batch()
        batch["labels"][0, 0, 0, 0] = torch.nan
        with pytest.raises(ValueError, match="`labels` must be finite"):
            model.fit_normalization(**batch)

    def test_statistics_ignore_padding(self) -> None:
        model, batch = self.make_model(), self.make_batch()
        model.fit_normalization(**batch)
        expected = {name: buffer.clone() for name, buffer in model.named_buffers()}
        padded = {
            name: torch.cat((part, part[:, -1:].repeat_interleave(3, dim=1)), dim=1) for name, part in batch.items()
        }
        padded["mask"][:, -3:] = False
        padded["labels"][:, -3:] = torch.nan
        model.fit_normalization(**padded)
        for name, buffer in model.named_buffers():
            torch.testing.assert_close(buffer, expected[name])

    @pytest.mark.parametrize(("name", "value"), [("hidden_size", 0), ("feature_clip", 0), ("range_margin", -0.1)])
    def test_bad_size_is_refused_by_name(self, name: str, value: int) -> None:
        with pytest.raises(StrictDataclassError, match=f"`{name}`"):
            self.make_config(**{name: value})

    def test_missing_schema_is_refused(self) -> None:
        with pytest.raises(ValueError, match="`schema`"):
            self.model_class(self.model_class.config_class())


class DistributionalContract(DynamicsContract):
    """What a twin that draws from distributions promises besides: calibrated draws, members, joint noise."""

    model_class: type[DistributionalTwin]

    def test_noise_matters(self) -> None:
        model, data = self.make_model(), self.make_batch()
        state, noise = model.initial_state(8), torch.randn(8, 2, 3)
        observation, action, context = self.arguments(data)
        with torch.inference_mode():
            drawn, other = (model.step(observation, action, state, sign * noise, context)[0] for sign in (1, -1))
        assert not torch.equal(drawn, other)

    def test_each_copy_uses_its_own_member(self) -> None:
        model, data = self.make_model(), self.make_batch()
        state, noise = model.initial_state(8), torch.randn(8, 2, 3)
        observation, action, context = self.arguments(data)
        member = torch.tensor([1, 0, 1, 1, 0, 0, 1, 0])
        with torch.inference_mode():
            mixed, _ = model.step(observation, action, state, noise, context, member)
            alone = [
                model.step(observation, action, state, noise, context, torch.full((8,), index))[0] for index in (0, 1)
            ]
        expected = torch.where(member[:, None, None] == 1, alone[1], alone[0])
        torch.testing.assert_close(mixed, expected)
        assert not torch.equal(alone[0], alone[1])

    def test_average_member_is_the_predicted_distribution(self) -> None:
        model, data = self.make_model(), self.make_batch()
        state, noise = model.initial_state(8), torch.randn(8, 2, 3)
        observation, action, context = self.arguments(data)
        with torch.inference_mode():
            drawn, _ = model.step(observation, action, state, noise, context)
            distribution = model.predict(observation, action, state, context)
        torch.testing.assert_close(drawn, distribution.sample(noise))
        quantiles = distribution.quantile([0.05, 0.5, 0.95])
        assert quantiles.shape == (3, 8, 2, 3)
        assert (quantiles.diff(dim=0) >= 0).all()
        assert distribution.mean().shape == distribution.uncertainty().shape == (8, 2, 3)
        assert (distribution.uncertainty() > 0).all()

    def test_learns_known_dynamics(self) -> None:
        torch.manual_seed(0)
        model = self.train(self.model_class(self.make_config()), num_steps=250)
        held_out = toy_sequences(256, steps=2, seed=5)
        observation, action, context = self.arguments(held_out)
        with torch.inference_mode():
            distribution = model.predict(observation, action, model.initial_state(256), context)
            low, median, high = distribution.quantile([0.05, 0.5, 0.95])
        truth = held_out["labels"][:, 0]
        assert (median[..., 1] - 0.8 * observation[..., 1]).abs().mean() < 0.2
        inside = ((truth >= low - 1e-4) & (truth <= high + 1e-4)).float().mean(dim=(0, 1))
        assert ((inside[1] - 0.9).abs() < 0.06).all()
        queue_error = (median[..., 0] - truth[..., 0]).abs().mean()
        assert queue_error < 0.6 * (truth[..., 0] - truth[..., 0].median()).abs().mean()

    def test_copula_gives_targets_their_dependence(self) -> None:
        torch.manual_seed(0)
        model = self.train(self.model_class(self.make_config()), num_steps=60)
        data = toy_sequences(128, steps=16, seed=6)
        model.fit_copula(**data, generator=torch.Generator().manual_seed(0))
        observation, action, context = torch.zeros(2000, 2, 2), torch.zeros(2000, 2, 2), torch.full((2000, 2, 1), 25.0)
        noise = torch.randn(2000, 2, 3, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            drawn, _ = model.step(observation, action, model.initial_state(2000), noise, context)
        assert torch.corrcoef(torch.stack((drawn[:, 0, 0], drawn[:, 0, 2])))[0, 1] < -0.5
        assert torch.corrcoef(torch.stack((drawn[:, 0, 0], drawn[:, 1, 0])))[0, 1].abs() < 0.2

    @pytest.mark.parametrize(("name", "value"), [("num_members", 0), ("num_quantiles", 1), ("embedding_size", 0)])
    def test_bad_head_is_refused_by_name(self, name: str, value: int) -> None:
        with pytest.raises(StrictDataclassError, match=f"`{name}`"):
            self.make_config(**{name: value})

    def test_noise_with_memory_keeps_its_spread(self) -> None:
        model = self.make_model()
        model.noise_memory.copy_(torch.linspace(-0.6, 0.6, len(model.noise_memory)))
        generator, scores, drawn = torch.Generator().manual_seed(0), model.initial_state(20000)[-1], []
        for _ in range(12):
            noise = torch.randn(20000, model.num_slices, model.num_targets, generator=generator)
            scores = model._next_scores(noise, scores)
            drawn.append(scores)
        last = torch.stack(drawn[-2:])
        spread = model.noise_mixing.square().sum(dim=1).sqrt()
        for step in (drawn[0], last[1]):
            torch.testing.assert_close(step.std(dim=0), spread, rtol=0.05, atol=0.02)
        memory = (last[0] * last[1]).mean(dim=0) / spread.square()
        torch.testing.assert_close(memory, model.noise_memory, rtol=0.05, atol=0.03)
