"""Admission control of a sliced network: a stand-in for the physical network of Tao et al., section IV."""

from gentwin.networks.admission.estimation import estimate_parameters
from gentwin.networks.admission.event_driven import AdmissionSimulator, Event
from gentwin.networks.admission.network import (
    AdmissionNetwork,
    action_mask,
    admission_schema,
    resource_demand,
    slice_revenue,
)
from gentwin.networks.admission.parameters import (
    PRESETS,
    AdmissionParameters,
    ServiceParameters,
    admission_parameters,
)

__all__ = [
    "PRESETS",
    "AdmissionNetwork",
    "AdmissionParameters",
    "AdmissionSimulator",
    "Event",
    "ServiceParameters",
    "action_mask",
    "admission_parameters",
    "admission_schema",
    "estimate_parameters",
    "resource_demand",
    "slice_revenue",
]
