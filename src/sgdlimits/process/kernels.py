"""Which kernel moves which kind of parameters: one entry each."""

from typing import Any

from sgdlimits.models.base import AbstractModel
from sgdlimits.process.row_kernel import RowKernel
from sgdlimits.process.tree_kernel import TreeKernel

#: By the model's class marker ``kernel``.
KERNELS: dict[str, Any] = {"rows": RowKernel, "tree": TreeKernel}


def kernel_of(model: AbstractModel) -> Any:
    """The class of kernels for ``model``."""
    return KERNELS[model.kernel]
