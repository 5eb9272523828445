"""Negative controls: versions of any process that are subtly wrong, and must be seen to be."""

from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PyTree

from sgdlimits.process.outside import OutsideGram
from sgdlimits.process.process import Process
from sgdlimits.testing.statistics import POWER

LONGER = 1.1


@dataclass(frozen=True)
class Control:
    """A chain that is wrong.

    Attributes:
        name: what is wrong with it.
        process: in the place of the right one.
        constants: what its constants are, given the right ones.
        applies: whether it can be made of the right constants.
    """

    name: str
    process: Process | None = None
    constants: Callable[[PyTree], PyTree] = lambda constants: constants
    applies: Callable[[PyTree], bool] = lambda constants: True


def longer_step(process: Process) -> Process:
    """The process with steps that are 10 % longer."""
    step = LONGER * float(process.algorithm.step)
    return eqx.tree_at(lambda p: p.algorithm.step, process, step)


def without_fluctuations(right: OutsideGram) -> OutsideGram:
    """The outside part of a chain of rows with its chi-squares at their means, where fitted.

    A value is mean * (polynomial of a normal)^3; here the polynomial is 1.
    """
    one = jnp.zeros_like(right.squares[0].coefficients).at[0].set(1.0)
    return eqx.tree_at(lambda g: [x.coefficients for x in g.squares], right, [one] * right.rank)


def is_fitted(right: PyTree) -> bool:
    """Whether constants are an outside part whose chi-squares are all fitted."""
    squares = getattr(right, "squares", ())
    return bool(squares) and all(square.fitted for square in squares)


FORGETS_FLUCTUATIONS = Control(
    "|X|^2 at its mean", constants=without_fluctuations, applies=is_fitted
)


def verdict(what: str, rejected: bool, worst: float, power: float) -> tuple[str, bool]:
    """What a control did, in words, and whether it should have been rejected and was not."""
    if rejected:
        return f"{what}: rejected at {worst:.3g}", False
    if power >= POWER:
        return f"{what}: NOT REJECTED at {worst:.3g}, power {power:.4f}", True
    return f"{what}: no power here", False
