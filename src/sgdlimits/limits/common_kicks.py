"""Wide committees at fixed step/width: the directions that all neurons are kicked along together.

A sample x moves every row along the same x, so that the outside parts of rows i and j gain the
product step E[g_i g_j] per unit of time. This is a kernel that is smooth in the neurons' states: a
few shared directions carry it, Q = M P^-1 Mᵀ + C Cᵀ + diag(own), C of ``common`` columns. Under the
gradient's pull a shared direction is a teacher of weight zero; between such flows C Cᵀ takes the
kicks, A Aᵀ with one column a node, and is cut to its largest directions. What is cut off stays in
own: norms are kept.

Flow and kicks alternate at Gauss points, [c1 h] kick h/2 [(c2 - c1) h] kick h/2 [(1 - c2) h]: the
error is O(h^4) at the first order in the kicks and O(h^2) at the second (McLachlan 1995), with h a
quarter of the error's relaxation time or less.
"""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.limits import flow
from sgdlimits.limits.mean_field import (
    MeanField,
    MeanFieldStatistics,
    Parts,
    exchange,
    kick_size,
    kicks,
    see,
    split,
)
from sgdlimits.models.committee import Committee
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics, Label, numeric

_RELAXED = 0.5  # h in units of the fastest relaxation time of the error, bounded by a trace
_LONGEST = 1.0  # h in units of the width, where hardly anything relaxes
_FIRST, _SECOND = 0.5 - 0.5 / 3**0.5, 0.5 + 0.5 / 3**0.5
# Where a flow starts, its length, and the kicks at its end: in units of h.
_STAGES = (
    np.array([0.0, _FIRST, _SECOND]), np.array([_FIRST, _SECOND - _FIRST, 1 - _SECOND]),
    np.array([0.5, 0.5, 0.0]),
)  # fmt: skip
_RTOL, _ATOL = 1e-6, 1e-8
_SMALLEST = 1e-9  # of a step, in units of the width: the solution is blowing up
_OVERSAMPLED = 6  # columns of the sketch beyond those that are kept
_FLOOR = 1e-14  # relative shift of the sketch's Gram matrix, which may be singular


class CommonStatistics(AbstractStatistics):
    """(v, M, q) with the part of the outside overlaps that neurons share.

    Args:
        v: trained second layer (..., p), or length 0.
        M: overlaps with the teacher (..., p, k).
        q: squared norms outside of the teacher's span (..., p), what is shared included.
        C: shared outside parts (..., p, directions), C_i C_jᵀ in Q_ij - M_i P^-1 M_jᵀ, i != j.
            Defined up to a rotation of its columns.
        L: what the rows' own parts lack of being independent, (..., p, directions): -L_i L_jᵀ.
    """

    v: Float[Array, "*batch layer"] = eqx.field(converter=numeric("v"))
    M: Float[Array, "*batch neurons directions"] = eqx.field(converter=numeric("M"))
    q: Float[Array, "*batch neurons"] = eqx.field(converter=numeric("q"))
    C: Float[Array, "*batch neurons shared"] = eqx.field(converter=numeric("C"))
    L: Float[Array, "*batch neurons shared"] = eqx.field(converter=numeric("L"))

    dims: ClassVar = MeanFieldStatistics.dims | {
        "C": ("neuron", "shared"), "L": ("neuron", "shared")
    }  # fmt: skip
    labels: ClassVar = MeanFieldStatistics.labels | {
        "C": Label(r"$C$", "outside parts of the neurons along directions that they share"),
        "L": Label(r"$L$", "what the neurons' own outside parts lack of being independent"),
    }

    @property
    def leading(self) -> MeanFieldStatistics:
        """Without what is shared."""
        return MeanFieldStatistics(self.v, self.M, self.q)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of (v, M, q), and C_ic, counted from 1."""
        p, shared = self.C.shape[-2:]
        pairs = [f"{i + 1}{c + 1}" for i in range(p) for c in range(shared)]
        return (*self.leading.names, *(f"{x}_{pair}" for x in "CL" for pair in pairs))

    @property
    def vector(self) -> Float[Array, "*batch statistics"]:
        """v, M by rows, q, C and L by rows."""
        flat = (x.reshape(*x.shape[:-2], -1) for x in (self.C, self.L))
        return jnp.concatenate([self.leading.vector, *flat], axis=-1)

    def with_vector(self, vector: Float[Array, "*batch statistics"]) -> "CommonStatistics":
        """The statistics of this shape with the given vector."""
        shape = self.C.shape[-2:]
        most = vector.shape[-1] - 2 * shape[0] * shape[1]
        first = self.leading.with_vector(vector[..., :most])
        both = vector[..., most:].reshape(*vector.shape[:-1], 2, *shape)
        return CommonStatistics(first.v, first.M, first.q, both[..., 0, :, :], both[..., 1, :, :])


def sharing(u: MeanFieldStatistics, shared: int) -> CommonStatistics:
    """The state, any batch axes, with nothing shared as yet."""
    none = jnp.zeros((*u.q.shape, shared))
    return CommonStatistics(u.v, u.M, u.q, none, none)


def split_common(model: Committee, u: CommonStatistics) -> Parts:
    """The parts of one state."""
    parts = split(model, u.leading)
    own = u.q - jnp.sum(u.C**2, axis=1) + jnp.sum(u.L**2, axis=1)
    return parts._replace(common=u.C, lacking=u.L, own=own)


def joined(model: Committee, parts: Parts) -> CommonStatistics:
    """The state of such parts."""
    M = parts.B @ model.root.T
    return CommonStatistics(parts.v, M, parts.outside, parts.common, parts.lacking)


def kicked(reduction: MeanField, process: Process, u: Parts, time: Array, duration: Array) -> Parts:
    """The parts after the kicks of so much nominal time; rows on the sphere are put back there."""
    model: Any = process.model
    seen = see(model, u, reduction.rule)
    A, diagonal = kicks(model, u, seen)
    amount = duration * kick_size(process, time)
    q = u.outside + amount * diagonal
    C, L = _largest(u.common, jnp.sqrt(amount) * A), u.lacking
    if reduction.self_term:
        pull = jnp.abs(process.algorithm.rule.rates(time)[1]) * process.algorithm.factor(time)
        L = _largest(L, jnp.sqrt(duration * pull) * exchange(model, u, seen))
    own = q - jnp.sum(C**2, axis=1) + jnp.sum(L**2, axis=1)
    u = u._replace(common=C, lacking=L, own=own)
    if process.algorithm.spherical:
        scale = 1 / jnp.sqrt(u.norm2)[:, None]
        B, C, L = (scale * x for x in (u.B, u.common, u.lacking))
        u = Parts(u.v, B, C, L, scale[:, 0] ** 2 * u.own)
    return u


def _largest(
    C: Float[Array, "neurons shared"], A: Float[Array, "neurons nodes"]
) -> Float[Array, "neurons shared"]:
    """C' with C' C'ᵀ the largest eigenvectors of K = C Cᵀ + A Aᵀ, and K - C' C'ᵀ >= 0.

    By a Nystrom sketch with two power steps, whose remainder is positive whatever its error.
    """
    p, shared = C.shape
    both = jnp.concatenate([C, A], axis=1)
    count = min(p, shared + _OVERSAMPLED)
    draw = np.random.default_rng(0).standard_normal((p, count))
    kernel = lambda y: both @ (both.T @ y)  # noqa: E731
    basis = jnp.asarray(np.linalg.qr(draw)[0])
    for _ in range(2):
        basis = jnp.linalg.qr(kernel(basis))[0]
    image = kernel(basis)
    gram = basis.T @ image
    shift = _FLOOR * jnp.trace(gram) + jnp.finfo(gram.dtype).tiny
    factor = jnp.linalg.cholesky((gram + gram.T) / 2 + shift * jnp.eye(count))
    root = jax.scipy.linalg.solve_triangular(factor, image.T, lower=True).T
    left, size, _ = jnp.linalg.svd(root, full_matrices=False)
    kept = min(shared, count)
    found = left[:, :kept] * size[:kept]
    return jnp.pad(found, ((0, 0), (0, shared - kept)))


class _Now(NamedTuple):
    time: Array
    state: Array
    good: Array


def path(
    reduction: MeanField,
    process: Process,
    begin: CommonStatistics,
    times: Float[Array, " times"],
) -> Float[Array, "times statistics"]:
    """Vectors of the state at the times; NaN where the solution does not exist.

    Status: asymptotic, p and d -> infinity at fixed step/p; relative errors are of order p^-1/2 +
    d^-1/2, and of the second order in the variance of what is shared over that of a row.
    """
    model: Any = process.model
    template = split_common(model, begin)
    sizes = np.cumsum([x.size for x in template])[:-1].tolist()

    def flat(u: Parts) -> Array:
        return jnp.concatenate([x.ravel() for x in u])

    def parts(y: Array) -> Parts:
        each = jnp.split(y, sizes)
        return Parts(*(x.reshape(t.shape) for x, t in zip(each, template, strict=True)))

    def flowed(y: Array, start: Array, duration: Array) -> Array:
        field = lambda t, y: flat(reduction.flow(process, parts(y), start + t))  # noqa: E731
        return flow.integrate(field, y, duration[None], _RTOL, _ATOL)[0]

    def kick(y: Array, time: Array, duration: Array) -> Array:
        return flat(kicked(reduction, process, parts(y), time, duration))

    def step(now: _Now, end: Array) -> _Now:
        wanted = _step_size(process, parts(now.state), now.time)
        left = end - now.time
        h = left / jnp.maximum(1.0, jnp.ceil(left / wanted))

        def stage(state: Array, part: tuple[Array, Array, Array]) -> tuple[Array, None]:
            start, length, weight = part
            state = flowed(state, now.time + start * h, length * h)
            return kick(state, now.time + (start + length) * h, weight * h), None

        y = jax.lax.scan(stage, now.state, jax.tree.map(jnp.asarray, _STAGES))[0]
        good = jnp.isfinite(y).all() & (wanted > _SMALLEST * model.width)
        reached = jnp.where(left <= wanted, end, now.time + h)
        return _Now(reached, y, good)

    def to(now: _Now, end: Array) -> tuple[_Now, Array]:
        going = lambda now: now.good & (now.time < end)  # noqa: E731
        now = jax.lax.while_loop(going, lambda now: step(now, end), now)
        vector = joined(model, parts(now.state)).vector
        return now, jnp.where(now.good, vector, jnp.nan)

    start = _Now(jnp.zeros(()), flat(template), jnp.array(True))
    return jax.lax.scan(to, start, times)[1]


def _step_size(process: Process, u: Parts, time: Array) -> Float[Array, ""]:
    """Nominal time in which no part of the error outside relaxes by more than ``_RELAXED``."""
    model: Any = process.model
    seen = see(model, u)  # an estimate will do
    layer, (_, b) = model.layer(u), process.algorithm.rule.rates(time)
    slope2 = seen.sigma.slope2 @ seen.weight
    fastest = jnp.abs(b) * jnp.maximum(1.0, process.algorithm.factor(time))
    trace = jnp.mean(layer**2 * slope2) * fastest
    return jnp.minimum(_LONGEST, _RELAXED / trace) * model.width
