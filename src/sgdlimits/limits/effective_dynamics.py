"""The effective dynamics of a model's summary statistics, as one object.

dim -> infinity at delta = step/dim: du = h(u) dt with h = -f + g (ballistic); to the next order
du = h(u) dt + sqrt(diffusion(u)/dim) dB. Ben Arous, Gheissari and Jagannath (2022), Theorem 2.2.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from sgdlimits import _validate
from sgdlimits._shown import facts_table, in_one_line
from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.limits import adequate, fixed_points, flow
from sgdlimits.limits.fixed_points import FixedPoint, FixedPoints
from sgdlimits.limits.ornstein_uhlenbeck import OrnsteinUhlenbeck
from sgdlimits.limits.rescaled import RescaledDynamics
from sgdlimits.limits.value_errors import corrector_error, diffusion_error
from sgdlimits.limits.vector_field import crosses_jumps, jacobian, jacobian_deviations
from sgdlimits.models.base import AbstractModel
from sgdlimits.process.process import OneStepMoments, Process
from sgdlimits.statistics.base import AbstractStatistics, is_traced

if TYPE_CHECKING:
    from sgdlimits.analysis.basins import BasinProbabilities

S = TypeVar("S", bound=AbstractStatistics)

_AT_REST, _AT_REST_ROUGHLY = 1e-6, 1e-3  # drifts of fixed points


class EffectiveDynamics(eqx.Module, Generic[S]):
    """Drift, corrector and diffusion of the summary statistics, and what follows from them.

    All methods take statistics with any leading batch axes and keep them. Time is
    ``t = steps * step / dim``.
    """

    process: Process[S]

    #: How ``plot`` draws it.
    picture: ClassVar[str] = "draw_dynamics"

    def __init__(self, model: AbstractModel[S], sgd: OnlineSGD):
        self.process = Process(model, sgd).in_the_limit()
        self.process.kernel.check_limit()

    @in_one_line
    def __repr__(self) -> str:
        """The model, the algorithm, and how many statistics."""
        return f"EffectiveDynamics({self.model!r}, {self.sgd!r}: {len(self.names)} statistics)"

    def _repr_html_(self) -> str:
        shown = ", ".join([*self.names[:6], "..."] if len(self.names) > 6 else self.names)
        facts = {"model": type(self.model).__name__, **self.model.facts()}
        facts |= {"algorithm": repr(self.sgd), "statistics": f"{len(self.names)}: {shown}"}
        return facts_table("Effective dynamics, dim to infinity", facts)

    @property
    def model(self) -> AbstractModel[S]:
        """What is learned."""
        return self.process.model

    @property
    def sgd(self) -> OnlineSGD:
        """How."""
        return self.process.algorithm

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the independent statistics, the order of every vector and matrix here."""
        return self.process.template.names

    # -- the vector field ----------------------------------------------------------------------

    def population_drift(self, u: S, time: float = 0.0) -> S:
        """f(u): the drift of gradient flow on the population loss is -f.

        ``time`` matters where the algorithm has a schedule, here and below.
        """
        return self._each(Process.population_drift, u, time)

    def corrector(self, u: S, time: float = 0.0) -> S:
        """g(u): what the sample noise adds at the critical step size, proportional to ``step``."""
        return self._each(Process.corrector, u, time)

    def drift(self, u: S, time: float = 0.0) -> S:
        """h(u) = -f(u) + g(u), per unit time."""
        return self._each(Process.drift, u, time)

    def drift_error(self, u: S, time: float = 0.0) -> S:
        """Estimated absolute error of ``drift`` at ``u``; zero for models with formulas.

        Gauss rules and panels: from the distance to coarser ones. Quasi-Monte-Carlo: the standard
        error over independent scrambles. Of the rule that ``drift`` takes at ``u``: a default whose
        error exceeds 1e-3 of the scale gives way to a finer one, outside of ``jit``.
        """
        return self._each(Process.drift_error, u, time)

    def corrector_error(self, u: S, time: float = 0.0) -> S:
        """Estimated absolute error of ``corrector`` at ``u``, from coarser rules.

        0 for models with formulas, NaN for rules that have nothing to compare with.
        """
        return self._each(corrector_error, u, time)

    def diffusion_error(
        self, u: S, time: float = 0.0
    ) -> Float[Array, "*batch statistics statistics"]:
        """Estimated absolute error of ``diffusion`` at ``u``, from coarser rules.

        0 for models with formulas, NaN for rules that have nothing to compare with.
        """
        return self._each(diffusion_error, u, time)

    def diffusion(self, u: S, time: float = 0.0) -> Float[Array, "*batch statistics statistics"]:
        """Covariance per unit time of sqrt(dim)*u: the limit of step * Cov(increment/delta).

        Of the model's own data law: unlike the drift it is not universal over laws of the inputs.
        """
        factor = self.diffusion_factor(u, time)
        square = factor @ jnp.swapaxes(factor, -1, -2)
        return (square + jnp.swapaxes(square, -1, -2)) / 2  # the product rounds row by row

    def diffusion_factor(self, u: S, time: float = 0.0) -> Float[Array, "*batch statistics noises"]:
        """B with B Bᵀ = diffusion(u)."""
        return self._each(Process.diffusion_factor, u, time)

    def one_step_moments(self, u: S, dim: int, time: float = 0.0) -> OneStepMoments:
        """Mean and covariance of the increment in one SGD step, exact at finite ``dim``.

        ``mean / delta`` tends to ``drift`` and ``step * covariance / delta**2`` to ``diffusion``.
        For batches of more than one sample the covariance has a relative error of order 1/dim.

        Raises:
            ValueError: if the model knows none, or for batches under ``spherical``.
        """
        size = jnp.asarray(float(_validate.integer("dim", dim, self.process.minimum_dim)))
        return self._each(Process.one_step_moments, u, size, time)

    def _check_autonomous(self, what: str) -> None:
        self.model.check_capability(what)
        if not self.process.autonomous:
            raise ValueError(
                f"{self.process.changing}: {what} is for drifts that do not change with "
                "time; use a constant step."
            )

    def _is_traced(self, u: S) -> bool:
        """Whether a transformation of JAX sees the states, the numbers, or what a schedule uses."""
        return is_traced((u, self.process, self.sgd.factor(jnp.zeros(()))))

    def _each(self, method: Callable[..., PyTree], u: S, *arguments: Any) -> PyTree:
        """A method of the process over all batch axes of ``u``, as one compiled program."""
        arguments = tuple(
            x if isinstance(x, jax.Array) else jnp.asarray(_validate.nonnegative("time", x))
            for x in arguments
        )
        if self._is_traced(u):  # inside jit or grad there are no values to check
            return _over_batch(dynamic(self.process), method, u, arguments, checked=False)[0]
        self.process.check_state(u)
        process = self.process
        while True:
            value, errors = _over_batch(dynamic(process), method, u, arguments, checked=True)
            finer = adequate.after(process, errors)
            if finer is None:
                return value
            process = finer

    # -- what follows from it ------------------------------------------------------------------

    def solve(
        self,
        u0: S,
        times: Sequence[float] | np.ndarray,
        *,
        rtol: float | None = None,
        atol: float | None = None,
    ) -> S:
        """The ballistic limit du = h(u) dt from ``u0`` at t = 0.

        Args:
            u0: initial statistics, any leading batch axes; the model's own for a memory that is as
                it starts.
            times: increasing times >= 0 to report, in units of steps * step / dim.
            rtol, atol: relative and absolute tolerance of the adaptive solver, per step. Default:
                1e-9 and 1e-11; 1e-6 and 1e-8 if the drift is a sum over Sobol points, or over nodes
                of three fields with kinks or more; 1e-4 and 1e-6 if nodes cross jumps, or the drift
                is a Monte Carlo estimate.

        Returns:
            Statistics with a leading time axis, then the batch axes of ``u0``. NaN from the time
            on at which a solution ceases to exist.

        Raises:
            ValueError: if ``times`` is not increasing from 0 on, or ``u0`` is impossible.

        Inside ``jax.jit``, ``jax.vmap`` and ``jax.grad``, of the start or of any number of the
        model or the algorithm, nothing is checked, and expectations are those of the model's own
        rule.
        """
        u0 = self.process.complete(u0)
        traced = self._is_traced(u0)
        if not traced:
            self.process.check_state(u0)
        times = flow.check_times(times)
        rtol = None if rtol is None else _validate.positive("rtol", rtol)
        atol = None if atol is None else _validate.positive("atol", atol)
        solve = flow.solve_traced if traced else flow.solve
        return solve(self.process, u0, times, (rtol, atol))

    def fixed_points(
        self,
        method: str = "auto",
        *,
        starts: int = 512,
        seed: int = 0,
        progress: bool | None = None,
    ) -> FixedPoints[S]:
        """All zeros of the drift, with the eigenvalues of its Jacobian.

        Zeros that are connected are one entry, with its ``dimension`` and ``neutral_directions``.

        Args:
            method: "formula" (exact, where the model has one), "search" (Newton from random
                starts, and from where the flow leads half of them; knows nothing of the model but
                its drift, its domain, and that neurons may be exchanged), or "auto" (formula if
                any).
            starts: most random starts of the search. It ends when as many starts as led to the last
                new point, and 64, have led to nothing new.
            seed: seed of the search.
            progress: show a bar for the starts; default: if standard error is a terminal.

        Returns:
            A list that notebooks show as a table, sorted by dimension, then by their statistics in
            the order of ``names``.
            Connected zeros are traced to where they end, and judged as a whole: a set is stable if
            solutions leave it nowhere, its ends included. Where eigenvalues do not decide, the flow
            is followed from the neighbourhood.

        Raises:
            ValueError: for an unknown method, "formula" where the model has none, or a schedule.
        """
        self._check_autonomous("fixed_points")
        return fixed_points.find(self.process, method, starts, seed, progress)

    def basin_probabilities(
        self,
        *,
        dim: int,
        runs: int,
        engine: Any = "ode",
        time: float = 100.0,
        seed: int = 0,
        initial: S | None = None,
        components: list[FixedPoint[S]] | None = None,
        radius: float = 0.1,
        **options: Any,
    ) -> "BasinProbabilities":
        """Probability that a random start ends in each attracting fixed point or continuum.

        Runs are simulated with ``engine``; from where they end the flow of the components' own
        model is followed until it rests, and the run belongs to the component it rests in. So
        ``time`` needs to decide the basin, not to wait for convergence.

        Args:
            dim, runs, engine, time, seed, initial: as in ``simulate``; ``initial`` defaults to the
                papers' random start.
            components: default ``fixed_points()``; for a mixture with noise, those of its
                zero-noise limit where a formula knows them.
            radius: distance within which a rested run belongs to a component.
            options: further arguments of ``simulate``.

        Returns:
            Probabilities with standard errors, and the fraction that rests nowhere known.

        Raises:
            ValueError: for bad input, as ``simulate``, or a schedule.
        """
        self._check_autonomous("basin_probabilities")
        # The engines stand above the limits; this method is where people look for it.
        from sgdlimits.analysis.basins import basin_probabilities

        return basin_probabilities(
            self, dim, runs, engine, time, seed, initial, components, radius, options
        )

    def linearise(self, u_star: S, *, tolerance: float | None = None) -> OrnsteinUhlenbeck:
        """The Ornstein-Uhlenbeck limit of sqrt(dim)*(u - u_star) at a fixed point.

        At a point of the zero-noise limit that slides on walls, what is across them is pinned: A
        and Sigma are projected onto the walls. ``drift_error`` of the result says how well A is
        known.

        Args:
            u_star: a fixed point.
            tolerance: the largest drift that counts as none; default 1e-6, or 1e-3 where drifts
                are sums over nodes that cross jumps, and known to that only.

        Raises:
            ValueError: if the drift at ``u_star`` exceeds ``tolerance``, or ``u_star`` is a batch.
        """
        if tolerance is not None:
            tolerance = _validate.positive("tolerance", tolerance)
        self._check_autonomous("linearise")
        self.process.check_state(u_star)
        if u_star.batch_shape != ():
            raise ValueError(
                f"u_star has batch shape {u_star.batch_shape}: expected one fixed point."
            )
        if tolerance is None:
            tolerance = _AT_REST_ROUGHLY if crosses_jumps(self.process) else _AT_REST
        speed = float(jnp.max(jnp.abs(self.drift(u_star).vector)))
        if not speed <= tolerance:
            raise ValueError(
                f"u_star={u_star!r} is no fixed point: |drift| = {speed:.3g} exceeds "
                f"tolerance={tolerance!r}. Take one from fixed_points()."
            )
        walls = self.process.constraints(u_star)
        onto = jnp.asarray(walls.projector)
        deviations = jacobian_deviations(self.process, u_star)
        return OrnsteinUhlenbeck(
            drift=jacobian(self.process, u_star) @ onto,
            diffusion=onto @ self.diffusion(u_star) @ onto.T,
            names=self.names,
            pinned=walls.normals,
            drift_error=np.sqrt(np.sum(np.square(deviations @ walls.projector), axis=0)),
        )

    def rescale(
        self, *scaled: str, centre: S | None = None, dim: int | None = None
    ) -> RescaledDynamics[S]:
        """The diffusive limit with some statistics magnified by sqrt(dim).

        Args:
            scaled: names of the statistics to magnify about ``centre``; the others stay
                macroscopic. All names gives the Ornstein-Uhlenbeck limit of ``linearise``.
            centre: where to magnify; its macroscopic entries are ignored. Default: all zeros.
            dim: evaluate the magnified drift at this dimension instead of taking the limit, which
                is needed when the model itself scales with dim (for example an snr that grows).

        Raises:
            ValueError: if a name is unknown, or the drift of the magnified statistics does not
                vanish at the centre (the set is not invariant), so that no limit exists.
        """
        self._check_autonomous("rescale")
        return RescaledDynamics.create(self.process, scaled, centre, dim)


@eqx.filter_jit
def _over_batch(
    process: Process,
    method: Callable[..., PyTree],
    u: AbstractStatistics,
    arguments: tuple[Array, ...],
    checked: bool,
) -> tuple[PyTree, dict[str, Array]]:
    """Values, and the relative errors of the expectations behind them if they are asked for."""
    function = lambda u: method(process, u, *arguments)  # noqa: E731
    for _ in u.batch_shape:
        function = jax.vmap(function)
    # Asked here, where it is answered once for all calls.
    checked = checked and not adequate.is_exact(process)
    return function(u), adequate.errors_of(process, u) if checked else {}


def effective_dynamics(
    model: AbstractModel[S], sgd: OnlineSGD | None = None
) -> EffectiveDynamics[S]:
    """The effective dynamics of ``model`` under ``sgd`` (default: ``OnlineSGD()``).

    Raises:
        TypeError: if an argument is not a model or an algorithm.
        ValueError: if the model has no such algorithm.
    """
    return EffectiveDynamics(model, OnlineSGD() if sgd is None else sgd)
