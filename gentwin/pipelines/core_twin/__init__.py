"""A core network to load and talk to: bytes from base stations and user planes in, bytes of the core out.

```python
core = CoreTwin.from_pretrained("gentwin/signaling-open5gs")
packets = core.start(now=0.0)
packets = core.hear([Packet("ngap", "127.0.2.1:41621", ng_setup_request)], now=0.1)
```

| module | does |
|---|---|
| [`twin`][gentwin.pipelines.core_twin.twin] | takes what comes in, lets the model answer, gives what goes out |
| [`conversations`][gentwin.pipelines.core_twin.conversations] | keeps the context of each UE and node |
| [`speech`][gentwin.pipelines.core_twin.speech] | says what the model chooses, filled in and as packets |
| [`policies`][gentwin.pipelines.core_twin.policies] | lets a policy twin decide where an answer depends on load |
| [`answers`][gentwin.pipelines.core_twin.answers] | knows what the model said to the same tokens before |
| [`journal`][gentwin.pipelines.core_twin.journal] | tells a listener what happens |
| [`timers`][gentwin.pipelines.core_twin.timers] | says when a timer of the core runs out |
| [`datagrams`][gentwin.pipelines.core_twin.datagrams] | sends and answers again on N4 |
| [`refusals`][gentwin.pipelines.core_twin.refusals] | says what 3GPP prescribes where nothing can be answered |
"""

from gentwin.pipelines.core_twin.twin import CoreTwin
from gentwin.signaling.core.control_plane import CoreEvent, Packet

__all__ = ["CoreEvent", "CoreTwin", "Packet"]
