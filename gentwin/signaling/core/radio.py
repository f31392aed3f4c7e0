"""What UEs and base stations share: which stations there are, and who listens to which temporary identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gentwin.signaling.core.gnb import Gnb
    from gentwin.signaling.core.ue import Ue


class Radio:
    """The air, in which every UE can reach every base station."""

    def __init__(self) -> None:
        self.stations: list[Gnb] = []
        self.by_tmsi: dict[int, Ue] = {}

    def select(self, camped: Gnb) -> Gnb | None:
        """Returns the station on which a UE camps, or the next that serves; None if none does."""
        if camped.accepted:
            return camped
        place = self.stations.index(camped)
        others = self.stations[place + 1 :] + self.stations[:place]
        return next((station for station in others if station.accepted), None)

    def listen(self, ue: Ue, before: int | None, now: int | None) -> None:
        """Lets a UE listen to another temporary identity than before; None for none."""
        if before is not None and self.by_tmsi.get(before) is ue:
            del self.by_tmsi[before]
        if now is not None:
            self.by_tmsi[now] = ue
