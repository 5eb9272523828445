"""Committees of many neurons in high dimension: one equation per neuron, coupled by the error.

With few teachers and Q close to M P^-1 Mᵀ + diag(q), the state is (v, M, q). Given
zeta ~ N(0, I_k), s* = R zeta (P = R Rᵀ), and neuron i sees its mean mu_i = (M R^-T)_i zeta plus
noise of variance q_i. With sigma_i(zeta) the activation averaged over that noise, the error is

    e(zeta) = f*(s*) - (1/p) sum_j v_j sigma_j(zeta),

and per unit of time (steps * step / dim; p times shorter than in the papers)

    dv_i = (rate/p) E[sigma_i e],  dM_i = (v_i/p) E[sigma'_i s* e],
    dq_i = (2 v_i q_i/p) E[sigma''_i e] + (step v_i^2/p^2) E[sigma'_i^2 (e^2 + Delta)].

The cost is O(p) per node. Arnaboldi, Stephan, Krzakala and Loureiro (2023). Status: asymptotic;
paths of single networks are off by p^-1/2 + d^-1/2, the mean risk by 1/p.
"""

import math
from typing import ClassVar, NamedTuple, cast

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits.expectations.pairs.base import Smoothed
from sgdlimits.expectations.rules import AbstractRule, QuasiMonteCarlo, TruncatedGauss
from sgdlimits.expectations.small_linalg import solve_lower
from sgdlimits.expectations.smoothing import smooth
from sgdlimits.expectations.two_point import two_point
from sgdlimits.models.committee import Committee
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics, Label, numeric
from sgdlimits.statistics.overlaps import Statistics

_MOST_NODES = 10**6
# Gauss nodes a side by number of teachers: smooth, and with kinks.
_MANY, _FEWER = 10, 8  # log2 of Sobol points for more teachers, and of those to compare with
_ORDERS = {1: (30, 12), 2: (16, 12), 3: (8, 8), 4: (5, 5)}


class MeanFieldStatistics(AbstractStatistics):
    """v, M and the squared norms q_i = Q_ii - M_i P^-1 M_iᵀ outside the teacher's span.

    Args:
        v: trained second layer (..., p), or length 0.
        M: overlaps with the teacher (..., p, k).
        q: (..., p).
    """

    v: Float[Array, "*batch layer"] = eqx.field(converter=numeric("v"))
    M: Float[Array, "*batch neurons directions"] = eqx.field(converter=numeric("M"))
    q: Float[Array, "*batch neurons"] = eqx.field(converter=numeric("q"))

    dims: ClassVar = {"v": ("weight",), "M": ("neuron", "direction"), "q": ("neuron",)}
    labels: ClassVar = {
        "v": Statistics.labels["v"],
        "M": Statistics.labels["M"],
        "q": Label(r"$q$", "squared norms of the neurons outside the fixed directions"),
    }

    @property
    def names(self) -> tuple[str, ...]:
        """v_i, M_ij and q_i, counted from 1."""
        layer, (p, k) = self.v.shape[-1], self.M.shape[-2:]
        return (
            *(f"v_{i + 1}" for i in range(layer)),
            *(f"M_{i + 1}{j + 1}" for i in range(p) for j in range(k)),
            *(f"q_{i + 1}" for i in range(p)),
        )

    @property
    def vector(self) -> Float[Array, "*batch statistics"]:
        """v, M by rows, q."""
        flat = self.M.reshape(*self.M.shape[:-2], -1)
        return jnp.concatenate([self.v, flat, self.q], axis=-1)

    def with_vector(self, vector: Float[Array, "*batch statistics"]) -> "MeanFieldStatistics":
        """The statistics of this shape with the given vector."""
        layer, (p, k) = self.v.shape[-1], self.M.shape[-2:]
        M = vector[..., layer : layer + p * k].reshape(*vector.shape[:-1], p, k)
        return MeanFieldStatistics(vector[..., :layer], M, vector[..., layer + p * k :])


class _Seen(NamedTuple):
    """What all neurons see at the nodes: weights, s*, smoothed activations (p, N), error e."""

    weight: Float[Array, " nodes"]
    teacher: Float[Array, "nodes directions"]
    sigma: Smoothed
    error: Float[Array, " nodes"]


class MeanField(eqx.Module):
    """Which terms of relative order 1/p the reduced equations keep.

    Args:
        noise: the term in step * E[g gᵀ], of relative order step/p.
        self_term: that a neuron does not see an independent copy of itself. With it the drift at
            step -> 0 is that of the full equations at Q = M P^-1 Mᵀ + diag(q).
    """

    noise: bool = eqx.field(static=True, default=True)
    self_term: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        _validate.boolean("noise", self.noise)
        _validate.boolean("self_term", self.self_term)

    def drift(
        self,
        process: Process,
        u: MeanFieldStatistics,
        time: Array | float = 0.0,
        rule: AbstractRule | None = None,
    ) -> MeanFieldStatistics:
        """du/dt of one state of a committee, per unit of nominal time; by its rule or another."""
        model, algorithm = cast(Committee, process.model), process.algorithm
        p, layer = model.width, model.layer(u)
        seen, projected = _see(model, u, layer, rule or rule_of(model)), _inside(model, u)
        pull = seen.sigma.slope * (seen.weight * seen.error)
        dM = layer[:, None] / p * (pull @ seen.teacher)
        dq = 2 * layer * u.q / p * (seen.sigma.bend @ (seen.weight * seen.error))
        dv = seen.sigma.value @ (seen.weight * seen.error) / p
        if self.self_term:
            dv, dM, dq = self._without_itself(model, u, layer, seen, (dv, dM, dq), projected)
        # From the gradient's pull to what the algorithm does with it.
        factor = algorithm.factor(time)
        a, b = algorithm.rule.rates(time)
        dM = a * u.M - b * (dM - model.ridge * u.M)
        dq = 2 * a * u.q - b * (dq - 2 * model.ridge * u.q)
        if self.noise:
            squared = seen.weight * (seen.error**2 + model.noise)
            step = b * b * factor * algorithm.step / algorithm.batch
            dq = dq + step * (layer / p) ** 2 * (seen.sigma.slope2 @ squared)
        if algorithm.spherical:
            grow = dq + 2 * jnp.sum(solve_lower(model.root, dM.T).T * _B(model, u), axis=1)
            dM, dq = dM - u.M * grow[:, None] / 2, dq - u.q * grow
        if model.train_second_layer:
            dv = algorithm.second_layer_rate * (a * u.v - b * (dv - model.ridge * u.v))
        else:
            dv = u.v
        return MeanFieldStatistics(factor * dv, factor * dM, factor * dq)

    def _without_itself(self, model, u, layer, seen, rates, projected):
        """Replace the smoothed copy of neuron i in its own error by the neuron itself."""
        p, (dv, dM, dq), sigma = model.width, rates, seen.sigma
        full = u.q + projected
        kernel = two_point(model.student, model.student, full, full, full)
        own = 2 * kernel.k_q + kernel.k_m
        copy = (sigma.slope * sigma.value * seen.weight) @ seen.teacher
        dM = dM - (layer / p)[:, None] ** 2 * (own[:, None] * u.M - copy)
        dq = dq - 2 * (layer / p) ** 2 * u.q * (own - (sigma.bend * sigma.value) @ seen.weight)
        dv = dv - layer / p**2 * (kernel.k - sigma.value**2 @ seen.weight)
        return dv, dM, dq

    def risk(self, model: Committee, u: MeanFieldStatistics) -> Float[Array, ""]:
        """E[(y - f)^2]/2 of one state."""
        layer = model.layer(u)
        seen = _see(model, u, layer, rule_of(model))
        total = seen.weight @ seen.error**2 + model.noise
        if self.self_term:
            full = u.q + _inside(model, u)
            own = two_point(model.student, model.student, full, full, full).k
            total = total + jnp.sum(
                (layer / model.width) ** 2 * (own - seen.sigma.value**2 @ seen.weight)
            )
        return total / 2


def reduce(model: Committee, u: Statistics) -> MeanFieldStatistics:
    """(v, M, q) of full statistics, any batch axes: the overlaps outside the diagonal are lost."""
    inside = u.R_perp(jnp.asarray(model.gram))
    q = jnp.diagonal(inside, axis1=-2, axis2=-1)
    return MeanFieldStatistics(u.v, u.M, jnp.maximum(q, 0))


def expand(model: Committee, u: MeanFieldStatistics) -> Statistics:
    """(v, M, M P^-1 Mᵀ + diag(q)) of one state."""
    B = _B(model, u)
    return Statistics(u.v, u.M, B @ B.T + jnp.diag(u.q))


def _B(model: Committee, u: MeanFieldStatistics) -> Float[Array, "neurons directions"]:
    return solve_lower(model.root, u.M.T).T


def _inside(model: Committee, u: MeanFieldStatistics) -> Float[Array, " neurons"]:
    """diag(M P^-1 Mᵀ)."""
    return jnp.sum(_B(model, u) ** 2, axis=1)


def _see(model: Committee, u: MeanFieldStatistics, layer: Array, rule: AbstractRule) -> _Seen:
    k, root = model.teacher_width, model.root
    nodes = rule.nodes(jnp.zeros(k), root, model.teacher.kinks)
    z, weight = nodes.together
    mean = _B(model, u) @ z
    sigma = smooth(model.student, mean, jnp.broadcast_to(u.q[:, None], mean.shape))
    teacher = (root @ z).T
    a = jnp.asarray(model.teacher_second_layer) / k
    error = model.teacher(teacher) @ a - layer @ sigma.value / model.width
    return _Seen(weight, teacher, sigma, error)


def rule_of(model: Committee) -> AbstractRule:
    """Nodes for zeta: exact for polynomials."""
    k = model.teacher_width
    ours, theirs = model.student.degree, model.teacher.degree
    if ours is not None and theirs is not None:
        return TruncatedGauss(k, math.ceil((ours + max(ours, theirs)) / 2))
    if k in _ORDERS:
        return TruncatedGauss(k, _ORDERS[k][len(model.teacher.kinks) > 0])
    return QuasiMonteCarlo(k, _MANY)


def coarser_rule_of(model: Committee) -> AbstractRule | None:
    """Nodes to compare with; None where the rule is exact."""
    polynomial = model.student.degree is not None and model.teacher.degree is not None
    rule = rule_of(model)
    return None if polynomial else rule.coarser() or QuasiMonteCarlo(model.teacher_width, _FEWER)


def check_nodes(model: Committee) -> None:
    """Raise ValueError if the tensor grid is too large."""
    count = rule_of(model).count
    if count > _MOST_NODES:
        raise ValueError(
            f"teacher_width={model.teacher_width}: {count} nodes; engine='mean_field' is for few "
            "teachers."
        )
