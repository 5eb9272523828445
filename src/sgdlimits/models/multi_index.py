"""Any network of a few preactivations on a Gaussian mixture: everything from the loss by autodiff.

One sample is seen through s = W X and f = F X alone. With g = dl/ds and h = dl/dv, one step is

    v -> v - delta (h + ridge v),   W -> W - delta (g Xᵀ + ridge W),

whose exact law in (v, M, Q) and whose moments follow from Gaussian integrals of g and h.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.data.mixture import GaussianMixture
from sgdlimits.expectations.rules import AbstractRule, check_rule, coarse_rule, rule_for
from sgdlimits.expectations.small_linalg import cholesky, solve_lower, symmetric_root
from sgdlimits.models.base import Constraints, OneStepMoments
from sgdlimits.models.class_nodes import Affine, ClassNodes
from sgdlimits.models.moments import Moments
from sgdlimits.models.network import Loss, Network
from sgdlimits.models.overlap_model import AbstractOverlapModel, ChainState, Parameters
from sgdlimits.process.affine_step import Sample, advance
from sgdlimits.process.zero_noise import Points, walls
from sgdlimits.randomness.chi_square import ChiSquare
from sgdlimits.statistics.overlaps import Statistics
from sgdlimits.statistics.rows import random_rows

_NODES_TOGETHER = 2**13  # of all classes; with more they would leave the cache


class MultiIndexModel(AbstractOverlapModel):
    """A network and a loss on a Gaussian mixture.

    Args:
        data: the mixture.
        network: the network, a function of v and the preactivations.
        loss: (output, label) -> scalar.
        ridge: alpha, adds (alpha/2)(|W|^2 + |v|^2) to the loss.
        tolerance: absolute error that expectations may have; chooses the rule. Default: a rule for
            the network's width. ``drift_error`` estimates what was reached.
        rule: how expectations are computed, instead.

    Raises:
        TypeError, ValueError: for arguments that do not fit.

    Source: the general fact behind Ben Arous, Gheissari and Jagannath (2022), sections 4 and 5.
    """

    data: GaussianMixture
    network: Network
    loss: Loss = eqx.field(static=True)
    ridge: float
    rule: AbstractRule

    citation: ClassVar = (
        "G. Ben Arous, R. Gheissari, A. Jagannath. High-dimensional limit theorems for SGD: "
        "effective dynamics and critical scaling. NeurIPS 2022."
    )

    def __init__(
        self,
        *,
        data: GaussianMixture,
        network: Network,
        loss: Loss,
        ridge: float = 0.0,
        tolerance: float | None = None,
        rule: AbstractRule | None = None,
    ):
        if tolerance is not None and rule is not None:
            raise ValueError(f"tolerance={tolerance!r}: leave it out, or leave out rule={rule!r}.")
        if not isinstance(data, GaussianMixture):
            raise TypeError(f"data={data!r}: expected a GaussianMixture.")
        if not isinstance(network, Network):
            raise TypeError(f"network={network!r}: expected a Network.")
        self.data, self.network, self.loss = data, network, loss
        self.ridge = _validate.nonnegative("ridge", ridge)
        if rule is not None:
            check_rule(rule, network.width, network.kinks)
        self.rule = rule_for(network.width, tolerance, network.kinks) if rule is None else rule
        label = jax.ShapeDtypeStruct((len(data.labels[0]),), float)
        v, s = (jax.ShapeDtypeStruct((n,), float) for n in (network.layer, network.width))
        try:
            shape = jax.eval_shape(
                lambda v, s, y: loss(network.function(v, s), y), v, s, label
            ).shape
        except Exception as error:
            raise ValueError(
                f"network, loss: failed at v of length {network.layer}, {network.width} "
                f"preactivations s and a label of length {len(data.labels[0])}: {error}"
            ) from error
        if shape != ():
            raise ValueError(
                f"loss: gives shape {shape} for one sample, expected a scalar; labels arrive with "
                f"shape {label.shape}, so that y[0] is the first number."
            )

    # -- what is allowed -----------------------------------------------------------------------

    @property
    def template(self) -> Statistics:
        """Zeros."""
        p, r = self.network.width, self.data.directions
        return Statistics(jnp.zeros(self.network.layer), jnp.zeros((p, r)), jnp.zeros((p, p)))

    @property
    def root(self) -> Float[Array, "r r"]:
        """Of the mixture's directions."""
        return self.data.root

    def check_algorithm(self, sgd: OnlineSGD) -> None:
        """Rows of free norm."""
        if sgd.spherical:
            raise ValueError("spherical=True: this model keeps |W_i| free; use spherical=False.")
        if self.network.layer == 0 and sgd.second_layer_rate != 1.0:
            raise ValueError(
                f"second_layer_rate={sgd.second_layer_rate!r}: the network has no second layer."
            )

    def accurate_to(self, error: float) -> "MultiIndexModel":
        """Drifts to this error at states of order one; a rule that the user chose is kept."""
        rule = coarse_rule(self.rule, error)
        return self if rule is self.rule else eqx.tree_at(lambda model: model.rule, self, rule)

    @property
    def expectation_size(self) -> int:
        """Nodes that are evaluated together, times statistics; 1 if no class has noise."""
        noisy = self.data.noiseless.count(False)
        if noisy == 0:
            return 1
        together = noisy if _together(self.rule, noisy) else 1
        return together * self.rule.count * len(self.template.names)

    # -- the loss of one sample ----------------------------------------------------------------

    def sample_loss(self, v: Array, s: Array, label: Array) -> Array:
        """l(s, v, y), without ridge."""
        return self.loss(self.network.function(v, s), label)

    def risk(self, u: Statistics) -> Float[Array, ""]:
        """E[l(s, v, y)] by the model's rule, without ridge; classes without noise at their mean."""

        def of_class(c: Array, a: Array, at: ClassNodes) -> Array:
            label, (z, weight) = jnp.asarray(self.data.labels)[c], at.nodes.together
            return weight @ jax.vmap(lambda s: self.sample_loss(u.v, s, label), -1)(at.s(z))

        total = jnp.zeros(())
        if not all(self.data.noiseless):
            total = self._over_classes(u, of_class)
        for c in np.flatnonzero(np.array(self.data.noiseless)):
            s = u.M @ jnp.asarray(self.data.coefficients[c])
            label = jnp.asarray(self.data.labels[c])
            total = total + self.data.weights[c] * self.sample_loss(u.v, s, label)
        return total

    def _gradients(self, v: Array, s: Array, label: Array) -> tuple[Array, Array]:
        """(g, h): derivatives in s and v."""
        h, g = jax.grad(self.sample_loss, argnums=(0, 1))(v, s, label)
        return g, h

    def _gradients_at(self, v: Array, s: Array, label: Array) -> tuple[Array, Array]:
        """(g, h) of samples along the last axis."""
        return jax.vmap(lambda s: self._gradients(v, s, label), -1, -1)(s)

    # -- 1. the real SGD step ------------------------------------------------------------------

    def frame(self, dim: int) -> Float[Array, "directions dim"]:
        """Rows with Gram matrix G."""
        return self.data.frame(dim)

    def sgd_step(
        self,
        parameters: Parameters,
        frame: Float[Array, "directions dim"],
        key: Key[Array, ""],
        sgd: OnlineSGD,
        *,
        literal: bool = False,
    ) -> Parameters:
        """theta - delta grad L; ``literal`` differentiates the loss in W itself."""
        v, W = parameters
        x, label = self._draw(frame, key, W.dtype)
        delta = jnp.asarray(sgd.delta(W.shape[1]), W.dtype)
        rate = delta * jnp.asarray(sgd.second_layer_rate, W.dtype)
        ridge = jnp.asarray(self.ridge, W.dtype)
        if literal:
            loss = lambda v, W: (  # noqa: E731
                self.sample_loss(v, W @ x, label) + ridge / 2 * (jnp.sum(v * v) + jnp.sum(W * W))
            )
            dv, dW = jax.grad(loss, argnums=(0, 1))(v, W)
            return Parameters(v - rate * dv, W - delta * dW)
        g, h = self._gradients(v, W @ x, label)
        shrink = 1 - delta * ridge
        return Parameters(v - rate * (h + ridge * v), shrink * W - delta * g[:, None] * x[None, :])

    def _draw(self, frame: Array, key: Key[Array, ""], dtype) -> tuple[Array, Array]:
        key_class, key_noise = jax.random.split(key)
        index = self._classes(jax.random.uniform(key_class))
        coefficients = jnp.asarray(self.data.coefficients, dtype)[index]
        noise = jax.random.normal(key_noise, frame.shape[1:], dtype)
        x = coefficients @ frame + self.data.deviations.astype(dtype)[index] * noise
        # Both the preactivations and the update need x: without the barrier it is drawn twice.
        x = jax.lax.optimization_barrier(x)
        return x, jnp.asarray(self.data.labels, dtype)[index]

    def _classes(self, uniform: Array) -> Array:
        """Class of a uniform variable."""
        cumulative = jnp.cumsum(self.data.weights)[:-1]
        return jnp.sum(uniform[..., None] >= cumulative, axis=-1)

    # -- 3. the exact chain --------------------------------------------------------------------

    def chain_noise(self, key: Key[Array, ""], steps: int, constants: ChiSquare) -> Sample:
        """Classes, two Gaussian blocks and one chi-square a step."""
        p, r = self.network.width, self.data.directions
        key_class, key_noise = jax.random.split(key)
        index = self._classes(jax.random.uniform(key_class, (steps,)))
        z = jax.random.normal(key_noise, (r + p + constants.normals, steps))
        deviation = self.data.deviations[index]
        means = jnp.asarray(self.data.coefficients) @ self.root
        return Sample(
            e=means[index] + (deviation * z[:r]).T,
            xi=(deviation * z[r : r + p]).T,
            outside=deviation**2 * constants.from_normals(z[r + p :]),
            label=jnp.asarray(self.data.labels)[index],
        )

    def chain_step(
        self, state: ChainState, noise: Sample, sgd: OnlineSGD, dim: Float[Array, ""]
    ) -> ChainState:
        """One exact step; the rest stays positive semidefinite as a sum of squares."""
        delta, (v, B, rest) = sgd.delta(dim), state
        B, rest, h = advance(
            B, rest, noise, lambda s: self._gradients(v, s, noise.label),
            delta, 1 - delta * self.ridge,
        )  # fmt: skip
        return ChainState(v - delta * sgd.second_layer_rate * (h + self.ridge * v), B, rest)

    # -- 4. one-step moments -------------------------------------------------------------------

    def _over_classes(
        self,
        u: Statistics,
        function: Callable[..., PyTree],
        rule: AbstractRule | None = None,
    ) -> PyTree:
        """Expectation of ``function(c, a, at)``, any tree of arrays, over the noisy classes.

        With many nodes one class after the other, so that the memory is that of one.
        """
        root = cholesky(u.Q)
        slope = solve_lower(root, u.M).T  # f = G a + deviation (slope z + independent residual)
        gram = jnp.asarray(self.data.gram)

        def of_class(inputs: tuple[Array, Array, Array]) -> PyTree:
            c, a, deviation = inputs
            s, f = Affine(u.M @ a, deviation * root), Affine(gram @ a, deviation * slope)
            nodes = (rule or self.rule).nodes(s.mean, s.factor, self.network.kinks)
            return function(c, a, ClassNodes(nodes, s, f))

        classes = np.flatnonzero(~np.array(self.data.noiseless))
        inputs = (
            jnp.asarray(classes),
            jnp.asarray(self.data.coefficients)[classes],
            self.data.deviations[classes],
        )
        together = _together(rule or self.rule, len(classes))
        each = jax.vmap(of_class)(inputs) if together else jax.lax.map(of_class, inputs)
        return jax.tree.map(lambda x: jnp.tensordot(self.data.weights[classes], x, axes=1), each)

    def moments(self, u: Statistics, rule: AbstractRule | None = None) -> Moments:
        """The expectations behind drift and corrector; the first axis are the rule's replicates."""
        noisy = self._noisy_moments(u, rule)
        if not any(self.data.noiseless):
            return noisy
        points = self._points(u).moments(u.M, self._background(u, noisy))
        return jax.tree.map(jnp.add, noisy, points)

    def _noisy_moments(self, u: Statistics, rule: AbstractRule | None = None) -> Moments:
        if all(self.data.noiseless):
            return Moments.zeros(self.network.layer, self.network.width, self.data.directions)

        def of_class(c: Array, a: Array, at: ClassNodes) -> Moments:
            label, variance = jnp.asarray(self.data.labels)[c], self.data.deviations[c] ** 2
            z, weight = at.nodes
            g, h = jax.vmap(self._gradients_at, (None, 0, None))(u.v, at.s(z), label)
            weighted = weight[:, None] * g
            products = lambda x: jnp.einsum("rin,rjn->rij", weighted, x)  # noqa: E731
            total, with_z = jnp.sum(weighted, axis=-1), products(z)
            return Moments(
                h=jnp.einsum("rn,rin->ri", weight, h),
                gf=at.f.correlate(total, with_z),
                gs=at.s.correlate(total, with_z),
                gg=variance * products(g),
            )

        return self._over_classes(u, of_class, rule)

    # -- classes without noise -----------------------------------------------------------------

    def _points(self, u: Statistics) -> Points:
        coefficients, noiseless = np.array(self.data.coefficients), self.data.noiseless
        return Points(
            lambda c, s: self._gradients(u.v, s, jnp.asarray(self.data.labels)[c]),
            coefficients,
            self.data.weights * jnp.asarray(noiseless, float),
            np.array(self.data.gram),
            walls(coefficients, noiseless, self.network.kinks),
        )

    def _background(self, u: Statistics, noisy: Moments) -> Array:
        """What drives -dM/dt beside the classes without noise."""
        return jnp.mean(noisy.gf, axis=0) + self.ridge * u.M

    def constraints(self, u: Statistics, sgd: OnlineSGD) -> Constraints:
        """Walls of the zero-noise limit that ``u`` slides on, and where each pushes."""
        zero, normals, forces = self.template, [], []
        if any(self.data.noiseless):
            slides, pushes = _pushes(dynamic(self), u)
            for wall, i in np.argwhere(np.asarray(slides)):
                force = jax.tree.map(lambda x, w=wall, i=i: x[w, i], pushes)
                normal = zero.M.at[i].set(jnp.asarray(self._points(u).walls[wall].normal))
                normals.append(Statistics(zero.v, normal, zero.Q).vector)
                forces.append(Statistics(zero.v, -force.gf, -force.gs - force.gs.T).vector)
        return Constraints.create(len(zero.names), normals, forces)

    def population_drift(self, u: Statistics, sgd: OnlineSGD) -> Statistics:
        """f: E[h], E[g fᵀ], E[g sᵀ + s gᵀ], and the ridge."""
        mean = jax.tree.map(lambda x: jnp.mean(x, axis=0), self.moments(u))
        return Statistics(
            sgd.second_layer_rate * (mean.h + self.ridge * u.v),
            mean.gf + self.ridge * u.M,
            mean.gs + mean.gs.T + 2 * self.ridge * u.Q,
        )

    def corrector(self, u: Statistics, sgd: OnlineSGD) -> Statistics:
        """g: step E[g gᵀ]/snr for Q."""
        gg = jnp.mean(self.moments(u).gg, axis=0)
        return Statistics(jnp.zeros_like(u.v), jnp.zeros_like(u.M), sgd.step * gg)

    def drift(self, u: Statistics, sgd: OnlineSGD) -> Statistics:
        """h = -f + g from one pass over the nodes."""
        mean = jax.tree.map(lambda x: jnp.mean(x, axis=0), self.moments(u))
        return Statistics(
            -sgd.second_layer_rate * (mean.h + self.ridge * u.v),
            -mean.gf - self.ridge * u.M,
            sgd.step * mean.gg - mean.gs - mean.gs.T - 2 * self.ridge * u.Q,
        )

    @property
    def has_jacobian(self) -> bool:
        """Not where nodes cross the kinks of noisy preactivations."""
        crossing = self.network.kinks and not all(self.data.noiseless)
        return not crossing or self.rule.differentiable

    @property
    def differentiates_nodes(self) -> bool:
        """Noisy classes and no kinks: what is at a kink jumps with the least noise."""
        return not self.network.kinks and not all(self.data.noiseless)

    def drift_error(self, u: Statistics, sgd: OnlineSGD) -> Statistics:
        """Distance to a coarser rule, or standard error over the rule's replicates."""

        def of_drift(m: Moments) -> Statistics:
            gs = m.gs + jnp.swapaxes(m.gs, -1, -2)
            return Statistics(sgd.second_layer_rate * m.h, m.gf, sgd.step * m.gg - gs)

        coarser = self.rule.coarser()
        fine = self.moments(u)
        if coarser is None and len(fine.h) < 2:
            raise ValueError(f"rule={self.rule!r}: it has no error estimate; take a larger one.")
        if coarser is None:
            return jax.tree.map(
                lambda x: jnp.std(x, axis=0, ddof=1) / jnp.sqrt(1.0 * len(x)), of_drift(fine)
            )
        change = jax.tree.map(lambda a, b: jnp.mean(a - b, axis=0), fine, self.moments(u, coarser))
        return jax.tree.map(jnp.abs, of_drift(change))

    def diffusion_factor(self, u: Statistics, sgd: OnlineSGD) -> Float[Array, "k k"]:
        """Symmetric root of step * Cov(increment / delta) as dim -> infinity."""
        _, covariance = self._rates(u, sgd, None)
        return symmetric_root(sgd.step * covariance)

    def one_step_moments(
        self, u: Statistics, sgd: OnlineSGD, dim: Float[Array, ""]
    ) -> OneStepMoments:
        """Exact mean and covariance of one increment at finite dim, up to the rule's error."""
        delta = sgd.delta(dim)
        mean, covariance = self._rates(u, sgd, dim)
        return OneStepMoments(delta * mean, delta**2 * covariance)

    def _rates(
        self, u: Statistics, sgd: OnlineSGD, dim: Float[Array, ""] | None
    ) -> tuple[Array, Array]:
        """Mean and covariance of increment/delta, at finite dim or (None) in the limit.

        Given the nodes, an increment is its mean plus noise that is linear in the residual of f,
        through g, and in the fluctuation of |X|^2, through g gᵀ. Everything follows from second
        moments of these three, which are one matrix product.
        """
        p, r = self.network.width, self.data.directions
        delta = 0.0 if dim is None else sgd.delta(dim)
        upper = np.triu_indices(p)
        gram = jnp.asarray(self.data.gram)
        size, layer = len(self.template.names), self.network.layer

        def of_class(c: Array, a: Array, at: ClassNodes) -> tuple[Array, Array]:
            label, deviation = jnp.asarray(self.data.labels)[c], self.data.deviations[c]
            z, weight = at.nodes.together
            s, f, slope = at.s(z), at.f(z), at.f.factor / deviation
            g, h = self._gradients_at(u.v, s, label)
            residual = gram - slope @ slope.T
            if dim is None:
                joint, inflation = residual, sgd.step * deviation**2
            else:
                cross = 2 * residual @ a
                variance = 4 * a @ residual @ a + 2 * deviation**2 * (dim - p)
                joint = jnp.block([[residual, cross[:, None]], [cross[None, :], variance]])
                norm2 = a @ gram @ a + 2 * a @ at.f.factor @ z
                inflation = delta * (norm2 + deviation**2 * (jnp.sum(z * z, 0) + dim - p))
            spread = deviation * cholesky(joint)
            noise = spread @ spread.T
            rows = [self._increments(u, sgd, delta, g, h, s, f, inflation), g]
            if dim is not None:
                rows.append(delta * (g[:, None] * g)[upper])
            values = jnp.concatenate(rows)
            products = (weight * values) @ values.T
            second, kicks = products[:size, :size], products[size:, size:]
            in_M, in_Q = slice(layer, layer + p * r), slice(layer + p * r, size)
            second = second.at[in_M, in_M].add(jnp.kron(kicks[:p, :p], noise[:r, :r]))
            if dim is not None:
                mixed = -jnp.kron(kicks[:p, p:], noise[:r, r:])
                second = second.at[in_M, in_Q].add(mixed).at[in_Q, in_M].add(mixed.T)
                second = second.at[in_Q, in_Q].add(kicks[p:, p:] * noise[r, r])
            return rows[0] @ weight, second

        mean, second = jnp.zeros(size), jnp.zeros((size, size))
        if not all(self.data.noiseless):
            mean, second = self._over_classes(u, of_class)
        if any(self.data.noiseless):
            points = self._points(u)
            s = jnp.asarray(points.coefficients) @ u.M.T
            g = points.slide(u.M, self._background(u, self._noisy_moments(u))).mean
            _, h = jax.vmap(points.gradient)(jnp.arange(len(s)), s)
            norm2 = jnp.asarray((points.coefficients * points.reach).sum(1))
            reach = jnp.asarray(points.reach)
            each = self._increments(u, sgd, delta, g.T, h.T, s.T, reach.T, delta * norm2)
            mean = mean + each @ points.weights
            second = second + (points.weights * each) @ each.T
        second = (second + second.T) / 2  # exactly symmetric, which matrix products are not
        return mean, second - mean[:, None] * mean

    def _increments(
        self, u: Statistics, sgd: OnlineSGD, delta, g, h, s, f, inflation
    ) -> Float[Array, "statistics samples"]:
        """Increment/delta on samples with projections s and f; inflation = delta |X|^2.

        g, h, s and f have the samples on the last axis.
        """
        gs = g[:, None] * s
        moved = -(1 - delta * self.ridge) * (gs + jnp.swapaxes(gs, 0, 1))
        shrunk = (2 - delta * self.ridge) * self.ridge * u.Q
        Q = moved - shrunk[..., None] + inflation * g[:, None] * g
        M = -(g[:, None] * f + self.ridge * u.M[..., None])
        v = -sgd.second_layer_rate * (h + self.ridge * u.v[:, None])
        return jnp.concatenate([v, M.reshape(-1, s.shape[1]), Q[np.triu_indices(len(g))]])

    # -- laws and landmarks --------------------------------------------------------------------

    def initial_statistics(
        self, key: Key[Array, ""], dim: Float[Array, ""], constants: None
    ) -> Statistics:
        """v ~ N(0, I), W_i ~ N(0, I/dim): Gaussian overlaps and a Wishart block (Bartlett)."""
        key_v, key_rows = jax.random.split(key)
        B, rest = random_rows(key_rows, dim, self.data.directions, self.network.width)
        v = jax.random.normal(key_v, (self.network.layer,))
        return self.chain_statistics(ChainState(v, B, rest))

    def zero_noise(self) -> "MultiIndexModel":
        """The limit snr = inf, where there is a formula for its fixed points."""
        limit = dataclasses.replace(self, data=self.data.with_snr(math.inf))
        return self if limit.known_fixed_points(OnlineSGD()) is None else limit

    def search_points(self, rng: np.random.Generator, count: int, sgd: OnlineSGD) -> Statistics:
        """Random second layers and overlaps of order one; half of the points with small rest.

        Without noise also on the walls, where fixed points may be found from nowhere else: neurons
        that are zero, or blind to some of the classes.
        """
        p, r = self.network.width, self.data.directions
        shrink = np.where(np.arange(count) % 2 == 0, 1.0, 10 ** rng.uniform(-4, 0, count))
        factor = rng.standard_normal((count, p, p)) * np.sqrt(shrink / p)[:, None, None]
        B = 1.5 * rng.standard_normal((count, p, r))
        v = 1.5 * rng.standard_normal((count, self.network.layer))
        root = np.asarray(self.root)
        M, rest = B @ root.T, factor @ np.swapaxes(factor, -1, -2)
        if any(self.data.noiseless):
            for wall in self._points(self.template).walls:
                on = (rng.uniform(size=(count, p)) < 0.5)[..., None]
                away = M @ wall.normal - wall.offset
                M = np.where(on, M - away[..., None] * wall.normal, M)
            zero = rng.uniform(size=(count, p)) < 0.2
            M = np.where(zero[..., None], 0.0, M)
            if self.network.layer == p:
                v = np.where(zero, 0.0, v)
        B = np.linalg.solve(root, np.swapaxes(M, -1, -2))
        return Statistics(v, M, np.swapaxes(B, -1, -2) @ B + rest)

    def neighbours(
        self, u: Statistics, rng: np.random.Generator, count: int, radius: float
    ) -> Statistics:
        """Moves v, M, and the rest within the positive semidefinite matrices."""
        p, r = self.network.width, self.data.directions
        dv = rng.standard_normal((count, self.network.layer))
        dM, factor = rng.standard_normal((count, p, r)), rng.standard_normal((count, p, p))
        scale = radius / np.sqrt((dv**2).sum(-1) + (dM**2).sum((-2, -1)))
        M = np.asarray(u.M) + scale[:, None, None] * dM
        B = np.linalg.solve(np.asarray(self.root), np.swapaxes(M, -1, -2))
        rest = np.asarray(u.R_perp(jnp.asarray(self.data.gram)))
        rest = rest + scale[:, None, None] / p * factor @ np.swapaxes(factor, -1, -2)
        v = np.asarray(u.v) + scale[:, None] * dv
        return Statistics(v, M, np.swapaxes(B, -1, -2) @ B + rest)


def _together(rule: AbstractRule, classes: int) -> bool:
    """Whether the nodes of all classes are evaluated at once."""
    return rule.count * classes <= _NODES_TOGETHER


@eqx.filter_jit
def _pushes(model: MultiIndexModel, u: Statistics) -> tuple[Array, Moments]:
    background = model._background(u, model._noisy_moments(u))
    return model._points(u).pushes(u.M, background)
