"""Numbers of a core that is served, for Prometheus.

| metric | type | labels |
|---|---|---|
| `gentwin_core_messages_total` | counter | `direction` (`heard`, `said`, `unsent`), `protocol`, `message` |
| `gentwin_core_refusals_total` | counter | `by` (`server`, `n4`, `core`) |
| `gentwin_core_links` | gauge | |
| `gentwin_core_user_plane_silent` | gauge | |
| `gentwin_core_batch_messages` | histogram | |
| `gentwin_core_batch_seconds` | histogram | |
"""

from __future__ import annotations

from gentwin.serving.watching import SERVER, Watch
from gentwin.signaling.core.control_plane import REFUSED, CoreEvent

MOST_NAMES = 500  # of messages; those beyond count as `other`
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics(Watch):
    """Counts what happens.

    Raises:
        ImportError: If prometheus_client is not installed.
    """

    def __init__(self) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError as error:
            raise ImportError("`--metrics-port` needs prometheus_client: `pip install 'gentwin[serve]'`.") from error
        self.registry = CollectorRegistry()
        parts = {"namespace": "gentwin", "subsystem": "core", "registry": self.registry}
        self._messages = Counter("messages", "Messages on N2 and N4.", ("direction", "protocol", "message"), **parts)
        self._refusals = Counter("refusals", "What was not answered as it was asked.", ("by",), **parts)
        self._links = Gauge("links", "Base stations that are linked.", **parts)
        self._silent = Gauge("user_plane_silent", "1 while the user plane leaves requests without answer.", **parts)
        self._sizes = Histogram("batch_messages", "Messages heard together.", buckets=SIZES, **parts)
        self._seconds = Histogram("batch_seconds", "Time to answer a batch.", buckets=SECONDS, **parts)
        self._names: set[str] = set()

    def link(self, peer: str, up: bool, reason: str, now: float) -> None:
        """Counts links."""
        self._links.inc(1 if up else -1)

    def refused(self, peer: str, reason: str, now: float, by: str = SERVER) -> None:
        """Counts what the core did not hear."""
        self._refusals.labels(by).inc()

    def user_plane(self, address: str, answers: bool, now: float) -> None:
        """Takes note of whether the user plane is silent."""
        self._silent.set(not answers)

    def batch(self, messages: int, seconds: float) -> None:
        """Counts batches, by size and time."""
        self._sizes.observe(messages)
        self._seconds.observe(seconds)

    def answered(self, event: CoreEvent) -> None:
        """Counts what was said in place of the core."""
        self.event(event)

    def event(self, event: CoreEvent) -> None:
        """Counts messages and refusals."""
        if event.kind == REFUSED:
            self._refusals.labels("core").inc()
        elif event.record is not None:
            message = event.record.message
            self._messages.labels(event.kind, message.protocol, self._label(message.name)).inc()

    def _label(self, name: str) -> str:
        if name not in self._names and len(self._names) >= MOST_NAMES:
            return "other"
        self._names.add(name)
        return name

    def exposition(self) -> bytes:
        """Returns all numbers as Prometheus reads them."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)
