"""The recipe with policy twins: trained with and without a generator, resumed bit for bit, refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

import gentwin
from gentwin.models import PolicyTwinModel
from gentwin.training.checkpoints import list_checkpoints
from gentwin.training.policy.arguments import USUAL_OPTIMISATION
from tests.datasets.decision_samples import RESOURCES, record
from tests.training.conftest import ROOT, run_recipe

CONFIG = {
    "data_path": "record.parquet",
    **RESOURCES,
    "validation_size": 1,
    "test_size": 1,
    "model_type": "gentwin_policy",
    "model_config": {"hidden_sizes": [8, 8], "generator_sizes": [8], "critic_sizes": [8]},
    "max_steps": 12,
    "global_batch_size": 8,
    "learning_rate": 1e-2,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 2,
    "seed": 3,
    "eval_strategy": "steps",
    "eval_steps": 4,
    "save_steps": 4,
    "logging_steps": 1,
    "output_dir": "outputs/plain",
    "use_cpu": True,
    "torch_threads": 1,
    "disable_tqdm": True,
}
ADVERSARIAL = [
    *("--augmentation", "generator", "--adversarial_steps", "6", "--critic_updates", "2"),
    *("--model_config.generator", "decisions"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with decisions and `policy.yaml`."""
    folder = tmp_path_factory.mktemp("policy")
    record(folder / "record.parquet", num_episodes=4, episode_steps=15)
    (folder / "policy.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def run(recipe, folder: Path, output: str, *arguments: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        recipe.main(["--config", "policy.yaml", "--output_dir", f"outputs/{output}", *arguments])
    return folder / "outputs" / output


@pytest.fixture(scope="module")
def plain(place: Path, recipe) -> Path:
    return run(recipe, place, "plain")


@pytest.fixture(scope="module")
def adversarial(place: Path, recipe) -> Path:
    return run(recipe, place, "adversarial", *ADVERSARIAL)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return gentwin.from_pretrained(folder).state_dict()


def test_all_that_is_needed_is_in_the_folder(plain: Path, place: Path):
    twin = gentwin.from_pretrained(plain)
    assert isinstance(twin, PolicyTwinModel) and bool(twin.fitted) and float(twin.temperature) != 1
    content = json.loads((plain / "metrics.json").read_text())
    for name in ("accuracy", "macro_accuracy", "expected_calibration_error"):
        assert 0 <= content["figures"][f"test_{name}"] <= 1
    assert content["run"]["splits"]["train"] == {"episodes": 2, "decisions": 30}
    card = (plain / "README.md").read_text()
    for expected in ("`immersive`", "macro_accuracy", content["run"]["fingerprint"], "plots/confusion.png"):
        assert expected in card
    for name in ("calibration", "confusion", "training"):
        assert (plain / f"plots/{name}.png").stat().st_size > 5000
    for file in ("README.md", "metrics.json", "training_arguments.yaml", "config.json"):
        text = (plain / file).read_text()
        assert str(place) not in text and str(ROOT) not in text


def test_critic_and_generator_take_turns_and_then_the_classifier_learns(adversarial: Path):
    start = {name: value for name, value in weights(adversarial / "checkpoint-4").items()}
    middle, end = weights(adversarial / "checkpoint-8"), weights(adversarial)
    assert all(torch.equal(middle[n], end[n]) for n in end if n.startswith(("generator", "critic")))
    assert any(not torch.equal(start[name], middle[name]) for name in end if name.startswith("generator"))
    assert any(not torch.equal(middle[name], end[name]) for name in end if name.startswith("classifier"))
    history = json.loads((adversarial / "checkpoint-12/trainer_state.json").read_text())["log_history"]
    steps = {
        name: [entry["step"] for entry in history if name in entry]
        for name in ("critic_loss", "generator_loss", "loss")
    }
    assert steps == {"critic_loss": [1, 2, 4, 5], "generator_loss": [3, 6], "loss": [7, 8, 9, 10, 11, 12]}
    assert (adversarial / "plots/adversarial.png").stat().st_size > 5000
    assert "generator_copy_rate" in json.loads((adversarial / "metrics.json").read_text())["figures"]


@pytest.mark.parametrize("step", [4, 8])
def test_resumed_in_either_stage_equals_uninterrupted(adversarial: Path, here: Path, recipe, step: int):
    folder = here / f"outputs/resumed{step}"
    shutil.copytree(adversarial / f"checkpoint-{step}", folder / f"checkpoint-{step}")
    run(recipe, here, folder.name, *ADVERSARIAL, "--resume_from_checkpoint", "true")
    one, other = weights(adversarial), weights(folder)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    figures = [json.loads((path / "metrics.json").read_text())["figures"] for path in (adversarial, folder)]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("augmentation", ["pseudo_labels", "mixup", "smote"])
def test_augmentations_are_resumed_and_one_seed_gives_one_result(here: Path, plain: Path, recipe, augmentation: str):
    whole = run(recipe, here, augmentation, "--augmentation", augmentation)
    shutil.copytree(whole / "checkpoint-4", here / f"outputs/again_{augmentation}/checkpoint-4")
    arguments = ("--augmentation", augmentation, "--resume_from_checkpoint", "true")
    again = run(recipe, here, f"again_{augmentation}", *arguments)
    one, other, without = weights(whole), weights(again), weights(plain)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert any(not torch.equal(one[name], without[name]) for name in one)


def run_two(folder: Path, output: str, *arguments: str) -> Path:
    """Runs the recipe in two processes and returns the output folder."""
    launcher = ("--config_file", str(ROOT / "recipes/accelerate/multi_cpu.yaml"), "--num_processes", "2")
    words = ("--config", "policy.yaml", "--output_dir", f"outputs/{output}", *arguments)
    found = run_recipe(folder, *words, launcher=launcher)
    assert found.returncode == 0, found.stdout + found.stderr
    return folder / "outputs" / output


def test_two_processes_give_the_result_of_one(place: Path, plain: Path):
    one, two = weights(plain), weights(run_two(place, "two"))
    for name, tensor in one.items():
        assert tensor.numpy() == pytest.approx(two[name].numpy(), rel=1e-3, abs=1e-4), name


def test_two_processes_draw_decisions_of_their_own_and_go_on_with_them(place: Path):
    arguments = ("--augmentation", "pseudo_labels")
    whole = run_two(place, "two_drawn", *arguments)
    states = [torch.load(whole / f"checkpoint-4/rng_state_{rank}.pth", weights_only=False)["cpu"] for rank in range(2)]
    assert not torch.equal(*states)
    shutil.copytree(whole / "checkpoint-4", place / "outputs/two_resumed/checkpoint-4")
    resumed = run_two(place, "two_resumed", *arguments, "--resume_from_checkpoint", "true")
    one, other = weights(whole), weights(resumed)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--augmentation", "gan"), "`augmentation`"),
        (("--augmentation", "generator"), "`adversarial_steps`"),
        (("--adversarial_steps", "3"), "`adversarial_steps`"),
        ((*ADVERSARIAL, "--max_steps", "6"), "`max_steps` must be above `adversarial_steps`"),
        (("--model_config.generator", "actions"), "`augmentation`"),
        (("--model_config.layot", "joint"), "`layot`"),
        (("--model_config.schema", "{}"), "`schema`"),
        (("--model_type", "gentwin_policy_twin"), "did you mean `gentwin_policy`"),
        (("--capacity", "{radio: 273}"), "`capacity` must be of the resources"),
        (("--on_fault", "ignore"), "`on_fault`"),
        (("--test_size", "4"), "`validation_size` and `test_size`"),
        (("--global_batch_size", "64"), "`global_batch_size`"),
        (
            ("--resume_from_checkpoint", "true", "--synthetic_ratio", "2", "--augmentation", "mixup"),
            "`augmentation` was",
        ),
    ],
)
def test_bad_input_is_refused_before_training(here: Path, plain: Path, recipe, arguments, message):
    found = list_checkpoints(plain)
    with pytest.raises(SystemExit, match=message):
        recipe.main(["--config", "policy.yaml", *arguments])
    assert list_checkpoints(plain) == found


def test_faulty_decisions_are_refused_or_counted_in_the_card(here: Path, recipe):
    table = pq.read_table(here / "record.parquet")
    free = np.array(table.column("free_radio").to_pylist(), np.float32)
    free[:8] = -0.5
    place = table.schema.get_field_index("free_radio")
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array(free)), here / "faulty.parquet")
    line = ["--config", "policy.yaml", "--data_path", "faulty.parquet", "--output_dir", "outputs/faulty"]
    with pytest.raises(SystemExit, match="`negative_resource`: 2 of 60 decisions"):
        recipe.main(line)
    recipe.main([*line, "--on_fault", "drop", "--max_steps", "2", "--eval_steps", "2", "--save_steps", "2"])
    card = (here / "outputs/faulty/README.md").read_text()
    assert "| `negative_resource` | 2 | left out |" in card
    content = json.loads((here / "outputs/faulty/metrics.json").read_text())
    assert content["run"]["faults"]["negative_resource"] == 2


def test_the_recipe_optimises_as_comparisons_and_agents_do():
    shipped = yaml.safe_load((ROOT / "recipes/policy.yaml").read_text())
    assert {name: shipped[name] for name in USUAL_OPTIMISATION} == USUAL_OPTIMISATION
