"""Teacher and student committees of any activation, under one-pass SGD on the squared loss.

    f(x) = (1/p) sum_i v_i sigma(s_i),                   s = W x,
    y(x) = (1/k) sum_r a_r sigma*(s*_r) + sqrt(Delta) z, s* = F x,

with loss (y - f)^2/2 and x ~ N(0, I_d).

Statistics (v, M, Q): M = W Fᵀ (p, k), Q = W Wᵀ. **v has length p if the second layer is trained
and length 0 if not**; then it is fixed at the model's ``second_layer`` (default ones).

The error e0 = f* - f = - sum_m w_m sigma_m(u_m), with u = (s, s*) ~ N(0, Omega) and signed weights
w = (v/p, -a/k), is all that the gradient g_i = -(v_i/p) sigma'(s_i) (e0 + sqrt(Delta) z) sees.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.expectations.activations import (
    AbstractActivation,
    Polynomial,
    hermite_coefficients,
)
from sgdlimits.expectations.four_point import (
    Committee4,
    has_formula,
    slopes_and_squared_error,
)
from sgdlimits.expectations.rules import AbstractRule, TruncatedGauss, coarse_rule
from sgdlimits.expectations.two_point import TwoPoint, matrix_two_point
from sgdlimits.models import committee_increments, committee_squares
from sgdlimits.models.base import OneStepMoments
from sgdlimits.models.overlap_model import AbstractOverlapModel, ChainState, Parameters
from sgdlimits.process.affine_step import Sample, advance
from sgdlimits.process.spherical_limit import tangent, tangent_rows
from sgdlimits.randomness.chi_square import ChiSquare
from sgdlimits.statistics import rows
from sgdlimits.statistics.overlaps import Statistics

_SQUARE = (0.0, 0.0, 1.0)
_HIGHEST_EXPONENT = 24


class Committee(AbstractOverlapModel):
    """A student committee that learns from a teacher committee. Build one with ``committee``.

    Args:
        student, teacher: activations sigma and sigma*.
        width: p, the number of students.
        gram: P = F Fᵀ, (k, k), of the teacher's rows.
        second_layer: v where it is not trained, and where training starts otherwise; length p.
        teacher_second_layer: a, length k.
        noise: Delta, the variance of the label noise.
        train_second_layer: whether v moves, at rate step * second_layer_rate.
        rule: nodes in p + k dimensions for what has no formula: covariances of increments, and the
            noise term of mixed or general activations.

    Source: Saad and Solla (1995); Veiga et al. (2022); Arnaboldi et al. (2023). Drift exact by
    formula for two erf, two ReLU or two polynomials, covariance for two squares; else quadrature.
    """

    student: AbstractActivation
    teacher: AbstractActivation
    width: int = eqx.field(static=True)
    gram: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    second_layer: tuple[float, ...] = eqx.field(static=True)
    teacher_second_layer: tuple[float, ...] = eqx.field(static=True)
    noise: float
    train_second_layer: bool = eqx.field(static=True)
    rule: AbstractRule

    records_risk: ClassVar = True
    citation: ClassVar = (
        "L. Arnaboldi, L. Stephan, F. Krzakala, B. Loureiro. From high-dimensional & mean-field "
        "dynamics to dimensionless ODEs: a unifying approach to SGD in two-layers networks. "
        "COLT 2023."
    )

    @property
    def template(self) -> Statistics:
        """Zeros."""
        p, k = self.width, self.teacher_width
        layer = p if self.train_second_layer else 0
        return Statistics(jnp.zeros(layer), jnp.zeros((p, k)), jnp.zeros((p, p)))

    @property
    def teacher_width(self) -> int:
        """k."""
        return len(self.gram)

    @property
    def root(self) -> Float[Array, "k k"]:
        """Lower triangular R with P = R Rᵀ."""
        return jnp.asarray(np.linalg.cholesky(np.array(self.gram)))

    @property
    def kinks(self) -> tuple[float, ...]:
        """Of both activations."""
        return tuple(sorted({*self.student.kinks, *self.teacher.kinks}))

    @property
    def squares(self) -> bool:
        """Whether both activations are s^2."""
        pair = (self.student, self.teacher)
        return all(isinstance(x, Polynomial) and x.coefficients == _SQUARE for x in pair)

    @property
    def information_exponent(self) -> int | None:
        """min{j >= 1: c_j c*_j != 0} of the Hermite coefficients at unit norms; None: not below 24.

        Ben Arous, Gheissari and Jagannath (2021): weak recovery on the sphere takes of order d,
        d log d or d^(j-1) steps for j = 1, 2 or j >= 3.
        """
        c, other = (
            hermite_coefficients(x, _HIGHEST_EXPONENT) for x in (self.student, self.teacher)
        )
        found = np.abs(c * other) > 1e-10 * np.linalg.norm(c) * np.linalg.norm(other)
        return next((j for j in range(1, _HIGHEST_EXPONENT) if found[j]), None)

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

    # -- what is allowed -----------------------------------------------------------------------

    def check_algorithm(self, sgd: OnlineSGD) -> None:
        """A rate for the second layer only where it is trained."""
        if not self.train_second_layer and sgd.second_layer_rate != 1.0:
            raise ValueError(
                f"second_layer_rate={sgd.second_layer_rate!r}: the second layer is fixed; build "
                "the model with train_second_layer=True."
            )

    def check_state(self, u: Statistics, sgd: OnlineSGD) -> None:
        """Rows of norm 1 where the algorithm keeps them so."""
        self.check_statistics(u)
        if sgd.spherical:
            rows.check_unit_rows(u)

    def constrained(self, u: Statistics, sgd: OnlineSGD) -> Statistics:
        """Rows divided by their norms where the algorithm does so."""
        return rows.unit_rows(u) if sgd.spherical else u

    @property
    def has_jacobian(self) -> bool:
        """Not where the noise term is a sum over nodes that cross kinks."""
        formula = has_formula(self.student, self.teacher)
        return formula or not self.kinks or self.rule.differentiable

    @property
    def differentiates_nodes(self) -> bool:
        """Without formula or kinks."""
        return not self.kinks and not has_formula(self.student, self.teacher)

    # -- teacher, student, error ---------------------------------------------------------------

    def accurate_to(self, error: float) -> "Committee":
        """What has no formula to this relative error; a chosen rule is kept.

        The errors of rules were measured for bounded slopes. Here increments have heavier tails, so
        that more is asked for; and smooth activations keep their Gauss rules.
        """
        if isinstance(self.rule, TruncatedGauss):
            error = error / 5 if self.kinks else 0.0
        else:
            error = error / 2
        rule = coarse_rule(self.rule, error)
        return self if rule is self.rule else eqx.tree_at(lambda model: model.rule, self, rule)

    @property
    def expectation_size(self) -> int:
        """Nodes times statistics; squares have formulas."""
        return 1 if self.squares else self.rule.count * len(self.template.names)

    def layer(self, u: Statistics) -> Float[Array, " width"]:
        """v, trained or fixed."""
        return u.v if self.train_second_layer else jnp.asarray(self.second_layer)

    def output(self, v: Array, s: Array) -> Float[Array, ""]:
        """f = (1/p) sum_i v_i sigma(s_i)."""
        return jnp.sum(v * self.student(s)) / self.width

    def target(self, s: Array) -> Float[Array, ""]:
        """(1/k) sum_r a_r sigma*(s*_r), without noise."""
        a = jnp.asarray(self.teacher_second_layer, s.dtype)
        return jnp.sum(a * self.teacher(s)) / self.teacher_width

    def signed_weights(self, u: Statistics) -> Float[Array, " fields"]:
        """w = (v/p, -a/k)."""
        a = jnp.asarray(self.teacher_second_layer)
        return jnp.concatenate([self.layer(u) / self.width, -a / self.teacher_width])

    def joint_covariance(self, u: Statistics) -> Float[Array, "fields fields"]:
        """Omega = [[Q, M], [Mᵀ, P]]."""
        return jnp.block([[u.Q, u.M], [u.M.T, jnp.asarray(self.gram)]])

    def risk(self, u: Statistics) -> Float[Array, ""]:
        """E[(y - f)^2]/2 = (1/2) sum_mq w_m w_q E[sigma_m sigma_q] + Delta/2."""
        p, w, Omega = self.width, self.signed_weights(u), self.joint_covariance(u)
        ours, theirs = np.arange(p), p + np.arange(self.teacher_width)
        blocks = (
            (self.student, self.student, ours, ours, 1.0),
            (self.student, self.teacher, ours, theirs, 2.0),
            (self.teacher, self.teacher, theirs, theirs, 1.0),
        )
        total = jnp.zeros(())
        for one, other, i, j, times in blocks:
            k = matrix_two_point(one, other, Omega, i, j).k
            total = total + times * (w[i] @ k @ w[j])
        return (total + self.noise) / 2

    def irreducible_risk(self) -> Float[Array, ""]:
        """Delta/2: the risk of the teacher itself."""
        return jnp.asarray(self.noise) / 2

    # -- 1. the real SGD step ------------------------------------------------------------------

    def frame(self, dim: int) -> Float[Array, "directions dim"]:
        """Rows with Gram matrix P."""
        k = self.teacher_width
        return jnp.zeros((k, dim)).at[:, :k].set(self.root)

    def sgd_step(
        self,
        parameters: Parameters,
        frame: Float[Array, "directions dim"],
        key: Key[Array, ""],
        sgd: OnlineSGD,
        *,
        literal: bool = False,
    ) -> Parameters:
        """theta - delta grad L; ``literal`` differentiates the loss in v and W themselves."""
        v, W = parameters
        dtype = W.dtype
        layer = v if self.train_second_layer else jnp.asarray(self.second_layer, dtype)
        key_x, key_z = jax.random.split(key)
        x = jax.random.normal(key_x, frame.shape[1:], dtype)
        # Both the preactivations and the update need x: without the barrier it is drawn twice.
        x = jax.lax.optimization_barrier(x)
        z = jax.random.normal(key_z, (), dtype)
        y = self.target(frame @ x) + jnp.sqrt(jnp.asarray(self.noise, dtype)) * z
        delta = jnp.asarray(sgd.delta(W.shape[1]), dtype)
        if literal:
            loss = lambda v, W: (y - self.output(v, W @ x)) ** 2 / 2  # noqa: E731
            dv, dW = jax.grad(loss, argnums=(0, 1))(layer, W)
            W = W - delta * dW
        else:
            g, dv = self._gradients(layer, W @ x, y)
            W = W - delta * g[:, None] * x[None, :]
        if sgd.spherical:
            W = W / jnp.linalg.norm(W, axis=1, keepdims=True)
        rate = delta * jnp.asarray(sgd.second_layer_rate, dtype)
        return Parameters(v - rate * dv if self.train_second_layer else v, W)

    def _gradients(self, v: Array, s: Array, y: Array) -> tuple[Array, Array]:
        """(g, h): derivatives of the loss in s and v."""
        error = (y - self.output(v, s)) / self.width
        return -v * self.student.slope(s) * error, -self.student(s) * error

    # -- 3. the exact chain --------------------------------------------------------------------

    def chain_noise(self, key: Key[Array, ""], steps: int, constants: ChiSquare) -> Sample:
        """Two Gaussian blocks, the label noise and one chi-square a step."""
        p, k = self.width, self.teacher_width
        z = jax.random.normal(key, (k + p + 1 + constants.normals, steps))
        return Sample(
            e=z[:k].T,
            xi=z[k : k + p].T,
            outside=constants.from_normals(z[k + p + 1 :]),
            label=z[k + p : k + p + 1].T,
        )

    def chain_step(
        self, state: ChainState, noise: Sample, sgd: OnlineSGD, dim: Float[Array, ""]
    ) -> ChainState:
        """One exact step; the rest stays positive semidefinite as a sum of squares."""
        delta, (v, B, rest) = sgd.delta(dim), state
        layer = v if self.train_second_layer else jnp.asarray(self.second_layer)
        y = self.target(self.root @ noise.e) + jnp.sqrt(self.noise) * noise.label[0]
        B, rest, h = advance(
            B, rest, noise, lambda s: self._gradients(layer, s, y), delta, jnp.ones(())
        )
        if sgd.spherical:
            scale = jax.lax.rsqrt(jnp.sum(B * B, axis=1) + jnp.diagonal(rest))
            B, rest = B * scale[:, None], rest * scale[:, None] * scale
        if self.train_second_layer:
            v = v - delta * sgd.second_layer_rate * h
        return ChainState(v, B, rest)

    # -- 4. one-step moments -------------------------------------------------------------------

    def _kernels(self, u: Statistics) -> TwoPoint:
        """k, k_m, k_q of sigma(s_i) and all n fields, (p, n)."""
        p, Omega = self.width, self.joint_covariance(u)
        ours, theirs = np.arange(p), p + np.arange(self.teacher_width)
        left = matrix_two_point(self.student, self.student, Omega, ours, ours)
        right = matrix_two_point(self.student, self.teacher, Omega, ours, theirs)
        return TwoPoint(*(jnp.concatenate(x, axis=1) for x in zip(left, right, strict=True)))

    def population_drift(self, u: Statistics, sgd: OnlineSGD) -> Statistics:
        """f: E[h], E[g s*ᵀ], E[g sᵀ + s gᵀ], three-point functions by Stein's lemma."""
        p, w, Omega = self.width, self.signed_weights(u), self.joint_covariance(u)
        kernel = self._kernels(u)
        g = 2 * Omega[:p] * (kernel.k_q @ w)[:, None] + (kernel.k_m * w) @ Omega
        g = w[:p, None] * g  # E[g_i u_l]
        gs = g[:, :p]
        h = sgd.second_layer_rate / p * (kernel.k @ w) if self.train_second_layer else u.v
        free = Statistics(h, g[:, p:], gs + gs.T)
        if not sgd.spherical:
            return free
        f = tangent(u, free)
        # Rows are normalised at once; here they relax at rate 1, so that fixed points are isolated.
        away = jnp.diag(jnp.diagonal(u.Q) - 1)
        return Statistics(f.v, f.M, f.Q + away)

    def _gradient_covariance(self, u: Statistics, scale: Array) -> Float[Array, "width width"]:
        """E[g gᵀ] for fields with covariance scale * Omega."""
        p, w = self.width, self.signed_weights(u)
        Omega, ours = scale * self.joint_covariance(u), np.arange(self.width)
        error = slopes_and_squared_error(
            Committee4(self.student, self.teacher, Omega, w, p), self.rule
        )
        slopes = matrix_two_point(self.student, self.student, Omega, ours, ours).k_m
        return w[:p, None] * w[:p] * (error + self.noise * slopes)

    def _corrector(self, u: Statistics, sgd: OnlineSGD, gg: Array) -> Statistics:
        """step * gg in Q, projected if need be."""
        free = Statistics(jnp.zeros_like(u.v), jnp.zeros_like(u.M), sgd.step * gg)
        return tangent(u, free) if sgd.spherical else free

    def corrector(self, u: Statistics, sgd: OnlineSGD) -> Statistics:
        """g: step E[g gᵀ] for Q."""
        return self._corrector(u, sgd, self._gradient_covariance(u, jnp.ones(())))

    def _finite_corrector(self, u: Statistics, sgd: OnlineSGD, dim: Array) -> Statistics:
        """step E[g gᵀ |x|^2]/dim for Q, of free rows."""
        if not self.has_jacobian:
            nodes = committee_increments.nodes_at(self, u, sgd)
            mean = committee_increments.mean_square(nodes, self.noise, dim, self.minimum_dim)
            return u.with_vector(sgd.step * mean)
        gg, slope = jax.jvp(
            lambda c: self._gradient_covariance(u, c), (jnp.ones(()),), (jnp.ones(()),)
        )
        return self._corrector(u, sgd, gg + 2 / dim * slope)

    def _covariance(self, u: Statistics, sgd: OnlineSGD, dim: Array | None) -> Array:
        """Covariance of increment/delta of a free step, at finite dim or (None) in the limit."""
        noise, step = jnp.asarray(self.noise), jnp.asarray(sgd.step)
        if self.squares:
            rate = jnp.asarray(sgd.second_layer_rate)
            increments = committee_squares.monomials(
                self.layer(u), self.teacher_width, step, rate, self.train_second_layer
            )
            return committee_squares.covariance(
                increments, self.joint_covariance(u), -self.signed_weights(u), noise, dim
            )
        nodes = committee_increments.nodes_at(self, u, sgd)
        return committee_increments.covariance(nodes, step, noise, dim, self.minimum_dim)

    def diffusion_factor(
        self, u: Statistics, sgd: OnlineSGD
    ) -> Float[Array, "statistics statistics"]:
        """Root of step * Cov(increment / delta) as dim -> infinity; J times it if projected."""
        values, vectors = jnp.linalg.eigh(sgd.step * self._covariance(u, sgd, None))
        factor = vectors * jnp.sqrt(jnp.maximum(values, 0))
        return tangent_rows(u, factor) if sgd.spherical else factor

    def one_step_moments(
        self, u: Statistics, sgd: OnlineSGD, dim: Float[Array, ""]
    ) -> OneStepMoments:
        """Moments of one increment at finite dim.

        Free rows: exact, by E[h |x|^2]/d = E[h] + (2/d) (d/dc) E_c[h] at c = 1, E_c for the
        covariance c Omega; up to the rule's error where there is no formula.
        Projected rows: first order in delta as in the limit, the rest by the rule, for small delta
        only. Bounded gradients (erf) are safe; squares have tails that nodes miss: one square at
        dim 2, noise 0.4, has a mean wrong by 2 % of the increment's standard deviation at step
        0.02, and by 1 % at step 0.008.
        """
        delta = sgd.delta(dim)
        f = self.population_drift(u, sgd)
        if not sgd.spherical:
            g = self._finite_corrector(u, sgd, dim)
            covariance = self._covariance(u, sgd, dim)
            return OneStepMoments(delta * (g.vector - f.vector), delta**2 * covariance)
        drift = self.corrector(u, sgd).vector - f.vector
        nodes = committee_increments.nodes_at(self, u, sgd)
        mean, covariance = committee_increments.projected_correction(
            nodes, u, sgd, jnp.asarray(self.noise), dim
        )
        limit = self._covariance(u, sgd, None)
        limit = tangent_rows(u, tangent_rows(u, limit).T)
        return OneStepMoments(delta * drift + mean, delta**2 * limit + covariance)

    # -- laws and landmarks --------------------------------------------------------------------

    def initial_statistics(
        self, key: Key[Array, ""], dim: Float[Array, ""], constants: None
    ) -> Statistics:
        """W_i ~ N(0, I/dim), v = ``second_layer``; spherical algorithms normalise the rows."""
        B, rest = rows.random_rows(key, dim, self.teacher_width, self.width)
        v = jnp.asarray(self.second_layer) if self.train_second_layer else self.template.v
        return self.chain_statistics(ChainState(v, B, rest))

    def search_points(self, rng: np.random.Generator, count: int, sgd: OnlineSGD) -> Statistics:
        """Random overlaps of order one; half of the points with little outside the teacher."""
        p, k = self.width, self.teacher_width
        shrink = np.where(np.arange(count) % 2 == 0, 1.0, 10 ** rng.uniform(-4, 0, count))
        factor = rng.standard_normal((count, p, p)) * np.sqrt(shrink / p)[:, None, None]
        B = rng.standard_normal((count, p, k))
        v = 1.5 * rng.standard_normal((count, self.template.v.size))
        M = B @ np.asarray(self.root).T
        u = Statistics(v, M, B @ np.swapaxes(B, -1, -2) + factor @ np.swapaxes(factor, -1, -2))
        return self.constrained(u, sgd)

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
        return (self.citation, squares) if self.squares else (self.citation,)
