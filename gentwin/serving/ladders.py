"""Ladder charts of the UEs of a core that is served, from a bounded memory of what was said."""

from __future__ import annotations

from collections import OrderedDict, deque
from os import PathLike
from pathlib import Path

from gentwin.serving.watching import UNSENT, Watch, step_of
from gentwin.signaling.contexts import UE, Context, ContextTracker
from gentwin.signaling.core.control_plane import SAID, CoreEvent
from gentwin.signaling.ladder import Ladder, Step


class Ladders(Watch):
    """Keeps the latest messages of the UEs that were active last.

    Args:
        most_ues: How many UEs.
        most_messages: How many messages of each.
    """

    def __init__(self, most_ues: int = 1000, most_messages: int = 200) -> None:
        self._most_ues, self._most_messages = most_ues, most_messages
        self._tracker = ContextTracker(most_contexts=4 * most_ues, most_requests=4 * most_ues)
        self._steps: OrderedDict[Context, deque[Step]] = OrderedDict()
        self._count = 0

    def event(self, event: CoreEvent) -> None:
        """Keeps a message."""
        if event.record is None or event.kind == UNSENT:
            return
        self._count += 1
        context = self._tracker.assign(event.record)
        if context.kind != UE:
            return
        steps = self._steps.get(context)
        if steps is None:
            steps = self._steps[context] = deque(maxlen=self._most_messages)
        steps.append(step_of(event.record, event.kind == SAID, self._count))
        self._steps.move_to_end(context)
        if len(self._steps) > self._most_ues:
            self._steps.popitem(last=False)

    def ues(self) -> list[Context]:
        """Returns the contexts of the UEs that are remembered, in the order of their numbers."""
        return sorted({context.current for context in self._steps}, key=lambda context: context.number)

    def ladder(self, ue: str) -> Ladder | None:
        """Returns the chart of a UE; None if it is not remembered.

        Args:
            ue: Its number, or its SUPI.
        """
        digits = ue.removeprefix("imsi-")
        for context in self.ues():
            if digits in (str(context.number), context.supi):
                return self._ladder_of(context)
        return None

    def _ladder_of(self, chosen: Context) -> Ladder:
        found = [step for known, steps in self._steps.items() if known.current is chosen for step in steps]
        steps = tuple(sorted(found, key=lambda step: step.number))
        title = f"UE {chosen.number}, SUPI {chosen.supi}" if chosen.supi else f"UE {chosen.number}"
        return Ladder(title, steps, steps[0].time)

    def save(self, folder: str | PathLike[str], most: int = 100) -> list[Path]:
        """Writes the charts of the UEs that were active last as SVG; returns the files.

        Args:
            folder: Where to; made if there is none.
            most: How many charts.
        """
        from gentwin.charts import save_ladder

        latest = [*dict.fromkeys(context.current for context in reversed(self._steps))][:most]
        names = {context: f"ue-{context.supi or context.number}.svg" for context in latest}
        return [save_ladder(self._ladder_of(context), Path(folder) / name) for context, name in names.items()]
