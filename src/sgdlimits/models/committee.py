"""Teacher and student committees of any activation, under one-pass SGD on the squared loss.

    f(x) = (1/p) sum_i v_i sigma(s_i),                   s = W x,
    y(x) = (1/k) sum_r a_r sigma*(s*_r) + sqrt(Delta) z, s* = F x,

with loss (y - f)^2/2 and x ~ N(0, I_d).

Statistics (v, M, Q): M = W Fᵀ (p, k), Q = W Wᵀ. **v has length p if the second layer is trained
and length 0 if not**; then it is fixed at the model's ``second_layer`` (default ones).

The error e0 = f* - f = - sum_m w_m sigma_m(u_m), with u = (s, s*) ~ N(0, Omega) and signed weights
w = (v/p, -a/k), is all that the gradient g_i = -(v_i/p) sigma'(s_i) (e0 + sqrt(Delta) z) sees.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from numpy.typing import ArrayLike

from sgdlimits import _validate
from sgdlimits._shown import number
from sgdlimits.data.base import Matrix
from sgdlimits.data.spectrum import Spectrum
from sgdlimits.data.teacher import Teacher
from sgdlimits.expectations.activations import AbstractActivation, hermite_coefficients
from sgdlimits.expectations.four_point import four_point_deviations, slopes_and_squared_error
from sgdlimits.expectations.pairs import pair_of
from sgdlimits.expectations.pairs.base import Committee4, FreeStep, Pair, TwoPoint
from sgdlimits.expectations.rules import AbstractRule, coarse_rule
from sgdlimits.expectations.two_point import LEVELS, matrix_slope_overlap, matrix_two_point
from sgdlimits.models import committee_increments
from sgdlimits.models.base import AbstractModel, PlainStep
from sgdlimits.models.expectations import Expectations
from sgdlimits.models.losses import squared
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.models.network import Network
from sgdlimits.randomness.chi_square import ChiSquares
from sgdlimits.statistics import rows
from sgdlimits.statistics.overlaps import Coordinates, Statistics

_HIGHEST_EXPONENT = 24
_ROUNDING = 1e-13  # relative, of sums over nodes


class CommitteeOutput(eqx.Module):
    """f = (1/p) sum_i v_i sigma(s_i), with v trained or fixed at ``second_layer``."""

    student: AbstractActivation
    second_layer: tuple[float, ...] = eqx.field(static=True)

    def layer(self, v: Float[Array, " layer"]) -> Float[Array, " width"]:
        """v, trained or fixed."""
        return v if v.shape[0] else jnp.asarray(self.second_layer, v.dtype)

    def __call__(self, v: Float[Array, " layer"], s: Float[Array, " width"]) -> Float[Array, ""]:
        """f of one sample."""
        return jnp.sum(self.layer(v) * self.student(s)) / len(self.second_layer)


class CommitteeTarget(eqx.Module):
    """y = (1/k) sum_r a_r sigma*(s*_r) + sqrt(Delta) z."""

    teacher: AbstractActivation
    second_layer: tuple[float, ...] = eqx.field(static=True)
    noise: float

    def clean(self, s: Float[Array, " directions"]) -> Float[Array, ""]:
        """Without noise."""
        a = jnp.asarray(self.second_layer, s.dtype)
        return jnp.sum(a * self.teacher(s)) / len(self.second_layer)

    def __call__(self, s: Float[Array, " directions"], z: Float[Array, ""]) -> Float[Array, ""]:
        """y of one sample."""
        return self.clean(s) + jnp.sqrt(jnp.asarray(self.noise, s.dtype)) * z


def _weights(name: str, value: Sequence[float], length: int) -> tuple[float, ...]:
    row = _validate.finite(name, value)
    if row.shape != (length,):
        raise ValueError(f"{name} has shape {row.shape}: expected {(length,)}.")
    return tuple(row.tolist())


class Committee(MultiIndexModel):
    """A student committee that learns from a teacher committee. Build one with ``committee``.

    A ``MultiIndexModel`` on a ``Teacher`` with the squared loss, whose expectations have closed
    forms where ``expectations.pairs`` knows the two activations.

    Args:
        student, teacher: activations sigma and sigma*.
        width: p, the number of students.
        gram: P = F Fᵀ, (k, k), of the teacher's rows; with a covariance also (blocks, k, k).
        second_layer: v where it is not trained, and where training starts otherwise; length p.
        teacher_second_layer: a, length k.
        noise: Delta, the variance of the label noise.
        train_second_layer: whether v moves, at rate step * second_layer_rate.
        rule: nodes in p + k dimensions for what has no formula: covariances of increments, and the
            noise term of mixed or general activations.
        ridge: alpha, adds (alpha/2)(|W|^2 + |v|^2) to the loss, v if it is trained.
        tolerance: error that expectations may have, in units of their scales; default 1e-3.
        rule_is_chosen: whether ``rule`` stays where it is not accurate enough.
        covariance: eigenvalues of the inputs' covariance; the call then gives a ``BlockCommittee``.
        hidden: covariance (k, k) of the part of the teacher's preactivations that inputs do not
            contain; with a covariance only.

    Raises:
        TypeError, ValueError: for arguments that do not fit.

    Source: Saad and Solla (1995); Veiga et al. (2022); Arnaboldi et al. (2023). Drift exact by
    formula for two erf, two ReLU or two polynomials, covariance for two squares; else quadrature.
    """

    looks: ClassVar = False  # where activations break, ``expectations`` looks itself
    records_risk: ClassVar = True
    has_mean_field: ClassVar = True
    citation: ClassVar = (
        "L. Arnaboldi, L. Stephan, F. Krzakala, B. Loureiro. From high-dimensional & mean-field "
        "dynamics to dimensionless ODEs: a unifying approach to SGD in two-layers networks. "
        "COLT 2023."
    )

    def __init__(
        self,
        *,
        student: AbstractActivation,
        teacher: AbstractActivation,
        width: int,
        gram: ArrayLike | Matrix,
        second_layer: Sequence[float],
        teacher_second_layer: Sequence[float],
        noise: float,
        train_second_layer: bool,
        rule: AbstractRule,
        ridge: float = 0.0,
        tolerance: float | None = None,
        rule_is_chosen: bool = False,
        covariance: Spectrum | None = None,
        hidden: ArrayLike | Matrix | None = None,
    ):
        for name, activation in (("student", student), ("teacher", teacher)):
            if not isinstance(activation, AbstractActivation):
                raise TypeError(
                    f"{name}={activation!r}: expected an activation, as_activation(...)."
                )
        width = _validate.integer("width", width, 1)
        train_second_layer = _validate.boolean("train_second_layer", train_second_layer)
        noise = _validate.nonnegative("noise", noise)
        if covariance is None:  # else there may be one matrix per block
            gram = _validate.gram("gram", gram)
        second_layer = _weights("second_layer", second_layer, width)
        rows = np.shape(gram)[-1]
        teacher_second_layer = _weights("teacher_second_layer", teacher_second_layer, rows)
        target = CommitteeTarget(teacher, tuple(teacher_second_layer), noise)
        if hidden is not None and covariance is None:
            raise ValueError(
                "hidden: needs a covariance of the inputs; Spectrum([1.0]) is the isotropic one."
            )
        self.data = Teacher(target, gram=gram, covariance=covariance, hidden=hidden)
        output = CommitteeOutput(student, tuple(second_layer))
        layer = width if train_second_layer else 0
        self.network = Network(output, width=width, layer=layer, kinks=student.kinks)
        self.loss = squared
        self.ridge = _validate.nonnegative("ridge", ridge)
        self.rule, self.rule_is_chosen, self.tolerance = rule, rule_is_chosen, tolerance

    def built(self) -> AbstractModel:
        """Itself; on inputs with a covariance the model of its overlaps block by block."""
        if self.data.in_blocks() is None:
            return self
        from sgdlimits.models.block_committee import BlockCommittee  # which is made of these

        return BlockCommittee(self.data, cast(Committee, self.on_total()))

    def on_total(self) -> MultiIndexModel:
        """On isotropic inputs, for formulas: they see the whole preactivations of the teacher."""
        law = cast(Teacher, self.data.total())
        if law.hidden is not None:
            law = Teacher(law.label_function, gram=np.array(law.gram) + np.array(law.hidden))
        return eqx.tree_at(lambda model: model.data, self, law)

    # -- what it was built from ----------------------------------------------------------------

    @property
    def _output(self) -> CommitteeOutput:
        return cast(CommitteeOutput, self.network.function)

    @property
    def _target(self) -> CommitteeTarget:
        return cast(CommitteeTarget, cast(Teacher, self.data).label_function)

    @property
    def student(self) -> AbstractActivation:
        """sigma."""
        return self._output.student

    @property
    def teacher(self) -> AbstractActivation:
        """sigma*."""
        return self._target.teacher

    @property
    def gram(self) -> tuple[tuple[float, ...], ...]:
        """P = F Fᵀ."""
        return self.data.gram

    @property
    def second_layer(self) -> tuple[float, ...]:
        """v where it is fixed, or where its training starts."""
        return self._output.second_layer

    @property
    def teacher_second_layer(self) -> tuple[float, ...]:
        """a."""
        return self._target.second_layer

    @property
    def noise(self) -> float | Array:
        """Delta."""
        return self._target.noise

    @property
    def train_second_layer(self) -> bool:
        """Whether v is trained."""
        return self.layer_size > 0

    @property
    def teacher_width(self) -> int:
        """k."""
        return self.data.directions

    @property
    def kinks(self) -> tuple[float, ...]:
        """Of both activations."""
        return tuple(sorted({*self.student.kinks, *self.teacher.kinks}))

    @property
    def pair(self) -> Pair:
        """What has closed forms."""
        return pair_of(self.student, self.teacher)

    @property
    def information_exponent(self) -> int | None:
        """min{j >= 1: c_j c*_j != 0} of the Hermite coefficients at unit norms; None: not below 24.

        Ben Arous, Gheissari and Jagannath (2021): weak recovery on the sphere takes of order d,
        d log d or d^(j-1) steps for j = 1, 2 or j >= 3, with one gradient per sample and a fixed
        second layer.
        """
        c, other = (
            hermite_coefficients(x, _HIGHEST_EXPONENT) for x in (self.student, self.teacher)
        )
        found = np.abs(c * other) > 1e-10 * np.linalg.norm(c) * np.linalg.norm(other)
        return next((j for j in range(1, _HIGHEST_EXPONENT) if found[j]), None)

    def varied(self, name: str, value: float) -> AbstractModel:
        """With another ``noise`` or ``ridge``."""
        if name == "noise":
            return self._again(noise=value)
        return super().varied(name, value)

    def _again(self, **changed: Any) -> AbstractModel:
        names = (
            "student",
            "teacher",
            "width",
            "gram",
            "second_layer",
            "teacher_second_layer",
            "noise",
            "train_second_layer",
            "rule",
            "ridge",
            "tolerance",
            "rule_is_chosen",
        )
        return type(self)(**{name: getattr(self, name) for name in names} | changed)

    def facts(self) -> dict[str, str]:
        """Widths, activations, noise, ridge, and the information exponent."""
        exponent = self.information_exponent
        return {
            "students": f"{self.width}, {self.student!r}",
            "teachers": f"{self.teacher_width}, {self.teacher!r}",
            "label noise": number(self.noise),
            "second layer": "trained" if self.train_second_layer else "fixed",
            "ridge": number(self.ridge),
            "information exponent": "above 23" if exponent is None else str(exponent),
        }

    def __repr__(self) -> str:
        """What it was built from, and its information exponent."""
        parts = {
            "width": self.width,
            "teacher_width": self.teacher_width,
            "activation": self.student,
            "teacher_activation": self.teacher,
            "noise": self.noise if isinstance(self.noise, float) else "...",
            "train_second_layer": self.train_second_layer,
            "information_exponent": self.information_exponent,
        }
        return f"Committee({', '.join(f'{name}={value!r}' for name, value in parts.items())})"

    # -- derivatives ---------------------------------------------------------------------------

    @property
    def has_jacobian(self) -> bool:
        """Not where the noise term is a sum over nodes that cross kinks."""
        return self.pair.exact or not self.kinks or self.rule.differentiable

    @property
    def drift_is_sampled(self) -> bool:
        """By the rule, where there is no formula."""
        return self.rule.is_sampled and not self.pair.exact

    @property
    def drift_is_rough(self) -> bool:
        """Where it is sampled: the rule is for noise terms alone."""
        return self.drift_is_sampled

    @property
    def differentiates_nodes(self) -> bool:
        """Without formula or kinks."""
        return not self.kinks and not self.pair.exact

    # -- teacher, student, error ---------------------------------------------------------------

    def accurate_to(self, error: float) -> "Committee":
        """What has no formula to this relative error; a chosen rule is kept.

        The errors of rules were measured for bounded slopes. Here increments have heavier tails, so
        that more is asked for; and smooth activations keep their Gauss rules.
        """
        if self.rule.coarser() is None:  # Sobol points
            error = error / 2
        else:
            error = error / 5 if self.kinks else 0.0
        rule = coarse_rule(self.rule, error)
        return self if rule is self.rule else eqx.tree_at(lambda model: model.rule, self, rule)

    @property
    def expectation_size(self) -> int:
        """Nodes times statistics; 1 where covariances have formulas."""
        known = self.pair.increment_covariance is not None
        return 1 if known else self.rule.count * len(self.template.names)

    def layer(self, u: Any) -> Float[Array, " width"]:
        """v of a state, trained or fixed."""
        return self._output.layer(u.v)

    def output(self, v: Array, s: Array) -> Float[Array, ""]:
        """f = (1/p) sum_i v_i sigma(s_i)."""
        return self._output(v, s)

    def target(self, s: Array) -> Float[Array, ""]:
        """(1/k) sum_r a_r sigma*(s*_r), without noise."""
        return self._target.clean(s)

    def signed_weights(self, u: Statistics) -> Float[Array, " fields"]:
        """w = (v/p, -a/k)."""
        a = jnp.asarray(self.teacher_second_layer)
        return jnp.concatenate([self.layer(u) / self.width, -a / self.teacher_width])

    def joint_covariance(self, u: Statistics) -> Float[Array, "fields fields"]:
        """Omega = [[Q, M], [Mᵀ, P]]."""
        return jnp.block([[u.Q, u.M], [u.M.T, jnp.asarray(self.gram)]])

    def risk(self, u: Statistics) -> Float[Array, ""]:
        """E[(y - f)^2]/2 = (1/2) sum_mq w_m w_q E[sigma_m sigma_q] + Delta/2."""
        return self._risk(u, 0)

    def risk_deviations(self, u: Statistics) -> Float[Array, " estimates"] | None:
        """Distances to coarser panels; None for formulas."""
        if self.pair.two_point is not None:
            return None
        return self._risk(u, 0) - jnp.stack([self._risk(u, level) for level in LEVELS])

    def _risk(self, u: Statistics, level: int) -> Float[Array, ""]:
        p, w, Omega = self.width, self.signed_weights(u), self.joint_covariance(u)
        ours, theirs = np.arange(p), p + np.arange(self.teacher_width)
        blocks = (
            (self.student, self.student, ours, ours, 1.0),
            (self.student, self.teacher, ours, theirs, 2.0),
            (self.teacher, self.teacher, theirs, theirs, 1.0),
        )
        total = jnp.zeros(())
        for one, other, i, j, times in blocks:
            k = matrix_two_point(one, other, Omega, i, j, level).k
            total = total + times * (w[i] @ k @ w[j])
        return (total + self.noise) / 2

    def irreducible_risk(self) -> Float[Array, ""]:
        """Delta/2: the risk of the teacher itself."""
        return jnp.asarray(self.noise) / 2

    def sample_gradients(self, v: Array, s: Array, label: Array) -> tuple[Array, Array]:
        """(g, h): derivatives of the loss in s and v, without ridge."""
        layer = self._output.layer(v)
        error = (label[0] - self._output(v, s)) / self.width
        h = -self.student(s) * error if self.train_second_layer else v
        return -layer * self.student.slope(s) * error, h

    # -- expectations --------------------------------------------------------------------------

    def _kernels(self, u: Statistics, level: int = 0) -> TwoPoint:
        """k, k_m, k_q of sigma(s_i) and all n fields, (p, n)."""
        p, Omega = self.width, self.joint_covariance(u)
        ours, theirs = np.arange(p), p + np.arange(self.teacher_width)
        left = matrix_two_point(self.student, self.student, Omega, ours, ours, level)
        right = matrix_two_point(self.student, self.teacher, Omega, ours, theirs, level)
        return TwoPoint(*(jnp.concatenate(x, axis=1) for x in zip(left, right, strict=True)))

    def _of_loss(self, u: Statistics, level: int = 0) -> tuple[Array, Array]:
        """E[h] and E[g_i u_l], without ridge; three-point functions by regression on the fields."""
        p, w, Omega = self.width, self.signed_weights(u), self.joint_covariance(u)
        kernel = self._kernels(u, level)
        g = 2 * Omega[:p] * (kernel.k_q @ w)[:, None] + (kernel.k_m * w) @ Omega
        h = 1 / p * (kernel.k @ w) if self.train_second_layer else u.v
        return h, w[:p, None] * g

    def expectations(self, u: Statistics) -> Expectations:
        """By formula where ``pair`` has one; ridge included."""
        p, (h, g) = self.width, self._of_loss(u)
        return Expectations(
            h + self.ridge * u.v,
            g[:, p:] + self.ridge * u.M,
            g[:, :p] + self.ridge * u.Q,
            self._gradient_covariance(u, jnp.ones(())),
        )

    def deviations(self, u: Statistics) -> Expectations | None:
        """Distances to coarser rules, or deviations of replicates; None if all is by formula."""
        if self.pair.exact:
            return None
        p, w, Omega = self.width, self.signed_weights(u), self.joint_covariance(u)
        outer = w[:p, None] * w[:p]
        values = self._by_panels(u, 0)
        distances = [jax.tree.map(jnp.subtract, values, self._by_panels(u, x)) for x in LEVELS]
        rounding = jax.tree.map(lambda x: _ROUNDING * x, values)
        each = jax.tree.map(lambda *x: jnp.stack(x), *distances, rounding)
        squares = outer * four_point_deviations(self._fields(u, Omega), self.rule)
        apart = len(squares) != len(LEVELS)  # else both come from the same pair of rules
        count = len(squares) if apart else len(LEVELS)
        if not apart:
            return each._replace(gg=each.gg.at[:count].add(squares))
        padded = lambda x: jnp.pad(x, [(0, count), *([(0, 0)] * (x.ndim - 1))])  # noqa: E731
        each = jax.tree.map(padded, each)
        return each._replace(gg=each.gg.at[-count:].add(squares))

    @property
    def knows_errors(self) -> bool:
        """Unless a rule that is needed has nothing to compare with."""
        return self.pair.four_point is not None or self.rule.has_error_estimate

    def _by_panels(self, u: Statistics, level: int) -> Expectations:
        """What pairs of fields give: all but E[sigma' sigma' e^2] in gg."""
        p, w = self.width, self.signed_weights(u)
        h, g = self._of_loss(u, level)
        slopes = matrix_slope_overlap(self.student, u.Q, level)
        return Expectations(h, g[:, p:], g[:, :p], w[:p, None] * w[:p] * self.noise * slopes)

    def _gradient_covariance(self, u: Statistics, scale: Array) -> Float[Array, "width width"]:
        """E[g gᵀ] for fields with covariance scale * Omega."""
        p, w, Omega = self.width, self.signed_weights(u), scale * self.joint_covariance(u)
        error = slopes_and_squared_error(self._fields(u, Omega), self.rule)
        slopes = matrix_slope_overlap(self.student, Omega[:p, :p])
        return w[:p, None] * w[:p] * (error + self.noise * slopes)

    def _fields(self, u: Statistics, Omega: Array) -> Committee4:
        return Committee4(self.student, self.teacher, Omega, self.signed_weights(u), self.width)

    # -- moments of one step -------------------------------------------------------------------

    def increment_moments(
        self, u: Statistics, plain: PlainStep, dim: Float[Array, ""] | None
    ) -> tuple[Float[Array, " statistics"], Float[Array, "statistics statistics"]]:
        """Mean and covariance of increment/delta, at finite dim or (None) in the limit.

        Exact, by E[h |x|^2]/d = E[h] + (2/d) (d/dc) E_c[h] at c = 1, E_c for the covariance
        c Omega; up to the rule's error where there is no formula.
        """
        p, (h, g) = self.width, self._of_loss(u)
        shrink = 1.0 if dim is None else 1 - plain.step / dim * self.ridge
        gs = shrink * (g[:, :p] + g[:, :p].T)
        drift = Statistics(
            -plain.rate * (h + self.ridge * u.v),
            -(g[:, p:] + self.ridge * u.M),
            -gs - (1 + shrink) * self.ridge * u.Q,
        )
        corrector = plain.step * self._square_in_Q(u, dim)
        return drift.vector + corrector, self._covariance(u, plain, dim)

    def _square_in_Q(self, u: Statistics, dim: Array | None) -> Float[Array, " statistics"]:
        """E[g gᵀ |x|^2]/dim, in the places of Q."""
        if dim is not None and not self.has_jacobian:
            nodes = committee_increments.nodes_at(self, u, PlainStep(1.0))
            return committee_increments.mean_square(nodes, self.noise, dim, self.minimum_dim)
        one = jnp.ones(())
        if dim is None:
            gg = self._gradient_covariance(u, one)
        else:
            gg, slope = jax.jvp(lambda c: self._gradient_covariance(u, c), (one,), (one,))
            gg = gg + 2 / dim * slope
        return Statistics(jnp.zeros_like(u.v), jnp.zeros_like(u.M), gg).vector

    def _covariance(self, u: Statistics, plain: PlainStep, dim: Array | None) -> Array:
        noise, step, rate = (jnp.asarray(x) for x in (self.noise, plain.step, plain.rate))
        shrink = jnp.ones(()) if dim is None else 1 - step / dim * self.ridge
        if self.pair.increment_covariance is not None:
            trained = rate if self.train_second_layer else None
            free = FreeStep(self.layer(u), step, trained, noise, dim, shrink)
            return self.pair.increment_covariance(self._fields(u, self.joint_covariance(u)), free)
        nodes = committee_increments.nodes_at(self, u, plain, shrink)
        return committee_increments.covariance(nodes, step, noise, dim, self.minimum_dim)

    def increment_factor(
        self, u: Statistics, plain: PlainStep
    ) -> Float[Array, "statistics statistics"]:
        """By eigenvectors of the covariance."""
        values, vectors = jnp.linalg.eigh(self._covariance(u, plain, None))
        return vectors * jnp.sqrt(jnp.maximum(values, 0))

    # -- laws and landmarks --------------------------------------------------------------------

    def initial_statistics(
        self, key: Key[Array, ""], dim: Float[Array, ""], constants: ChiSquares
    ) -> Statistics:
        """W_i ~ N(0, I/dim), v = ``second_layer``; spherical algorithms normalise the rows."""
        B, rest = rows.random_rows(key, dim, self.teacher_width, constants)
        v = jnp.asarray(self.second_layer) if self.train_second_layer else self.template.v
        return self.of_coordinates(Coordinates(v, B, rest))

    def search_points(self, rng: np.random.Generator, count: int, step: float) -> Statistics:
        """Random overlaps of order one; half of the points with little outside the teacher."""
        p, k = self.width, self.teacher_width
        shrink = np.where(np.arange(count) % 2 == 0, 1.0, 10 ** rng.uniform(-4, 0, count))
        factor = rng.standard_normal((count, p, p)) * np.sqrt(shrink / p)[:, None, None]
        B = rng.standard_normal((count, p, k))
        v = 1.5 * rng.standard_normal((count, self.template.v.size))
        M = B @ np.asarray(self.root).T
        return Statistics(v, M, B @ np.swapaxes(B, -1, -2) + factor @ np.swapaxes(factor, -1, -2))

    def neighbours(
        self, u: Statistics, rng: np.random.Generator, count: int, radius: float
    ) -> Statistics:
        """Moves v, M, and the rest within the positive semidefinite matrices."""
        p, k = self.width, self.teacher_width
        dv = rng.standard_normal((count, self.template.v.size))
        dB, factor = rng.standard_normal((count, p, k)), rng.standard_normal((count, p, p))
        scale = radius / np.sqrt((dv**2).sum(-1) + (dB**2).sum((-2, -1)))
        B, rest = (np.asarray(x) for x in rows.coordinates(u, self.root))
        B = B + scale[:, None, None] * dB
        rest = rest + scale[:, None, None] / p * factor @ np.swapaxes(factor, -1, -2)
        v = np.asarray(u.v) + scale[:, None] * dv
        return Statistics(v, B @ np.asarray(self.root).T, B @ np.swapaxes(B, -1, -2) + rest)

    def citations(self) -> tuple[str, ...]:
        """The unified ODEs, and the study of phase retrieval for squares."""
        squares = (
            "L. Arnaboldi, F. Krzakala, B. Loureiro, L. Stephan. Escaping mediocrity: how "
            "two-layer networks learn hard generalized linear models with SGD. 2023."
        )
        both = all("square" in x.kinds for x in (self.student, self.teacher))
        return (self.citation, squares) if both else (self.citation,)
