"""The engines by name."""

from sgdlimits.engines.base import AbstractEngine
from sgdlimits.engines.chain import Chain
from sgdlimits.engines.mean_field import MeanField
from sgdlimits.engines.ode import ODE
from sgdlimits.engines.sde import SDE
from sgdlimits.engines.sgd import SGD

ENGINES: dict[str, type[AbstractEngine]] = {
    kind.name: kind for kind in (SGD, Chain, SDE, ODE, MeanField)
}
#: Those whose results hold the model's own statistics.
FULL_ENGINES = tuple(name for name, kind in ENGINES.items() if kind.keeps_full_statistics)
