"""Fitting twins to records in memory."""

import dataclasses

import numpy as np
import pytest
import torch

from gentwin.datasets import Transitions
from gentwin.rl import TwinFitArguments, fit_twin
from gentwin.training import ArgumentsError
from tests.twin_contract import assert_same_tensors

SIZES = {
    "gentwin_slice_lstm": {"embedding_size": 8, "hidden_size": 8, "head_hidden_size": 8, "num_members": 2},
    "gentwin_slice_mean": {"hidden_size": 8, "reward_hidden_sizes": [8]},
}


def arguments(model_type="gentwin_slice_mean", **changes):
    sizes = {"num_updates": 40, "refit_updates": 15, "sequence_length": 10, "batch_size": 8}
    return TwinFitArguments(model_type=model_type, model_config=SIZES[model_type], **{**sizes, **changes})


@pytest.fixture(scope="module")
def record(slicing_record):
    return slicing_record("hua2019", 120)


def loss_of(twin, record: Transitions) -> float:
    columns = {"states": record.state, "actions": record.action, "labels": record.targets}
    with torch.inference_mode():
        return float(twin(**{name: torch.from_numpy(values)[None] for name, values in columns.items()}).loss)


@pytest.mark.parametrize("model_type", SIZES)
def test_updates_lower_the_loss_and_a_refit_goes_on(record, model_type):
    short, first = (fit_twin(record, arguments(model_type, num_updates=number), seed=0) for number in (1, 40))
    again = fit_twin(record, arguments(model_type), seed=1, previous=first)
    losses = [loss_of(twin, record) for twin in (short, first, again)]
    assert losses[1] < 0.9 * losses[0]
    assert losses[2] < 0.5 * (losses[0] + losses[1])
    assert not again.training
    for name in ("field_encoder.mean", "heads.transition.scale.mean", "start_states"):
        assert torch.equal(first.state_dict()[name], again.state_dict()[name]), "statistics are those of the first fit"


@pytest.mark.parametrize("model_type", SIZES)
def test_one_seed_gives_one_twin(record, model_type):
    first, again, other = (fit_twin(record, arguments(model_type, num_updates=5), seed=seed) for seed in (0, 0, 1))
    assert_same_tensors(first.state_dict(), again.state_dict())
    assert loss_of(first, record) != loss_of(other, record)
    previous = {name: values.clone() for name, values in first.state_dict().items()}
    before = torch.random.get_rng_state()
    refits = [fit_twin(record, arguments(model_type), seed=3, previous=first) for _ in range(2)]
    assert_same_tensors(refits[0].state_dict(), refits[1].state_dict())
    assert_same_tensors(previous, first.state_dict())
    assert torch.equal(before, torch.random.get_rng_state())


def test_without_refits_a_twin_is_fitted_anew(record):
    anew_every_time = arguments("gentwin_slice_lstm", num_updates=3, refit_updates=None)
    previous = fit_twin(record, anew_every_time, seed=1)
    anew, fresh = (fit_twin(record, anew_every_time, seed=2, previous=twin) for twin in (previous, None))
    assert_same_tensors(anew.state_dict(), fresh.state_dict())


@pytest.mark.parametrize("num_updates", [1, 2, 3, 10, 20])
def test_any_number_of_updates(record, num_updates):
    twin = fit_twin(record, arguments(num_updates=num_updates, batch_size=2), seed=0)
    assert np.isfinite(loss_of(twin, record))


def test_bad_arguments_are_refused(record, slicing_record):
    refused = {"num_updates": (0,), "refit_updates": (0,), "sequence_length": (1,), "learning_rate": (0.0,)}
    refused["weight_decay"] = (-0.1, float("inf"), float("nan"))
    for name, values in refused.items():
        for value in values:
            with pytest.raises(ValueError, match=f"`{name}` must be .*, got {value}"):
                arguments(**{name: value})
    assert arguments(weight_decay=0.0).weight_decay == 0
    with pytest.raises(ArgumentsError, match=r"`model_type`.*gentwin_slice_mean"):
        fit_twin(record, TwinFitArguments(model_type="gentwin_slice_means"), seed=0)
    twin = fit_twin(record, arguments(num_updates=1), seed=0)
    with pytest.raises(ValueError, match=r"`previous`.*\['gaming', .*got one of 'hua2019'"):
        fit_twin(slicing_record("dynamic", 20), arguments(), seed=0, previous=twin)


@pytest.mark.parametrize("model_type", SIZES)
def test_refitted_twin_can_say_what_it_has_seen_since(record, model_type):
    twin = fit_twin(record, arguments(model_type), seed=0)
    index = [field.name for field in record.schema.outcome].index("slice_spectral_efficiency")
    outcome = record.outcome.copy()
    outcome[-1, :, index] = 3 * outcome[:, :, index].max(axis=0)
    refitted = fit_twin(dataclasses.replace(record, outcome=outcome), arguments(model_type), seed=0, previous=twin)
    before, after = twin.heads["reward"].scale, refitted.heads["reward"].scale
    assert (after.maximum[:, index] >= torch.from_numpy(outcome[-1, :, index])).all()
    assert (after.maximum[:, index] > before.maximum[:, index]).all()
    assert torch.equal(before.mean, after.mean)
    assert torch.equal(before.scale, after.scale)
