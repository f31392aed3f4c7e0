from typing import ClassVar

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError

from gentwin.models.slice_transformer import SliceTransformerTwinModel
from tests.models.dynamics_contract import DistributionalContract, toy_sequences


class TestSliceTransformer(DistributionalContract):
    model_class = SliceTransformerTwinModel
    sizes: ClassVar = {
        "embedding_size": 24,
        "hidden_size": 16,
        "head_hidden_size": 24,
        "num_members": 2,
        "num_quantiles": 12,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "window": 4,
    }

    def test_steps_before_the_window_are_forgotten(self) -> None:
        model, data = self.make_model(), toy_sequences(2, steps=9, seed=4)
        features = model.field_encoder(torch.cat([data[name] for name in ("states", "actions", "contexts")], dim=-1))
        changed = features.clone()
        changed[:, 0] += 1.0
        with torch.no_grad():
            before, after = model.encode_sequence(features), model.encode_sequence(changed)
        assert not torch.allclose(before[:, 3], after[:, 3])
        torch.testing.assert_close(before[:, 4:], after[:, 4:])

    @pytest.mark.parametrize(("name", "value"), [("window", 0), ("num_attention_heads", 3)])
    def test_bad_attention_is_refused_by_name(self, name: str, value: int) -> None:
        with pytest.raises(StrictDataclassError, match=f"`{name}`"):
            self.make_config(**{name: value})
