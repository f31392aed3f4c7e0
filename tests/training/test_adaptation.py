"""Adapting twins of every family to other data: what is kept, what is merged, what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import gentwin
from gentwin.datasets import Decisions, Transitions
from gentwin.models import (
    PolicyTwinModel,
    QNetworkConfig,
    QNetworkModel,
    SignalingTokenizer,
    SignalingTwinConfig,
    SignalingTwinForCausalLM,
    SliceLstmTwinConfig,
    SliceLstmTwinModel,
    SliceTransformerTwinConfig,
    SliceTransformerTwinModel,
    TwinModel,
)
from gentwin.training import ArgumentsError, adapt
from gentwin.training.signaling.dialogues import DialogueSet
from gentwin.training.transfer import add_adapters, merge_adapters
from tests.datasets.decision_samples import RESOURCES, record
from tests.models.policy_samples import SCHEMA, make_decisions, make_twin
from tests.training.conftest import make_record

HEADS = {"embedding_size": 8, "head_hidden_size": 8, "num_members": 2, "num_quantiles": 8}
QUICK = {"max_steps": 10, "learning_rate": 1e-2, "batch_size": 2, "use_cpu": True}
FAMILIES = ("policy", "slice", "message")


def decisions(count: int, seed: int = 0) -> Decisions:
    batch = {name: tensor.numpy() for name, tensor in make_decisions(count, seed).items()}
    episode = np.arange(count) // 8
    return Decisions(SCHEMA, episode, batch["states"], batch["masks"], batch["labels"].astype(np.int64))


def slice_twin(kind: type[TwinModel] = SliceTransformerTwinModel) -> TwinModel:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, **HEADS}
    if kind is SliceTransformerTwinModel:
        config = SliceTransformerTwinConfig(
            schema=make_record().schema.to_dict(), num_hidden_layers=1, num_attention_heads=2, window=4, **sizes
        )
    else:
        config = SliceLstmTwinConfig(schema=make_record().schema.to_dict(), **sizes)
    twin = kind(config)
    twin.fit_normalization(**columns(make_record()))
    return twin.eval()


def columns(part: Transitions) -> dict[str, torch.Tensor]:
    arrays = {"states": part.state, "actions": part.action, "contexts": part.context, "labels": part.targets}
    return {name: torch.from_numpy(array)[None] for name, array in arrays.items()}


def message_twin() -> SignalingTwinForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = SignalingTwinConfig.for_tokenizer(
        SignalingTokenizer(), num_key_value_heads=1, max_position_embeddings=16, **sizes
    )
    return SignalingTwinForCausalLM(config).eval()


def dialogues(seed: int) -> DialogueSet:
    """Four dialogues of eight tokens, the second half of each said by the core."""
    tokens = np.random.default_rng(seed).integers(1000, 1010, 32).astype(np.uint16)
    said = np.tile([False] * 4 + [True] * 4, 4)
    return DialogueSet(tokens, said, np.arange(8, 33, 8), np.zeros(4, np.int64), np.ones(4, bool), ["drawn"])


def twin_and_data(family: str) -> tuple:
    if family == "policy":
        return make_twin(hidden_sizes=[8, 8]), decisions(32, 1), decisions(16, 2)
    if family == "slice":
        known = make_record()
        return slice_twin(), known.select(known.episodes[:4]), known.select(known.episodes[4:8])
    return message_twin(), dialogues(1), dialogues(1)


def batch_of(family: str) -> dict[str, torch.Tensor]:
    if family == "policy":
        return make_decisions(16, 3)
    if family == "slice":
        return columns(make_record().take(np.arange(25)))
    tokens = torch.from_numpy(dialogues(2).tokens[:16].astype(np.int64))[None]
    return {"input_ids": tokens, "labels": tokens}


def names_of(twin: TwinModel, weights: list) -> set[str]:
    wanted = {id(weight) for weight in weights}
    return {name for name, weight in twin.named_parameters() if id(weight) in wanted}


# What is kept


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_weights_stay_and_the_others_learn(family):
    twin, train, validation = twin_and_data(family)
    before = {name: tensor.clone() for name, tensor in twin.state_dict().items()}
    found = adapt(twin, train, validation, freeze_layers=1, **QUICK)
    assert all(torch.equal(before[name], tensor) for name, tensor in twin.state_dict().items())
    assert found.loss_after < found.loss_before and not found.twin.training
    kept = names_of(twin, twin.weight_layers()[0])
    output = names_of(twin, twin.weight_layers()[-1])
    after = dict(found.twin.named_parameters())
    assert kept and all(torch.equal(before[name], after[name]) for name in kept)
    assert output and not any(torch.equal(before[name], after[name]) for name in output)
    assert all(weight.requires_grad for weight in after.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_are_merged_into_weights_of_low_rank(family, tmp_path):
    pytest.importorskip("peft")
    twin, train, validation = twin_and_data(family)
    found = adapt(twin, train, validation, lora_rank=1, **QUICK).twin
    assert found.state_dict().keys() == twin.state_dict().keys()
    *lower, _ = twin.weight_layers()
    before, after = dict(twin.named_parameters()), dict(found.named_parameters())
    linear = {f"{name}.weight" for name, part in twin.named_modules() if isinstance(part, torch.nn.Linear)}
    for name in names_of(twin, [weight for layer in lower for weight in layer]):
        change = (after[name] - before[name]).detach()
        assert (torch.linalg.matrix_rank(change, rtol=1e-3) == 1) if name in linear else not change.any(), name
    found.save_pretrained(tmp_path)
    again, batch = gentwin.from_pretrained(tmp_path), batch_of(family)
    assert torch.equal(found(**batch).loss, again(**batch).loss)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_twin_with_adapters_merged_says_what_it_said_with_them(family):
    pytest.importorskip("peft")
    twin, *_ = twin_and_data(family)
    batch, alone = batch_of(family), twin(**batch_of(family)).loss
    add_adapters(twin, rank=2)
    torch.testing.assert_close(twin(**batch).loss, alone)  # they begin at nothing
    with torch.no_grad():
        for name, weight in twin.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    beside = twin(**batch).loss
    merge_adapters(twin)
    assert not torch.allclose(beside, alone)
    torch.testing.assert_close(twin(**batch).loss, beside, rtol=1e-4, atol=1e-5)
    assert not any("lora" in name for name in twin.state_dict())


def test_one_seed_gives_one_result():
    twin, train, validation = twin_and_data("policy")
    runs = [adapt(twin, train, validation, seed=seed, **QUICK).loss_after for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_standardisation_stays_and_ranges_follow_the_record():
    twin, train, validation = twin_and_data("policy")
    train.states[0, 0, 0] = 500.0  # a queue longer than any before
    found = adapt(twin, train, validation, **QUICK).twin
    for name in ("mean", "scale"):
        assert torch.equal(getattr(found.encoder, name), getattr(twin.encoder, name))
    assert float(found.space.longest[0, 0]) == pytest.approx(550.0)
    assert float(found.temperature) != 1.0
    shares = np.bincount(train.actions, minlength=4) / len(train)
    torch.testing.assert_close(found.action_shares, torch.tensor(shares, dtype=torch.float32))
    twin, train, validation = twin_and_data("slice")
    found = adapt(twin, train, validation, **QUICK).twin
    starts = torch.from_numpy(train.state)
    assert all(bool((starts == start).flatten(1).all(1).any()) for start in found.start_states[::50])


def test_a_slice_twin_takes_over_the_ranges_of_the_record():
    twin, train, validation = twin_and_data("slice")
    wider = dataclasses.replace(train.schema.context[0], high=500.0)
    schema = dataclasses.replace(train.schema, context=(wider,), name="other")
    parts = [dataclasses.replace(part, schema=schema) for part in (train, validation)]
    found = adapt(twin, *parts, **QUICK)
    assert found.twin.transition_schema == schema != twin.transition_schema
    assert found.loss_after < found.loss_before


# What is refused


@pytest.mark.parametrize(
    ("twin", "options", "message"),
    [
        (make_twin, {"freeze_layers": 4}, r"`freeze_layers` must be less .* got 4; PolicyTwinModel has 4"),
        (make_twin, {"freeze_layers": -1}, "`freeze_layers` must be at least 0"),
        (make_twin, {"freeze_layers": 1, "lora_rank": 2}, "`lora_rank` must be 0 with `freeze_layers`"),
        (make_twin, {"lora_rank": 2, "lora_alpha": 0.0}, "`lora_alpha` must be above 0"),
        (make_twin, {"batch_size": 64}, "`global_batch_size` must be at most"),
        (make_twin, {"sequence_length": 8}, "`sequence_length` must be left out for decisions"),
        (lambda: make_twin(generator="actions"), {}, "`generator` of the twin must be none"),
        (lambda: slice_twin(SliceLstmTwinModel), {"lora_rank": 2}, "`lora_rank` must be 0 for SliceLstmTwinModel"),
        (lambda: QNetworkModel(QNetworkConfig()), {"freeze_layers": 1}, "QNetworkModel has none"),
    ],
)
def test_what_a_twin_cannot_do_is_refused(twin, options, message):
    with pytest.raises(ArgumentsError, match=message):
        adapt(twin(), decisions(32), decisions(16), **{**QUICK, **options})


def test_data_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="`train` must be Transitions for SliceTransformerTwinModel, got Decisions"):
        adapt(slice_twin(), decisions(32), decisions(16), **QUICK)
    with pytest.raises(TypeError, match="`validation` must be Decisions for PolicyTwinModel, got Transitions"):
        adapt(make_twin(), decisions(32), make_record(), **QUICK)
    with pytest.raises(TypeError, match="`train` must be a DialogueSet"):
        adapt(message_twin(), decisions(32), decisions(16), **QUICK)
    fewer = gentwin.schema.TransitionSchema(slices=("video", "iot"), state=SCHEMA.state, action=SCHEMA.action)
    other = Decisions(fewer, np.zeros(4, np.int64), *(getattr(decisions(4), n) for n in ("states", "masks", "actions")))
    with pytest.raises(ArgumentsError, match="of which `slices` differ"):
        adapt(make_twin(), other, other, **QUICK)


# The recipe

SLICE_SIZES = "{num_hidden_layers: 1, num_attention_heads: 2, window: 4, hidden_size: 8, embedding_size: 8}"
POLICY = {
    "data_path": "decisions.parquet", **RESOURCES, "validation_size": 1, "test_size": 1, "model_type": "gentwin_policy",
    "model_config": {"hidden_sizes": [8, 8]}, "max_steps": 8, "global_batch_size": 8, "learning_rate": 1e-2,
    "eval_strategy": "steps", "eval_steps": 4, "save_steps": 4, "logging_steps": 1, "load_best_model_at_end": True,
    "output_dir": "outputs/general", "use_cpu": True, "torch_threads": 1, "disable_tqdm": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, recipe) -> Path:
    """A folder with a trained policy twin."""
    folder = tmp_path_factory.mktemp("adaptation")
    record(folder / "decisions.parquet", num_episodes=4, episode_steps=15)
    (folder / "policy.yaml").write_text(yaml.safe_dump(POLICY))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        recipe.main(["--config", "policy.yaml"])
    return folder


def run(recipe, place: Path, output: str, *arguments: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        begin = ["--config", "policy.yaml", "--init_from", "outputs/general", "--seed", "1"]
        recipe.main([*begin, "--output_dir", f"outputs/{output}", *arguments])
    return place / "outputs" / output


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return gentwin.from_pretrained(folder).state_dict()


def test_a_policy_twin_is_adapted_by_its_recipe(place: Path, recipe):
    folder = run(recipe, place, "frozen", "--freeze_layers", "1", "--train_decisions", "20")
    before, after = weights(place / "outputs/general"), weights(folder)
    same = {name for name in before if torch.equal(before[name], after[name])}
    twin = gentwin.from_pretrained(folder)
    assert isinstance(twin, PolicyTwinModel) and names_of(twin, twin.weight_layers()[0]) <= same
    assert not same & {name for layer in twin.weight_layers()[1:] for name in names_of(twin, layer)}
    assert "It began as `outputs/general`, its 1 lowest layers kept." in (folder / "README.md").read_text()
    assert json.loads((folder / "metrics.json").read_text())["run"]["splits"]["train"]["decisions"] == 20


def test_a_run_with_adapters_that_is_gone_on_with_is_the_same_run(place: Path, recipe):
    pytest.importorskip("peft")
    whole = run(recipe, place, "adapted", "--lora_rank", "2")
    shutil.copytree(whole / "checkpoint-4", place / "outputs/resumed/checkpoint-4")
    resumed = run(recipe, place, "resumed", "--lora_rank", "2", "--resume_from_checkpoint", "true")
    one, other = weights(whole), weights(resumed)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    with pytest.raises(SystemExit, match="`lora_rank` was 2 and is 3"):
        run(recipe, place, "resumed", "--lora_rank", "3", "--resume_from_checkpoint", "true")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--freeze_layers", "4"), "`freeze_layers` must be less than the layers of the twin"),
        (("--init_from", "none", "--lora_rank", "1"), "`lora_rank` must be 0 without `init_from`"),
        (("--model_config.layout", "joint"), "`model_config.layout` must be that of `init_from` .*, 'shared'"),
        (("--capacity.radio", "546"), "`capacity` must be that of `init_from`"),
        (("--init_from", "nowhere"), "nowhere"),
        (("--init_from", "gentwin/slice-lstm-dynamic"), "`init_from` must be a twin of `model_type` 'gentwin_policy'"),
    ],
)
def test_bad_transfers_are_refused_before_training(place: Path, recipe, arguments, message):
    with pytest.raises(SystemExit, match=message):
        run(recipe, place, "refused", *arguments)
    assert not list(place.glob("outputs/refused/*"))


def test_a_slice_twin_is_adapted_by_its_recipe(
    workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe
):
    monkeypatch.chdir(workplace)
    start, folder = tmp_path / "general", tmp_path / "adapted"
    twin = slice_twin()
    twin.save_pretrained(start)
    line = ["--config", "tiny.yaml", "--model_type", "gentwin_slice_transformer", "--model_config", SLICE_SIZES]
    line += ["--init_from", str(start), "--max_steps", "4", "--output_dir", str(folder)]
    recipe.main([*line, "--freeze_layers", "1", "--train_episodes", "2"])
    before, after = twin.state_dict(), weights(folder)
    kept = names_of(twin, twin.weight_layers()[0])
    assert all(torch.equal(before[name], after[name]) for name in kept)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert json.loads((folder / "metrics.json").read_text())["run"]["splits"]["train"]["episodes"] == 2
    with pytest.raises(SystemExit, match="`lora_rank` must be 0 for SliceLstmTwinModel"):
        slice_twin(SliceLstmTwinModel).save_pretrained(tmp_path / "lstm")
        line[line.index("gentwin_slice_transformer")] = "gentwin_slice_lstm"
        recipe.main([*line, "--model_config", "{}", "--init_from", str(tmp_path / "lstm"), "--lora_rank", "2"])
