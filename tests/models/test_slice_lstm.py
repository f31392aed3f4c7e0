from typing import ClassVar

from gentwin.models.slice_lstm import SliceLstmTwinModel
from tests.models.dynamics_contract import DistributionalContract


class TestSliceLstm(DistributionalContract):
    model_class = SliceLstmTwinModel
    sizes: ClassVar = {
        "embedding_size": 24,
        "hidden_size": 16,
        "head_hidden_size": 24,
        "num_members": 2,
        "num_quantiles": 12,
    }
