"""One seed decides everything; nothing else decides anything."""

import numpy as np
import pytest

import sgdlimits as sl
from tests.helpers import z_limit
from tests.registry import every_case

_ENGINES = ("chain", "sgd", "sde", "ode")


def _run(case, engine, runs=20, seed=7, steps=40, **options):
    options = {"record": 3, **options}
    return sl.simulate(
        case.model, case.sgd, engine, dim=case.dim, time=steps * case.sgd.delta(case.dim),
        runs=runs, seed=seed, **options,
    )  # fmt: skip


def _values(case, dataset):
    names = case.model.template.dims
    return np.concatenate(
        [dataset[n].values.reshape(*dataset[n].shape[:2], -1) for n in names], axis=2
    )


@every_case
def test_all_engines_start_from_the_same_statistics_bit_for_bit(case):
    start = sl.initial(case.model, case.dim, 20, seed=7, sgd=case.sgd)
    for engine in _ENGINES:
        dataset = _run(case, engine)
        for name in case.model.template.dims:
            np.testing.assert_array_equal(dataset[name].values[:, 0], getattr(start, name))


@pytest.mark.parametrize("engine", _ENGINES)
@every_case
def test_an_ensemble_in_pieces_is_the_ensemble_bit_for_bit(case, engine):
    # 40 = 23 + 17 runs share the lane of 64: the same program computes them.
    whole = _values(case, _run(case, engine, runs=40))
    first = _values(case, _run(case, engine, runs=23))
    second = _run(case, engine, runs=17, first_run=23)
    np.testing.assert_array_equal(second["run"], 23 + np.arange(17))
    np.testing.assert_array_equal(whole, np.concatenate([first, _values(case, second)]))


@pytest.mark.parametrize("engine", ["chain", "sgd", "sde"])
@every_case
def test_lanes_of_different_sizes_agree_to_rounding(case, engine):
    # Other lanes are other programs, whose order of operations differs in the last bits.
    few, many = (_values(case, _run(case, engine, runs=n, steps=10)) for n in (3, 70))
    np.testing.assert_allclose(few, many[:3], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("engine", ["chain", "sgd"])
@every_case
def test_what_is_recorded_does_not_change_the_path(case, engine):
    delta = case.sgd.delta(case.dim)
    dense = _run(case, engine, steps=1100, runs=5, record=1101)
    sparse = _run(
        case, engine, steps=1100, runs=5, record=np.array([3, 511, 512, 513, 600]) * delta
    )
    steps = sparse["step"].values
    np.testing.assert_array_equal(steps, [0, 3, 511, 512, 513, 600, 1100])
    np.testing.assert_array_equal(_values(case, dense)[:, steps], _values(case, sparse))


@pytest.mark.parametrize("engine", ["chain", "sgd", "sde"])
@every_case
def test_seeds_differ_and_repeat(case, engine):
    one = _values(case, _run(case, engine, initial=case.generic))
    np.testing.assert_array_equal(one, _values(case, _run(case, engine, initial=case.generic)))
    other = _values(case, _run(case, engine, initial=case.generic, seed=8))
    moved = np.abs(one[:, -1] - one[:, 0]).max(0) > 1e-12
    assert (~moved).sum() == (~case.moving).sum()
    assert (one[:, -1] != other[:, -1])[:, moved].all()
    assert len(np.unique(one[:, -1, 0])) == 20  # runs differ among themselves


@pytest.mark.stat
@every_case
def test_noises_of_engines_and_seeds_are_independent(case):
    # Correlations of the first statistic over 400 runs, 4 pairs; each |r| sqrt(400) is N(0, 1) for
    # independent runs. Bonferroni, false alarm 1e-3 per case.
    def final(engine, seed):
        return _values(case, _run(case, engine, runs=400, seed=seed, initial=case.generic))[:, -1]

    chain = final("chain", 1)
    others = [final("sgd", 1), final("sde", 1), final("chain", 2)]
    # Neighbouring runs too.
    pairs = [(chain, other) for other in others] + [(chain[:-1], chain[1:])]
    z = [np.corrcoef(a[:, 0], b[:, 0])[0, 1] * np.sqrt(len(a)) for a, b in pairs]
    assert np.abs(z).max() < z_limit(len(z))
