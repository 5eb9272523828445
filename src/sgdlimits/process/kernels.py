"""Which kernel moves which kind of parameters under which kind of algorithm: one entry each."""

from typing import Any

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.models.base import AbstractModel
from sgdlimits.process.block_kernel import BlockKernel
from sgdlimits.process.population_kernel import PopulationKernel
from sgdlimits.process.row_kernel import RowKernel
from sgdlimits.process.rule_block_kernel import RuleBlockKernel
from sgdlimits.process.rule_row_kernel import RuleRowKernel
from sgdlimits.process.rule_tree_kernel import RuleTreeKernel
from sgdlimits.process.tree_kernel import TreeKernel

#: By the model's class marker ``kernel``: the first that ``takes`` the algorithm, or the last.
KERNELS: dict[str, tuple[Any, ...]] = {
    "rows": (RowKernel, PopulationKernel, RuleRowKernel),
    "tree": (TreeKernel, RuleTreeKernel),
    "blocks": (BlockKernel, RuleBlockKernel),
}


def kernel_of(model: AbstractModel, algorithm: OnlineSGD) -> Any:
    """The class of kernels for ``model`` under ``algorithm``."""
    *special, general = KERNELS[model.kernel]
    return next((kernel for kernel in special if kernel.takes(algorithm)), general)
