"""Where random starts end: known probabilities, and the rule that decides each run."""

import math
from functools import cache

import numpy as np
import pytest

import sgdlimits as sl
from tests.helpers import z_limit

_DIM, _RUNS = 1000, 256  # runs: one lane


@cache
def _binary(snr=math.inf):
    return sl.effective_dynamics(sl.binary_gmm(snr=snr, ridge=0.1))


@cache
def _binary_basins():
    return _binary().basin_probabilities(dim=_DIM, runs=_RUNS, time=60.0, seed=1)


@cache
def _xor(width):
    # ridge 0.03: C is large, and a neuron's bin is decided early.
    return sl.effective_dynamics(sl.xor_gmm(snr=math.inf, ridge=0.03, width=width))


@cache
def _xor_basins(width):
    return _xor(width).basin_probabilities(dim=_DIM, runs=_RUNS, time=60.0, seed=2)


def _is_optimal(component):
    return component.stable


# Each of the runs ends in a stable component with known probability p: the count is binomial.
# |z| < z_limit(1) has a false-alarm rate of 1e-3 per test; the seeds are fixed.


def _z(result, expected):
    p, _ = result.of(_is_optimal)
    return (p - expected) / math.sqrt(expected * (1 - expected) / result.runs)


@pytest.mark.stat
def test_half_of_the_binary_runs_are_optimal_and_signs_decide_which():
    # v_i + m_i keeps its sign; a neuron ends in class 1 if it is positive, in class 2 otherwise.
    result = _binary_basins()
    assert result.unresolved == 0
    assert abs(_z(result, 0.5)) < z_limit(1)
    start = sl.initial(_binary().model, _DIM, _RUNS, seed=1)
    home = np.where(np.asarray(start.v) + np.asarray(start.M)[..., 0] > 0, 1, 2)
    for (one, other), index in zip(home, result.component_of, strict=True):
        expected = f"bins {{class {one}}}"
        if one != other:
            expected = f"neurons in class {one}, class {other}"
        assert result.components[index].label == expected


def _occupied(component):
    return {c for c in range(1, 5) if f"class {c}" in component.label}


@pytest.mark.stat
@pytest.mark.parametrize("width", [4, pytest.param(6, marks=pytest.mark.slow)])
def test_xor_runs_fill_all_bins_as_often_as_the_papers_say(width):
    # Every neuron picks one of four bins; success if none stays empty: 3/32 at width 4.
    expected = sum((-1) ** j * math.comb(4, j) * (1 - j / 4) ** width for j in range(5))
    assert expected == pytest.approx({4: 3 / 32, 6: 0.380859375}[width])
    result = _xor_basins(width)
    assert result.unresolved == 0
    assert abs(_z(result, expected)) < z_limit(1)
    # Which bin: by the sign of v, then of m^mu or m^nu. A neuron with small v may change that sign
    # while its overlaps are still small: measured 3 runs in 256.
    start = sl.initial(_xor(width).model, _DIM, _RUNS, seed=2)
    v, M = np.asarray(start.v), np.asarray(start.M)
    home = np.where(v > 0, np.where(M[..., 0] > 0, 1, 2), np.where(M[..., 1] > 0, 3, 4))
    found = [_occupied(result.components[index]) for index in result.component_of]
    assert np.mean([set(a) == b for a, b in zip(home, found, strict=True)]) > 0.97


@pytest.mark.stat
def test_the_chain_with_noise_ends_where_the_flow_without_noise_does():
    # The same starts, snr 100. Runs on the boundary of two basins differ (measured: 1.5 %); 5 % of
    # 200 runs would be 4 standard errors more.
    chain = _binary(100.0).basin_probabilities(
        dim=_DIM, runs=200, engine="chain", time=20.0, seed=1
    )
    assert chain.unresolved == 0
    assert np.mean(chain.component_of == _binary_basins().component_of[:200]) > 0.95


def test_the_parts_of_a_result_fit_together():
    result = _binary_basins()
    assert result.runs == _RUNS
    assert result.counts.sum() == _RUNS
    assert result.probabilities.sum() == pytest.approx(1)
    p, error = result.of(_is_optimal)
    chosen = [i for i, c in enumerate(result.components) if c.stable]
    assert p == pytest.approx(result.probabilities[chosen].sum())
    assert error == pytest.approx(math.sqrt(p * (1 - p) / _RUNS))
    np.testing.assert_allclose(
        result.standard_errors**2, result.probabilities * (1 - result.probabilities) / _RUNS
    )
    assert f"{_RUNS} runs, 0.00% unresolved" in repr(result)
    assert "zero" not in repr(result)  # no run ended there


def test_runs_that_end_in_none_of_the_components_are_unresolved():
    optimal = [c for c in _binary_basins().components if c.stable]
    result = _binary().basin_probabilities(
        dim=_DIM, runs=_RUNS, time=60.0, seed=1, components=optimal
    )
    expected = ~np.isin(
        _binary_basins().component_of,
        [i for i, c in enumerate(_binary_basins().components) if c.stable],
    )
    np.testing.assert_array_equal(result.component_of < 0, expected)
    assert result.unresolved == expected.mean()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "sgdd"}, "engine='sgdd'"),
        ({"radius": 0.0}, "radius=0.0"),
        ({"radius": math.inf}, "radius=inf"),
        ({"runs": 0}, "runs=0"),
        ({"dim": 2}, "dim=2"),
        ({"time": -1.0}, "time=-1.0"),
        ({"components": []}, r"components=\[\]"),
    ],
)
def test_bad_input_is_refused_before_any_work(options, words, as_users_run, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("work began")

    monkeypatch.setattr("sgdlimits.limits.flow.solve_vectors", refuse)
    monkeypatch.setattr("sgdlimits.limits.fixed_points._describe", refuse)
    with pytest.raises(ValueError, match=words):
        _binary().basin_probabilities(**{"dim": _DIM, "runs": 4, **options})
