"""The reduced equations of wide networks, from the same kind of random start.

Two forms: with the directions that all neurons are kicked along together (``common_kicks``), and
without, an adaptive solve of the equations of the paper.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Integer

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.engines.base import AbstractEngine, Plan, Problem, RunLane
from sgdlimits.engines.path import Advanced, Record
from sgdlimits.engines.solution_error import BY_RULE, SolutionError
from sgdlimits.expectations.rules import AbstractRule
from sgdlimits.limits import common_kicks, flow
from sgdlimits.limits import mean_field as reduced
from sgdlimits.limits.common_kicks import CommonStatistics
from sgdlimits.limits.mean_field import (
    MeanFieldStatistics,
    check_nodes,
    coarser_rule_of,
    reduce,
)
from sgdlimits.models.committee import Committee
from sgdlimits.process.lanes import map_lanes
from sgdlimits.process.process import Process
from sgdlimits.provenance import describe
from sgdlimits.randomness.chi_square import ChiSquare
from sgdlimits.randomness.streams import run_keys
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.overlaps import Statistics
from sgdlimits.statistics.rows import ON_SPHERE

RTOL, ATOL = 1e-8, 1e-10
_DRAWN_TOGETHER = 16
_STORED_TOGETHER = 64  # solutions are quick, files are not
_TERMS = ("noise", "self_term", "common", "rule")

WideStatistics = MeanFieldStatistics | CommonStatistics


class MeanField(AbstractEngine):
    """Committees as width -> infinity too, at a cost linear in the width.

    State (v, M, q), and with noise (C, L): the outside parts of neurons i != j have the product
    C_i C_jᵀ - L_i L_jᵀ, of what one sample after the other gave to all of them, and what their own
    parts exchanged.

    Warns:
        InaccurateWarning: where kicks are so large that what neurons share was seen to be off by
            more than a tenth (``say_where_kicks_are_large``).

    Args:
        noise, self_term: which terms of relative order step/width and 1/width are kept, see
            ``sgdlimits.MeanField``.
        common: number of columns of C and of L; 0: none, right as step/width -> 0 only.
        rule: nodes for the teacher's fields; default: by the number of teachers.
        errors: whether results hold ``<name>_error`` where the equations' drift is not exact.

    Raises:
        TypeError, ValueError: unless the first two are True or False, and ``common`` None or an
            integer from 0 to 16.
    """

    noise: bool = True
    self_term: bool = True
    common: int | None = None
    rule: AbstractRule | None = None
    errors: bool = True

    name: ClassVar = "mean_field"
    exact_for: ClassVar = "dim and width → ∞"
    cost: ClassVar = "adaptive steps, linear in the width"
    keeps_full_statistics: ClassVar = False
    solves: ClassVar = True

    def __check_init__(self) -> None:
        _ = self.reduction  # checks its terms
        _validate.boolean("errors", self.errors)

    @property
    def reduction(self) -> reduced.MeanField:
        """The equations with these terms."""
        return reduced.MeanField(self.noise, self.self_term, self.common, self.rule)

    def identity(self) -> dict[str, Any]:
        """The reduction by its name."""
        common = {name: value for name, value in super().identity().items() if name not in _TERMS}
        return {**common, "mean_field": describe(self.reduction)}

    def check(self, process: Process, dim: object) -> int:
        """Some dimension is left outside of the teacher's span."""
        process.model.check_capability("mean_field")
        if not process.model.has_mean_field:
            raise ValueError(
                f"engine='mean_field': {type(process.model).__name__} has no reduced "
                "equations; it is for committees."
            )
        rule = process.algorithm.rule
        if not rule.simple:
            raise ValueError(
                f"engine='mean_field', rule={rule!r}: the reduced equations are for rules that are "
                "linear in the mean gradient and carry nothing along; use engine='ode'."
            )
        model = _committee(process)
        check_nodes(model)
        if self.noise:
            reduced.say_where_kicks_are_large(process)
        return _validate.integer("dim", dim, model.teacher_width + 1)

    def template(self, process: Process) -> WideStatistics:
        """Zeros."""
        return self._shared(process, reduce(_committee(process), process.template))

    def start(self, problem: Problem, numbers: np.ndarray) -> WideStatistics:
        """The given states, or rows N(0, I/dim) drawn without their mutual overlaps."""
        return self._shared(problem.process, self._leading(problem, numbers))

    def _shared(self, process: Process, u: MeanFieldStatistics) -> WideStatistics:
        """With columns of nothing for what is shared, if any are followed."""
        columns = self.reduction.shared_directions(_committee(process))
        return common_kicks.sharing(u, columns) if columns else u

    def _leading(self, problem: Problem, numbers: np.ndarray) -> MeanFieldStatistics:
        process, dim = problem.process, problem.dim
        if problem.initial is not None:
            return _checked(process, problem.initial, len(numbers))
        model = _committee(process)
        law = ChiSquare(dim - model.teacher_width)

        def one_lane(numbers: Array) -> MeanFieldStatistics:
            keys = run_keys(problem.seed, "initial", numbers)
            return _starts(model, keys, jnp.asarray(float(dim)), law, process.algorithm.spherical)

        return jax.tree.map(jnp.asarray, map_lanes(one_lane, numbers, _DRAWN_TOGETHER))

    def view(self, process: Process) -> Process:
        """Without memory that forgets within few steps."""
        return process.in_the_limit()

    def plan(self, problem: Problem, runs: int) -> Plan:
        """One run alone: a state of a wide network holds much."""
        return Plan(lane=1, work=1.0, part=_STORED_TOGETHER)

    def prepare(self, problem: Problem, lane: int) -> RunLane:
        """The solution at the recorded times after 0."""
        reduction, process, times = self.reduction, dynamic(problem.process), problem.grid.times

        def run_lane(
            start: AbstractStatistics, numbers: Integer[Array, " lane"], advanced: Advanced
        ) -> Iterator[Record]:
            path = np.asarray(_solve(reduction, process, start, jnp.asarray(times)))
            bad = ~np.isfinite(path).all(-1)
            diverged = np.where(bad.any(-1), times[bad.argmax(-1)], np.nan)
            error = self._error(process, start, times, path)
            for index in range(1, len(times)):
                state = start.with_vector(jnp.asarray(path[:, index]))
                yield Record(index, state, diverged, None if error is None else error.at(index))
            advanced(len(path))

        return run_lane

    def _error(
        self,
        process: Process,
        start: AbstractStatistics,
        times: np.ndarray,
        path: Float[np.ndarray, "runs times statistics"],
    ) -> SolutionError | None:
        """From the solution by coarser nodes: of these equations, not of what they leave out."""
        given = self.rule
        coarser = given.coarser() if given else coarser_rule_of(_committee(process))
        if not self.errors or coarser is None:
            return None
        terms = self.noise, self.self_term, self.common
        reduction = reduced.MeanField(*terms, coarser)
        other = np.asarray(_solve(reduction, process, start, jnp.asarray(times)))
        values = np.moveaxis(np.abs(path - other), 1, 0)
        return SolutionError(start.with_vector(jnp.asarray(values)), BY_RULE)

    def with_risk(self, problem: Problem, dataset: xr.Dataset) -> xr.Dataset:
        """The risk of the reduced equations."""
        empty = self.template(problem.process)
        values = [np.asarray(dataset[name]) for name in empty.dims]
        runs, times = values[0].shape[:2]
        u = type(empty)(*(x.reshape(runs * times, *x.shape[2:]) for x in values))
        risk = np.asarray(_risks(self.reduction, dynamic(_committee(problem.process)), u))
        attrs = {"long_name": "population risk", "symbol": r"$\mathcal{R}$", "units": "1"}
        variable = xr.Variable(("run", "time"), risk.reshape(runs, times), attrs)
        return dataset.assign(risk=variable)


def _committee(process: Process) -> Committee:
    """The model, once ``check`` has seen that it has reduced equations."""
    return cast(Committee, process.model)


def _checked(process: Process, given: AbstractStatistics, runs: int) -> MeanFieldStatistics:
    """Given states, full or reduced, one for all runs or one per run."""
    model, spherical = _committee(process), process.algorithm.spherical
    if isinstance(given, Statistics):
        process.check_state(given)
        given = reduce(model, given)
    if not isinstance(given, MeanFieldStatistics):
        raise TypeError(f"initial={given!r}: expected Statistics or MeanFieldStatistics.")
    shape = given.batch_shape
    p, k = model.width, model.teacher_width
    expected = {"v": (p if model.train_second_layer else 0,), "M": (p, k), "q": (p,)}
    for name, one in expected.items():
        value = np.asarray(getattr(given, name))
        if value.shape[len(shape) :] != one or not np.isfinite(value).all():
            raise ValueError(
                f"initial: {name} has shape {value.shape[len(shape) :]}, expected {one} and finite."
            )
    if (np.asarray(given.q) < 0).any():
        raise ValueError(f"initial: q is {np.min(given.q):.3g} somewhere, expected at least 0.")
    norm2 = np.asarray(_norms(model, given))
    if spherical and (np.abs(norm2 - 1) > ON_SPHERE).any():
        raise ValueError(
            f"initial: rows of norm² {norm2.min():.6g} to {norm2.max():.6g}, but spherical=True "
            "keeps them at 1."
        )
    if shape not in ((), (runs,)):
        raise ValueError(f"initial has batch shape {shape}: expected one state, or one per run.")
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (runs, *x.shape[len(shape) :])), given)


@eqx.filter_jit
def _starts(
    model: Committee, keys: Array, dim: Array, law: ChiSquare, spherical: bool
) -> MeanFieldStatistics:
    u = jax.lax.map(lambda key: _random(model, key, dim, law), keys)
    return _unit(model, u) if spherical else u


def _random(model: Committee, key: Array, dim: Array, law: ChiSquare) -> MeanFieldStatistics:
    key_b, key_q = jax.random.split(key)
    B = jax.random.normal(key_b, (model.width, model.teacher_width)) / jnp.sqrt(dim)
    v = jnp.asarray(model.second_layer) if model.train_second_layer else jnp.zeros(0)
    return MeanFieldStatistics(v, B @ model.root.T, law.sample(key_q, (model.width,)) / dim)


def _unit(model: Committee, u: MeanFieldStatistics) -> MeanFieldStatistics:
    norm2 = _norms(model, u)
    return MeanFieldStatistics(u.v, u.M / jnp.sqrt(norm2)[..., None], u.q / norm2)


def _norms(model: Committee, u: MeanFieldStatistics) -> Float[Array, "*batch neurons"]:
    """q_i + M_i P^-1 M_iᵀ."""
    inverse = jnp.linalg.inv(jnp.asarray(model.gram))
    return u.q + jnp.einsum("...ik,kl,...il->...i", u.M, inverse, u.M)


@eqx.filter_jit
def _solve(
    reduction: reduced.MeanField,
    process: Process,
    begin: AbstractStatistics,
    times: Float[Array, " times"],
) -> Float[Array, "runs times statistics"]:
    def one(u: Any) -> Array:
        if reduction.shared_directions(_committee(process)):
            return common_kicks.path(reduction, process, u, times)
        field = lambda t, y: reduction.drift(process, u.with_vector(y), t).vector  # noqa: E731
        return flow.integrate(field, u.vector, times, RTOL, ATOL)

    return jax.lax.map(one, begin)


@eqx.filter_jit
def _risks(reduction: reduced.MeanField, model: Committee, u: WideStatistics) -> Array:
    if reduction.shared_directions(model):
        split = common_kicks.split_common
        return jax.lax.map(lambda u: reduction.risk_of(model, split(model, u)), u)
    return jax.lax.map(lambda u: reduction.risk(model, u), u)
