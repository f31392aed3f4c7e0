"""A training that was interrupted between two rounds goes on as if it had not been."""

import dataclasses
import zipfile

import gymnasium
import pytest
import torch

from gentwin.rl import (
    AgentError,
    LearnerArguments,
    PlainTrainer,
    TwinEnhancedArguments,
    TwinEnhancedTrainer,
    TwinFitArguments,
    q_network_config,
)
from tests.rl.test_twin_enhanced import make_config, make_env, make_trainer
from tests.twin_contract import assert_same_tensors

LSTM = {"embedding_size": 8, "hidden_size": 8, "head_hidden_size": 8, "num_members": 2, "num_quantiles": 6}


def make_ours(seed=0, **changes):
    """A trainer of our own loops, on episodes that end within a round and with a reward that knows the time."""
    env = make_env(2, "dynamic", observation_fields="all", warmup_steps=1, episode_steps=7, reward="shaped")
    loops = TwinEnhancedArguments(
        first_steps=40, steps_per_round=26, practice_updates=10, practice_copies=4, practice_horizon=3,
        history_steps=2, real_share=0.5, learns_in_network=True, empowerment=0.3,
        fit=TwinFitArguments(model_config=LSTM, num_updates=4, refit_updates=3, sequence_length=6, batch_size=4),
    )  # fmt: skip
    loops = dataclasses.replace(loops, **changes)
    return TwinEnhancedTrainer(env, make_config(env, "double_dqn"), LearnerArguments(batch_size=8), loops, seed)


def make_plain(seed=0, steps=30):
    env = make_env(2, "dynamic", observation_fields="all", warmup_steps=1, episode_steps=7)
    learning = LearnerArguments(batch_size=8, learning_starts=10)
    return PlainTrainer(env, make_config(env, "double_dqn"), learning, steps, seed)


def test_a_plain_training_goes_on_as_if_uninterrupted_and_refuses_another(tmp_path):
    whole, first, resumed = make_plain(), make_plain(), make_plain()
    whole.run(3)
    first.run(1)
    first.save(tmp_path / "round-1")
    resumed.load_state(tmp_path / "round-1")
    rounds = resumed.run(2)
    assert rounds[-1].num_updates == whole.agent.num_updates > 0
    assert_same_tensors(whole.agent.state_dict()["network"], resumed.agent.state_dict()["network"])
    assert_same_tensors(whole.collector.buffer.state_dict(), resumed.collector.buffer.state_dict())
    for other, message in (
        (make_plain(steps=31), "`steps_per_round`.*30, got 31"),
        (make_ours(), "`kind`.*'PlainTrainer', got 'TwinEnhancedTrainer'"),
    ):
        with pytest.raises(AgentError, match=message):
            other.load_state(tmp_path / "round-1")
        assert other.num_rounds == 0


def test_short_rounds_make_as_many_updates_as_long_ones():
    def updates(steps, num_rounds):
        env = make_env(2, "dynamic", observation_fields="all", warmup_steps=1)
        learning = LearnerArguments(batch_size=8, learning_starts=4, updates_per_step=0.25)
        trainer = PlainTrainer(env, make_config(env, "double_dqn"), learning, steps, 0)
        return trainer.run(num_rounds)[-1].num_updates

    assert updates(2, 20) == updates(40, 1) == (40 - 2) // 4


@pytest.mark.parametrize("make", [make_ours, make_trainer, lambda: make_trainer("gan_dqn")])
def test_resumed_equals_uninterrupted(make, tmp_path):
    whole, first = make(), make()
    whole.run(3)
    first.run(1)
    first.save(tmp_path / "round-1")
    resumed = make()
    resumed.load_state(tmp_path / "round-1")
    assert resumed.num_rounds == 1
    rounds = resumed.run(2)
    assert rounds[-1].real_steps == whole.collector.num_steps
    for mine, theirs in ((whole.agent, resumed.agent), (whole.apprentice, resumed.apprentice)):
        assert mine.num_updates == theirs.num_updates
        for part in ("network", "target"):
            assert_same_tensors(mine.state_dict()[part], theirs.state_dict()[part])
    assert_same_tensors(whole.twin.state_dict(), resumed.twin.state_dict())
    assert_same_tensors(whole.collector.buffer.state_dict(), resumed.collector.buffer.state_dict())
    assert whole.experience.transitions().fingerprint() == resumed.experience.transitions().fingerprint()
    assert whole.rng.bit_generator.state == resumed.rng.bit_generator.state


def test_a_folder_is_complete_and_without_pickled_objects(tmp_path):
    trainer = make_trainer()
    with pytest.raises(ValueError, match="at least one round"):
        trainer.save(tmp_path / "state")
    assert not list(tmp_path.iterdir())
    trainer.run(1)
    trainer.save(tmp_path / "state")
    names = sorted(path.name for path in (tmp_path / "state").iterdir())
    assert names == ["experience.parquet", "learners.pt", "network.npz", "state.json", "twin"]
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert torch.load(tmp_path / "state" / "learners.pt", weights_only=True).keys() == {"agent", "apprentice", "buffer"}
    with zipfile.ZipFile(tmp_path / "state" / "network.npz") as archive:
        assert all(b"'|O'" not in archive.read(name)[:200] for name in archive.namelist())
    with pytest.raises(FileExistsError, match="exists"):
        trainer.save(tmp_path / "state")


def test_another_training_is_refused_and_left_as_it_is(tmp_path):
    trainer = make_ours()
    trainer.run(1)
    trainer.save(tmp_path / "state")
    others = (
        (make_ours(seed=1), "`seed`.*0, got 1"),
        (make_ours(empowerment=0.4), "`arguments`.*0.3 for `empowerment`, got 0.4"),
        (make_trainer(), "`learning`"),
    )
    for other, message in others:
        before = {name: values.clone() for name, values in other.agent.network.state_dict().items()}
        with pytest.raises(AgentError, match=message):
            other.load_state(tmp_path / "state")
        assert_same_tensors(before, other.agent.network.state_dict())
        assert other.num_rounds == len(other.experience) == 0
    with pytest.raises(FileNotFoundError):
        make_ours().load_state(tmp_path / "nothing")


def test_only_the_simulated_network_can_be_taken_down(tmp_path):
    trainer = make_trainer()
    trainer.run(1)
    env = trainer.practice_env(trainer.twin)
    config = q_network_config(env, hidden_sizes=[8, 8, 8])
    twins = TwinEnhancedTrainer(env, config, trainer.learning, trainer.arguments, seed=0)
    with pytest.raises(AgentError, match=r"`env` must be 'gentwin/RanSlicing-v0'.*got TwinSlicingVectorEnv"):
        twins.save(tmp_path / "state")
    assert not list(tmp_path.iterdir())


def test_a_network_goes_back_to_its_snapshot():
    env = make_env(2, "dynamic", warmup_steps=1, episode_steps=3, reward="shaped")
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.unwrapped.snapshot()
    env.reset(seed=5)
    actions = env.action_space.sample()
    env.step(actions)
    snapshot = env.unwrapped.snapshot()
    futures = []
    for other in (env, env, make_env(2, "dynamic", warmup_steps=1, episode_steps=3, reward="shaped")):
        other.unwrapped.restore(snapshot)
        futures.append([other.step(actions)[:2] for _ in range(9)])
    for future in futures[1:]:
        for (observation, reward), (expected, wanted) in zip(future, futures[0], strict=True):
            assert (observation == expected).all()
            assert (reward == wanted).all()
