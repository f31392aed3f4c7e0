"""The other side of a core: UEs, base stations and a user plane that use it, and judge what it says.

```python
core = ReferenceControlPlane(configuration.network, subscribers)
result = ClosedLoop(core, configuration, seed=1, subscribers=subscribers).run()
print(result)
```

The core is anything that takes packets and gives packets, a
[`ControlPlane`][gentwin.signaling.core.control_plane.ControlPlane].
"""

from gentwin.signaling.closed_loop.loop import ClosedLoop
from gentwin.signaling.closed_loop.outcomes import ClosedLoopResult, Expectation, Outcome, Violation
from gentwin.signaling.closed_loop.side import NetworkSide

__all__ = ["ClosedLoop", "ClosedLoopResult", "Expectation", "NetworkSide", "Outcome", "Violation"]
