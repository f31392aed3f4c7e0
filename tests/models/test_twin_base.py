"""The bases of all twins, exercised with the smallest real one: linear dynamics with normalised inputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import AutoModel, BertConfig
from transformers.utils import ModelOutput, logging

import gentwin
from gentwin.hub import CheckpointError
from gentwin.models import TwinConfig, TwinModel, register_twin
from tests.twin_contract import TwinContract, edit_json


@strict
class LinearTwinConfig(TwinConfig):
    model_type = "gentwin_test_linear"

    hidden_size: int = 4
    gain: float | int = 1.0

    def validate_sizes(self) -> None:
        if self.hidden_size < 1:
            raise ValueError(f"`hidden_size` must be at least 1, got {self.hidden_size}.")


@dataclass
class LinearTwinOutput(ModelOutput):
    loss: Tensor | None = None
    next_states: Tensor | None = None


class Drift(nn.Module):
    """A bare parameter beside a buffer that no checkpoint holds."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.empty(size))
        self.register_buffer("position", torch.empty(size), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        with torch.no_grad():
            self.slope.normal_()
            self.position.copy_(torch.linspace(0, 1, len(self.position)))

    def forward(self) -> Tensor:
        return self.slope * self.position


class LinearTwinModel(TwinModel):
    config_class = LinearTwinConfig

    def __init__(self, config: LinearTwinConfig) -> None:
        super().__init__(config)
        self.register_buffer("mean", torch.zeros(config.hidden_size))
        self.norm = nn.BatchNorm1d(config.hidden_size)
        self.linear = nn.Linear(config.hidden_size, config.hidden_size)
        self.drift = Drift(config.hidden_size)
        self.memory = nn.GRU(config.hidden_size, config.hidden_size, batch_first=True)
        self.dropout = nn.Dropout(0.1)
        self.post_init()

    def forward(self, states: Tensor, labels: Tensor | None = None) -> LinearTwinOutput:
        self.require_fitted()
        centred = self.norm(states - self.mean)
        remembered, _ = self.memory(centred.unsqueeze(1))
        next_states = self.config.gain * self.linear(self.dropout(centred)) + remembered.squeeze(1) + self.drift()
        loss = None if labels is None else nn.functional.mse_loss(next_states, labels)
        return LinearTwinOutput(loss, next_states)


register_twin(LinearTwinModel)


class TestLinearTwin(TwinContract):
    model_class = LinearTwinModel

    def make_config(self) -> LinearTwinConfig:
        return LinearTwinConfig(hidden_size=6, gain=2)

    def make_batch(self, size: int = 8) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(5)
        states = torch.randn(size, 6, generator=generator)
        return {"states": states, "labels": states.roll(1, dims=1)}

    def fit(self, model: LinearTwinModel) -> None:
        model.mean.fill_(0.25)
        model.mark_fitted()


def make_linear_twin(**config) -> LinearTwinModel:
    model = LinearTwinModel(LinearTwinConfig(**config))
    model.mark_fitted()
    return model.eval()


def test_config_names_nearest_field():
    with pytest.raises(ValueError, match="`hiden_size` is not a key of a LinearTwinConfig; did you mean `hidden_size`"):
        LinearTwinConfig(hiden_size=3)


@pytest.mark.parametrize("values", [{"hidden_size": 2.5}, {"hidden_size": "4"}, {"hidden_size": 0}, {"gain": "1"}])
def test_config_refuses_wrong_values(values, tmp_path):
    with pytest.raises(StrictDataclassError, match=next(iter(values))):
        LinearTwinConfig(**values)
    LinearTwinConfig().save_pretrained(tmp_path)
    with pytest.raises(StrictDataclassError, match=next(iter(values))):
        LinearTwinConfig.from_pretrained(tmp_path, **values)


def test_config_accepts_what_transformers_passes(tmp_path: Path):
    config = LinearTwinConfig(torch_dtype="float32", name_or_path="here", attn_implementation="eager")
    config.save_pretrained(tmp_path)
    assert LinearTwinConfig.from_pretrained(tmp_path, dtype="auto", cache_dir=str(tmp_path)).hidden_size == 4
    edit_json(tmp_path / "config.json", auto_map={"AutoModel": "modeling.Model"})
    assert LinearTwinConfig.from_pretrained(tmp_path).auto_map == {"AutoModel": "modeling.Model"}


def test_undecorated_config_is_refused():
    class LooseTwinConfig(TwinConfig):
        model_type = "gentwin_test_loose"

    with pytest.raises(TypeError, match="@strict"):
        LooseTwinConfig()


def test_config_fields_override_the_saved_ones(tmp_path: Path):
    make_linear_twin().save_pretrained(tmp_path)
    assert LinearTwinModel.from_pretrained(tmp_path, gain=3.5).config.gain == 3.5
    with pytest.raises(CheckpointError, match=r"`linear\.weight` has shape \(4, 4\), the configuration needs \(5, 5\)"):
        LinearTwinModel.from_pretrained(tmp_path, hidden_size=5)


def test_dtype_is_honoured(tmp_path: Path):
    make_linear_twin().save_pretrained(tmp_path)
    assert AutoModel.from_pretrained(tmp_path, dtype=torch.bfloat16).linear.weight.dtype == torch.bfloat16


def test_initialisation_is_that_of_the_modules():
    torch.manual_seed(0)
    model = LinearTwinModel(LinearTwinConfig(hidden_size=256))
    assert model.linear.weight.std().item() == pytest.approx(256**-0.5 / 3**0.5, rel=0.05)
    assert model.memory.weight_ih_l0.abs().max().item() == pytest.approx(256**-0.5, rel=0.05)
    assert model.drift.slope.std().item() == pytest.approx(1, rel=0.2)


def test_initializer_range_is_that_of_transformers():
    @strict
    class RangeTwinConfig(LinearTwinConfig):
        model_type = "gentwin_test_range"
        initializer_range: float | int = 0.5

    class RangeTwinModel(LinearTwinModel):
        config_class = RangeTwinConfig

    model = RangeTwinModel(RangeTwinConfig(hidden_size=256))
    assert model.linear.weight.std().item() == pytest.approx(0.5, rel=0.05)
    assert model.drift.slope.std().item() == pytest.approx(1, rel=0.2)


def test_loading_keeps_parameters_beside_buffers_it_rebuilds(tmp_path: Path):
    saved = make_linear_twin(hidden_size=7)
    saved.save_pretrained(tmp_path)
    loaded = LinearTwinModel.from_pretrained(tmp_path)
    assert torch.equal(saved.drift.slope, loaded.drift.slope)
    assert torch.equal(loaded.drift.position, torch.linspace(0, 1, 7))


def test_weights_can_be_read_by_who_can_read_the_configuration(tmp_path: Path, capfd: pytest.CaptureFixture):
    make_linear_twin().save_pretrained(tmp_path)
    modes = {(tmp_path / name).stat().st_mode for name in ("model.safetensors", "config.json")}
    assert len(modes) == 1
    shown = logging.is_progress_bar_enabled()
    capfd.readouterr()
    LinearTwinModel.from_pretrained(tmp_path)
    assert "Loading weights" not in capfd.readouterr().err and logging.is_progress_bar_enabled() == shown


def test_changed_shard_is_refused(tmp_path: Path):
    make_linear_twin(hidden_size=16).save_pretrained(tmp_path, max_shard_size=2000)
    shard = sorted(tmp_path.glob("model-*.safetensors"))[-1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=f"`{shard.name}`.*missing"):
        LinearTwinModel.from_pretrained(tmp_path)


def test_damaged_checksums_are_refused(tmp_path: Path):
    make_linear_twin().save_pretrained(tmp_path)
    (tmp_path / "checksums.json").write_text("[1")
    with pytest.raises(CheckpointError, match=r"checksums\.json"):
        LinearTwinModel.from_pretrained(tmp_path)


def test_from_pretrained_refuses_models_that_are_no_twins(tmp_path: Path):
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"`model_type`.*'bert'"):
        gentwin.from_pretrained(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"`model_type`.*None"):
        gentwin.from_pretrained(tmp_path / "empty")


def test_unknown_shipped_name_lists_the_shipped_ones():
    with pytest.raises(CheckpointError, match="`gentwin/slice-lsm` is neither a shipped checkpoint"):
        gentwin.from_pretrained("gentwin/slice-lsm")


def test_twin_without_statistics_has_no_flag():
    class BareTwinModel(LinearTwinModel):
        has_statistics = False

    model = BareTwinModel(LinearTwinConfig())
    assert "fitted" not in model.state_dict()
    model.require_fitted()
