"""Committees: widths, activations, noise, trained layers, the sphere."""

import numpy as np

import sgdlimits as sl
from sgdlimits.models.committee import Committee
from tests.cases.case import Case


def points(model: Committee, spherical: bool, count: int = 3, seed: int = 0) -> sl.Statistics:
    """Random states with overlaps of order one, none of them symmetric."""
    rng = np.random.default_rng(seed)
    p, k = model.width, model.teacher_width
    B = 0.5 * rng.standard_normal((count, p, k))
    factor = rng.standard_normal((count, p, p)) * np.sqrt(0.6 / p)
    M = B @ np.asarray(model.root).T
    Q = B @ np.swapaxes(B, -1, -2) + factor @ np.swapaxes(factor, -1, -2)
    v = 1 + 0.3 * rng.standard_normal((count, model.template.v.size))
    return sl.Process(model, sl.OnlineSGD(spherical=spherical)).constrained(sl.Statistics(v, M, Q))


def _case(name, model, step, *, slow=False, **options) -> Case:
    sgd = sl.OnlineSGD(step=step, **options)
    return Case(name, model, sgd, points(model, sgd.spherical), slow=slow)


_SKEW = [[1.0, 0.3], [0.3, 0.8]]

CASES = [
    _case(
        "erf-3-trained-ridge",
        sl.committee(3, 2, "erf", None, 0.2, _SKEW, [1.2, 0.7], True, ridge=0.1),
        0.9,
        second_layer_rate=0.6,
    ),
    _case("relu-2", sl.committee(2, 1, "relu", noise=0.2), 0.5),
    # With longer steps increments have tails that samples of them miss.
    _case("square-2", sl.phase_retrieval(2, 0.3), 0.005),
    _case("erf-2-sphere", sl.committee(2, 1, "erf", noise=0.2), 0.8, spherical=True),
    _case("square-1", sl.phase_retrieval(1, noise=0.4), 0.01, slow=True),
    _case(
        "square-2-trained", sl.phase_retrieval(2, 0.3, True, ridge=0.2), 0.005, slow=True,
        second_layer_rate=0.6,
    ),
    _case("relu-1-erf", sl.committee(1, 2, "relu", "erf", noise=0.8), 0.5, slow=True),
    _case("erf-1-sphere", sl.committee(1, 1, noise=0.2), 0.4, slow=True, spherical=True),
    _case(
        "erf-2-sphere-batch", sl.committee(2, 1, "erf", noise=0.2), 0.8, slow=True, spherical=True,
        batch=3,
    ),
]  # fmt: skip
