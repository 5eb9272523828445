"""Which kernel moves which kind of parameters under which kind of rule: one entry each."""

from typing import Any

from sgdlimits.algorithms.rules.base import AbstractRule
from sgdlimits.models.base import AbstractModel
from sgdlimits.process.row_kernel import RowKernel
from sgdlimits.process.rule_row_kernel import RuleRowKernel
from sgdlimits.process.rule_tree_kernel import RuleTreeKernel
from sgdlimits.process.tree_kernel import TreeKernel

#: By the model's class marker ``kernel``, and whether the rule is simple.
KERNELS: dict[tuple[str, bool], Any] = {
    ("rows", True): RowKernel,
    ("rows", False): RuleRowKernel,
    ("tree", True): TreeKernel,
    ("tree", False): RuleTreeKernel,
}


def kernel_of(model: AbstractModel, rule: AbstractRule) -> Any:
    """The class of kernels for ``model`` under ``rule``."""
    return KERNELS[model.kernel, rule.simple]
