"""Twins at work: a model together with the databases, allocators and algorithms that it needs."""

from gentwin.pipelines.core_twin import CoreEvent, CoreTwin, Packet

__all__ = ["CoreEvent", "CoreTwin", "Packet"]
