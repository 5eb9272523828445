"""Real SGD in the precision asked for."""

import numpy as np

import sgdlimits as sl


def test_single_precision_follows_double_precision():
    # The two draw different normals. Their statistics follow the same ODE and differ by noise of
    # standard deviation 0.02 in r2 and less in m at this dim; the tolerance is five of those, and
    # both statistics move by more.
    model, sgd = sl.SpikedTensor(snr=3.0), sl.OnlineSGD(step=1.0)
    start = sl.SpikedStatistics(0.5, 1.5)
    options = {"dim": 20_000, "time": 0.05, "runs": 1, "initial": start, "record": 11}
    double = sl.simulate(model, sgd, "sgd", **options)
    single = sl.simulate(model, sgd, "sgd", dtype="float32", **options)
    for name in ("m", "r2"):
        np.testing.assert_allclose(single[name], double[name], atol=0.1)
        assert abs(float(double[name][0, -1] - double[name][0, 0])) > 0.11  # it moved
        assert (single[name][0, 1:] != double[name][0, 1:]).all()


def test_single_precision_is_single():
    model = sl.SpikedTensor(snr=1.2)
    options = {"dim": 30, "time": 0.2, "runs": 2, "record": 2, "seed": 1}
    single = sl.simulate(model, None, "sgd", dtype="float32", **options)
    # Statistics of float32 vectors are float32 numbers.
    last = single["m"].values[:, -1]
    np.testing.assert_array_equal(last, last.astype(np.float32).astype(np.float64))
