"""Committees of many neurons in high dimension: one equation per neuron, coupled by the error.

With few teachers and Q close to M P^-1 Mᵀ + diag(q), the state is (v, M, q). Given
zeta ~ N(0, I_k), s* = R zeta (P = R Rᵀ), and neuron i sees its mean mu_i = (M R^-T)_i zeta plus
noise of variance q_i. With sigma_i(zeta) the activation averaged over that noise, the error is

    e(zeta) = f*(s*) - (1/p) sum_j v_j sigma_j(zeta),

and per unit of time (steps * step / dim; p times shorter than in the papers)

    dv_i = (rate/p) E[sigma_i e],  dM_i = (v_i/p) E[sigma'_i s* e],
    dq_i = (2 v_i q_i/p) E[sigma''_i e] + (step v_i^2/p^2) E[sigma'_i^2 (e^2 + Delta)].

The cost is O(p) per node. Arnaboldi, Stephan, Krzakala and Loureiro (2023). Status: asymptotic;
paths of single networks are off by p^-1/2 + d^-1/2 as step/p -> 0, the mean
risk by 1/p: a sample kicks all neurons along the same x, so that at fixed step/p
they come to share directions outside of the teacher's, which these equations leave out. Given some
shared directions (``Parts.common``), they are like teachers of weight zero; ``common_kicks`` says
how they grow.
"""

import math
import warnings
from typing import ClassVar, NamedTuple, cast

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits.expectations.own_points import growth
from sgdlimits.expectations.pairs.base import Smoothed
from sgdlimits.expectations.rules import AbstractRule, QuasiMonteCarlo, TruncatedGauss
from sgdlimits.expectations.small_linalg import solve_lower
from sgdlimits.expectations.smoothing import smooth
from sgdlimits.expectations.two_point import two_point
from sgdlimits.limits.adequate import InaccurateWarning
from sgdlimits.models.committee import Committee
from sgdlimits.process.process import Process
from sgdlimits.provenance import left_out
from sgdlimits.statistics.base import AbstractStatistics, Label, numeric
from sgdlimits.statistics.overlaps import Statistics

_BOUNDED, _GROWING = 0.3, 0.1  # step/p up to which excess risks were seen to be right to a tenth
MOST_COMMON = 16  # shared directions
_MOST_NODES = 10**6
_AFFORDABLE = 20_000  # nodes of fields and shared directions together, by default
_MANY, _FEWER = 10, 8  # log2 of Sobol points for more teachers, and of those to compare with
# Gauss nodes a side by number of teachers: smooth, and with kinks.
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


class Parts(NamedTuple):
    """One state by where its rows lie: outside the teacher's span, shared directions and the rest.

    The outside parts of rows i != j have the product sum_c common_ic common_jc - sum_c lacking_ic
    lacking_jc; row i has own_i beside. B = M R^-T, of the teacher's directions.
    """

    v: Float[Array, " layer"]
    B: Float[Array, "neurons directions"]
    common: Float[Array, "neurons shared"]
    lacking: Float[Array, "neurons lacking"]
    own: Float[Array, " neurons"]

    @property
    def outside(self) -> Float[Array, " neurons"]:
        """q, the squared norms outside of the teacher's span."""
        return self.own + jnp.sum(self.common**2, axis=1) - jnp.sum(self.lacking**2, axis=1)

    @property
    def norm2(self) -> Float[Array, " neurons"]:
        """Q_ii."""
        return jnp.sum(self.B**2, axis=1) + self.outside


class _Seen(NamedTuple):
    """What all neurons see at the nodes: weights, fields, smoothed activations (p, N), error e.

    The nodes are products: ``few`` in the shared directions, the last index, for each field.
    """

    weight: Float[Array, " nodes"]
    fields: Float[Array, "nodes directions"]
    common: Float[Array, "nodes shared"]
    lacking: Float[Array, "nodes lacking"]
    sigma: Smoothed
    error: Float[Array, " nodes"]
    few: int


class MeanField(eqx.Module):
    """Which terms of relative order 1/p and step/p the reduced equations keep.

    Args:
        noise: the terms in step * E[g gᵀ], of relative order step/p.
        self_term: that a neuron does not see an independent copy of itself. With it the drift at
            step -> 0 is that of the full equations at Q = M P^-1 Mᵀ + diag(q).
        common: how many outside directions that all neurons are kicked along together the engine
            follows; what they share beyond counts as each neuron's own. Default: one more than
            teachers, which leaves out less than 1 % of what is shared; fewer where that takes too
            many nodes, at least one. 0: the equations of the
            paper, right as step/p -> 0 only. Without effect where ``noise`` is False.

    Raises:
        TypeError, ValueError: unless the first two are True or False, and ``common`` None or an
            integer from 0 to 16.
    """

    noise: bool = eqx.field(static=True, default=True)
    self_term: bool = eqx.field(static=True, default=True)
    common: int | None = eqx.field(static=True, default=None)
    #: Nodes for the teacher's fields; default: by the number of teachers.
    rule: AbstractRule | None = eqx.field(
        static=True, default=None, metadata=left_out(lambda rule: rule is None)
    )

    def __check_init__(self) -> None:
        _validate.boolean("noise", self.noise)
        _validate.boolean("self_term", self.self_term)
        if self.common is not None:
            _validate.integer("common", self.common, 0, MOST_COMMON)
        if self.rule is not None and not isinstance(self.rule, AbstractRule):
            raise TypeError(f"rule={self.rule!r}: expected TruncatedGauss or QuasiMonteCarlo.")

    def shared_directions(self, model: Committee) -> int:
        """How many are followed."""
        if not self.noise:
            return 0
        if self.common is not None:
            return self.common
        # Each takes four nodes beside the first, for every node of the teacher's fields.
        affordable = (_AFFORDABLE // rule_of(model).count - 1) // 4
        return max(1, min(MOST_COMMON, model.teacher_width + 1, affordable))

    def drift(
        self, process: Process, u: MeanFieldStatistics, time: Array | float = 0.0
    ) -> MeanFieldStatistics:
        """du/dt of one state without shared directions, per unit of nominal time."""
        model = cast(Committee, process.model)
        parts = split(model, u)
        rate = self.flow(process, parts, time)
        own = rate.own
        if self.noise:
            amount = kick_size(process, time)
            seen = see(model, parts, self.rule)
            grown = amount * kicks(model, parts, seen)[1]
            if process.algorithm.spherical:  # what the flow, which knows no kicks, does not undo
                half = (grown / 2)[:, None]
                rate = rate._replace(B=rate.B - half * parts.B)
                own = own - parts.own * grown
            own = own + grown
        return MeanFieldStatistics(rate.v, rate.B @ model.root.T, own)

    def flow(self, process: Process, u: Parts, time: Array | float = 0.0) -> Parts:
        """du/dt of the gradient's pull and what the algorithm makes of it; no noise term."""
        model, algorithm = cast(Committee, process.model), process.algorithm
        p, layer = model.width, model.layer(u)
        seen = see(model, u, self.rule)
        pull = seen.sigma.slope * (seen.weight * seen.error)
        each = layer[:, None] / p
        dB, dC = each * (pull @ seen.fields), each * (pull @ seen.common)
        dL = each * (pull @ seen.lacking)
        dq = 2 * layer * u.own / p * (seen.sigma.bend @ (seen.weight * seen.error))
        dv = seen.sigma.value @ (seen.weight * seen.error) / p
        if self.self_term:
            rates = Parts(dv, dB, dC, dL, dq)
            dv, dB, dC, dL, dq = _without_itself(model, u, layer, seen, rates)
        # From the gradient's pull to what the algorithm does with it.
        factor = algorithm.factor(time)
        a, b = algorithm.rule.rates(time)
        dB = a * u.B - b * (dB - model.ridge * u.B)
        dC = a * u.common - b * (dC - model.ridge * u.common)
        dL = a * u.lacking - b * (dL - model.ridge * u.lacking)
        dq = 2 * a * u.own - b * (dq - 2 * model.ridge * u.own)
        if algorithm.spherical:
            grow = dq + 2 * jnp.sum(dB * u.B, axis=1)
            grow = grow + 2 * jnp.sum(dC * u.common, axis=1) - 2 * jnp.sum(dL * u.lacking, axis=1)
            half = grow[:, None] / 2
            dB, dC, dL = dB - u.B * half, dC - u.common * half, dL - u.lacking * half
            dq = dq - u.own * grow
        if model.train_second_layer:
            dv = algorithm.second_layer_rate * (a * u.v - b * (dv - model.ridge * u.v))
        else:
            dv = u.v
        return Parts(factor * dv, factor * dB, factor * dC, factor * dL, factor * dq)

    def risk(self, model: Committee, u: MeanFieldStatistics) -> Float[Array, ""]:
        """E[(y - f)^2]/2 of one state."""
        return self.risk_of(model, split(model, u))

    def risk_of(self, model: Committee, u: Parts) -> Float[Array, ""]:
        """E[(y - f)^2]/2, shared directions included."""
        layer, seen = model.layer(u), see(model, u, self.rule)
        total = seen.weight @ seen.error**2 + model.noise
        if self.self_term:
            own = two_point(model.student, model.student, u.norm2, u.norm2, u.norm2).k
            total = total + jnp.sum(
                (layer / model.width) ** 2 * (own - seen.sigma.value**2 @ seen.weight)
            )
        return total / 2


def _without_itself(model: Committee, u: Parts, layer: Array, seen: _Seen, rates: Parts) -> Parts:
    """Replace the smoothed copy of neuron i in its own error by the neuron itself."""
    p, sigma, full = model.width, seen.sigma, u.norm2
    kernel = two_point(model.student, model.student, full, full, full)
    own = 2 * kernel.k_q + kernel.k_m
    copy = sigma.slope * sigma.value * seen.weight
    square = (layer / p) ** 2
    dB = rates.B - square[:, None] * (own[:, None] * u.B - copy @ seen.fields)
    dC = rates.common - square[:, None] * (own[:, None] * u.common - copy @ seen.common)
    dL = rates.lacking - square[:, None] * (own[:, None] * u.lacking - copy @ seen.lacking)
    dq = rates.own - 2 * square * u.own * (own - (sigma.bend * sigma.value) @ seen.weight)
    dv = rates.v - layer / p**2 * (kernel.k - sigma.value**2 @ seen.weight)
    return Parts(dv, dB, dC, dL, dq)


def say_where_kicks_are_large(process: Process) -> None:
    """Warn where one sample moves neurons so much that these equations were seen to fail.

    Against SGD, excess risks are right to a tenth at step/p = 0.2 and noise 0.5 for bounded slopes;
    at step/p = 0.5 they are off by that and more, and for squares at 0.2 and noise 1 by a half.

    Warns:
        InaccurateWarning: naming step/p.
    """
    model = cast(Committee, process.model)
    ratio = float(kick_size(process, 0.0)) / model.width
    most = _BOUNDED if max(growth(model.student), growth(model.teacher)) <= 1 else _GROWING
    if ratio > most:
        warnings.warn(
            f"engine='mean_field': step/width = {ratio:.3g} is above {most}, where samples kick "
            "neurons of these activations so hard that excess risks were seen to be off by a tenth "
            "to a half; take a smaller step or a larger batch, or engine='chain'.",
            InaccurateWarning,
            stacklevel=4,
        )


def kick_size(process: Process, time: Array | float) -> Float[Array, ""]:
    """What multiplies E[g gᵀ] in the rate of Q: step, with schedule, batch and rule."""
    algorithm = process.algorithm
    factor, (_, b) = algorithm.factor(time), algorithm.rule.rates(time)
    return (b * factor) ** 2 * algorithm.step / algorithm.batch


def kicks(
    model: Committee, u: Parts, seen: _Seen
) -> tuple[Float[Array, "neurons columns"], Float[Array, " neurons"]]:
    """E[g gᵀ] of the outside parts: A with A Aᵀ for rows i != j, and its diagonal."""
    each, common = model.layer(u) / model.width, u.common.shape[1]
    _, share = few_nodes(common, 0)
    weight = (_over_few(1.0, seen)[:, None] * share).ravel()
    squared = _at_common(seen.error**2, seen, common)
    # What is lacking has weights below 0, and lowers the squared error by order 1/p.
    squared = squared - jnp.repeat(_lowered(seen, common), len(share))
    squared = weight * (jnp.maximum(squared, 0.0) + model.noise)
    slope, slope2 = (
        _at_common(x, seen, common) for x in (seen.sigma.slope, seen.sigma.slope2)
    )  # fmt: skip
    return each[:, None] * slope * jnp.sqrt(squared), each**2 * (slope2 @ squared)


def exchange(model: Committee, u: Parts, seen: _Seen) -> Float[Array, "neurons fields"]:
    """A with -A Aᵀ the rate of the outside products of rows i != j by the rows' own parts.

    Row i is pulled against the own part of j, and j against that of i: -(v_i v_j/p^2) E[sigma'_i
    sigma'_j] (own_i + own_j), of relative order 1/p; the sum is taken for twice the root of the
    product, from which it differs in the second order of own_i - own_j.
    """
    each = model.layer(u) / model.width * jnp.sqrt(2 * u.own)
    weight = _over_few(1.0, seen)
    return each[:, None] * _over_few(seen.sigma.slope, seen) / jnp.sqrt(weight)


def _at_common(values: Array, seen: _Seen, common: int) -> Array:
    """The values at the nodes where nothing is lacking: of ``few_nodes(common, 0)``."""
    grid = values.reshape(*values.shape[:-1], -1, seen.few)
    return grid[..., : 2 * common + 1].reshape(*values.shape[:-1], -1)


def _lowered(seen: _Seen, common: int) -> Float[Array, " fields"]:
    """By how much the squared error is lower, at each field, for what the rows lack."""
    squared = (seen.error**2).reshape(-1, seen.few)
    lacking = (seen.few - 1) // 2 - common
    share = -few_nodes(common, lacking)[1][2 * common + 1 :]
    return (squared[:, 2 * common + 1 :] - squared[:, :1]) @ share


def _over_few(values: Array | float, seen: _Seen) -> Array:
    """The sum of weight * values over the nodes of the shared directions, (..., fields)."""
    products = seen.weight * values
    return jnp.sum(products.reshape(*products.shape[:-1], -1, seen.few), axis=-1)


def reduce(model: Committee, u: Statistics) -> MeanFieldStatistics:
    """(v, M, q) of full statistics, any batch axes: the overlaps outside the diagonal are lost."""
    inside = u.R_perp(jnp.asarray(model.gram))
    q = jnp.diagonal(inside, axis1=-2, axis2=-1)
    return MeanFieldStatistics(u.v, u.M, jnp.maximum(q, 0))


def expand(model: Committee, u: MeanFieldStatistics) -> Statistics:
    """(v, M, M P^-1 Mᵀ + diag(q)) of one state."""
    B = _B(model, u)
    return Statistics(u.v, u.M, B @ B.T + jnp.diag(u.q))


def split(model: Committee, u: MeanFieldStatistics) -> Parts:
    """The state's parts, nothing shared."""
    none = jnp.zeros((model.width, 0))
    return Parts(u.v, _B(model, u), none, none, u.q)


def _B(model: Committee, u: MeanFieldStatistics) -> Float[Array, "neurons directions"]:
    return solve_lower(model.root, u.M.T).T


def see(model: Committee, u: Parts, rule: AbstractRule | None = None) -> _Seen:
    """What the neurons see at nodes for the teacher's fields and the shared directions."""
    k, root = model.teacher_width, model.root
    nodes = (rule or rule_of(model)).nodes(jnp.zeros(k), root, model.teacher.kinks)
    z, weight = nodes.together
    points, share = few_nodes(u.common.shape[1], u.lacking.shape[1])
    teacher = (root @ z).T
    a = jnp.asarray(model.teacher_second_layer) / k
    target = model.teacher(teacher) @ a
    shared = jnp.concatenate([u.common, u.lacking], axis=1)
    mean = ((u.B @ z)[:, :, None] + (shared @ points)[:, None, :]).reshape(model.width, -1)
    sigma = smooth(model.student, mean, jnp.broadcast_to(u.own[:, None], mean.shape))
    count, few = z.shape[1], points.shape[1]
    error = jnp.repeat(target, few) - model.layer(u) @ sigma.value / model.width
    each = jnp.tile(points.T, (count, 1))
    common, lacking = jnp.split(each, [u.common.shape[1]], axis=1)
    weight = (weight[:, None] * share).ravel()
    # The derivative along a direction that is lacking, for its weights are negative.
    return _Seen(weight, jnp.repeat(z.T, few, axis=0), common, -lacking, sigma, error, few)


def few_nodes(common: int, lacking: int) -> tuple[Array, Array]:
    """Points (directions, few) and weights in the shared directions, of variance 1 and -1.

    The origin, then both points on each axis, of the common directions first. Exact to degree 3,
    and to 5 along each of up to three axes. Means in these directions are small, of variance
    step/p.
    """
    directions = common + lacking
    if directions == 0:
        return jnp.zeros((0, 1)), jnp.ones(1)
    far = float(max(3, common))
    points, share = np.zeros((directions, 2 * directions + 1)), np.ones(directions)
    points[np.arange(directions), 2 * np.arange(directions) + 1] = math.sqrt(far)
    points[np.arange(directions), 2 * np.arange(directions) + 2] = -math.sqrt(far)
    share[common:] = -1.0
    share = np.repeat(share, 2) / (2 * far)
    return jnp.asarray(points), jnp.asarray(np.concatenate([[1 - share.sum()], share]))


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
