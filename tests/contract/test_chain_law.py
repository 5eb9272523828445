"""The chain has the law of real SGD after many steps; a chain that is slightly wrong has not."""

import warnings

import jax
import numpy as np
import pytest

import sgdlimits as sl
from tests.helpers import FALSE_ALARM, functionals, same_law
from tests.registry import every_case

_RUNS = 1024


def _sample(case, engine, dim, steps, seed, model=None, initial=None, **options):
    with warnings.catch_warnings():
        # At small dim a few runs may truly blow up; both engines must do so equally often.
        warnings.simplefilter("ignore", sl.DivergenceWarning)
        dataset = sl.simulate(
            case.model if model is None else model,
            case.sgd,
            engine,
            dim=dim,
            time=steps * case.sgd.delta(dim),
            runs=_RUNS,
            seed=seed,
            initial=initial,
            record=3,
            **options,
        )
    return functionals(dataset, case.model.template.dims)


def _compare(case, dim, steps, rate=FALSE_ALARM, **options):
    """Whether chain and SGD agree after many steps from the random start, and after one and two
    from the sharp state; together false alarm at most ``rate``."""
    for seed, (length, start) in enumerate([(steps, None), (2, case.sharp)]):
        chain = _sample(case, "chain", dim, length, seed=2 * seed, initial=start)
        sgd = _sample(case, "sgd", dim, length, seed=2 * seed + 1, initial=start, **options)
        if not same_law(chain, sgd, rate / 2):
            return False
    return True


# Two-sample KS, all functionals, Bonferroni: false alarm at most 1e-3 per test and case.


@pytest.mark.stat
@every_case
def test_chain_equals_literal_sgd_in_law(case):
    assert _compare(case, case.small_dims[2], case.steps, literal=True)


@pytest.mark.stat
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@every_case
def test_chain_equals_sgd_in_law(case, dtype):
    # Single precision changes the law by 1e-7, far below what 1024 runs resolve.
    assert _compare(case, case.small_dims[2], case.steps, dtype=dtype)


@pytest.mark.stat
@every_case
def test_chain_equals_sgd_in_law_at_a_moderate_dim(case):
    assert _compare(case, case.dim, 60)


@pytest.mark.stat
@every_case
def test_chain_equals_sgd_in_law_at_the_smallest_dim(case):
    assert _compare(case, case.model.minimum_dim, 2)


@pytest.mark.stat
@every_case
def test_a_wrong_chain_is_rejected(case):
    # The negative control: the same comparison must see a chi-square replaced by its mean.
    dim = case.small_dims[2]
    wrong = _sample(case, "chain", dim, 2, seed=2, model=case.control, initial=case.sharp)
    sgd = _sample(case, "sgd", dim, 2, seed=3, initial=case.sharp)
    assert not same_law(wrong, sgd, rate=1e-9)


@every_case
def test_lifted_random_starts_keep_their_statistics(case):
    dim = case.dim
    start = sl.initial(case.model, dim, 64, seed=9, sgd=case.sgd)
    vectors = sl.lift(case.model, start, dim, seed=9)
    frame = case.model.frame(dim)
    for run in range(64):
        parameters = jax.tree.map(lambda x, run=run: x[run], vectors)
        found = case.model.statistics(parameters, frame).vector
        np.testing.assert_allclose(found, start[run].vector, rtol=1e-12, atol=1e-14)
