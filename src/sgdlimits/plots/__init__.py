"""Figures for people: ``plot`` draws in one call what it is given; the others say more.

Every function returns axes (``animate`` the path of a file), and draws into ``axes=`` where they
are given. Symbols and units are those that results carry.
"""

from sgdlimits.plots.base import COLOURS, COLUMN, PAGE, band, new_figure, style
from sgdlimits.plots.bifurcations import bifurcation
from sgdlimits.plots.dynamics import draw_dynamics
from sgdlimits.plots.eigenvalues import spectrum
from sgdlimits.plots.film import animate
from sgdlimits.plots.one_call import plot
from sgdlimits.plots.phases import phase_diagram
from sgdlimits.plots.portrait import draw_fixed_points, phase_portrait
from sgdlimits.plots.schedule import draw_schedule
from sgdlimits.plots.schedules import draw_schedules

__all__ = [
    "COLOURS",
    "COLUMN",
    "PAGE",
    "animate",
    "band",
    "bifurcation",
    "draw_dynamics",
    "draw_fixed_points",
    "draw_schedule",
    "draw_schedules",
    "new_figure",
    "phase_diagram",
    "phase_portrait",
    "plot",
    "spectrum",
    "style",
]
