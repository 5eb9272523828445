"""What is learned: a data law, a loss, and the summary statistics that close on themselves."""

import sgdlimits._x64  # noqa: F401
from sgdlimits.models.committees_zoo import committee, phase_retrieval, single_index
from sgdlimits.models.mixtures_zoo import binary_gmm, k_gmm, xor_gmm
from sgdlimits.models.spiked_tensor import SpikedTensor

#: Every model a configuration file can name: a class, or a function that builds one.
MODELS = {
    "SpikedTensor": SpikedTensor,
    "binary_gmm": binary_gmm,
    "xor_gmm": xor_gmm,
    "k_gmm": k_gmm,
    "committee": committee,
    "phase_retrieval": phase_retrieval,
    "single_index": single_index,
}
