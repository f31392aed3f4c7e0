"""Twin of a policy of admission control, with generators of further decisions."""

from gentwin.models.policy.configuration_policy import PolicyTwinConfig
from gentwin.models.policy.modeling_policy import PolicyDecision, PolicyOutput, PolicyTwinModel

__all__ = ["PolicyDecision", "PolicyOutput", "PolicyTwinConfig", "PolicyTwinModel"]
