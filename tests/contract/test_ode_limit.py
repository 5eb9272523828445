"""The finite-dim process tends to the ODE at rate dim^-1/2."""

import numpy as np
import pytest

import sgdlimits as sl
from tests.helpers import z_limit
from tests.registry import every_case

_RUNS = 256
_NEXT_ORDER = (
    0.03  # what the O(1/dim) bias may bend the slope by over these dims; measured <= 0.015
)


def _squared_errors(case, engine: str, dim: int) -> np.ndarray:
    ode = sl.effective_dynamics(case.model, case.sgd).solve(
        case.generic, [round(case.time / case.sgd.delta(dim)) * case.sgd.delta(dim)]
    )
    dataset = sl.simulate(
        case.model, case.sgd, engine, dim=dim, time=case.time, runs=_RUNS, seed=dim,
        initial=case.generic, record=2,
    )  # fmt: skip
    errors = []
    for name in case.model.template.dims:
        difference = np.asarray(dataset[name])[:, -1] - np.asarray(getattr(ode, name))[0]
        errors.append((difference.reshape(_RUNS, -1) ** 2).sum(1))
    return np.sum(errors, 0)


@pytest.mark.stat
@every_case
def test_error_falls_like_the_square_root_of_dim(case):
    # Slope of log RMS error with its standard error from the runs (delta method); the interval has
    # level 1 - 1e-3, must contain -1/2, and excludes 0 (no convergence) and -1 (no noise) by far.
    dims = np.array([400, 1600, 6400])
    squares = [_squared_errors(case, "chain", int(dim)) for dim in dims]
    log_rms = np.array([0.5 * np.log(x.mean()) for x in squares])
    variances = np.array([0.25 * x.var(ddof=1) / len(x) / x.mean() ** 2 for x in squares])
    weights = (np.log(dims) - np.log(dims).mean()) / np.log(dims).var() / len(dims)
    slope, error = float(weights @ log_rms), float(np.sqrt(weights**2 @ variances))
    half_width = z_limit(1) * error + _NEXT_ORDER
    assert abs(slope + 0.5) < half_width
    assert half_width < 0.25


@every_case
def test_the_ode_engine_and_solve_agree(case):
    eff = sl.effective_dynamics(case.model, case.sgd)
    dataset = sl.simulate(
        case.model, case.sgd, "ode", dim=1000, time=case.time, initial=case.generic, record=4
    )
    times = dataset["time"].values
    path = eff.solve(case.generic, times, rtol=1e-12, atol=1e-14)
    for name in case.model.template.dims:
        np.testing.assert_allclose(
            dataset[name].values[0], getattr(path, name), rtol=1e-8, atol=1e-10
        )


@every_case
def test_solutions_of_a_batch_are_those_of_its_members(case):
    eff = sl.effective_dynamics(case.model, case.sgd)
    times = [0.0, 0.01, case.time]
    together = eff.solve(case.points, times).vector
    assert together.shape == (3, *case.points.vector.shape)
    np.testing.assert_array_equal(together[0], case.points.vector)
    for index in range(len(case.points.vector)):
        alone = eff.solve(case.points[index], times).vector
        np.testing.assert_allclose(together[:, index], alone, rtol=1e-8, atol=1e-10)
