"""Message twins of the control plane of a core, their tokens, and fast decoding."""

from gentwin.models.signaling.configuration_signaling import SignalingLstmTwinConfig, SignalingTwinConfig
from gentwin.models.signaling.modeling_signaling import SignalingTwinForCausalLM
from gentwin.models.signaling.modeling_signaling_lstm import SignalingLstmTwinForCausalLM
from gentwin.models.signaling.tokenization_signaling import SignalingTokenizer

__all__ = [
    "SignalingLstmTwinConfig",
    "SignalingLstmTwinForCausalLM",
    "SignalingTokenizer",
    "SignalingTwinConfig",
    "SignalingTwinForCausalLM",
]
