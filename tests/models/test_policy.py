"""Policy twins: the contract of twins for every layout and generator, the state space, confidence, augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError

from gentwin.models.policy import PolicyTwinModel
from gentwin.models.policy.modeling_policy import CRITIC, GENERATOR
from gentwin.models.policy.networks import gumbel_one_hot
from gentwin.models.policy.state_space import FREE, QUEUED, REQUESTING, WAIT
from gentwin.networks.admission import admission_parameters, admission_schema
from gentwin.networks.masks import allowed_actions
from gentwin.schema import Field, TransitionSchema
from tests.models.policy_samples import CAPACITY, DEMAND, SCHEMA, greedy, make_config, make_decisions, make_twin
from tests.twin_contract import TwinContract


class SharedContract(TwinContract):
    model_class = PolicyTwinModel
    fields: dict = {}  # noqa: RUF012

    def make_config(self):
        return make_config(**self.fields)

    def make_batch(self, size=8):
        return make_decisions(size)

    def fit(self, model):
        model.fit_normalization(**make_decisions(64))


class TestShared(SharedContract):
    pass


class TestJoint(SharedContract):
    fields = {"layout": "joint"}  # noqa: RUF012


class TestActionGenerator(SharedContract):
    fields = {"generator": "actions"}  # noqa: RUF012


class TestDecisionGenerator(SharedContract):
    fields = {"generator": "decisions"}  # noqa: RUF012


def train(twin, count=400, steps=150, learning_rate=1e-2):
    optimizer = torch.optim.Adam(twin.parameters(), learning_rate)
    batch = make_decisions(count, seed=1)
    for _ in range(steps):
        optimizer.zero_grad()
        twin(**batch).loss.backward()
        optimizer.step()
    return twin


@pytest.fixture(scope="module")
def trained():
    return train(make_twin())


# States


def test_states_can_be_and_something_may_be_admitted():
    space = make_twin().space
    states = space.sample(500, torch.Generator().manual_seed(3))
    queued, wait, requesting = (states[..., field] for field in (QUEUED, WAIT, REQUESTING))
    assert states.shape == (500, 3, 5) and torch.equal(queued, queued.round())
    assert (queued <= space.longest[:, 0].ceil()).all() and (wait <= space.longest[:, 1]).all()
    assert (wait[queued == 0] == 0).all() and (queued[requesting == 1] > 0).all()
    assert (requesting.sum(dim=1) <= 1).all() and 0.5 < requesting.sum(dim=1).mean() < 0.95
    units = states[:, 0, FREE:] * torch.tensor([8.0, 6.0])
    assert (units >= 0).all() and torch.allclose(units, units.round(), atol=1e-4)
    assert space.masks(states)[:, :-1].any(dim=1).all()


def test_masks_are_those_of_the_network():
    twin, states = make_twin(), make_decisions(300)["states"]
    free = np.rint(states[:, 0, FREE:].double().numpy() * np.array(list(CAPACITY.values())))
    expected = allowed_actions(states[:, :, QUEUED].numpy(), free, np.array(list(DEMAND.values())))
    np.testing.assert_array_equal(twin.space.masks(states).numpy(), expected)


def test_free_resources_are_beside_services_that_fit():
    space = make_twin().space
    free = (space.sample(300, torch.Generator().manual_seed(0))[:, 0, FREE:] * space.capacity).round()
    held = {tuple(row) for row in (space.capacity - free).int().tolist()}
    possible = {
        (4 * video + urllc + iot, video + 3 * urllc + iot)
        for video in range(3) for urllc in range(3) for iot in range(7)
    }  # fmt: skip
    assert held <= possible and len(held) > 10


# Decisions


@pytest.mark.parametrize("layout", ["shared", "joint"])
def test_what_is_not_allowed_is_never_chosen(layout):
    twin, batch = make_twin(layout=layout), make_decisions(200)
    decision = twin.decide(batch["states"])
    assert batch["masks"].gather(1, decision.actions[:, None]).all()
    assert (decision.probabilities[~batch["masks"]] == 0).all()
    torch.testing.assert_close(decision.probabilities.sum(dim=1), torch.ones(200))
    only_none = torch.zeros_like(batch["masks"])
    only_none[:, -1] = True
    assert (twin.decide(batch["states"], only_none).actions == 3).all()


def test_a_greedy_policy_is_learnt(trained):
    test = make_decisions(500, seed=2)
    decision = trained.decide(test["states"], test["masks"])
    assert (decision.actions == test["labels"]).float().mean() > 0.93
    wrong = decision.actions != test["labels"]
    assert decision.confidence[~wrong].mean() > decision.confidence[wrong].mean() + 0.1


def test_the_twin_plays_in_a_network_whose_states_have_more_fields():
    parameters = admission_parameters("busy")
    schema = TransitionSchema(
        slices=SCHEMA.slices, state=(Field("in_service"), *SCHEMA.state[::-1]), action=SCHEMA.action
    )
    twin, states = make_twin(), make_decisions(50)["states"]
    wider = torch.cat((torch.rand(50, 3, 1), states.flip(-1)), dim=-1).double().numpy()
    np.testing.assert_array_equal(twin.policy(schema)(wider), twin.decide(states).actions.numpy())
    with pytest.raises(ValueError, match="free_radio"):
        twin.policy(TransitionSchema(slices=SCHEMA.slices, state=SCHEMA.state[:3], action=SCHEMA.action))
    assert "in_service" in [field.name for field in admission_schema(parameters).state]


def test_weights_and_shares_enter_the_loss():
    twin, batch = make_twin(), make_decisions(8)
    first = {name: tensor[:1] for name, tensor in batch.items()}
    weights = torch.zeros(8)
    weights[0] = 2.0
    torch.testing.assert_close(twin(**batch, weights=weights).loss, twin(**first).loss)
    shares = torch.nn.functional.one_hot(batch["labels"], 4).float()
    torch.testing.assert_close(twin(batch["states"], batch["masks"], shares).loss, twin(**batch).loss)


# Confidence


def test_calibration_undoes_a_known_overconfidence(trained):
    batch = make_decisions(4000, seed=5)
    with torch.no_grad():
        logits = trained(batch["states"], batch["masks"]).logits
    # Labels drawn by the twin's own probabilities at a temperature of 8: it is eight times too sure of them.
    drawn = torch.multinomial(torch.softmax(logits / 8, dim=1), 1, generator=torch.Generator().manual_seed(0))
    batch["labels"] = drawn[:, 0]
    twin = make_twin()
    twin.load_state_dict(trained.state_dict())
    twin.calibrate(**batch)
    assert float(twin.temperature) == pytest.approx(8.0, rel=0.1)
    before, after = (torch.softmax(logits / t, dim=1).amax(dim=1).mean() for t in (1.0, float(twin.temperature)))
    right = (logits.argmax(dim=1) == batch["labels"]).float().mean()
    assert abs(after - right) < 0.02 < abs(before - right)


def test_few_decisions_do_not_make_it_certain(trained):
    batch = make_decisions(200, seed=6)
    right = trained.decide(batch["states"]).actions == batch["labels"]
    few = {name: tensor[right][:3] for name, tensor in batch.items()}
    twin = make_twin()
    twin.load_state_dict(trained.state_dict())
    twin.calibrate(**few)
    assert 0.2 < float(twin.temperature) <= 1.0


# Augmentation


@pytest.mark.parametrize("generator", ["none", "actions", "decisions"])
def test_augmentation_is_allowed_and_follows_its_source(generator):
    twin = make_twin(generator=generator)
    draw = [twin.augment(40, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    states, masks, actions = draw[0]
    assert states.shape == (40, 3, 5) and actions.shape == (40,)
    assert masks.gather(1, actions[:, None]).all() and torch.equal(masks, twin.space.masks(states))
    torch.testing.assert_close(twin.space.project(states), states)
    assert all(torch.equal(one, other) for one, other in zip(draw[0], draw[1], strict=True))
    assert not torch.equal(draw[0][0], draw[2][0])


def test_without_a_generator_the_twin_labels_states_itself(trained):
    states, masks, actions = trained.augment(300, torch.Generator().manual_seed(0))
    assert torch.equal(actions, trained.decide(states, masks).actions)
    assert (actions == greedy(states, masks)).float().mean() > 0.9


@pytest.mark.parametrize("generator", ["actions", "decisions"])
def test_each_loss_has_gradients_of_its_own_weights_only(generator):
    twin, batch = make_twin(generator=generator), make_decisions(16)
    parts = {CRITIC: twin.critic, GENERATOR: twin.generator, "policy": twin.classifier}
    for objective, own in parts.items():
        twin.zero_grad()
        twin(**batch, objective=objective).loss.backward()
        moved = {name for name, weight in twin.named_parameters() if weight.grad is not None}
        names = {name for name, part in parts.items() if part is own}
        assert moved == {f"{'classifier' if 'policy' in names else objective}.{n}" for n, _ in own.named_parameters()}


def test_the_critic_learns_to_tell_and_the_generator_to_please():
    twin, batch = make_twin(generator="decisions"), make_decisions(64)
    critic = torch.optim.Adam(twin.critic.parameters(), 1e-2)
    losses = []
    torch.manual_seed(0)
    for _ in range(40):
        critic.zero_grad()
        loss = twin(**batch, objective=CRITIC).loss
        loss.backward()
        critic.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.5
    generator = torch.optim.Adam(twin.generator.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        generator.zero_grad()
        loss = twin(**batch, objective=GENERATOR).loss
        loss.backward()
        generator.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.2


def test_gumbel_draws_follow_the_probabilities():
    logits = torch.log(torch.tensor([0.7, 0.2, 0.1])).expand(20_000, -1).clone().requires_grad_()
    drawn = gumbel_one_hot(logits, 0.5, torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(dim=0), torch.tensor([0.7, 0.2, 0.1]), atol=0.02, rtol=0)
    drawn[:, 0].sum().backward()
    assert logits.grad.abs().sum() > 0


def test_the_order_of_names_does_not_matter():
    swapped = make_config(capacity=dict(reversed(CAPACITY.items())), demand=dict(reversed(DEMAND.items())))
    assert swapped.units == [8, 6] and swapped.needs == list(DEMAND.values())


# Refusals


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layout": "wide"}, "`layout`"),
        ({"generator": "actoins"}, "`generator`"),
        ({"hidden_sizes": []}, "`hidden_sizes`"),
        ({"noise_size": 0}, "`noise_size`"),
        ({"gumbel_temperature": 0.0}, "`gumbel_temperature`"),
        ({"gradient_penalty": -1}, "`gradient_penalty`"),
        ({"capacity": {"computing": 6, "storage": 8}}, "`schema` must have the state fields"),
        ({"capacity": {"radio": 0, "computing": 6}}, "`capacity`"),
        ({"demand": {"video": [4, 1]}}, "`demand` must be of the slices"),
        ({"demand": DEMAND | {"iot": [9, 1]}}, "`demand` of slice `iot`"),
        ({"demand": DEMAND | {"iot": [0, 0]}}, "`demand` of slice `iot`"),
    ],
)
def test_bad_configurations_are_refused(fields, message):
    with pytest.raises(StrictDataclassError, match=message):
        make_config(**fields)


def test_bad_input_is_refused():
    twin, batch = make_twin(), make_decisions(8)
    states, masks = batch["states"], batch["masks"]
    with pytest.raises(ValueError, match=r"`states` must have shape .*'free_radio'"):
        twin.decide(states[:, :2])
    with pytest.raises(ValueError, match="`states` must be finite"):
        twin.decide(torch.where(states == 0, torch.nan, states))
    with pytest.raises(TypeError, match="`states`"):
        twin.decide(states.numpy())
    with pytest.raises(ValueError, match="`masks`"):
        twin.decide(states, masks[:, :2])
    with pytest.raises(ValueError, match="`masks`"):
        twin.decide(states, torch.zeros_like(masks))
    with pytest.raises(ValueError, match="`num_decisions`"):
        twin.augment(0)
    with pytest.raises(ValueError, match="`generator` of the configuration"):
        twin(**batch, objective=CRITIC)
    with pytest.raises(ValueError, match="`objective`"):
        twin(**batch, objective="polcy")
