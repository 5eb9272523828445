"""The teacher-student problems of the papers."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from sgdlimits import _resources, _validate
from sgdlimits.data.base import Matrix
from sgdlimits.data.spectrum import Spectrum
from sgdlimits.expectations.activations import AbstractActivation, as_activation
from sgdlimits.expectations.own_points import growth, own_points
from sgdlimits.expectations.pairs import pair_of
from sgdlimits.expectations.panel_rule import panel_rule
from sgdlimits.expectations.rules import (
    AbstractRule,
    Nodes,
    QuasiMonteCarlo,
    TruncatedGauss,
    check_rule,
    rule_for,
)
from sgdlimits.models.committee import Committee

ActivationLike = str | AbstractActivation | Callable
_MOST_NODES = 60_000
_MOST_GAUSS, _MOST_GAUSS_SMOOTH = 4, 3  # fields
_MOST_PANELS = 3
_HEAVY = 1.5  # power of growth from which tails decide
_MOST_SOBOL = 64


class NoRule(AbstractRule):
    """Stands where nodes in so many dimensions would fill the memory."""

    dim: int = eqx.field(static=True)

    @property
    def count(self) -> int:
        """None."""
        raise self._refusal()

    def nodes(
        self,
        mean: Float[Array, " dim"],
        factor: Float[Array, "dim dim"],
        kinks: tuple[float, ...],
    ) -> Nodes:
        """None."""
        raise self._refusal()

    def _refusal(self) -> ValueError:
        return ValueError(
            f"width + teacher_width = {self.dim}: expectations without formula need nodes in so "
            "many dimensions; give rule=QuasiMonteCarlo(...), or use engine='mean_field'."
        )


def committee(
    width: int = 8,
    teacher_width: int = 4,
    activation: ActivationLike = "erf",
    teacher_activation: ActivationLike | None = None,
    noise: float = 1e-3,
    teacher_gram: ArrayLike | None = None,
    teacher_second_layer: ArrayLike | None = None,
    train_second_layer: bool = False,
    *,
    second_layer: ArrayLike | None = None,
    ridge: float = 0.0,
    tolerance: float | None = None,
    rule: AbstractRule | None = None,
    covariance: Spectrum | None = None,
    hidden: ArrayLike | Matrix | None = None,
) -> Any:  # a Committee, or a BlockCommittee: callers know which
    """f = (1/p) sum v_i sigma(s_i) learns y = (1/k) sum a_r sigma*(s*_r) + sqrt(noise) z.

    Args:
        width: p.
        teacher_width: k.
        activation: "erf" (erf(s/sqrt 2)), "relu", "square", a ``Hermite`` series, a
            ``Polynomial``, or any function of one variable in JAX (``Activation`` declares kinks).
        teacher_activation: likewise; default the student's.
        noise: Delta, variance of the label noise.
        teacher_gram: P = F Fᵀ, symmetric positive definite; default the identity. With a covariance
            it is spread evenly over the blocks; or (blocks, k, k), one per block.
        teacher_second_layer: a; default ones.
        train_second_layer: whether v is trained.
        second_layer: v where it is fixed, or where its training starts; default ones.
        ridge: alpha, adds (alpha/2)(|W|^2 + |v|^2) to the loss (v if it is trained).
        tolerance: error that expectations without formula may have, in units of their scales: where
            it is exceeded, finer rules are taken, or it is said with a warning. Default 1e-3.
        rule: nodes in p + k dimensions for expectations without formula, instead.
        covariance: eigenvalues of the inputs' covariance; default 1. Statistics are then overlaps
            block by block.
        hidden: covariance (k, k) of a Gaussian part of the teacher's preactivations that inputs do
            not contain: misfit, hidden manifolds. Needs ``covariance``.

    Returns:
        A ``Committee``; with a covariance a ``BlockCommittee``.

    Raises:
        TypeError, ValueError: for arguments that do not fit.

    Source: Saad and Solla (1995); Arnaboldi, Stephan, Krzakala and Loureiro (2023).
    """
    p = _validate.integer("width", width, 1)
    _resources.check_count("width", p, lambda width: 200.0 * width)
    k = _validate.integer("teacher_width", teacher_width, 1, _resources.MOST_ROWS)
    student = as_activation("activation", activation)
    teacher = (
        student
        if teacher_activation is None
        else as_activation("teacher_activation", teacher_activation)
    )
    if tolerance is not None and rule is not None:
        raise ValueError(f"tolerance={tolerance!r}: leave it out, or leave out rule={rule!r}.")
    if rule is not None:
        check_rule(rule, p + k, {*student.kinks, *teacher.kinks})
    return Committee(
        student=student,
        teacher=teacher,
        width=p,
        gram=_gram(teacher_gram, k, covariance),
        second_layer=_row("second_layer", second_layer, p),
        teacher_second_layer=_row("teacher_second_layer", teacher_second_layer, k),
        noise=_validate.nonnegative("noise", noise),
        train_second_layer=_validate.boolean("train_second_layer", train_second_layer),
        rule=_rule(student, teacher, p, k) if rule is None else rule,
        ridge=ridge,
        tolerance=None if tolerance is None else _validate.positive("tolerance", tolerance),
        rule_is_chosen=rule is not None,
        covariance=covariance,
        hidden=hidden,
    )


def _gram(value: ArrayLike | None, k: int, covariance: Spectrum | None) -> ArrayLike | Matrix:
    """Checked by the name it has here; one per block is checked beside its covariance."""
    value = np.eye(k) if value is None else value
    if covariance is not None and np.ndim(value) == 3:
        if np.shape(value)[1:] != (k, k):
            raise ValueError(
                f"teacher_gram has shape {np.shape(value)}: expected (blocks, {k}, {k})."
            )
        return value
    return _validate.gram("teacher_gram", value, k)


def phase_retrieval(
    width: int = 1, noise: float = 0.0, train_second_layer: bool = False, *, ridge: float = 0.0
) -> Committee:
    """Squares that learn y = s*^2 + sqrt(noise) z: one teacher row of norm 1.

    Args:
        width: p.
        noise: Delta.
        train_second_layer: whether v is trained.
        ridge: alpha.

    Raises:
        TypeError, ValueError: for arguments that do not fit.

    Source: Arnaboldi, Krzakala, Loureiro and Stephan (2023); their time is ours divided by p.
    """
    return committee(
        width, 1, "square", noise=noise, train_second_layer=train_second_layer, ridge=ridge
    )


def single_index(
    activation: ActivationLike = "erf",
    link: ActivationLike | None = None,
    noise: float = 0.0,
    *,
    ridge: float = 0.0,
    tolerance: float | None = None,
) -> Committee:
    """f = sigma(w.x) learns y = link(w*.x) + sqrt(noise) z; see its ``information_exponent``.

    Args:
        activation: sigma, as in ``committee``.
        link: the teacher's; default sigma.
        noise: Delta.
        ridge: alpha.
        tolerance: of expectations, as in ``committee``.

    Raises:
        TypeError, ValueError: for arguments that do not fit.

    Source: Ben Arous, Gheissari and Jagannath (2021) for the information exponent.
    """
    with _validate.renamed("teacher_activation", "link"):
        return committee(1, 1, activation, link, noise, ridge=ridge, tolerance=tolerance)


def _row(name: str, value: ArrayLike | None, length: int) -> tuple[float, ...]:
    row = np.ones(length) if value is None else _validate.reals(name, value)
    if row.shape != (length,) or not np.isfinite(row).all():
        raise ValueError(f"{name}={value!r}: expected {length} finite numbers.")
    return tuple(float(x) for x in row)


def _rule(student: AbstractActivation, teacher: AbstractActivation, p: int, k: int) -> AbstractRule:
    """Exact for polynomials where the grid is small enough; else panels, or Sobol points."""
    n = p + k
    if student.degree is not None and teacher.degree is not None:
        # Fourth moments of the error times squares of the gradient: degree 8 D.
        order = 2 * max(student.degree, teacher.degree) + 1
        if (2 * order) ** n <= _MOST_NODES:
            return TruncatedGauss(n, order)
    if n > _MOST_SOBOL:
        return NoRule(n)
    kinks = {*student.kinks, *teacher.kinks}
    if pair_of(student, teacher).exact and n <= (_MOST_GAUSS if kinks else _MOST_GAUSS_SMOOTH):
        # For covariances of increments alone, which are of order one in dim.
        return rule_for(n, kinks=kinks)
    fields = [*[student] * p, *[teacher] * k]
    panels = panel_rule(fields) if n <= _MOST_PANELS else None
    if panels is not None:
        return panels
    if n <= _MOST_GAUSS and _one_break(student, teacher):
        return rule_for(n, kinks=kinks)
    # Sobol points that stay on their side of every kink count, of all nodes, only those on the
    # likely sides: for 5 fields, ReLU and a cubic, they are off by half. Points that cross are not.
    heavy = [i for i, x in enumerate(fields) if growth(x) > _HEAVY]
    return QuasiMonteCarlo(n, 12, split=False, heavy=heavy)


def _one_break(student: AbstractActivation, teacher: AbstractActivation) -> bool:
    """Whether both are polynomials on either side of one point, which Gauss rules integrate."""
    one, other = own_points(student), own_points(teacher)
    return len({*one.all, *other.all}) == 1
