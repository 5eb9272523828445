"""What is learned: a data law, a loss, and the summary statistics that close on themselves."""

import sgdlimits._x64  # noqa: F401
from sgdlimits.models.spiked_tensor import SpikedTensor

#: Every model a configuration file can name. A new model adds its class here and nothing elsewhere.
MODELS = {"SpikedTensor": SpikedTensor}
