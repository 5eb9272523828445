"""What engines and limits promise whatever the model: tested on one or two."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.testing.check import subject_of
from sgdlimits.testing.laws import laws
from sgdlimits.testing.report import Report
from tests.helpers import same_law, z_limit

_MATRIX = sl.SpikedTensor(snr=2.0, ridge=0.3)
_SGD = sl.OnlineSGD(step=0.6)
_GENERIC = sl.SpikedStatistics(0.45, 0.36)
_POINTS = sl.SpikedStatistics([0.45, -0.3, 0.0], [0.36, 0.8, 1.0])
_RUNS = 1024


def _last(engine, dim, steps, seed, runs=_RUNS, **options):
    dataset = sl.simulate(
        _MATRIX, _SGD, engine, dim=dim, time=steps * _SGD.delta(dim), runs=runs, seed=seed,
        record=2, **options,
    )  # fmt: skip
    return np.stack([dataset[name].values[:, -1] for name in ("m", "r2")], axis=1)


@pytest.mark.stat
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_chain_and_sgd_agree_in_law_after_many_steps(dtype):
    # Two-sample KS, Bonferroni: false alarm 1e-3 each. Single precision changes the law by 1e-7.
    chain = _last("chain", 60, 80, seed=0)
    sgd = _last("sgd", 60, 80, seed=1, dtype=dtype)
    assert same_law(chain, sgd)
    shifted = chain + 0.3 * chain.std(0)  # power 0.999 at 0.28 of a standard deviation
    assert not same_law(shifted, sgd)


@pytest.mark.stat
@pytest.mark.parametrize(
    ("model", "sgd"),
    [(sl.committee(2, 1, "relu", noise=0.2), sl.OnlineSGD(step=0.5, batch=3))],
)
def test_chain_and_real_steps_agree_where_there_is_hardly_space(model, sgd):
    # One dimension beside those of rows and directions: fewer than the rows that share it.
    rows = tuple(laws(subject_of(model, sgd, dim=model.minimum_dim + 1)))
    assert all(row.good for row in rows), f"\n{Report('', rows)}"


@pytest.mark.stat
def test_noises_of_engines_seeds_and_neighbours_are_independent():
    # Correlations over 1024 runs from one state: each |r| sqrt(1024) is N(0, 1) for independent
    # runs. Bonferroni, false alarm 1e-3; common noise has correlations of order 1.
    def final(engine, seed):
        return _last(engine, 60, 40, seed, initial=_GENERIC)[:, 0]

    chain = final("chain", 1)
    others = [final("sgd", 1), final("sde", 1), final("chain", 2)]
    pairs = [(chain, other) for other in others] + [(chain[:-1], chain[1:])]
    z = [np.corrcoef(a, b)[0, 1] * np.sqrt(len(a)) for a, b in pairs]
    assert np.abs(z).max() < z_limit(len(z))


@pytest.mark.stat
def test_the_error_of_the_ode_falls_like_the_square_root_of_dim():
    # Slope of log RMS error with its standard error from the runs (delta method); the interval has
    # level 1 - 1e-3, must contain -1/2, and excludes 0 (no convergence) and -1 (no noise) by far.
    next_order = 0.03  # what the O(1/dim) bias may bend the slope by; measured <= 0.015
    dims, squares = np.array([400, 1600, 6400]), []
    for dim in dims:
        steps = round(0.5 / _SGD.delta(int(dim)))
        ode = sl.effective_dynamics(_MATRIX, _SGD).solve(_GENERIC, [steps * _SGD.delta(int(dim))])
        last = _last("chain", int(dim), steps, seed=int(dim), runs=256, initial=_GENERIC)
        squares.append(((last - np.asarray(ode.vector)) ** 2).sum(1))
    log_rms = np.array([0.5 * np.log(x.mean()) for x in squares])
    variances = np.array([0.25 * x.var(ddof=1) / len(x) / x.mean() ** 2 for x in squares])
    weights = (np.log(dims) - np.log(dims).mean()) / np.log(dims).var() / len(dims)
    slope, error = float(weights @ log_rms), float(np.sqrt(weights**2 @ variances))
    half_width = z_limit(1) * error + next_order
    assert abs(slope + 0.5) < half_width
    assert half_width < 0.25


def test_solutions_of_a_batch_are_those_of_its_members():
    eff, times = sl.effective_dynamics(_MATRIX, _SGD), [0.0, 0.01, 0.5]
    together = eff.solve(_POINTS, times).vector
    assert together.shape == (3, 3, 2)
    np.testing.assert_array_equal(together[0], _POINTS.vector)
    for index in range(3):
        alone = eff.solve(_POINTS[index], times).vector
        np.testing.assert_allclose(together[:, index], alone, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("method", ["drift", "population_drift", "corrector", "diffusion"])
def test_effective_dynamics_under_jit_and_vmap(method):
    function = getattr(sl.effective_dynamics(_MATRIX, _SGD), method)
    expected = jax.tree.leaves(function(_POINTS))
    for transformed in (jax.jit(function), jax.vmap(function), jax.jit(jax.vmap(function))):
        for found, wanted in zip(jax.tree.leaves(transformed(_POINTS)), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-14)


def test_batches_of_any_shape_are_computed_state_by_state():
    eff = sl.effective_dynamics(_MATRIX, _SGD)
    grid = jax.tree.map(lambda x: jnp.stack([x, x[::-1]]), _POINTS)
    drift = eff.drift(grid).vector
    assert drift.shape == (2, 3, 2)
    assert eff.one_step_moments(grid, 50).covariance.shape == (2, 3, 2, 2)
    for index in range(3):
        alone = eff.drift(_POINTS[index]).vector
        np.testing.assert_allclose(drift[0, index], alone, rtol=1e-13, atol=1e-14)
