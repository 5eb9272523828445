"""Any network of a few preactivations on Gaussian data: everything from the loss by autodiff.

One sample is seen through s = W X and f = F X alone. With g = dl/ds and h = dl/dv, its gradient is
g Xᵀ + ridge W and h + ridge v, whose moments follow from Gaussian integrals of g and h.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits import _validate
from sgdlimits._shown import in_one_line, number
from sgdlimits._tracing import dynamic
from sgdlimits.data.base import AbstractDataLaw
from sgdlimits.expectations.looked_panels import LookedPanels
from sgdlimits.expectations.rules import (
    ROUGH_LOG2,
    AbstractRule,
    QuasiMonteCarlo,
    check_rule,
    coarse_rule,
    rule_for,
)
from sgdlimits.expectations.small_linalg import cholesky
from sgdlimits.models.base import AbstractModel, PlainStep
from sgdlimits.models.built import Built
from sgdlimits.models.class_nodes import (
    ClassNodes,
    class_nodes,
    factors,
    field_count,
    node_count,
)
from sgdlimits.models.expectation_scales import in_scales, scales
from sgdlimits.models.expectations import Expectations
from sgdlimits.models.found_jumps import Jumps, found_jumps
from sgdlimits.models.network import Loss, Network
from sgdlimits.models.row_model import AbstractNetworkModel
from sgdlimits.models.rule_errors import Coarser, left_over, rule_deviations, wedges
from sgdlimits.models.sample_gradient import Gradient, Seen
from sgdlimits.models.zero_noise import Points, walls
from sgdlimits.provenance import left_out
from sgdlimits.randomness.chi_square import ChiSquares
from sgdlimits.statistics.constraints import Constraints
from sgdlimits.statistics.overlaps import Coordinates, Parameters, Statistics
from sgdlimits.statistics.rows import random_rows

_LABEL_LOG2 = 12  # nodes of a scramble, where labels are functions of fields
_PARALLEL = 1e-9  # squared sine of an angle that counts as rounding
_NODES_TOGETHER = 2**13  # of all classes; with more they would leave the cache


class MultiIndexModel(AbstractNetworkModel, metaclass=Built):
    """A network and a loss on a Gaussian mixture, or on the labels of a teacher.

    Args:
        data: a ``GaussianMixture`` or a ``Teacher``. With a covariance the call gives a
            ``BlockModel``, whose statistics are overlaps block by block.
        network: the network, a function of v and the preactivations.
        loss: (output, label) -> scalar.
        ridge: alpha, adds (alpha/2)(|W|^2 + |v|^2) to the loss.
        tolerance: error that expectations may have, in units of their scales (the root of the
            product of the squares' means). Chooses a rule to begin with; where its estimated error
            is larger, finer ones are taken, or it is said with a warning. Default: a rule for the
            number of fields, and 1e-3. ``drift_error`` estimates what was reached.
        rule: how expectations are computed, instead.
        rule_is_chosen: whether ``rule`` stays where it is not accurate enough; default: if given.

    Raises:
        TypeError, ValueError: for arguments that do not fit.

    Source: the general fact behind Ben Arous, Gheissari and Jagannath (2022), sections 4 and 5.
    """

    data: AbstractDataLaw
    network: Network
    loss: Loss = eqx.field(static=True)
    ridge: float
    rule: AbstractRule
    tolerance: float | None = eqx.field(static=True, metadata=left_out(lambda x: x is None))
    rule_is_chosen: bool = eqx.field(static=True, metadata=left_out(lambda chosen: True))

    #: Whether gradients are looked at for jumps; not where they are known to be declared.
    looks: ClassVar[bool] = True
    has_curvature: ClassVar = True
    citation: ClassVar = (
        "G. Ben Arous, R. Gheissari, A. Jagannath. High-dimensional limit theorems for SGD: "
        "effective dynamics and critical scaling. NeurIPS 2022."
    )

    def __init__(
        self,
        *,
        data: AbstractDataLaw,
        network: Network,
        loss: Loss,
        ridge: float = 0.0,
        tolerance: float | None = None,
        rule: AbstractRule | None = None,
        rule_is_chosen: bool | None = None,
    ):
        self._choose(tolerance, rule, rule_is_chosen)
        if not isinstance(data, AbstractDataLaw):
            raise TypeError(f"data={data!r}: expected a GaussianMixture or a Teacher.")
        if not isinstance(network, Network):
            raise TypeError(f"network={network!r}: expected a Network.")
        self.data = data  # pyright: ignore[reportIncompatibleMethodOverride]
        self.network, self.loss = network, loss
        self.ridge = _validate.nonnegative("ridge", ridge)
        if data.labels_see_fields and any(data.noiseless):
            raise ValueError(
                "snr=inf: a class without noise needs a label of its own; give a table."
            )
        label = jax.ShapeDtypeStruct((data.outputs,), float)
        v, s = (jax.ShapeDtypeStruct((n,), float) for n in (network.layer, network.width))
        try:
            shape = jax.eval_shape(
                lambda v, s, y: loss(network.function(v, s), y), v, s, label
            ).shape
        except Exception as error:
            raise ValueError(
                f"network, loss: failed at v of length {network.layer}, {network.width} "
                f"preactivations s and a label of length {data.outputs}: {error}"
            ) from error
        if shape not in ((), (1,)):
            raise ValueError(
                f"loss: gives shape {shape} for one sample, expected a scalar; labels arrive with "
                f"shape {label.shape}, so that y[0] is the first number."
            )
        fields = node_count(data, network.width)
        if rule is not None:
            check_rule(rule, fields, self.kinks)
        self.rule = self._default_rule(fields, tolerance) if rule is None else rule

    def varied(self, name: str, value: float) -> AbstractModel:
        """With another ``ridge``, or another ``snr`` of a mixture, the same in every class."""
        if name == "ridge":
            return self._again(ridge=value)
        if name == "snr" and self.data.has_snr:
            law: Any = self.data
            return self._again(data=law.with_snr(value))
        return super().varied(name, value)

    def _again(self, **changed: Any) -> AbstractModel:
        """Built again with other arguments; a rule that nobody chose may become another."""
        given = {"data": self.data, "network": self.network, "loss": self.loss,
                 "ridge": self.ridge, "tolerance": self.tolerance,
                 "rule": self.rule if self.rule_is_chosen else None}  # fmt: skip
        return type(self)(**{**given, **changed})

    def facts(self) -> dict[str, str]:
        """Of the data, the network and the loss."""
        network = getattr(self.network.function, "__name__", type(self.network.function).__name__)
        return {
            **self.data.facts(),
            "network": f"{network}, width {self.width}",
            "second layer": f"{self.layer_size} numbers, trained" if self.layer_size else "fixed",
            "loss": getattr(self.loss, "__name__", type(self.loss).__name__),
            "ridge": number(self.ridge),
            "expectations": f"{self.expectation_nodes} nodes" if self.expectation_nodes else
            "by formula",
        }  # fmt: skip

    @in_one_line
    def __repr__(self) -> str:
        """Width, data and ridge."""
        return (
            f"{type(self).__name__}(width={self.width}, data={self.data!r}, "
            f"ridge={number(self.ridge)})"
        )

    def _choose(
        self, tolerance: float | None, rule: AbstractRule | None, chosen: bool | None
    ) -> None:
        if chosen is None:
            chosen = rule is not None
        chosen = _validate.boolean("rule_is_chosen", chosen)
        if tolerance is not None and rule is not None and chosen:
            raise ValueError(f"tolerance={tolerance!r}: leave it out, or leave out rule={rule!r}.")
        self.rule_is_chosen = chosen
        self.tolerance = None if tolerance is None else _validate.positive("tolerance", tolerance)

    def _default_rule(self, fields: int, tolerance: float | None) -> AbstractRule:
        if all(self.data.noiseless):
            return rule_for(fields, tolerance, self.kinks)
        if fields == 1 and not self.data.labels_see_fields:
            return LookedPanels()
        if tolerance is not None:
            return rule_for(fields, tolerance, self.kinks)
        if self.data.labels_see_fields:
            # Nobody knows where labels jump: replicates tell the error whatever they do.
            return QuasiMonteCarlo(fields, _LABEL_LOG2)
        if self.jumps.moving:
            return QuasiMonteCarlo(fields, ROUGH_LOG2, split=False)
        return rule_for(fields, kinks=self.kinks)

    def built(self) -> AbstractModel:
        """Itself; on inputs with a covariance the model of its overlaps block by block."""
        if self.data.in_blocks() is None:
            return self
        from sgdlimits.models.block_model import BlockModel  # which is made of these

        return BlockModel(self.data, self.on_total())

    def on_total(self) -> "MultiIndexModel":
        """On isotropic inputs, for the rules of expectations."""
        return eqx.tree_at(lambda model: model.data, self, self.data.total())

    # -- shapes --------------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """Of the network."""
        return self.network.width

    @property
    def layer_size(self) -> int:
        """Of the network."""
        return self.network.layer

    @property
    def kinks(self) -> tuple[float, ...]:
        """Declared by the network, or found."""
        return tuple(sorted({*self.network.kinks, *self.jumps.fixed}))

    @property
    def jumps(self) -> Jumps:
        """Of the gradient of one sample."""
        if not self.looks:
            return Jumps()
        network = self.network
        return found_jumps(network.function, self.loss, self.data, network.width, network.layer)

    def accurate_to(self, error: float) -> "MultiIndexModel":
        """Drifts to this error at states of order one; a rule that the user chose is kept."""
        rule = coarse_rule(self.rule, error)
        return self if rule is self.rule else eqx.tree_at(lambda model: model.rule, self, rule)

    def coarser(self) -> "Coarser[MultiIndexModel] | None":
        """With the rules that come before this one."""
        if all(self.data.noiseless):
            return Coarser()
        coarser, turned = self.rule.coarser_rules(), self.rule.turned()
        if not coarser:
            return None
        same = () if turned is None else (turned,)
        rules = Coarser(coarser, self.rule.steps_from_half, same)
        return rules.map(lambda rule: eqx.tree_at(lambda model: model.rule, self, rule))

    @property
    def allowed_error(self) -> float | None:
        """``tolerance``."""
        return self.tolerance

    @property
    def expectation_nodes(self) -> int:
        """Of the rule."""
        return self.rule.count

    def finer(self) -> "MultiIndexModel | None":
        """With the rule that comes after one that is not accurate enough; a chosen one stays."""
        rule = None if self.rule_is_chosen else self.rule.finer()
        return None if rule is None else eqx.tree_at(lambda model: model.rule, self, rule)

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
        return jnp.reshape(self.loss(self.network.function(v, s), label), ())

    def risk(self, u: Statistics) -> Float[Array, ""]:
        """E[l(s, v, y)] by the model's rule, without ridge; classes without noise at their mean."""

        def of_class(a: Array, deviation: Array, at: ClassNodes) -> Array:
            z, weight = at.nodes.together
            labels = jnp.broadcast_to(at.labels(self.data, z), (self.data.outputs, len(weight)))
            return weight @ jax.vmap(lambda s, y: self.sample_loss(u.v, s, y), -1)(at.s(z), labels)

        total = jnp.zeros(())
        if not all(self.data.noiseless):
            total = self._over_classes(u, of_class)
        for c in np.flatnonzero(np.array(self.data.noiseless)):
            s = u.M @ jnp.asarray(self.data.coefficients[c])
            total = total + self.data.weights[c] * self.sample_loss(u.v, s, self._label_of(int(c)))
        return total

    def sample_gradients(self, v: Array, s: Array, label: Array) -> tuple[Array, Array]:
        """(g, h): derivatives of the loss in s and v, without ridge."""
        h, g = jax.grad(self.sample_loss, argnums=(0, 1))(v, s, label)
        return g, h

    def gradients_at(self, v: Array, s: Array, labels: Array) -> tuple[Array, Array]:
        """(g, h) of samples along the last axis; one label for all where it has length 1 there."""
        if labels.shape[-1] == 1:
            return jax.vmap(lambda s: self.sample_gradients(v, s, labels[:, 0]), -1, -1)(s)
        return jax.vmap(lambda s, y: self.sample_gradients(v, s, y), -1, -1)(s, labels)

    def gradient(self, v: Float[Array, " layer"], seen: Seen) -> Gradient:
        """g Xᵀ + ridge W, and h + ridge v."""
        g, h = self.sample_gradients(v, seen.s, seen.label)
        ridge = jnp.asarray(self.ridge, seen.s.dtype)
        return Gradient(g, h + ridge * v, ridge, penalty=ridge)

    def literal_gradient(
        self, parameters: Parameters, frame: Float[Array, "directions dim"], key: Key[Array, ""]
    ) -> Parameters:
        """Of the loss in v and W themselves."""
        x, label = self.data.sample(key, frame, parameters.W.dtype)
        ridge = jnp.asarray(self.ridge, x.dtype)

        def loss(parameters: Parameters) -> Array:
            v, W = parameters
            penalty = ridge / 2 * (jnp.sum(v * v) + jnp.sum(W * W))
            return self.sample_loss(v, W @ x, label) + penalty

        return jax.grad(loss)(parameters)

    # -- expectations --------------------------------------------------------------------------

    def _over_classes(
        self,
        u: Statistics,
        function: Callable[..., PyTree],
        rule: AbstractRule | None = None,
    ) -> PyTree:
        """Expectation of ``function(a, deviation, at)``, a tree of arrays, over the noisy classes.

        With many nodes one class after the other, so that the memory is that of one.
        """
        rule, of = self.rule if rule is None else rule, factors(self.data, u)

        def values(s: Array, labels: Array) -> Array:
            return jnp.concatenate(self.gradients_at(u.v, s, labels))

        def of_class(inputs: tuple[Array, Array, Array]) -> PyTree:
            c, a, deviation = inputs
            kinks = self.kinks
            at = class_nodes(self.data, u, of, rule, kinks, c, a, deviation, values)
            return function(a, deviation, at)

        classes = np.flatnonzero(~np.array(self.data.noiseless))
        inputs = (
            jnp.asarray(classes),
            jnp.asarray(self.data.coefficients)[classes],
            self.data.deviations[classes],
        )
        together = _together(rule, len(classes))
        each = jax.vmap(of_class)(inputs) if together else jax.lax.map(of_class, inputs)
        return jax.tree.map(lambda x: jnp.tensordot(self.data.weights[classes], x, axes=1), each)

    def expectations(self, u: Statistics) -> Expectations:
        """By the model's rule; ridge included."""
        mean = self._estimates(u).mean()
        return Expectations(
            mean.h + self.ridge * u.v,
            mean.gf + self.ridge * u.M,
            mean.gs + self.ridge * u.Q,
            mean.gg,
        )

    def deviations(self, u: Statistics) -> Expectations | None:
        """Distances to coarser rules, or deviations of the rule's replicates."""
        if all(self.data.noiseless):
            return None  # each class is one point
        return rule_deviations(
            lambda rule: self._estimates(u, rule), self.rule, lambda e: scales(self, u, e)
        )

    @property
    def knows_errors(self) -> bool:
        """Unless the rule has nothing to compare with."""
        return all(self.data.noiseless) or self.rule.has_error_estimate

    def relative_errors(self, u: Statistics) -> dict[str, Float[Array, ""]]:
        """Gauss rules from two that are coarser, which costs half and errs on the safe side."""
        coarser, half = self.rule.coarser(), self.rule.half()
        if coarser is None or half is None:
            return super().relative_errors(u)
        near = self._estimates(u, coarser)
        size = scales(self, u, near.mean())
        parts = [
            left_over(near, self._estimates(u, half), size),
            wedges(near, lambda rule: self._estimates(u, rule), coarser, u.Q),
        ]
        return in_scales(jax.tree.map(lambda *x: jnp.concatenate(x), *parts), size)

    def _estimates(self, u: Statistics, rule: AbstractRule | None = None) -> Expectations:
        """Without ridge; the first axis are the rule's replicates."""
        noisy = self._noisy_estimates(u, rule)
        if not any(self.data.noiseless):
            return noisy
        points = self._points(u).moments(u.M, self._background(u, noisy))
        return jax.tree.map(jnp.add, noisy, points)

    def _noisy_estimates(self, u: Statistics, rule: AbstractRule | None = None) -> Expectations:
        if all(self.data.noiseless):
            return Expectations.zeros(self.layer_size, self.width, self.data.directions)

        def of_class(a: Array, deviation: Array, at: ClassNodes) -> Expectations:
            z, weight = at.nodes
            labels = jax.vmap(lambda z: at.labels(self.data, z))(z)
            g, h = jax.vmap(self.gradients_at, (None, 0, 0))(u.v, jax.vmap(at.s)(z), labels)
            weighted = weight[:, None] * g
            products = lambda x: jnp.einsum("rin,rjn->rij", weighted, x)  # noqa: E731
            total, with_z = jnp.sum(weighted, axis=-1), products(z)
            return Expectations(
                h=jnp.einsum("rn,rin->ri", weight, h),
                gf=at.f.correlate(total, with_z),
                gs=at.s.correlate(total, with_z),
                gg=deviation**2 * products(g),
            )

        return self._over_classes(u, of_class, rule)

    # -- classes without noise -----------------------------------------------------------------

    def _points(self, u: Statistics) -> Points:
        coefficients, noiseless = np.array(self.data.coefficients), self.data.noiseless
        return Points(
            lambda c, s: self.sample_gradients(u.v, s, self._label_of(c)),
            coefficients,
            self.data.weights * jnp.asarray(noiseless, float),
            np.array(self.data.gram),
            walls(coefficients, noiseless, self.kinks),
        )

    def _label_of(self, c: Array | int) -> Array:
        """Of a class without noise."""
        r, noises = self.data.directions, self.data.label_noises
        return self.data.label(jnp.asarray(c), jnp.zeros(r), jnp.zeros(noises))

    def _background(self, u: Statistics, noisy: Expectations) -> Array:
        """What drives -dM/dt beside the classes without noise."""
        return jnp.mean(noisy.gf, axis=0) + self.ridge * u.M

    def constraints(self, u: Statistics) -> Constraints:
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

    @property
    def has_jacobian(self) -> bool:
        """Not where nodes cross the jumps of a gradient, or do not move with them."""
        if all(self.data.noiseless):
            return True
        return not self.jumps.moving and (not self.kinks or self.rule.differentiable)

    @property
    def drift_is_sampled(self) -> bool:
        """By the rule, where there is noise."""
        return self.rule.is_sampled and not all(self.data.noiseless)

    @property
    def drift_is_rough(self) -> bool:
        """Also by Gauss rules of few nodes on three axes or more, which kinks share."""
        if all(self.data.noiseless):
            return False
        return self.rule.is_sampled or (bool(self.kinks) and self.rule.is_coarse)

    @property
    def drift_is_smooth(self) -> bool:
        """Also where nodes move with jumps that differentiation does not see move."""
        return self.has_jacobian or self.rule.follows_jumps

    @property
    def differentiates_nodes(self) -> bool:
        """Noisy classes and no kinks: what is at a kink jumps with the least noise."""
        return not self.kinks and not all(self.data.noiseless)

    def on_border(self, u: Statistics) -> Statistics:
        """Neurons that are parallel to rounding are so exactly, where there are kinks.

        Parallel neurons stay so, but their kinks part with an angle at a rate that is not small
        with it: of the rounding of Q a derivative would see the inverse root.
        """
        if not self.kinks or self.data.labels_see_fields:
            return u
        factor = cholesky(u.Q, _PARALLEL)
        square = factor @ factor.T
        near = jnp.max(jnp.abs(square - u.Q)) <= 2 * _PARALLEL * jnp.trace(u.Q)
        moved = jnp.where(near, square - u.Q, 0.0)
        return Statistics(u.v, u.M, u.Q + jax.lax.stop_gradient(moved))

    # -- moments of one step -------------------------------------------------------------------

    def increment_moments(
        self, u: Statistics, plain: PlainStep, dim: Float[Array, ""] | None
    ) -> tuple[Float[Array, " statistics"], Float[Array, "statistics statistics"]]:
        """Mean and covariance of increment/delta, at finite dim or (None) in the limit.

        Given the nodes, an increment is its mean plus noise that is linear in the residual of f,
        through g, and in the fluctuation of |X|^2, through g gᵀ. Everything follows from second
        moments of these three, which are one matrix product. Exact up to the rule's error, for one
        sample a step; see ``batch_moments`` for more.
        """
        p, r = self.width, self.data.directions
        delta = 0.0 if dim is None else plain.step / dim
        upper = np.triu_indices(p)
        gram = jnp.asarray(self.data.gram)
        size, layer = len(self.template.names), self.layer_size
        fields = field_count(self.data, p)

        def of_class(a: Array, deviation: Array, at: ClassNodes) -> tuple[Array, Array]:
            z, weight = at.nodes.together
            s, f, slope = at.s(z), at.f(z), at.f.factor / deviation
            g, h = self.gradients_at(u.v, s, at.labels(self.data, z))
            residual = gram - slope @ slope.T
            if dim is None:
                joint, inflation = residual, plain.step * deviation**2
            else:
                cross = 2 * residual @ a
                variance = 4 * a @ residual @ a + 2 * deviation**2 * (dim - fields)
                joint = jnp.block([[residual, cross[:, None]], [cross[None, :], variance]])
                norm2 = a @ gram @ a + 2 * a @ at.f.factor @ z
                inside = jnp.sum(z[:fields] * z[:fields], 0)
                inflation = delta * (norm2 + deviation**2 * (inside + dim - fields))
            spread = deviation * cholesky(joint)
            noise = spread @ spread.T
            rows = [self._increments(u, plain, delta, g, h, s, f, inflation), g]
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
            g = points.slide(u.M, self._background(u, self._noisy_estimates(u))).mean
            _, h = jax.vmap(points.gradient)(jnp.arange(len(s)), s)
            norm2 = jnp.asarray((points.coefficients * points.reach).sum(1))
            reach = jnp.asarray(points.reach)
            each = self._increments(u, plain, delta, g.T, h.T, s.T, reach.T, delta * norm2)
            mean = mean + each @ points.weights
            second = second + (points.weights * each) @ each.T
        second = (second + second.T) / 2  # exactly symmetric, which matrix products are not
        return mean, second - mean[:, None] * mean

    def _increments(
        self, u: Statistics, plain: PlainStep, delta, g, h, s, f, inflation
    ) -> Float[Array, "statistics samples"]:
        """Increment/delta on samples with projections s and f; inflation = delta |X|^2.

        g, h, s and f have the samples on the last axis.
        """
        gs = g[:, None] * s
        moved = -(1 - delta * self.ridge) * (gs + jnp.swapaxes(gs, 0, 1))
        shrunk = (2 - delta * self.ridge) * self.ridge * u.Q
        Q = moved - shrunk[..., None] + inflation * g[:, None] * g
        M = -(g[:, None] * f + self.ridge * u.M[..., None])
        v = -plain.rate * (h + self.ridge * u.v[:, None])
        return jnp.concatenate([v, M.reshape(-1, s.shape[1]), Q[np.triu_indices(len(g))]])

    # -- laws and landmarks --------------------------------------------------------------------

    def initial_statistics(
        self, key: Key[Array, ""], dim: Float[Array, ""], constants: ChiSquares
    ) -> Statistics:
        """v ~ N(0, I), W_i ~ N(0, I/dim): Gaussian overlaps and a Wishart block (Bartlett)."""
        key_v, key_rows = jax.random.split(key)
        B, rest = random_rows(key_rows, dim, self.data.directions, constants)
        v = jax.random.normal(key_v, (self.layer_size,))
        return self.of_coordinates(Coordinates(v, B, rest))

    def with_data(self, data: AbstractDataLaw) -> "MultiIndexModel":
        """The same on another data law of the same shapes, such as other snr."""
        return eqx.tree_at(lambda model: model.data, self, data)

    def zero_noise(self) -> "MultiIndexModel":
        """The limit snr = inf, where there is a formula for its fixed points."""
        limit = self.with_data(self.data.zero_noise())
        return self if limit.known_fixed_points(PlainStep(1.0)) is None else limit

    def search_points(self, rng: np.random.Generator, count: int, step: float) -> Statistics:
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
def _pushes(model: MultiIndexModel, u: Statistics) -> tuple[Array, Expectations]:
    background = model._background(u, model._noisy_estimates(u))
    return model._points(u).pushes(u.M, background)
