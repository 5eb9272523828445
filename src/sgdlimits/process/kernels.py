"""Which kernel moves which kind of parameters: one entry each."""

from typing import Any

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.models.base import AbstractModel
from sgdlimits.process.block_kernel import BlockKernel
from sgdlimits.process.row_kernel import RowKernel
from sgdlimits.process.tree_kernel import TreeKernel

#: By the model's class marker ``kernel``.
KERNELS: dict[str, Any] = {"rows": RowKernel, "tree": TreeKernel, "blocks": BlockKernel}


def kernel_of(model: AbstractModel) -> Any:
    """The class of kernels for ``model``."""
    return KERNELS[model.kernel]


def check_algorithm(model: AbstractModel, algorithm: OnlineSGD) -> None:
    """Raise ValueError for an algorithm that moves no such parameters."""
    kernel = kernel_of(model)
    if kernel is BlockKernel:
        kernel.check_algorithm(algorithm)
