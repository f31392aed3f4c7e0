"""The twins, one folder each. Importing this package registers them with the Auto classes of transformers."""

from transformers import AutoModelForCausalLM, AutoTokenizer

from gentwin.models.auto import from_pretrained, register_twin
from gentwin.models.configuration_twin import TwinConfig
from gentwin.models.modeling_twin import TwinModel
from gentwin.models.policy import PolicyTwinConfig, PolicyTwinModel
from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.models.signaling import (
    SignalingLstmTwinConfig,
    SignalingLstmTwinForCausalLM,
    SignalingTokenizer,
    SignalingTwinConfig,
    SignalingTwinForCausalLM,
)
from gentwin.models.slice_lstm import SliceLstmTwinConfig, SliceLstmTwinModel
from gentwin.models.slice_mean import SliceMeanTwinConfig, SliceMeanTwinModel
from gentwin.models.slice_transformer import SliceTransformerTwinConfig, SliceTransformerTwinModel

__all__ = [
    "PolicyTwinConfig",
    "PolicyTwinModel",
    "QNetworkConfig",
    "QNetworkModel",
    "SignalingLstmTwinConfig",
    "SignalingLstmTwinForCausalLM",
    "SignalingTokenizer",
    "SignalingTwinConfig",
    "SignalingTwinForCausalLM",
    "SliceLstmTwinConfig",
    "SliceLstmTwinModel",
    "SliceMeanTwinConfig",
    "SliceMeanTwinModel",
    "SliceTransformerTwinConfig",
    "SliceTransformerTwinModel",
    "TwinConfig",
    "TwinModel",
    "from_pretrained",
    "register_twin",
]

register_twin(PolicyTwinModel)
register_twin(QNetworkModel)
register_twin(SignalingLstmTwinForCausalLM, AutoModelForCausalLM)
register_twin(SignalingTwinForCausalLM, AutoModelForCausalLM)
register_twin(SliceLstmTwinModel)
register_twin(SliceMeanTwinModel)
register_twin(SliceTransformerTwinModel)
AutoTokenizer.register(SignalingLstmTwinConfig, SignalingTokenizer)
AutoTokenizer.register(SignalingTwinConfig, SignalingTokenizer)
