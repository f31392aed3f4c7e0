"""Pictures of what happened in a network."""

from gentwin.charts.ladder import draw_ladder, save_ladder

__all__ = ["draw_ladder", "save_ladder"]
