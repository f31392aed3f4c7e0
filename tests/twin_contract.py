"""The contract every twin keeps: subclass `TwinContract` in the test module of the twin."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoConfig, AutoModel, BertConfig, Trainer, TrainingArguments

import gentwin
from gentwin.hub import CheckpointError
from gentwin.models import TwinConfig, TwinModel

WEIGHTS = "model.safetensors"


class TwinContract:
    """What a twin promises: strict checkpoints, exact round trips, determinism, training that resumes exactly.

    A subclass sets `model_class` and implements `make_config` and `make_batch`; tiny sizes keep it fast.

    Attributes:
        model_class: The twin.
        auto_class: The Auto class it is registered with.
        learning_rate: Step size at which a few steps on one batch lower the loss.
    """

    model_class: type[TwinModel]
    auto_class: type = AutoModel
    learning_rate: float = 1e-2

    def make_config(self) -> TwinConfig:
        """Returns a tiny configuration."""
        raise NotImplementedError

    def make_batch(self, size: int = 8) -> dict[str, Tensor]:
        """Returns keyword arguments of `forward` with labels; the first axis of each tensor has length `size`."""
        raise NotImplementedError

    def fit(self, model: TwinModel) -> None:
        """Sets the normalisation statistics."""
        if model.has_statistics:
            model.mark_fitted()

    def make_model(self, seed: int = 0) -> TwinModel:
        """Returns a fitted twin in evaluation mode with weights drawn under `seed`."""
        torch.manual_seed(seed)
        model = self.model_class(self.make_config())
        self.fit(model)
        return model.eval()

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A saved twin."""
        self.make_model().save_pretrained(tmp_path / "twin")
        return tmp_path / "twin"

    # Round trips

    def test_loaded_twin_equals_saved_one(self, folder: Path) -> None:
        saved, batch = self.make_model(), self.make_batch()
        loaders = (self.model_class.from_pretrained, self.auto_class.from_pretrained, gentwin.from_pretrained)
        for load in loaders:
            loaded = load(folder)
            assert type(loaded) is self.model_class
            assert not loaded.training
            assert_same_tensors(saved.state_dict(), loaded.state_dict())
            assert_same_outputs(saved(**batch), loaded(**batch))

    def test_every_buffer_survives_loading(self, folder: Path) -> None:
        saved, loaded = self.make_model(), self.model_class.from_pretrained(folder)
        assert_same_tensors(dict(saved.named_buffers()), dict(loaded.named_buffers()))

    def test_sharded_checkpoint(self, tmp_path: Path) -> None:
        saved = self.make_model()
        saved.save_pretrained(tmp_path, max_shard_size=1)
        assert len(list(tmp_path.glob("*.safetensors"))) > 1
        assert_same_tensors(saved.state_dict(), self.model_class.from_pretrained(tmp_path).state_dict())

    def test_config_round_trip(self, tmp_path: Path) -> None:
        config = self.make_config()
        config.save_pretrained(tmp_path)
        for load in (type(config).from_pretrained, AutoConfig.from_pretrained):
            loaded = load(tmp_path)
            assert type(loaded) is type(config)
            assert loaded.to_dict() == {**config.to_dict(), "_name_or_path": loaded._name_or_path}

    # Refusals

    def test_unknown_config_key_is_refused_everywhere(self, folder: Path) -> None:
        config_class = type(self.make_config())
        with pytest.raises(ValueError, match="`hiden_size`"):
            config_class(hiden_size=3)
        with pytest.raises(ValueError, match="`hiden_size`"):
            config_class.from_dict({"hiden_size": 3})
        with pytest.raises(ValueError, match="`hiden_size`"):
            config_class.from_pretrained(folder, hiden_size=3)
        edit_json(folder / "config.json", hiden_size=3)
        with pytest.raises(ValueError, match="`hiden_size`"):
            self.model_class.from_pretrained(folder)

    def test_missing_weight_is_refused(self, folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        removed = sorted(weights)[0]
        del weights[removed]
        rewrite_weights(folder, weights)
        with pytest.raises(CheckpointError, match=f"missing .*`{removed}`"):
            self.model_class.from_pretrained(folder)

    def test_missing_parameters_are_drawn_if_allowed(self, folder: Path) -> None:
        parameters = dict(self.make_model().named_parameters())
        rewrite_weights(folder, {k: v for k, v in load_file(folder / WEIGHTS).items() if k not in parameters})
        loaded = self.model_class.from_pretrained(folder, strict=False)
        for name, parameter in loaded.named_parameters():
            scale = parameters[name].abs().max() + 1e-3
            assert parameter.abs().max() < 20 * scale, f"`{name}` is not initialised"

    def test_unexpected_weight_is_refused(self, folder: Path) -> None:
        rewrite_weights(folder, {**load_file(folder / WEIGHTS), "foreign.weight": torch.zeros(2)})
        with pytest.raises(CheckpointError, match=r"unexpected `foreign\.weight`"):
            self.model_class.from_pretrained(folder)

    def test_misshapen_weight_is_refused(self, folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        name = next(name for name, tensor in weights.items() if tensor.ndim)
        weights[name] = torch.cat((weights[name], weights[name]))
        rewrite_weights(folder, weights)
        with pytest.raises(CheckpointError, match=f"`{name}` has shape"):
            self.model_class.from_pretrained(folder)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_non_finite_weight_is_refused(self, folder: Path, tmp_path: Path, value: float) -> None:
        weights = load_file(folder / WEIGHTS)
        name = next(name for name, tensor in weights.items() if tensor.is_floating_point())
        weights[name].view(-1)[0] = value
        rewrite_weights(folder, weights)
        with pytest.raises(CheckpointError, match=f"finite.*`{name}`"):
            self.model_class.from_pretrained(folder)
        model = self.make_model()
        model.load_state_dict(weights, strict=False)
        with pytest.raises(CheckpointError, match=f"finite.*`{name}`"):
            model.save_pretrained(tmp_path / "diverged")
        assert not (tmp_path / "diverged").exists()

    def test_changed_byte_is_refused(self, folder: Path) -> None:
        content = bytearray((folder / WEIGHTS).read_bytes())
        content[-1] ^= 1
        (folder / WEIGHTS).write_bytes(content)
        for load in (self.model_class.from_pretrained, self.auto_class.from_pretrained, gentwin.from_pretrained):
            with pytest.raises(CheckpointError, match=f"`{WEIGHTS}`.*changed"):
                load(folder)

    def test_truncated_file_is_refused(self, folder: Path) -> None:
        (folder / "checksums.json").unlink()
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-8])
        with pytest.raises(CheckpointError, match="damaged"):
            self.model_class.from_pretrained(folder)

    def test_pickled_weights_are_refused(self, folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        (folder / "checksums.json").unlink()
        torch.save(self.make_model().state_dict(), folder / "pytorch_model.bin")
        with pytest.raises(OSError, match=r"model\.safetensors"):
            self.model_class.from_pretrained(folder)
        with pytest.raises(ValueError, match="`use_safetensors`"):
            self.model_class.from_pretrained(folder, use_safetensors=False)

    def test_wrong_folder_is_refused(self, folder: Path, tmp_path: Path) -> None:
        edit_json(folder / "config.json", model_type="bert")
        with pytest.raises(CheckpointError, match=f"'{self.model_class.config_class.model_type}'.*'bert'"):
            self.model_class.from_pretrained(folder)
        with pytest.raises(CheckpointError, match="BertConfig"):
            self.model_class.from_pretrained(folder, config=BertConfig())
        with pytest.raises(CheckpointError, match=r"no `config\.json`"):
            self.model_class.from_pretrained(tmp_path)
        with pytest.raises(CheckpointError, match="neither a shipped checkpoint"):
            self.model_class.from_pretrained(tmp_path / "nothing")

    def test_unfitted_twin_refuses_to_predict(self) -> None:
        if not self.model_class.has_statistics:
            pytest.skip("this twin has no normalisation statistics")
        with pytest.raises(RuntimeError, match="`fitted`"):
            self.model_class(self.make_config())(**self.make_batch())

    def test_a_weight_is_in_one_layer_at_most(self) -> None:
        model = self.make_model()
        layers = model.weight_layers()
        weights = [id(weight) for layer in layers for weight in layer]
        assert all(layers) and len(set(weights)) == len(weights)
        assert set(weights) <= {id(weight) for weight in model.parameters()}

    # Training

    def test_training_lowers_the_loss(self) -> None:
        losses = [loss for _, loss in self._train(self.make_model(), num_steps=6)]
        assert losses[-1] < losses[0]

    def test_one_seed_gives_one_result(self) -> None:
        runs = []
        for _ in range(2):
            model = self.make_model(seed=1)
            torch.manual_seed(2)
            losses = [loss for _, loss in self._train(model, num_steps=3)]
            runs.append((losses, model.state_dict()))
        assert runs[0][0] == runs[1][0]
        assert_same_tensors(runs[0][1], runs[1][1])
        assert any(
            not torch.equal(a, b)
            for a, b in zip(self.make_model(seed=1).parameters(), self.make_model(seed=2).parameters(), strict=True)
        )

    def test_resumed_training_equals_uninterrupted(self, tmp_path: Path) -> None:
        whole = self._make_trainer(tmp_path / "whole")
        whole.train()
        shutil.copytree(tmp_path / "whole" / "checkpoint-2", tmp_path / "resumed" / "checkpoint-2")
        resumed = self._make_trainer(tmp_path / "resumed")
        resumed.train(resume_from_checkpoint=True)
        assert resumed.state.global_step == whole.state.global_step == 4
        assert_same_tensors(whole.model.state_dict(), resumed.model.state_dict())
        loaded = self.model_class.from_pretrained(tmp_path / "resumed" / "checkpoint-4")
        assert_same_tensors(whole.model.state_dict(), loaded.state_dict())

    def _train(self, model: TwinModel, num_steps: int) -> Iterator[tuple[int, float]]:
        optimizer = torch.optim.Adam(model.train().parameters(), self.learning_rate)
        batch = self.make_batch()
        for step in range(num_steps):
            loss = model(**batch).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield step, loss.item()

    def _make_trainer(self, folder: Path) -> Trainer:
        batch = self.make_batch(8)
        arguments = TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=2,
            max_steps=4,
            save_steps=2,
            learning_rate=self.learning_rate,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
        )
        examples = [{name: tensor[index] for name, tensor in batch.items()} for index in range(8)]
        return Trainer(self.make_model(), arguments, train_dataset=examples)


def assert_same_tensors(expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Fails naming the tensors that are not equal bit by bit."""
    assert expected.keys() == found.keys()
    different = [name for name in expected if not torch.equal(expected[name], found[name])]
    assert not different, f"different: {different}"


def assert_same_outputs(expected: Any, found: Any) -> None:
    """Fails if two model outputs differ in any bit of any tensor."""
    assert expected.keys() == found.keys()
    for name in expected:
        if isinstance(expected[name], Tensor):
            assert torch.equal(expected[name], found[name]), f"`{name}` differs"


def edit_json(path: Path, **changes: Any) -> None:
    """Sets keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def rewrite_weights(folder: Path, weights: dict[str, Tensor]) -> None:
    """Replaces the weights of a saved twin, as if they had been saved so: without checksums."""
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / "checksums.json").unlink(missing_ok=True)
