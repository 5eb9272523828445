"""The same process at several magnifications: real SGD, exact chain, SDE, ODE, reduced equations.

An engine carries its own options; ``simulate`` takes one, or its name.
"""

from sgdlimits.engines.base import AbstractEngine
from sgdlimits.engines.chain import Chain
from sgdlimits.engines.mean_field import MeanField
from sgdlimits.engines.ode import ODE
from sgdlimits.engines.sde import SDE
from sgdlimits.engines.sgd import SGD
from sgdlimits.engines.table import ENGINES

__all__ = ["ENGINES", "ODE", "SDE", "SGD", "AbstractEngine", "Chain", "MeanField"]
