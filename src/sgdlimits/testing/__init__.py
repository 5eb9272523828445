"""Whether a model, an update rule or a data law does what it says: ``check`` runs the judges."""

from sgdlimits.testing.check import check
from sgdlimits.testing.report import Report, Row

__all__ = ["Report", "Row", "check"]
