"""A core twin whose sessions a policy twin admits: which twins fit, what is decided, what a checkpoint holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gentwin.datasets import policy_schema
from gentwin.hub import CheckpointError
from gentwin.models import PolicyTwinConfig, PolicyTwinModel, SignalingTokenizer, from_pretrained
from gentwin.networks.admission import admission_parameters, admission_schema, resource_demand
from gentwin.pipelines import CoreTwin
from gentwin.pipelines.core_twin.policies import SLICES, fitted, load_policy
from gentwin.serving.configuration import read_configuration
from gentwin.serving.cores import load_core
from gentwin.signaling.core import (
    AdmissionConfiguration,
    AdmissionPolicy,
    LoadLimits,
    NetworkConfiguration,
    Resource,
    Slice,
    SynthesisConfiguration,
    Tenant,
    Verdict,
)
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.resolver import CoreNetwork
from tests.models.policy_samples import CAPACITY, DEMAND, SCHEMA, make_decisions, make_twin
from tests.pipelines.test_core_twin import CONFIGURATION, Scene
from tests.pipelines.test_core_twin import twin as twin
from tests.signaling.test_admission import situation

NETWORK = NetworkConfiguration(slices=(Slice(1), Slice(2, "000001"), Slice(3)))
RESOURCES = tuple(Resource(name, units) for name, units in CAPACITY.items())
TENANTS = tuple(
    Tenant(of, name, tuple(needs)) for of, (name, needs) in zip(NETWORK.slices, DEMAND.items(), strict=True)
)
ADMISSION = AdmissionConfiguration(RESOURCES, TENANTS)


@pytest.fixture(scope="module")
def policy_twin() -> PolicyTwinModel:
    """A policy twin that has learnt to admit who has waited longest."""
    torch.manual_seed(0)
    twin, decisions = make_twin(count=2000, hidden_sizes=[32, 32]), make_decisions(2000)
    optimizer = torch.optim.AdamW(twin.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        twin.train()(**decisions).loss.backward()
        optimizer.step()
    return twin.eval()


def states(count: int, seed: int = 1) -> np.ndarray:
    """Returns states of the slices of the tiny twin, services in progress included."""
    seen = make_decisions(count, seed)["states"].double().numpy()
    return np.insert(seen, 3, 0.0, axis=2)


# ---------------------------------------------------------------- which twins fit


def test_a_policy_twin_decides_as_the_greedy_policy_that_it_learnt(policy_twin):
    decider, greedy = load_policy(policy_twin, NETWORK, ADMISSION), load_policy(None, NETWORK, ADMISSION)
    assert isinstance(decider, AdmissionPolicy) and isinstance(greedy, AdmissionPolicy)
    agree = [decider._act(state[None]) == greedy._act(state[None]) for state in states(300)]
    assert np.mean(agree) > 0.9


def test_slices_and_resources_may_come_in_any_order(policy_twin):
    turned = AdmissionConfiguration(
        RESOURCES[::-1], tuple(replace(tenant, demand=tenant.demand[::-1], patience=3.0) for tenant in TENANTS[::-1])
    )
    found = fitted(policy_twin, NETWORK, turned)
    assert found == replace(ADMISSION, slices=tuple(replace(tenant, patience=3.0) for tenant in TENANTS))


def test_slices_of_scenarios_are_known_by_name():
    parameters = admission_parameters("busy")
    schema = policy_schema(admission_schema(parameters))
    twin = PolicyTwinModel(PolicyTwinConfig(schema=schema.to_dict(), **resource_demand(parameters)))
    states = torch.zeros(8, 4, len(schema.state))
    states[:, :, 0], states[0, :, 1] = 1.0, torch.tensor([20.0, 4.0, 30.0, 20.0])
    twin.fit_normalization(states, twin.space.masks(states), torch.zeros(8, dtype=torch.long))
    network = NetworkConfiguration(slices=tuple(SLICES.values()))
    found = fitted(twin, network)
    assert [known.patience for known in found.slices] == pytest.approx([20.0, 4.0, 30.0, 20.0]), "as recorded"
    assert [str(known.slice) for known in found.slices] == ["1-000101", "2-000102", "3-000103", "1-000104"]
    assert found.slices[0].demand == (40, 4, 8) and found.resources[0] == Resource("radio", 273)
    with pytest.raises(
        SignalingError, match=r"`admission.slices` must be slices of the network, 1, 2-000001, got 1-000101"
    ):
        fitted(twin, NetworkConfiguration())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"resources": (Resource("radio", 8), Resource("computing", 7))},
            r"`admission.resources` must be .*'computing'",
        ),
        (
            {"slices": TENANTS[:2]},
            r"`admission.slices` must be .*\['iot', 'urllc', 'video'\], got \['urllc', 'video'\]",
        ),
        (
            {"slices": (replace(TENANTS[0], demand=(3, 1)), *TENANTS[1:])},
            r"`admission.slices.video.demand` must be .*'radio': 4.* got .*'radio': 3.*; correct it, or train",
        ),
        ({"slices": (replace(TENANTS[0], name="film"), *TENANTS[1:])}, r"got \['film', 'iot', 'urllc'\]"),
    ],
)
def test_what_does_not_fit_the_twin_is_named(change, message):
    with pytest.raises(CheckpointError, match=message):
        fitted(make_twin(), NETWORK, replace(ADMISSION, **change))


def test_what_is_no_policy_twin_is_refused(twin):
    with pytest.raises(CheckpointError, match=r"`policy` must be a policy twin, such as .*, got 'gentwin_signaling'"):
        load_policy(twin[0], NETWORK, ADMISSION)
    with pytest.raises(CheckpointError, match=r"`policy` must be a policy twin, .*, got 'int'"):
        load_policy(3, NETWORK, ADMISSION)
    with pytest.raises(CheckpointError, match="shipped"):
        load_policy("gentwin/policy-of-nobody", NETWORK, ADMISSION)
    with pytest.raises(CheckpointError, match=r"`admission` must say which slice of the network 'video' .*immersive"):
        load_policy(make_twin(), NETWORK)
    with pytest.raises(ValueError, match="`limits` must be left out beside a `Policy` object"):
        load_policy(LoadLimits(), NETWORK, None, LoadLimits())
    with pytest.raises(RuntimeError):
        load_policy(
            PolicyTwinModel(PolicyTwinConfig(schema=SCHEMA.to_dict(), capacity=CAPACITY, demand=DEMAND)), NETWORK
        )


# ---------------------------------------------------------------- a served core

YAML = """
network: {slices: ["1", "2-000001", "3"]}
admission:
  resources: [{name: radio, capacity: 8}, {name: computing, capacity: 6}]
  slices:
    - {slice: "1", name: video, demand: [4, 1], patience: 5}
    - {slice: 2-000001, name: urllc, demand: [1, 3]}
    - {slice: "3", name: iot, demand: [1, 1], places: 4}
policy: policy
limits: {registered: 0}
"""


def test_a_served_core_reads_admission_and_policy(tmp_path: Path):
    make_twin().save_pretrained(tmp_path / "policy")
    path = tmp_path / "core.yaml"
    path.write_text(YAML)
    configuration = read_configuration(path)
    assert configuration.policy == str(tmp_path / "policy")
    core = load_core("reference", configuration, seed=1)
    policy = core.amf.admission._policy
    assert [tenant.patience for tenant in policy.configuration.slices] == [5.0, 10.0, 10.0]
    assert policy.decide(situation(Slice(1))).verdict in (Verdict.ADMIT, Verdict.WAIT)
    assert policy.decide(situation(None, procedure="registration")).cause == 22
    path.write_text(YAML.replace("policy: policy\n", ""))
    greedy = load_core("reference", read_configuration(path), seed=1).amf.admission._policy
    assert greedy.decide(situation(Slice(1))).admitted


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('slice: "3"', 'slice: "9"', r"`admission.slices` must be slices of the network, .*, got 9 for `iot`"),
        ("capacity: 8", "capacity: -8", r"`admission.resources.0.capacity` must be at least 1"),
        ("policy: policy", "policy: [1]", r"`policy` must be the name or the folder of a policy twin, got \[1\]"),
        ("policy: policy", "policies: x", r"`policies` is no part of a configuration; .*admission, policy"),
    ],
)
def test_what_is_wrong_in_its_file_is_named(tmp_path: Path, old: str, new: str, message: str):
    path = tmp_path / "core.yaml"
    path.write_text(YAML.replace(old, new))
    with pytest.raises(SignalingError, match=message):
        read_configuration(path)


# ---------------------------------------------------------------- with a message twin

FEW = AdmissionConfiguration((Resource("radio", 8), Resource("computing", 6)), (
    Tenant(Slice(1), "video", (4, 1), patience=6.0),
    Tenant(Slice(2, "000001"), "urllc", (1, 3)),
    Tenant(Slice(3), "iot", (1, 1)),
), back_off=20.0)  # fmt: skip
THREE = SynthesisConfiguration(
    ues=3,
    duration=12.0,
    network=replace(CONFIGURATION.network, slices=NETWORK.slices),
    profiles=CONFIGURATION.profiles[:1],
)


def full_scene(twin: tuple, policy_twin: PolicyTwinModel) -> Scene:
    """Returns a core with room for two sessions, three UEs that register, and a session of the third that waits."""
    scene = Scene(twin, load_policy(policy_twin, THREE.network, FEW), THREE).begin()
    for ue in scene.loop.ues:
        ue.register()
        scene.loop.run_until(scene.loop.now + 1.0)
    return scene


def there(scene: Scene) -> list[bool]:
    return [any(known.state == "there" for known in ue.sessions.values()) for ue in scene.loop.ues]


def test_the_twin_admits_what_fits_and_the_rest_when_resources_are_free(twin, policy_twin):
    scene = full_scene(twin, policy_twin)
    own = scene.core.network.load.of(Slice(1))
    assert (there(scene), own.sessions, own.waiting) == ([True, True, False], 2, 1)
    scene.loop.ues[0].release_session(1)
    scene.loop.run_until(scene.loop.now + 1.0)
    assert (there(scene), own.sessions, own.waiting) == ([False, True, True], 2, 0)
    assert scene.reasons == []


@pytest.fixture(scope="module")
def admission_twin() -> tuple:
    name = "gentwin/signaling-admission"
    return from_pretrained(name), SignalingTokenizer.from_pretrained(name)


def test_who_waits_too_long_is_rejected_with_cause_and_back_off(admission_twin, policy_twin):
    scene = full_scene(admission_twin, policy_twin)
    context = scene.core.network.contexts["SUPI", scene.loop.ues[2].usim.supi]
    scene.loop.run_until(scene.loop.now + 6.0)
    tokens = scene.core._conversations.tokens(scene.core._conversations.of(context))
    *_, answer = " ".join(admission_twin[1].vocabulary.decode(tokens)).rpartition("<event:decided>")
    assert answer.startswith(" <policy=reject> cause_5gsm #1a <back_off>"), "#26"
    assert "nas:PDUSessionEstablishmentReject" in answer and answer.count("cause_5gsm #1a") == 2
    assert "back_off_timer_value" in answer
    assert scene.core.network.load.of(Slice(1)).waiting == 0


def test_queues_and_resources_are_in_the_checkpoint(twin, policy_twin):
    scene = full_scene(twin, policy_twin)
    policy = scene.core.network.admission.policy
    saved = json.loads(json.dumps(scene.core.state_dict()))
    other = CoreTwin(*twin, CoreNetwork(THREE.network, scene.subscribers, policy=policy), rows=8)
    other.load_state_dict(saved)
    now = scene.loop.now
    np.testing.assert_array_equal(policy.state(other.network.load, now), policy.state(scene.core.network.load, now))
    assert policy.state(other.network.load, now)[0, 0, 0] == 1
    assert other.network.admission.due == scene.core.network.admission.due
    scene.loop.core = other
    scene.loop.ues[0].release_session(1)
    scene.loop.run_until(scene.loop.now + 1.0)
    assert there(scene) == [False, True, True]


def test_the_same_seed_says_the_same(twin, policy_twin):
    def said() -> list[bytes]:
        scene = full_scene(twin, policy_twin)
        scene.loop.run_until(scene.loop.now + 7.0)
        return [event.record.raw for event in scene.events if event.kind == "said"]

    assert said() == said()
