"""A reference core that makes signaling traffic: UEs, base stations, AMF, SMF and UPF as state machines on one clock.

```python
>>> records = [*synthesize(SynthesisConfiguration(ues=1, duration=5.0), seed=7)]
>>> [record.message.name for record in records[:2]]
['AssociationSetupRequest', 'AssociationSetupResponse']
```

[`synthesize`][gentwin.signaling.core.synthesis.synthesize] makes the traffic of many users;
[`ReferenceCore`][gentwin.signaling.core.reference.ReferenceCore] is the network itself, to be led by hand.
"""

from gentwin.signaling.core.configuration import (
    GENERIC,
    OPEN5GS,
    DataNetwork,
    Delays,
    Flavour,
    NetworkConfiguration,
    Slice,
    Station,
    Timing,
)
from gentwin.signaling.core.links import Faults
from gentwin.signaling.core.policy import AdmitAll, Decision, LoadLimits, Policy, Situation
from gentwin.signaling.core.population import RECORDED, SLICED, populate
from gentwin.signaling.core.reference import ReferenceCore
from gentwin.signaling.core.subscribers import Subscriber, Subscribers, Subscription
from gentwin.signaling.core.synthesis import SynthesisConfiguration, synthesize
from gentwin.signaling.core.ue import Ue, Usim
from gentwin.signaling.core.workload import Behaviour, Workload

__all__ = [
    "GENERIC",
    "OPEN5GS",
    "RECORDED",
    "SLICED",
    "AdmitAll",
    "Behaviour",
    "DataNetwork",
    "Decision",
    "Delays",
    "Faults",
    "Flavour",
    "LoadLimits",
    "NetworkConfiguration",
    "Policy",
    "ReferenceCore",
    "Situation",
    "Slice",
    "Station",
    "Subscriber",
    "Subscribers",
    "Subscription",
    "SynthesisConfiguration",
    "Timing",
    "Ue",
    "Usim",
    "Workload",
    "populate",
    "synthesize",
]
