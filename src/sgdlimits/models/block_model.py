"""Networks of a few preactivations on inputs with several eigenvalues: overlaps block by block.

Statistics are M_j = W_j F_jᵀ and Q_j = W_j W_jᵀ for the parts of the rows in block j. A sample's
gradient sees the total fields alone, so that expectations are those of isotropic inputs at the
totals Q = sum_j tau_j Q_j, M = sum_j tau_j M_j; see ``block_expectations``.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Integer, Key, PyTree

from sgdlimits._shown import in_one_line
from sgdlimits.data.base import AbstractDataLaw
from sgdlimits.data.blocks import Blocks
from sgdlimits.expectations.rules import AbstractRule, QuasiMonteCarlo
from sgdlimits.expectations.small_linalg import cholesky, symmetric_root
from sgdlimits.models import block_landmarks, block_rows
from sgdlimits.models.base import AbstractModel, PlainStep
from sgdlimits.models.block_domain import (
    check_block_overlaps,
    check_block_ranks,
    into_block_domain,
)
from sgdlimits.models.block_expectations import Along, Moments, in_blocks, slopes
from sgdlimits.models.block_increments import IncrementNodes, increment_covariance
from sgdlimits.models.class_nodes import Affine, ClassNodes, field_factors, nodes_of_fields
from sgdlimits.models.expectation_scales import in_scales
from sgdlimits.models.expectations import Expectations
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.models.rule_errors import Coarser, left_over, rule_deviations, wedges
from sgdlimits.models.sample_gradient import Gradient, Seen
from sgdlimits.statistics.block_overlaps import BlockStatistics
from sgdlimits.statistics.overlaps import Parameters, Statistics

#: (v, s, label, |X|²/dim) -> (g, h) of one sample.
Gradients = Callable[[Array, Array, Array, Array], tuple[Array, Array]]

_INSIDE = 1e-6  # relative; the derivative is wrong by about this
_MANY = 32  # blocks, from which on the ODE takes implicit steps
_NODES_TOGETHER = 2**13  # of all classes
_WHY_NOT = {
    "mean_field": "its reduced equations are for isotropic inputs",
    "spectra": "its Hessian and gradient matrices are known for isotropic inputs only",
    "rescale": "magnified limits are not written for overlaps in blocks",
    "testing.check": "its states and frames are those of isotropic inputs",
    "audit": "its points are not drawn for overlaps in blocks",
}


class BlockModel(AbstractModel[BlockStatistics]):
    """A ``MultiIndexModel`` whose data law has a covariance. Built by ``MultiIndexModel(...)``.

    Args:
        data: a ``GaussianMixture`` or a ``Teacher`` with a covariance.
        base: the same network and loss on isotropic inputs: its gradients, and its rule.

    Source: Yoshida and Okada (2019) for committees; for any network by Stein's lemma, see
    ``block_expectations``. The drift is exact as dim -> infinity, given its moments.
    """

    data: AbstractDataLaw
    base: MultiIndexModel

    statistics_class: ClassVar = BlockStatistics
    kernel: ClassVar = "blocks"
    sees_overlaps: ClassVar = False
    overlap_dims: ClassVar = (BlockStatistics.dims["M"], BlockStatistics.dims["Q"])
    has_one_step_moments: ClassVar = False
    citation: ClassVar = (
        "Y. Yoshida, M. Okada. Data-dependence of plateau phenomenon in learning with neural "
        "network: statistical mechanical analysis. NeurIPS 2019."
    )

    def check_vectors(self, u: BlockStatistics, dim: int) -> None:
        """Rows need as many dimensions of a block as their part outside the frame has rank."""
        check_block_ranks(u, self.blocks, dim)

    def check_capability(self, what: str) -> None:
        """Raise ValueError for what is not there with a covariance."""
        if what in _WHY_NOT:
            raise ValueError(f"{what}: not with a covariance; {_WHY_NOT[what]}.")

    def facts(self) -> dict[str, str]:
        """Those of the model on isotropic inputs, and the covariance."""
        return {**self.base.facts(), "covariance": f"{self.blocks.count} eigenvalues"}

    @in_one_line
    def __repr__(self) -> str:
        """The covariance, and the model on isotropic inputs."""
        return f"{type(self).__name__}({self.blocks.count} eigenvalues, {self.base!r})"

    @property
    def blocks(self) -> Blocks:
        """Of the data law."""
        found = self.data.in_blocks()
        assert found is not None
        return found

    @property
    def law_of_fields(self) -> AbstractDataLaw:
        """The law whose labels are functions of the nodes' fields."""
        return self.data

    @property
    def width(self) -> int:
        """Number of rows."""
        return self.base.width

    @property
    def kinks(self) -> tuple[float, ...]:
        """Of the gradients."""
        return self.base.kinks

    @property
    def layer_size(self) -> int:
        """Length of v."""
        return self.base.layer_size

    @property
    def ridge(self) -> float | Array:
        """Of the loss."""
        return self.base.ridge

    @property
    def rule(self) -> AbstractRule:
        """For expectations."""
        return self.base.rule

    @property
    def template(self) -> BlockStatistics:
        """Zeros."""
        p, r, blocks = self.width, self.data.directions, self.blocks.count
        shapes = ((self.layer_size,), (blocks, p, r), (blocks, p, p))
        return BlockStatistics(*(jnp.zeros(shape) for shape in shapes))

    @property
    def minimum_dim(self) -> int:
        """Every block must hold its part of the frame, and all rows fit beside it."""
        return max(self.blocks.minimum_dim, self.width + self.data.directions)

    def check_statistics(self, u: BlockStatistics) -> None:
        """Shapes, finiteness, symmetry, and Q_j >= M_j G_j^-1 M_jᵀ in every block."""
        check_block_overlaps(u, self.template, np.asarray(self.blocks.gram))

    def admissible(self, u: BlockStatistics) -> BlockStatistics:
        """Block by block the part of Q outside the frame's span made positive semidefinite."""
        roots = self.blocks.roots
        batched = jnp.vectorize(
            lambda y: into_block_domain(u.with_vector(y), roots).vector, signature="(n)->(n)"
        )
        return u.with_vector(batched(u.vector))

    def interior(self, u: BlockStatistics) -> BlockStatistics:
        """The totals off the singular matrices, where the isotropic model needs it."""
        if not self.base.differentiates_nodes:
            return u
        Q = self._totals(u, 0).Q
        scale = jnp.maximum(jnp.trace(Q), 1.0)
        singular = jnp.linalg.eigvalsh(Q)[0] < _INSIDE * scale
        shift = jnp.where(singular, _INSIDE * scale, 0.0) * self.blocks.fractions
        return BlockStatistics(u.v, u.M, u.Q + shift[:, None, None] * jnp.eye(self.width))

    # -- accuracy: that of the isotropic model -------------------------------------------------

    def _with(self, base: MultiIndexModel | None) -> "BlockModel":
        return eqx.tree_at(lambda model: model.base, self, base)

    def accurate_to(self, error: float) -> "BlockModel":
        """As the isotropic model."""
        base = self.base.accurate_to(error)
        return self if base is self.base else self._with(base)

    def finer(self) -> "BlockModel | None":
        """As the isotropic model."""
        base = self.base.finer()
        return None if base is None else self._with(base)

    def coarser(self) -> "Coarser[BlockModel] | None":
        """As the isotropic model."""
        bases = self.base.coarser()
        return None if bases is None else bases.map(self._with)

    @property
    def allowed_error(self) -> float | None:
        """``tolerance``."""
        return self.base.allowed_error

    @property
    def expectation_nodes(self) -> int:
        """Of the rule."""
        return self.base.expectation_nodes

    @property
    def expectation_size(self) -> int:
        """Nodes times statistics."""
        return self.rule.count * self.template.vector.size

    @property
    def knows_errors(self) -> bool:
        """As the isotropic model."""
        return self.base.knows_errors

    @property
    def has_jacobian(self) -> bool:
        """As the isotropic model."""
        return self.base.has_jacobian

    @property
    def drift_is_sampled(self) -> bool:
        """As the isotropic model."""
        return self.base.drift_is_sampled

    @property
    def drift_is_rough(self) -> bool:
        """As the isotropic model."""
        return self.base.drift_is_rough

    @property
    def drift_is_smooth(self) -> bool:
        """As the isotropic model."""
        return self.base.drift_is_smooth

    def coupled_blocks(self) -> Float[np.ndarray, "sums blocks"] | None:
        """Variances class by class; and 1, where classes have means."""
        weights = np.asarray(self.tau)
        if np.any(self.data.coefficients):
            weights = np.concatenate([weights, np.ones((1, self.blocks.count))])
        return weights if self.blocks.count >= max(_MANY, 2 * len(weights) + 2) else None

    # -- real parameters -----------------------------------------------------------------------

    def frame(self, dim: int) -> Float[Array, "directions dim"]:
        """Rows whose parts have the Gram matrices G_j."""
        return self.data.frame(dim)

    def statistics(
        self, parameters: Parameters, frame: Float[Array, "directions dim"]
    ) -> BlockStatistics:
        """v, and overlaps block by block."""
        v, W = parameters
        rows, directions = self.blocks.along(W), self.blocks.along(frame)
        transposed = jnp.swapaxes(rows, 1, 2)
        return BlockStatistics(v, rows @ jnp.swapaxes(directions, 1, 2), rows @ transposed)

    def gradient(self, v: Float[Array, " layer"], seen: Seen) -> Gradient:
        """g Xᵀ + ridge W, and h + ridge v."""
        return self.base.gradient(v, seen)

    def literal_gradient(
        self, parameters: Parameters, frame: Float[Array, "directions dim"], key: Key[Array, ""]
    ) -> Parameters:
        """Of the loss in v and W themselves."""
        x, label = self.data.sample(key, frame, parameters.W.dtype)
        ridge = jnp.asarray(self.ridge, x.dtype)

        def loss(parameters: Parameters) -> Array:
            v, W = parameters
            penalty = ridge / 2 * (jnp.sum(v * v) + jnp.sum(W * W))
            return self.base.sample_loss(v, W @ x, label) + penalty

        return jax.grad(loss)(parameters)

    def literal_sample_size(self, dim: int) -> int:
        """The parameters are what fills memory."""
        return dim * self.width

    def lift(
        self, key: Key[Array, ""], u: BlockStatistics, frame: Float[Array, "directions dim"]
    ) -> Parameters:
        """Rows with these overlaps; what is free is uniform orthogonal to the frame's parts."""
        return Parameters(u.v, block_rows.lift_rows(key, u, self.blocks, frame))

    def rows_of(self, parameters: Parameters) -> Parameters:
        """The parameters themselves."""
        return parameters

    def parameters_of(self, rows: Parameters) -> Parameters:
        """The rows themselves."""
        return rows

    def overlaps(self, u: BlockStatistics) -> BlockStatistics:
        """The statistics themselves."""
        return u

    # -- starts --------------------------------------------------------------------------------

    def initial_constants(self, dim: int) -> Integer[Array, " blocks"]:
        """Dimensions of the blocks."""
        return jnp.asarray(self.blocks.spectrum.sizes(dim))

    def initial_statistics(
        self, key: Key[Array, ""], dim: Float[Array, ""], constants: Integer[Array, " blocks"]
    ) -> BlockStatistics:
        """W_i ~ N(0, I/dim), whatever the covariance, and v as on isotropic inputs."""
        key_v, key_rows = jax.random.split(key)
        M, Q = block_rows.random_rows(key_rows, dim, constants, self.blocks, self.width)
        return BlockStatistics(self._initial_layer(key_v), M, Q)

    def _initial_layer(self, key: Key[Array, ""]) -> Float[Array, " layer"]:
        return jax.random.normal(key, (self.layer_size,))

    # -- classes -------------------------------------------------------------------------------

    @property
    def tau(self) -> Float[Array, "classes blocks"]:
        """Variances of the noise, class by class and block by block."""
        return self.data.deviations[:, None] ** 2 * self.blocks.spectrum.eigenvalues

    def _totals(self, u: BlockStatistics, c: Any) -> Statistics:
        """Covariance of s, and of s and f, in class c."""
        tau = self.tau[c]
        total = lambda x: jnp.tensordot(tau, x, axes=1)  # noqa: E731
        return Statistics(u.v, total(u.M), total(u.Q))

    def _nodes(
        self, u: BlockStatistics, c: Array, rule: AbstractRule
    ) -> tuple[ClassNodes, Float[Array, "fields fields"]]:
        """Nodes of the total fields of class c, and a factor of them.

        The fields are (f, s), or s alone where labels do not see f.
        """
        law = self.data
        a, totals = jnp.asarray(law.coefficients)[c], self._totals(u, c)
        joint = law.labels_see_fields
        G = jnp.tensordot(self.tau[c], self.blocks.gram, axes=1)
        of = field_factors(totals, cholesky(G) if joint else None, law.label_noises)
        s = Affine(jnp.sum(u.M, axis=0) @ a, of.s)
        f = Affine(jnp.asarray(law.gram) @ a, of.f)
        noise = Affine(jnp.zeros(law.label_noises), of.noise)

        def values(s: Array, labels: Array) -> Array:
            return jnp.concatenate(self.base.gradients_at(u.v, s, labels))

        at = nodes_of_fields(law, s, f, noise, rule, self.base.kinks, c, values)
        if not joint:
            return at, of.s
        count = law.directions + self.width
        return at, jnp.concatenate([of.f, of.s])[:, :count]

    def over_classes(self, function: Callable[[Array], PyTree], rule: AbstractRule) -> PyTree:
        """Mean over classes of ``function(c)``, with many nodes one after the other."""
        classes = len(self.data.coefficients)
        numbers = jnp.arange(classes)
        together = rule.count * classes <= _NODES_TOGETHER
        each = jax.vmap(function)(numbers) if together else jax.lax.map(function, numbers)
        return jax.tree.map(lambda x: jnp.tensordot(self.data.weights, x, axes=1), each)

    def risk(self, u: BlockStatistics) -> Float[Array, ""]:
        """E[l(s, v, y)] by the model's rule, without ridge."""

        def of_class(c: Array) -> Array:
            at, _ = self._nodes(u, c, self.rule)
            z, weight = at.nodes.together
            labels = jnp.broadcast_to(at.labels(self.data, z), (self.data.outputs, len(weight)))
            loss = jax.vmap(lambda s, y: self.base.sample_loss(u.v, s, y), -1)
            return weight @ loss(at.s(z), labels)

        return self.over_classes(of_class, self.rule)

    # -- expectations --------------------------------------------------------------------------

    def _in_blocks(
        self, of: Moments, u: BlockStatistics, c: Any, along: Along | None
    ) -> Expectations:
        a, along = jnp.asarray(self.data.coefficients)[c], along or Along(u.M, u.Q)
        return in_blocks(of, u, along, self.blocks.gram, a, self.tau[c], self.blocks.fractions)

    def changed_estimates(
        self, u: BlockStatistics, gradients: Gradients, along: Along, log2: int
    ) -> Expectations:
        """Of gradients that an algorithm has changed sample by sample, ridge included.

        ``gradients``: (v, s, label, |X|²/dim) -> (g, h), without ridge. The first axis are
        replicates of 2^``log2`` nodes.
        """
        law = self.data
        fields = self.width + (law.directions + law.label_noises) * law.labels_see_fields
        rule = QuasiMonteCarlo(fields, log2, split=False)
        return self._with_ridge(self._estimates(u, rule, along, gradients), u, along)

    def _estimates(
        self,
        u: BlockStatistics,
        rule: AbstractRule | None = None,
        along: Along | None = None,
        gradients: Gradients | None = None,
    ) -> Expectations:
        """Without ridge; the first axis are the rule's replicates."""
        rule = self.rule if rule is None else rule
        norms = self.tau @ self.blocks.fractions  # |X|²/dim, class by class

        def of_class(c: Array) -> Expectations:
            at, factor = self._nodes(u, c, rule)
            z, weight = at.nodes
            labels = jax.vmap(lambda z: at.labels(self.data, z))(z)
            s = jax.vmap(at.s)(z)
            if gradients is None:
                g, h = jax.vmap(self.base.gradients_at, (None, 0, 0))(u.v, s, labels)
            else:
                each = jnp.broadcast_to(labels, (*labels.shape[:2], s.shape[2]))
                g, h = _by_samples(gradients, u.v, s, each, norms[c])
            weighted = weight[:, None] * g
            products = lambda x: jnp.einsum("rin,rjn->rij", weighted, x)  # noqa: E731
            slope = slopes(products(z[:, : len(factor)]), factor)
            r = len(factor) - self.width
            zero = jnp.zeros((*slope.shape[:-1], self.data.directions))
            moments = Moments(
                h=jnp.einsum("rn,rin->ri", weight, h),
                g=jnp.sum(weighted, axis=-1),
                slope_s=slope[..., r:],
                slope_f=slope[..., :r] if r else zero,
                gg=products(g),
            )
            return self._in_blocks(moments, u, c, along)

        return self.over_classes(of_class, rule)

    def _with_ridge(
        self, e: Expectations, u: BlockStatistics, along: Along | None = None
    ) -> Expectations:
        ridge, Q = self.ridge, u.Q if along is None else along.Q
        return Expectations(e.h + ridge * u.v, e.gf + ridge * u.M, e.gs + ridge * Q, e.gg)

    def expectations(self, u: BlockStatistics, along: Along | None = None) -> Expectations:
        """Block by block, ridge included; gg counts what a block gains of E[g gᵀ].

        ``along``: rows that the gradient's overlaps gs are with; default: the model's own.
        """
        return self._with_ridge(self._estimates(u, along=along).mean(), u, along)

    def deviations(self, u: BlockStatistics, along: Along | None = None) -> Expectations | None:
        """Distances to coarser rules, or deviations of the rule's replicates."""
        return rule_deviations(
            lambda rule: self._estimates(u, rule, along), self.rule, lambda e: self._scales(u, e)
        )

    def relative_errors(self, u: BlockStatistics) -> dict[str, Float[Array, ""]]:
        """Of the four expectations that drifts are made of."""
        if not self.knows_errors:
            return {}
        coarser, half = self.rule.coarser(), self.rule.half()
        if coarser is None or half is None:
            deviations = self.deviations(u)
            if deviations is None:
                return {}
            return in_scales(deviations, self._scales(u, self.expectations(u)))
        near = self._estimates(u, coarser)
        size = self._scales(u, near.mean())
        parts = [
            left_over(near, self._estimates(u, half), size),
            wedges(near, lambda rule: self._estimates(u, rule), coarser, u.Q),
        ]
        return in_scales(jax.tree.map(lambda *x: jnp.concatenate(x), *parts), size)

    def in_scales(
        self, deviations: Expectations, u: BlockStatistics, e: Expectations
    ) -> dict[str, Float[Array, ""]]:
        """Deviations of expectations in units of their scales, by name."""
        return in_scales(deviations, self._scales(u, e))

    def _scales(self, u: BlockStatistics, e: Expectations) -> Expectations:
        """As for isotropic inputs, with the largest variances of fields in any class."""
        root = lambda x: jnp.sqrt(jnp.max(jnp.diagonal(x, axis1=-2, axis2=-1), initial=0.0))  # noqa: E731
        share = jnp.max(self.tau @ self.blocks.fractions)
        g = root(jnp.sum(e.gg, axis=-3)) / jnp.sqrt(jnp.where(share > 0, share, 1.0))
        of_fields = lambda x: root(jnp.einsum("cj,jab->cab", self.tau, x))  # noqa: E731
        h = jnp.maximum(g, jnp.max(jnp.abs(e.h), initial=0.0))
        return Expectations(h, g * of_fields(self.blocks.gram), g * of_fields(u.Q), g * g)

    def increment_factor(
        self, u: BlockStatistics, plain: PlainStep
    ) -> Float[Array, "statistics noises"]:
        """B with B Bᵀ = covariance of increment/delta as dim -> infinity."""

        def of_class(c: Array) -> tuple[Array, Array]:
            return increment_covariance(self, u, plain, c, self._increment_nodes(u, c))

        mean, second = self.over_classes(of_class, self.rule)
        return symmetric_root(second - mean[:, None] * mean)

    def _increment_nodes(self, u: BlockStatistics, c: Array) -> IncrementNodes:
        at, factor = self._nodes(u, c, self.rule)
        size = self.data.directions + self.width
        return IncrementNodes(at, factor, np.arange(size - len(factor), size))

    # -- landmarks, results --------------------------------------------------------------------

    def search_points(self, rng: np.random.Generator, count: int, step: float) -> BlockStatistics:
        """Random overlaps of order one, alike in all blocks up to a part."""
        return block_landmarks.wide(self.template, self.blocks, rng, count)

    def neighbours(
        self, u: BlockStatistics, rng: np.random.Generator, count: int, radius: float
    ) -> BlockStatistics:
        """Moves v, M, and the rests within the positive semidefinite matrices."""
        return block_landmarks.near(u, self.blocks, rng, count, radius)

    def relabelled(self, u: BlockStatistics) -> list[BlockStatistics]:
        """Neighbouring neurons exchanged."""
        return block_landmarks.relabelled(u, self.layer_size)

    def completed(self, dataset: xr.Dataset) -> xr.Dataset:
        """With M_total and Q_total, sums over blocks, and eigenvalues and fractions of the blocks.

        ``M_field`` and ``Q_field`` are the covariances of s with f and of s, classes on average.
        """
        tau = xr.DataArray(np.asarray(self.data.weights @ self.tau), dims="block")
        sums = {"total": ("sum over blocks of {}", 1.0), "field": (_FIELD, tau)}
        new = {}
        for name in ("M", "Q"):
            for kind, (meaning, weight) in sums.items():
                total = (weight * dataset[name]).sum("block", skipna=False)
                new[f"{name}_{kind}"] = total.transpose("run", "time", ...).assign_attrs(
                    long_name=meaning.format(name), units="1"
                )
        values = np.asarray(self.blocks.spectrum.eigenvalues).mean(axis=0)
        shares = np.array(self.blocks.spectrum.fractions)
        at = {"eigenvalue": ("block", values), "fraction": ("block", shares)}
        return dataset.assign(new).assign_coords(at)


_FIELD = "{} of the centred fields: sum over blocks, each times its variance of the inputs"


def _by_samples(
    gradients: Gradients, v: Array, s: Array, labels: Array, norm2: Array
) -> tuple[Array, Array]:
    """At nodes, which are the last axis, beside replicates on the first."""
    one = lambda s, label: gradients(v, s, label, norm2)  # noqa: E731
    return jax.vmap(jax.vmap(one, -1, -1))(s, labels)
