"""Distillation of a teacher's actions into a small network."""

import numpy as np
import pytest
import torch

from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.rl.distillation import DistillationArguments, distil, microseconds_per_decision, pseudo_labels

ARGUMENTS = DistillationArguments(num_epochs=60, patience=60, batch_size=128)


@pytest.fixture(scope="module")
def teacher():
    """Two regions to each side of a line, which one hidden layer can tell apart."""
    torch.manual_seed(0)
    network = QNetworkModel(
        QNetworkConfig(
            observation_fields=["load", "queue"],
            observation_scales=["linear", "log1p"],
            num_actions=3,
            hidden_sizes=[8],
        )
    )
    network.fit_normalization(states(500, 9), torch.randn(500), 0.5)
    return network


def states(count, seed):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, 2, generator=generator)
    return torch.stack((drawn[:, 0], drawn[:, 1].exp()), dim=1)


def test_student_takes_the_teachers_actions_in_states_it_has_not_seen(teacher):
    student, report = distil(teacher, states(3000, 0), ARGUMENTS, seed=0)
    fresh = states(2000, 1)
    labels = pseudo_labels(teacher, fresh)
    assert len(labels.unique()) > 1, "a teacher with one action teaches nothing"
    assert (student.greedy(fresh) == labels).float().mean() >= 0.98
    assert report.agreement >= 0.98
    assert report.student_parameters == sum(values.numel() for values in student.parameters())
    assert (student.config.head, student.config.hidden_sizes) == ("plain", [16, 16])


def test_student_is_saved_with_the_teachers_names_and_statistics(teacher, tmp_path):
    student, _ = distil(teacher, states(500, 0), DistillationArguments((4, 4), num_epochs=2), seed=0)
    student.save_pretrained(tmp_path)
    loaded = QNetworkModel.from_pretrained(tmp_path)
    assert loaded.config.observation_fields == teacher.config.observation_fields
    assert torch.equal(loaded.observation_mean, teacher.observation_mean)
    assert torch.equal(loaded.greedy(states(100, 2)), student.greedy(states(100, 2)))


def test_training_ends_when_agreement_no_longer_grows(teacher):
    arguments = DistillationArguments(num_epochs=200, patience=2, learning_rate=1e-9)
    _, report = distil(teacher, states(500, 0), arguments, seed=0)
    assert report.num_epochs < 200


def test_same_seed_gives_the_same_student(teacher):
    arguments = DistillationArguments(num_epochs=2)
    students = [distil(teacher, states(500, 0), arguments, seed)[0].state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(students[0][name], students[1][name]) for name in students[0])
    assert any(not torch.equal(students[0][name], students[2][name]) for name in students[0])


def test_randomness_of_the_caller_is_left_alone(teacher):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    distil(teacher, states(50, 0), DistillationArguments(num_epochs=1), seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_decisions_take_some_time(teacher):
    assert 0 < microseconds_per_decision(teacher, states(20, 0).numpy(), num_rounds=2) < 1e5
    with pytest.raises(ValueError, match="`observations` and `num_rounds`"):
        microseconds_per_decision(teacher, np.zeros((0, 2)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden_sizes": ()},
        {"hidden_sizes": (0, 4)},
        {"batch_size": 0},
        {"patience": 0},
        {"num_epochs": 0},
        {"learning_rate": float("inf")},
        {"held_out_share": 1.0},
    ],
)
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}`"):
        DistillationArguments(**wrong)


def test_too_few_states_and_an_unfitted_teacher_are_refused(teacher):
    with pytest.raises(ValueError, match="`observations`"):
        distil(teacher, states(1, 0), ARGUMENTS, seed=0)
    with pytest.raises(RuntimeError):
        distil(QNetworkModel(teacher.config), states(10, 0), ARGUMENTS, seed=0)
