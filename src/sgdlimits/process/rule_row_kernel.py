"""Rows under any rule: with memory, scalars, noise, or gradients that are changed sample by sample.

Rules that are linear and carry nothing along have a kernel of their own (``row_kernel``), which
this one agrees with and is slower than.
"""

from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.algorithms.rules.base import AbstractRule
from sgdlimits.algorithms.rules.coefficients import Rates, rates_of
from sgdlimits.expectations.small_linalg import cholesky, solve_lower, symmetric_root
from sgdlimits.models.expectation_scales import in_scales, scales
from sgdlimits.models.expectations import Expectations
from sgdlimits.models.row_model import AbstractRowModel
from sgdlimits.process.layout import Layout, Whole
from sgdlimits.process.linear_moments import linear_moments
from sgdlimits.process.literal import literal_mean
from sgdlimits.process.row_kernel import RowKernel
from sgdlimits.process.row_step import Drawn, RowState, move, row_step
from sgdlimits.process.rule_nodes import (
    SampleMoments,
    is_exact,
    over_nodes,
    rule_expectations,
)
from sgdlimits.process.span_sample import SpanSamples, draw_span_samples
from sgdlimits.process.wide_outside import NarrowOutside, WideOutside, outside_of
from sgdlimits.statistics import rows
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.constraints import Constraints
from sgdlimits.statistics.gram_domain import check_overlaps, into_domain
from sgdlimits.statistics.overlaps import Coordinates, Parameters, Statistics

S = TypeVar("S", bound=AbstractStatistics)

_LEAST = 1e-12  # of scalars, which are sums of squares


class RuleRowKernel(eqx.Module, Generic[S]):
    """How rows and what is carried along with them move."""

    model: AbstractRowModel[S]
    algorithm: OnlineSGD

    @property
    def rule(self) -> Any:
        """The algorithm's."""
        return self.algorithm.rule

    @property
    def layout(self) -> Layout:
        """Of the statistics."""
        return Layout.of(self.model, self.rule)

    @property
    def by_samples(self) -> bool:
        """Whether expectations are those of gradients that the rule has changed one by one."""
        rule = self.rule
        return rule.scales_samples or rule.by_coordinate or rule.lookahead is not None

    @staticmethod
    def check_spherical(model: AbstractRowModel) -> None:
        """Raise ValueError where rows of norm 1 have no meaning."""
        RowKernel.check_spherical(model)

    @staticmethod
    def check_rule(model: AbstractRowModel, rule: AbstractRule) -> None:
        """Raise ValueError where the rule has no meaning for the model."""
        name = type(model).__name__
        if rule.lookahead is not None and model.sees_overlaps:
            raise ValueError(
                f"rule={rule!r}: the gradient of {name} depends on overlaps of its parameters, and "
                "its law after a step on the same sample is not known; use another rule."
            )
        if rule.alternates and not model.layer_size:
            raise ValueError(f"rule={rule!r}: {name} has no second layer that is trained.")

    # -- states --------------------------------------------------------------------------------

    @property
    def template(self) -> Any:
        """Zeros."""
        begun = self.layout.begin(self.model.template)
        return begun.with_vector(jnp.zeros_like(begun.vector))

    @property
    def minimum_dim(self) -> int:
        """A dimension for each row and each direction."""
        return self.layout.rows + self.model.data.directions

    def begin(self, base: S) -> Any:
        """States whose memory is as it starts; any batch axes."""
        function = self.layout.begin
        for _ in base.batch_shape:
            function = jax.vmap(function)
        return function(base)

    def base(self, u: Any) -> S:
        """The model's own statistics."""
        return self.layout.base(u)

    def check_state(self, u: Any) -> None:
        """Raise ValueError unless real rows have these statistics, and scalars are finite."""
        layout = self.layout
        if not isinstance(u, layout.statistics_class):
            raise TypeError(f"statistics={u!r}: expected {layout.statistics_class.__name__}.")
        base = layout.base(u)
        RowKernel(self.model, self.algorithm).check_state(base)
        self._check_scalars(u)
        if layout.memory:
            whole = self._over_batch(lambda u: layout.split(u), u)
            template = layout.split(self.template).rows
            check_overlaps(Statistics(whole.v[..., 0, :], whole.M, whole.Q), template,
                           self.model.data.root)  # fmt: skip

    def _check_scalars(self, u: Any) -> None:
        for scalar in self.layout.scalars:
            value = np.asarray(getattr(u, scalar.name))
            if not (np.isfinite(value).all() and (value > 0).all()):
                raise ValueError(f"statistics: {scalar.name} must be finite and above 0.")

    def _over_batch(self, function: Any, u: Any) -> Any:
        for _ in u.batch_shape:
            function = jax.vmap(function)
        return function(u)

    def constrained(self, u: Any) -> Any:
        """Rows of the parameters divided by their norms where the algorithm does so."""
        if not self.algorithm.spherical:
            return u

        def one(u: Any) -> Any:
            whole, p = self.layout.split(u), self.model.width
            scale = jnp.ones(len(whole.Q)).at[:p].set(1 / jnp.sqrt(jnp.diagonal(whole.Q)[:p]))
            M, Q = scale[:, None] * whole.M, scale[:, None] * scale * whole.Q
            return self.layout.join(whole._replace(M=M, Q=Q))

        return self._over_batch(one, u)

    def admissible(self, u: Any) -> Any:
        """Moved into the domain of drift and diffusion."""
        base = self.model.admissible(self.layout.base(u))
        u = self.layout.with_base(u, base)
        for x in self.layout.scalars:
            inside = jnp.maximum(getattr(u, x.name), _LEAST)
            u = eqx.tree_at(lambda u, x=x: getattr(u, x.name), u, inside)
        if not self.layout.memory:
            return u

        def one(u: Any) -> Any:
            return self.layout.join(self._inside(self.layout.split(u)))

        return self._over_batch(one, u)

    def _inside(self, whole: Whole) -> Whole:
        inside = into_domain(whole.rows, self.model.data.root)
        return whole._replace(M=inside.M, Q=inside.Q)

    def interior(self, u: Any) -> Any:
        """Where the drift is differentiated."""
        return self.layout.with_base(u, self.model.interior(self.layout.base(u)))

    def on_border(self, u: Any) -> Any:
        """As it is: of rows and their memory together."""
        return u

    def search_points(self, rng: np.random.Generator, count: int, step: float) -> Any:
        """The model's, whose memory is as it starts: velocities rest at fixed points."""
        return self.begin(self.model.search_points(rng, count, step))

    def neighbours(self, u: Any, rng: np.random.Generator, count: int, radius: float) -> Any:
        """Random valid states around ``u``: the model's own move, and memories after them."""
        near = self.model.neighbours(self.layout.base(u), rng, count, radius)
        if not (self.layout.memory or self.layout.scalars):
            return near
        begun = self.begin(near)
        if not len(near.vector):
            return begun
        # Convex: overlaps of real rows, mixed, are those of real rows; so are moved ones near them.
        start = self.begin(self.layout.base(u))
        moved = np.asarray(u.vector) + np.asarray(begun.vector) - np.asarray(start.vector)
        kept = []
        for y in moved:
            state = u.with_vector(jnp.asarray(y))
            try:
                self.check_state(state)
            except ValueError:
                continue
            kept.append(y)
        return u.with_vector(jnp.asarray(np.array(kept).reshape(-1, len(u.vector))))

    def constraints(self, u: Any) -> Constraints:
        """Walls that the state slides on.

        Raises:
            ValueError: where there are some, and memory beside them.
        """
        walls = self.model.constraints(self.layout.base(u))
        if len(u.names) == len(self.model.template.names):
            return walls
        if len(walls.normals):
            raise ValueError(
                f"rule={self.rule!r}: how memory slides on the walls of the zero-noise limit is "
                "not known; use a finite snr."
            )
        return Constraints.create(len(u.names), [], [])

    # -- real vectors --------------------------------------------------------------------------

    def frame(self, dim: int) -> Float[Array, "r dim"]:
        """The directions; spread over all coordinates where the rule looks at these."""
        frame = self.model.frame(dim)
        if not self.rule.by_coordinate:
            return frame
        r = self.model.data.directions
        spread = np.linalg.qr(np.random.default_rng(0).standard_normal((dim, r)))[0]
        return self.model.data.root @ jnp.asarray(spread.T)

    def lift(self, key: Key[Array, ""], u: Any, frame: Float[Array, "r dim"]) -> RowState:
        """Rows with these overlaps; what is free is uniform orthogonal to the frame."""
        whole = self.layout.split(u)
        if not self.layout.memory:
            v, R = self.model.rows_of(self.model.lift(key, self.layout.base(u), frame))
            return RowState(whole.scalars, v[None], R[None])
        R = rows.lift_rows(key, whole.rows, self.model.data.root, frame)
        return RowState(whole.scalars, whole.v, R.reshape(self.layout.kinds, -1, R.shape[1]))

    def random_start(self, key: Key[Array, ""], frame: Float[Array, "r dim"]) -> RowState:
        """One random start, whose memory is as it starts."""
        v, R = self.model.rows_of(self.model.initial_parameters(key, frame))
        copies = jnp.asarray([1.0, *(1.0 if x.copies else 0.0 for x in self.layout.memory)])
        scalars = {x.name: jnp.asarray(x.start, float) for x in self.layout.scalars}
        return RowState(scalars, copies[:, None] * v, copies[:, None, None] * R)

    def parameters(self, state: RowState) -> PyTree:
        """The model's."""
        return self.model.parameters_of(Parameters(state.v[0], state.R[0]))

    def statistics(self, state: RowState, frame: Float[Array, "r dim"]) -> Any:
        """Of real rows."""
        base = self.model.statistics(self.parameters(state), frame)
        R = state.R.reshape(-1, state.R.shape[-1])
        whole = Whole(state.v, R @ frame.T, R @ R.T, state.scalars)
        return self.layout.with_base(self.layout.join(whole), base)

    def draw(self, key: Key[Array, ""], frame: Float[Array, "r dim"], dtype: Any) -> Drawn:
        """Samples, and noise where the rule wants some."""
        batch, p, noisy = self.algorithm.batch, self.model.width, self.rule.noisy
        key_samples, key_noise, key_layer = jax.random.split(key, 3)
        keys = jax.random.split(key_samples, batch)
        x, label = jax.vmap(lambda key: self.model.data.sample(key, frame, dtype))(keys)
        shape = (p, frame.shape[1]) if noisy else (0,)
        layer = (self.model.layer_size,) if noisy else (0,)
        return Drawn(
            x,
            label,
            jax.random.normal(key_noise, shape, dtype),
            jax.random.normal(key_layer, layer, dtype),
        )

    def step_on(self, state: RowState, frame: Array, drawn: Drawn, time: Array) -> RowState:
        """One step on given samples."""
        return row_step(self.model, self.algorithm, state, frame, drawn, frame.shape[1], time)

    def literal(
        self, state: RowState, frame: Float[Array, "r dim"], key: Key[Array, ""], time: Array
    ) -> RowState:
        """One step on gradients as the paper writes them.

        Raises:
            ValueError: for rules that look inside of a sample's gradient.
        """
        rule = self.rule
        if (self.by_samples and not rule.by_coordinate) or rule.scalars or rule.alternates:
            raise ValueError(
                f"literal=True, rule={rule!r}: it looks at the parts of a gradient, which literal "
                "ones do not have; use literal=False."
            )
        parameters = self.parameters(state)
        key_noise, key = jax.random.split(key)
        noise = self.draw(key_noise, frame, state.R.dtype)
        mean = literal_mean(self.model, self.algorithm.batch, parameters, frame, key)
        h, G = self.model.rows_of(mean)
        dim, scalars = frame.shape[1], state.scalars
        v = move(
            self.algorithm, state.v, h, noise.layer_noise, scalars, dim, time, layer=True
        )  # fmt: skip
        R = move(self.algorithm, state.R, G, noise.noise, scalars, dim, time)
        if self.algorithm.spherical:
            W = R[0] / jnp.linalg.norm(R[0], axis=1, keepdims=True)
            R = jnp.concatenate([W[None], R[1:]])
        return RowState(scalars, v, R)

    # -- the exact chain: the real step, in the coordinates that it sees -----------------------

    @property
    def _noises(self) -> int:
        return self.model.width if self.rule.noisy else 0

    @property
    def _together(self) -> bool:
        """Whether only the mean gradient matters of what samples have outside of the span."""
        looks = self.rule.scales_samples or self.rule.lookahead is not None
        return not looks and self.algorithm.batch > self.model.width

    def chain_constants(self, dim: int) -> NarrowOutside | WideOutside:
        """Gram matrix of samples and noises outside of the span of rows and directions."""
        return outside_of(dim - self.minimum_dim, self._vectors)

    @property
    def _vectors(self) -> int:
        samples = self.model.width if self._together else self.algorithm.batch
        return samples + self._noises

    def chain_noise(
        self, key: Key[Array, ""], steps: int, constants: NarrowOutside | WideOutside
    ) -> SpanSamples:
        """In coordinates of the span, beside what is outside."""
        model, layout = self.model, self.layout
        return draw_span_samples(
            model.data, layout.rows, self.algorithm.batch, self._noises, model.layer_size,
            constants, key, steps,
        )  # fmt: skip

    def chain_state(self, u: Any) -> RowState:
        """Second layers, and rows as (coordinates in the frame's span, Gram matrix of the rest)."""
        layout = self.layout
        if not layout.memory:
            v, B, rest = self.model.coordinates(layout.base(u))
            scalars = layout.split(u).scalars
            return RowState(scalars, v[None], jnp.concatenate([B, rest], axis=1))
        whole = layout.split(u)
        B, rest = rows.coordinates(whole.rows, self.model.data.root)
        return RowState(whole.scalars, whole.v, jnp.concatenate([B, rest], axis=1))

    def chain_statistics(self, state: RowState) -> Any:
        """The inverse."""
        layout, r = self.layout, self.model.data.directions
        B, rest = state.R[:, :r], state.R[:, r:]
        whole = Whole(state.v, *rows.overlaps(B, rest, self.model.data.root), state.scalars)
        if layout.memory:
            return layout.join(whole)
        base = self.model.of_coordinates(Coordinates(state.v[0], B, rest))
        return layout.with_base(layout.join(whole), base)

    def chain_step(self, state: RowState, noise: SpanSamples, dim: Array, time: Array) -> RowState:
        """One exact step."""
        layout, r, batch = self.layout, self.model.data.directions, self.algorithm.batch
        n, root = layout.rows, self.model.data.root
        T = noise.outside
        if T.ndim == 1:  # a key
            T = WideOutside(dim - self.minimum_dim, self._vectors).factor(T)
        vectors = len(T)
        B, rest = state.R[:, :r], state.R[:, r:]
        R = jnp.concatenate([B, cholesky(rest), jnp.zeros((n, vectors))], axis=1)
        frame = jnp.concatenate([root, jnp.zeros((r, n + vectors))], axis=1)
        padded = jnp.concatenate([jnp.zeros((vectors, r + n)), T], axis=1)
        x = jnp.concatenate([noise.inside, jnp.zeros((len(noise.inside), vectors))], axis=1)
        outside = ()
        if self._together:
            x, more = x[:batch], x[batch:] + padded[self.model.width :]
            outside = ((noise.deviation, padded[: self.model.width]),)
        else:
            more = x[batch:] + padded[batch:]
            x = x[:batch] + noise.deviation[:, None] * padded[:batch]
        more = more if self.rule.noisy else jnp.zeros(0)
        drawn = Drawn(x, noise.label, more, noise.layer_noise, outside)
        shaped = R.reshape(layout.kinds, -1, R.shape[1])
        after = row_step(
            self.model, self.algorithm, RowState(state.scalars, state.v, shaped), frame, drawn,
            dim, time,
        )  # fmt: skip
        R = after.R.reshape(n, -1)
        rest = R[:, r:] @ R[:, r:].T
        return RowState(after.scalars, after.v, jnp.concatenate([R[:, :r], rest], axis=1))

    # -- limits, of a step of size step * factor -----------------------------------------------

    def check_limit(self) -> None:
        """Raise ValueError where drift and diffusion are not known."""
        rule, algorithm = self.rule, self.algorithm
        if any(self.model.data.noiseless) and (self.by_samples or rule.scalars):
            raise ValueError(
                f"rule={rule!r}: samples of the zero-noise limit have no size |X|; use a finite "
                "snr."
            )
        if not rule.by_coordinate:
            return
        if len(rule.memory) + len(rule.scalars) or rule.noisy or rule.scales_samples:
            raise ValueError(
                f"rule={rule!r}: the limit is known for sign() alone; use engine='sgd'."
            )
        if algorithm.batch > 1:
            raise ValueError(
                f"rule={rule!r}, batch={algorithm.batch}: the limit is known for one sample a "
                "step; use engine='sgd'."
            )
        if self.model.data.outputs and getattr(self.model, "ridge", 0.0) != 0.0:
            raise ValueError(
                f"rule={rule!r}: with a ridge, coordinates of the gradient change sign near 0, "
                "where the limit has no mean; use engine='sgd', or ridge=0."
            )

    def _rates(self, whole: Whole, time: Any) -> Rates:
        if self.rule.by_coordinate:
            return Rates(jnp.zeros((1, 1)), -jnp.ones(1), jnp.zeros(1))
        return rates_of(self.rule, whole.scalars, time)

    def _estimates(self, u: Any, whole: Whole) -> Expectations:
        return rule_expectations(self.model, self.rule, whole)

    def _expectations(self, u: Any, whole: Whole) -> Expectations:
        if self.by_samples:
            return self._estimates(u, whole).mean()
        return self.model.expectations(self.layout.base(u))

    def _model_deviations(self, u: Any, whole: Whole) -> Expectations | None:
        return self.model.deviations(self.layout.base(u))

    def population_drift(self, u: Any, time: Any) -> Any:
        """f, at factor 1."""
        whole = self.layout.split(u)
        e = self._expectations(u, whole)
        against = self._against(whole, whole, e, time)
        return self.tangent(u, self._with_scalars(against, whole, e, self.algorithm.step, time),
                             relax=True)  # fmt: skip

    def corrector(self, u: Any, step: Any, time: Any) -> Any:
        """g, for a step of this size and the algorithm's batch."""
        whole = self.layout.split(u)
        return self.tangent(
            u, self._inflation(whole, self._expectations(u, whole), step, time, noise=True)
        )

    def drift(self, u: Any, step: Any, time: Any) -> Any:
        """g - f, from one pass over the expectations."""
        whole = self.layout.split(u)
        e = self._expectations(u, whole)
        against = self._with_scalars(self._against(whole, whole, e, time), whole, e, step, time)
        f = self.tangent(u, against, relax=True)
        g = self.tangent(u, self._inflation(whole, e, step, time, noise=True))
        return jax.tree.map(lambda f, g: g - f, f, g)

    def drift_deviations(self, u: Any, step: Any, time: Any) -> Any:
        """Of g - f, with a leading axis along which squares add up; None: it is exact."""
        whole = self.layout.split(u)
        if not self.by_samples:
            deviations = self._model_deviations(u, whole)
        elif is_exact(self.model):
            deviations = None
        else:
            deviations = self._estimates(u, whole).deviations()
        if deviations is None:
            return None
        nowhere = jax.tree.map(jnp.zeros_like, whole)

        def of_drift(e: Expectations) -> Any:
            f = self._with_scalars(self._against(whole, nowhere, e, time), whole, e, step, time)
            g = self._inflation(whole, e, step, time, noise=False)
            return self.tangent(u, jax.tree.map(jnp.subtract, g, f))

        return jax.vmap(of_drift)(deviations)

    @property
    def _by_nodes(self) -> bool:
        return self.by_samples and not is_exact(self.model)

    @property
    def has_jacobian(self) -> bool:
        """Not where nodes cross jumps of the gradients."""
        if self._by_nodes:
            return not (self.rule.jumps or self.model.kinks)
        return self.model.has_jacobian

    @property
    def drift_is_sampled(self) -> bool:
        """Where the rule looks at samples that have labels."""
        return self._by_nodes or self.model.drift_is_sampled

    @property
    def drift_is_rough(self) -> bool:
        """As the model's, and where the rule looks at samples."""
        return self._by_nodes or self.model.drift_is_rough

    @property
    def drift_is_smooth(self) -> bool:
        """As far as it has a derivative."""
        return self.has_jacobian if self._by_nodes else self.model.drift_is_smooth

    @property
    def can_refine(self) -> bool:
        """Not where nodes are this kernel's."""
        return not self.by_samples

    @property
    def knows_covariance(self) -> bool:
        """It is of leading order in 1/dim."""
        return False

    def relative_errors(self, u: Any) -> dict[str, Float[Array, ""]]:
        """Of the expectations."""
        if not self.by_samples:
            return self.model.relative_errors(self.layout.base(u))
        if is_exact(self.model):
            return {}
        each = self._estimates(u, self.layout.split(u))
        return in_scales(each.deviations(), scales(self.model, self.layout.base(u), each.mean()))

    def with_memory(self, whole: Whole, e: Expectations) -> Float[Array, "width rows"]:
        """E[gradient Rᵀ] for all rows.

        The gradient lies in the span of directions and parameters, beside what is independent of
        all rows: a memory counts by its part in that span.
        """
        if self.layout.kinds == 1:
            return e.gs
        p, root = self.model.width, self.model.data.root
        B, rest = rows.coordinates(Statistics(whole.v[0], whole.M[:p], whole.Q[:p, :p]), root)
        factor = jnp.block([[root, jnp.zeros((len(root), p))], [B, cholesky(rest)]])
        inside = solve_lower(factor, jnp.concatenate([e.gf, e.gs], axis=1).T)
        memory = solve_lower(factor, jnp.concatenate([whole.M[p:], whole.Q[p:, :p]], axis=1).T)
        return jnp.concatenate([e.gs, inside.T @ memory], axis=1)

    def _against(self, whole: Whole, now: Whole, e: Expectations, time: Any) -> Whole:
        """Minus the rate of change that is linear in the mean gradient."""
        rates, rate = self._rates(whole, time), self.algorithm.second_layer_rate
        b, layer = rates.gradient[:, None, None], rates.layer(rate)
        dM = _mixed(rates.mix, now.M) + (b * e.gf).reshape(now.M.shape)
        dQ = _mixed(rates.mix, now.Q) + (b * self.with_memory(whole, e)).reshape(now.Q.shape)
        dv = _mixed(layer.mix, now.v) + layer.gradient[:, None] * e.h
        scalars = {name: jnp.zeros_like(x) for name, x in whole.scalars.items()}
        return Whole(-dv, -dM, -(dQ + dQ.T), scalars)

    def _with_scalars(
        self, against: Whole, whole: Whole, e: Expectations, step: Any, time: Any
    ) -> Whole:
        """With minus the rates of the scalars, which gain E|g|^2|X|^2/dim a unit of steps/dim."""
        if not self.layout.scalars:
            return against
        gained = self._gained(whole, _total_trace(e.gg), step)
        return against._replace(scalars=jax.tree.map(jnp.negative, gained))

    def _gained(self, whole: Whole, square: Array, step: Any) -> dict[str, Array]:
        step = jnp.asarray(step)
        rate = jnp.where(step > 0, square / jnp.where(step > 0, step, 1.0), 0.0)
        accumulate = lambda square: self.rule.accumulate(whole.scalars, square)  # noqa: E731
        return jax.jvp(accumulate, (jnp.zeros(()),), (rate / self.algorithm.batch,))[1]

    def _inflation(
        self, whole: Whole, e: Expectations, step: Any, time: Any, *, noise: bool
    ) -> Whole:
        rates = self._rates(whole, time)
        b, z = rates.gradient, rates.noise
        gg = step / self.algorithm.batch * jnp.kron(b[:, None] * b, e.gg)
        if noise and self.rule.noisy:
            gg = gg + step * jnp.kron(z[:, None] * z, self._noise_overlaps())
        none = jax.tree.map(jnp.zeros_like, whole)
        return none._replace(Q=gg)

    def _noise_overlaps(self) -> Float[Array, "width width"]:
        """Of the noise's rows, per dimension."""
        return jnp.eye(self.model.width)

    def tangent(self, u: Any, rate: Whole, relax: bool = False) -> Any:
        """A rate of change of all overlaps as one of the statistics, on the sphere if need be."""
        whole, p = self.layout.split(u), self.model.width
        if self.algorithm.spherical:
            half = jnp.zeros(len(whole.Q)).at[:p].set(jnp.diagonal(rate.Q)[:p] / 2)
            Q = rate.Q - whole.Q * (half[:, None] + half)
            ours = jnp.arange(len(Q)) < p
            Q = jnp.where(jnp.diag(ours), jnp.diag(jnp.diagonal(whole.Q) - 1) * float(relax), Q)
            rate = rate._replace(M=rate.M - whole.M * half[:, None], Q=Q)
        return jax.jvp(self.layout.join, (whole,), (rate,))[1]

    def diffusion_factor(self, u: Any, step: Any, time: Any) -> Float[Array, "statistics noises"]:
        """Root of Cov(increment/delta) * delta * dim as dim -> infinity, at factor 1."""
        whole, batch = self.layout.split(u), self.algorithm.batch
        rates = self._rates(whole, time)
        layer = rates.layer(self.algorithm.second_layer_rate)
        b = rates.gradient

        def increment(h: Array, in_M: Array, in_Q: Array, kick: Array) -> Array:
            dQ = (b[:, None, None] * in_Q).reshape(len(whole.Q), -1)
            gg = kick[:, None] * kick
            rate = Whole(
                layer.gradient[:, None] * h,
                (b[:, None, None] * in_M).reshape(whole.M.shape),
                dQ + dQ.T + step / batch * jnp.kron(b[:, None] * b, gg),
                self._gained(whole, jnp.trace(gg), step) if whole.scalars else {},
            )
            return self.tangent(u, rate).vector

        def products(x: SampleMoments) -> tuple[Array, Array]:
            values = jax.vmap(increment)(*x)
            return values, values[:, :, None] * values[:, None, :]

        mean, second = over_nodes(self.model, self.rule, whole, products)
        mean, second = jnp.mean(mean, axis=0), jnp.mean(second, axis=0)
        factor = jnp.sqrt(step / batch) * symmetric_root(second - mean[:, None] * mean)
        if not self.rule.noisy:
            return factor
        noise = self.noise_factor(u, whole, rates, layer)
        return jnp.concatenate([factor, jnp.sqrt(step) * noise], axis=1)

    def noise_factor(
        self, u: Any, whole: Whole, rates: Rates, layer: Rates, mix: Array | None = None
    ) -> Array:
        """What one standard normal in every coordinate that noise has moves, column by column.

        Beside rows that ``mix`` has moved; default: as they are.
        """
        root, (n, r), p = self.model.data.root, whole.M.shape, self.model.width
        B, rest = rows.coordinates(whole.rows, root)
        factor = jnp.block([[root, jnp.zeros((r, n))], [B, cholesky(rest)]])
        z = rates.noise

        def moved(v: Array, fields: Float[Array, "width fields"]) -> Array:
            in_rows = fields[:, r:] if mix is None else fields[:, r:] @ mix.T
            dQ = (z[:, None, None] * in_rows).reshape(n, n)
            zero = {name: jnp.zeros_like(x) for name, x in whole.scalars.items()}
            rate = Whole(
                layer.noise[:, None] * v,
                (z[:, None, None] * fields[:, :r]).reshape(n, r),
                dQ + dQ.T,
                zero,
            )
            return self.tangent(u, rate).vector

        size = whole.v.shape[1]
        flat = jnp.eye(size + p * (r + n))
        return jax.vmap(
            lambda y: moved(y[:size], y[size:].reshape(p, r + n) @ factor.T), out_axes=1
        )(flat)

    def check_one_step_moments(self) -> None:
        """Raise ValueError where moments of one step are not known."""
        rule = self.rule
        if self.by_samples or rule.scalars or rule.alternates or self.algorithm.spherical:
            beside = "spherical=True, " if self.algorithm.spherical else ""
            raise ValueError(
                f"{beside}rule={rule!r}: moments of one step at finite dim are known for rules "
                "that are linear in memory and the mean gradient, without spherical; those of many "
                "steps of engine='chain' are exact."
            )

    def one_step_moments(self, u: Any, step: Any, dim: Array, time: Any) -> tuple[Array, Array]:
        """Mean, exact where that of a plain step is, and covariance to leading order in 1/dim."""
        return linear_moments(self, u, step, dim, time)


def _mixed(mix: Float[Array, "kinds kinds"], x: Float[Array, "rows columns"]) -> Array:
    """(mix x 1) x for rows kind by kind; written out, so that no run depends on those beside it."""
    kinds = len(mix)
    each = x.reshape(kinds, len(x) // kinds, x.shape[1])
    return jnp.concatenate([
        sum((mix[i, j] * each[j] for j in range(1, kinds)), mix[i, 0] * each[0])
        for i in range(kinds)
    ])  # fmt: skip


def _total_trace(gg: Float[Array, "*blocks width width"]) -> Array:
    """Over blocks, if there are some."""
    each = jnp.trace(gg, axis1=-2, axis2=-1)
    return jnp.sum(each) if each.ndim else each
