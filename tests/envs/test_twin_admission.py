"""Behaviour of the environment over a twin of admission control."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import gentwin.envs  # noqa: F401 (registers the environments)
from gentwin.datasets import read_transitions
from gentwin.envs.recorder import record_transitions
from gentwin.envs.twin_admission import fit_dynamics
from gentwin.networks.admission import admission_parameters

SHORT = {"warmup_s": 20.0}


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("record") / "transitions.parquet"
    network = gymnasium.make_vec("gentwin/SliceAdmission-v0", num_envs=4, preset="small", num_threads=1, **SHORT)
    env, rng = record_transitions(network, path), np.random.default_rng(0)
    _, info = env.reset(seed=0)
    for _ in range(50):
        actions = np.where(info["action_mask"], rng.random((4, 5)), -1).argmax(axis=1)
        *_, info = env.step(actions)
    env.close()
    return path


def make_vec(record, num_envs=3, **arguments):
    return gymnasium.make_vec(
        "gentwin/TwinAdmission-v0", num_envs=num_envs, twin=record, num_threads=1,
        **{"preset": "small", **SHORT, **arguments},
    )  # fmt: skip


def test_checkers_pass_without_a_warning(record):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("gentwin/TwinAdmission-v0", twin=record, preset="small", **SHORT).unwrapped)


def test_spaces_and_info_are_those_of_the_network(record):
    twin = make_vec(record)
    network = gymnasium.make_vec("gentwin/SliceAdmission-v0", num_envs=3, preset="small", num_threads=1, **SHORT)
    assert twin.observation_space == network.observation_space and twin.action_space == network.action_space
    for env in (twin, network):
        env.reset(seed=0)
    ours, theirs = (env.step(np.full(3, 4))[-1] for env in (twin, network))
    assert {name: values.shape for name, values in ours.items()} == {
        name: values.shape for name, values in theirs.items()
    }


def test_the_same_seed_gives_the_same_future_and_masks_hold(record):
    def play():
        env, seen = make_vec(record, horizon=5), []
        observations, info = env.reset(seed=7)
        for _ in range(12):
            observations, rewards, _, truncated, info = env.step(info["action_mask"].argmax(axis=1))
            seen.append((observations, rewards, truncated))
            assert not info.get("forbidden", np.zeros(3)).any()
        return seen

    for (first, *rest), (again, *others) in zip(play(), play(), strict=True):
        np.testing.assert_array_equal(first, again)
        for values, same in zip(rest, others, strict=True):
            np.testing.assert_array_equal(values, same)


def test_what_happens_is_learned_from_the_record_alone(record):
    ours = make_vec(record).unwrapped.dynamics
    other = make_vec(record, load=0.5, patience="deterministic").unwrapped.dynamics
    assert ours.slices == other.slices and ours.patience == other.patience == "exponential"
    assert ours == fit_dynamics(read_transitions(record), admission_parameters("small", **SHORT))
    assert make_vec(ours).unwrapped.dynamics == ours


def test_records_and_twins_of_other_networks_are_refused(record):
    with pytest.raises(ValueError, match="`twin` must be one of the network 'busy'"):
        make_vec(admission_parameters("small", **SHORT), preset="busy")
    renamed = admission_parameters("small", resources=("radio", "computing", "memory"), **SHORT)
    with pytest.raises(ValueError, match="`state` of the record's schema"):
        make_vec(record, resources=renamed.resources)
    with pytest.raises(TypeError, match="`episode_steps` is not an argument of gentwin/TwinAdmission-v0"):
        make_vec(record, episode_steps=3)
