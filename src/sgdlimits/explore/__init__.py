"""A page to play with: models and rules with sliders, drawn as they move.

``sgdlimits explore`` serves it on this machine alone. Needs the extra ``explore`` (Panel); what is
chosen, computed, drawn and written as Python needs no Panel and no browser.
"""

from sgdlimits.explore.choice import Choice
from sgdlimits.explore.script import as_python

__all__ = ["Choice", "as_python"]
