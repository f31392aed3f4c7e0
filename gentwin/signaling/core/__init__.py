"""A reference core that makes signaling traffic: UEs, base stations, AMF, SMF and UPF as state machines on one clock.

```python
>>> records = [*synthesize(SynthesisConfiguration(ues=1, duration=5.0), seed=7)]
>>> [record.message.name for record in records[:2]]
['AssociationSetupRequest', 'AssociationSetupResponse']
```

[`synthesize`][gentwin.signaling.core.synthesis.synthesize] makes the traffic of many users;
[`ReferenceCore`][gentwin.signaling.core.reference.ReferenceCore] is the network itself, to be led by hand.
"""

from gentwin.signaling.core.admission import AdmissionConfiguration, AdmissionPolicy, Resource, Tenant
from gentwin.signaling.core.configuration import (
    GENERIC,
    OPEN5GS,
    Capacity,
    DataNetwork,
    Delays,
    Faults,
    Flavour,
    HomeKey,
    NetworkConfiguration,
    Slice,
    Station,
    Timing,
)
from gentwin.signaling.core.control_plane import ControlPlane, Packet, ReferenceControlPlane
from gentwin.signaling.core.policy import (
    AdmitAll,
    Decision,
    Load,
    LoadLimits,
    Policy,
    Situation,
    SliceLimit,
    SliceLoad,
    Verdict,
)
from gentwin.signaling.core.population import RECORDED, SLICED, Population, Profile, SubscriberGroup, populate
from gentwin.signaling.core.reference import ReferenceCore
from gentwin.signaling.core.subscriber_files import read_subscribers
from gentwin.signaling.core.subscribers import Subscriber, Subscribers, Subscription
from gentwin.signaling.core.synthesis import SynthesisConfiguration, enrol, synthesize
from gentwin.signaling.core.ue import Ue, Usim
from gentwin.signaling.core.workload import Behaviour, Demand, Workload

__all__ = [
    "GENERIC",
    "OPEN5GS",
    "RECORDED",
    "SLICED",
    "AdmissionConfiguration",
    "AdmissionPolicy",
    "AdmitAll",
    "Behaviour",
    "Capacity",
    "ControlPlane",
    "DataNetwork",
    "Decision",
    "Delays",
    "Demand",
    "Faults",
    "Flavour",
    "HomeKey",
    "Load",
    "LoadLimits",
    "NetworkConfiguration",
    "Packet",
    "Policy",
    "Population",
    "Profile",
    "ReferenceControlPlane",
    "ReferenceCore",
    "Resource",
    "Situation",
    "Slice",
    "SliceLimit",
    "SliceLoad",
    "Station",
    "Subscriber",
    "SubscriberGroup",
    "Subscribers",
    "Subscription",
    "SynthesisConfiguration",
    "Tenant",
    "Timing",
    "Ue",
    "Usim",
    "Verdict",
    "Workload",
    "enrol",
    "populate",
    "read_subscribers",
    "synthesize",
]
