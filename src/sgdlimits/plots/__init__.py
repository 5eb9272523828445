"""Figures for people: ``plot`` for a result in one call, and what figures are made of."""

from sgdlimits.plots.base import COLOURS, COLUMN, PAGE, band, new_figure, style
from sgdlimits.plots.one_call import plot
from sgdlimits.plots.portrait import draw_fixed_points, phase_portrait

__all__ = [
    "COLOURS",
    "COLUMN",
    "PAGE",
    "band",
    "draw_fixed_points",
    "new_figure",
    "phase_portrait",
    "plot",
    "style",
]
