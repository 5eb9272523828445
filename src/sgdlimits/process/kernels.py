"""Which kernel moves which kind of parameters under which kind of rule: one entry each."""

from typing import Any

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.algorithms.rules.base import AbstractRule
from sgdlimits.models.base import AbstractModel
from sgdlimits.process.block_kernel import BlockKernel
from sgdlimits.process.population_kernel import PopulationKernel
from sgdlimits.process.row_kernel import RowKernel
from sgdlimits.process.rule_row_kernel import RuleRowKernel
from sgdlimits.process.rule_tree_kernel import RuleTreeKernel
from sgdlimits.process.tree_kernel import TreeKernel

#: By the model's class marker ``kernel``, and the rule's ``kind``.
KERNELS: dict[tuple[str, str], Any] = {
    ("rows", "simple"): RowKernel,
    ("rows", "any"): RuleRowKernel,
    ("rows", "population"): PopulationKernel,
    ("tree", "simple"): TreeKernel,
    ("tree", "any"): RuleTreeKernel,
    ("tree", "population"): RuleTreeKernel,
    ("blocks", "simple"): BlockKernel,
    ("blocks", "any"): BlockKernel,
    ("blocks", "population"): BlockKernel,
}


def kernel_of(model: AbstractModel, rule: AbstractRule) -> Any:
    """The class of kernels for ``model`` under ``rule``."""
    return KERNELS[model.kernel, rule.kind]


def check_algorithm(model: AbstractModel, algorithm: OnlineSGD) -> None:
    """Raise ValueError for an algorithm that moves no such parameters."""
    kernel = kernel_of(model, algorithm.rule)
    if kernel is BlockKernel:
        kernel.check_algorithm(algorithm)
