"""What a core knows and a transformer does not: who is spoken of, keys, counts, sessions, identifiers.

```python
network = CoreNetwork(NetworkConfiguration(), Subscribers("subscribers.db"))
resolver = network.find(message, sender) or Resolver(network)
heard = resolver.hear(message, timestamp, sender)  # opened; with slots, and hints for what comes next
said = resolver.say(answer, timestamp)  # an answer with slots becomes what goes out
```

| | takes | gives |
|---|---|---|
| [`hear`][gentwin.signaling.resolver.resolver.Resolver.hear] | a message to the core | it with slots, and hints |
| [`happen`][gentwin.signaling.resolver.resolver.Resolver.happen] | a stimulus that nobody says | hints |
| [`say`][gentwin.signaling.resolver.resolver.Resolver.say] | an answer with slots | it with values, protected |
| [`note`][gentwin.signaling.resolver.resolver.Resolver.note] | an answer that was recorded | it with slots |

What happens at the core and nobody says, such as a decision on something that had to wait, comes from
[`CoreNetwork.happen`][gentwin.signaling.resolver.network.CoreNetwork.happen].
[`examples`][gentwin.signaling.resolver.examples] makes examples to learn from.
"""

from __future__ import annotations

from gentwin.signaling.resolver.allocators import Allocators, NetworkAllocators
from gentwin.signaling.resolver.errors import ResolverError
from gentwin.signaling.resolver.examples import (
    Example,
    examples_of_capture,
    examples_of_records,
    synthesised_examples,
)
from gentwin.signaling.resolver.following import Followed, Follower, follow, open_dialogues
from gentwin.signaling.resolver.network import CoreNetwork
from gentwin.signaling.resolver.policy import DecisionLog
from gentwin.signaling.resolver.resolver import Heard, Resolver
from gentwin.signaling.resolver.waiting import Happened

__all__ = [
    "Allocators",
    "CoreNetwork",
    "DecisionLog",
    "Example",
    "Followed",
    "Follower",
    "Happened",
    "Heard",
    "NetworkAllocators",
    "Resolver",
    "ResolverError",
    "examples_of_capture",
    "examples_of_records",
    "follow",
    "open_dialogues",
    "synthesised_examples",
]
