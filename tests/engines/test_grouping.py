"""A run is the same to the last bit, whatever runs are computed beside it."""

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from tests.models.custom_examples import regression

_DIM, _MANY = 40, 70
_PROCESSES = {
    "spiked": (sl.SpikedTensor(order=3, snr=3.0, ridge=0.1), sl.OnlineSGD(0.2)),
    "binary": (sl.binary_gmm(snr=[2.0, 5.0]), sl.OnlineSGD(1.3, second_layer_rate=0.7)),
    "erf": (sl.committee(8, 4, "erf", noise=0.1), sl.OnlineSGD(0.5)),
    "relu": (sl.committee(2, 1, "relu", noise=0.2), sl.OnlineSGD(0.5)),
    "tanh": (sl.committee(2, 1, jnp.tanh, noise=0.1), sl.OnlineSGD(0.6)),
    "phase": (sl.phase_retrieval(2, 0.3, True), sl.OnlineSGD(0.02)),
    "sphere": (sl.committee(2, 1, "erf", noise=0.2), sl.OnlineSGD(0.8, spherical=True)),
    "batches": (sl.committee(2, 1, "erf", noise=0.2), sl.OnlineSGD(0.8, batch=3)),
    "custom": (
        regression(monte_carlo=sl.MonteCarlo(dim=20, points=3, samples=32)),
        sl.OnlineSGD(0.5),
    ),
}
# Diffusions of eight erf neurons hold millions of numbers: a lane of one, as of tanh's.
_CASES = [
    (name, engine)
    for name, (model, _) in _PROCESSES.items()
    for engine in sl.engines.ENGINES
    if (engine != "chain" or model.has_chain)
    and (engine != "mean_field" or model.has_mean_field)
    and (engine, name) != ("sde", "erf")
]


def _values(name, engine, runs, first_run=0):
    model, sgd = _PROCESSES[name]
    steps = {"sgd": 20, "chain": 20, "sde": 3}.get(engine, 1)
    options = {"dt": sgd.delta(_DIM)} if engine == "sde" else {}
    dataset = sl.simulate(
        model, sgd, engine, dim=_DIM, time=max(1, steps) * sgd.delta(_DIM), runs=runs,
        first_run=first_run, seed=7, record=2, risk=engine == "mean_field", **options,
    )  # fmt: skip
    return {key: variable.values for key, variable in dataset.data_vars.items()}


@pytest.mark.parametrize(("name", "engine"), _CASES)
def test_runs_do_not_depend_on_how_many_there_are(name, engine):
    whole = _values(name, engine, _MANY)
    for runs, first in ((1, 0), (3, 0), (20, 0), (1, 41)):
        part = _values(name, engine, runs, first)
        for key, values in part.items():
            np.testing.assert_array_equal(values, whole[key][first : first + runs], err_msg=key)
            assert np.isfinite(values).all() or key == "diverged"
    moved = [not np.array_equal(x[:, 0], x[:, -1]) for k, x in whole.items() if k != "diverged"]
    assert any(moved)


# Elsewhere lanes do not go by runs, because bits would: the test above.
@pytest.mark.parametrize("lanes", [(16, 64, 256)])
@pytest.mark.parametrize(
    ("name", "engine"), [("spiked", "chain"), ("spiked", "sde"), ("phase", "chain")]
)
def test_lanes_that_go_by_runs_give_the_same_bits(name, engine, lanes, monkeypatch):
    from sgdlimits.engines import lanes as module

    found = []
    for lane in lanes:
        for rule in ("of_steps", "of_diffusions"):
            monkeypatch.setattr(module, rule, lambda runs, trace, lane=lane: lane)
        found.append(_values(name, engine, 16))
    for other in found[1:]:
        for key, values in found[0].items():
            np.testing.assert_array_equal(values, other[key], err_msg=key)
