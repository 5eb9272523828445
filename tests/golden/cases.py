"""The table of golden cases: one or two of every family of models, none of them symmetric.

Sizes are small and uneven (width and number of directions differ, so do the classes), every source
of noise is on, and states are given by a formula, so that nothing here depends on a generator of
random numbers other than the package's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import sgdlimits as sl


@dataclass(frozen=True)
class Tolerance:
    """What two computations of one quantity may differ by, and why so much."""

    rtol: float
    atol: float
    why: str


# Optimising compilers reorder sums and fuse products, differently on every processor. Compiled for
# SSE4.2 alone, without fused products, everything stayed within a thousandth of what is allowed.

#: One step moves by 1e-16 or so; along a path of tens of steps, and through the error control of an
#: ODE solver, that grows by a few orders of magnitude, and stays far below a change of any formula.
PATHS = Tolerance(1e-9, 1e-11, "rounding, grown along a path")
#: Sums over up to 3e4 nodes, and products of small matrices: rounding alone.
FIELDS = Tolerance(1e-10, 1e-12, "rounding of sums")
#: Edges and outliers are where SciPy's searches for minima and zeros stop.
SEARCHES = Tolerance(1e-8, 1e-10, "where a search for roots or minima stops")

#: By the first part of a quantity's name.
TOLERANCES = {
    "chain": PATHS,
    "sgd": PATHS,
    "literal": PATHS,
    "ode": PATHS,
    "sde": PATHS,
    "mean_field": PATHS,
    "fields": FIELDS,
    "population": FIELDS,
    "empirical": FIELDS,
    "asymptotic": SEARCHES,
}

#: Tracing and compiling take most of the time. Every case has these parts; ODE and SDE solve for
#: the fields that every case records, by code that knows no model, and are once in every family.
COMMON = ("chain", "sgd", "fields")
ALL = (*COMMON, "literal", "ode", "sde")
SPECTRA = ("population", "asymptotic", "empirical")

ESTIMATED_FIELDS = ("population_drift", "corrector", "drift", "drift_error", "diffusion")
NOISELESS_FIELDS = (*ESTIMATED_FIELDS, "risk")
FIELDS_OF_STATE = (*NOISELESS_FIELDS, "moments")


@dataclass(frozen=True)
class Case:
    """One model under one algorithm, what to record of it, and how much.

    Attributes:
        model, sgd: what is recorded.
        states: generic states on one leading axis.
        parts: names of recorders, see ``record.RECORDERS``.
        fields: functions of the state that are recorded.
        ode_time: horizon of the ODE, from ``states``.
        chain_steps, sgd_steps, sde_steps: lengths of the paths.
    """

    model: Any
    sgd: sl.OnlineSGD
    states: Any
    parts: tuple[str, ...] = COMMON
    fields: tuple[str, ...] = FIELDS_OF_STATE
    ode_time: float = 0.3
    chain_steps: int = 40
    sgd_steps: int = 20
    sde_steps: int = 4


# -- states ----------------------------------------------------------------------------------------


def _generic(*shape: int) -> np.ndarray:
    """Numbers between -1 and 1 without any pattern: a sine at quadratic phases."""
    n = np.arange(int(np.prod(shape)))
    return np.sin(1.0 + 0.9 * n + 0.37 * n**2).reshape(shape)


def _states(model: Any, sgd: sl.OnlineSGD, size: float = 0.6, count: int = 2) -> sl.Statistics:
    """States of independent neurons that have overlaps of order one with all directions."""
    p, r = model.template.M.shape
    W = size * _generic(count, p, r + p)
    if sgd.spherical:
        W = W / np.linalg.norm(W, axis=-1, keepdims=True)
    F = np.hstack([np.asarray(model.root), np.zeros((r, p))])
    layer = model.template.v.size
    v = 1.0 + 0.4 * _generic(count, layer) if layer else np.zeros((count, 0))
    return sl.Statistics(v, W @ F.T, W @ np.swapaxes(W, -1, -2))


def _case(model: Any, step: float = 0.5, parts: tuple[str, ...] = COMMON, **options: Any) -> Case:
    """A model of neurons at its generic states."""
    algorithm = {k: options.pop(k) for k in ("spherical", "second_layer_rate") if k in options}
    sgd = sl.OnlineSGD(step=step, **algorithm)
    return Case(model, sgd, _states(model, sgd), parts, **options)


def _spiked(step: float, **arguments: Any) -> Case:
    states = sl.SpikedStatistics(np.array([0.45, -0.3]), np.array([0.36, 0.8]))
    return Case(sl.SpikedTensor(**arguments), sl.OnlineSGD(step=step), states, ALL)


# -- models of a user ------------------------------------------------------------------------------


def _two_tanh(v, s):
    """Two neurons without biases; three logits."""
    return v.reshape(3, 2) @ jnp.tanh(s)


def _logistic(output, label):
    return jax.nn.logsumexp(output) - jnp.sum(label * output)


def _tanh_on_three_classes() -> Case:
    data = sl.GaussianMixture(
        [[1.0, 0.0], [-0.4, 0.9], [0.2, -1.1]],
        np.eye(3),
        gram=[[1.0, 0.3], [0.3, 0.8]],
        probabilities=[0.5, 0.3, 0.2],
        snr=[0.8, 1.5, 3.0],
    )
    network = sl.Network(_two_tanh, width=2, layer=6)
    model = sl.MultiIndexModel(data=data, network=network, loss=_logistic, ridge=0.05)
    return _case(model, 0.7, (*COMMON, "literal", "population"))


def _sample(key, dim):
    key_x, key_z = jax.random.split(key)
    x = jax.random.normal(key_x, (dim,)) * jnp.where(jnp.arange(dim) % 2 == 0, 1.2, 0.8)
    return x, jnp.tanh(x[0]) + 0.5 * jax.random.normal(key_z)


def _loss(w, sample):
    x, label = sample
    return 0.5 * (label - jnp.sum(w * x)) ** 2 + 0.05 * jnp.sum(w * w)


def _overlaps(w):
    return {"m": w[0], "q": jnp.sum(w * w)}


def _start(key, dim):
    return jax.random.normal(key, (dim,)) / jnp.sqrt(1.0 * dim)


def _custom() -> Case:
    model = sl.CustomModel(
        loss=_loss,
        sample=_sample,
        statistics=_overlaps,
        initial=_start,
        monte_carlo=sl.MonteCarlo(dim=10, points=2, samples=8),
    )
    states = model.statistics_class(m=np.array([0.3, -0.2]), q=np.array([0.7, 1.2]))
    # With the standard errors of its path, the SDE solves the ODE of every fibre point too.
    parts = ("sgd", "sde", "fields")
    return Case(model, sl.OnlineSGD(step=0.5), states, parts, ESTIMATED_FIELDS, sde_steps=2)


# -- the table -------------------------------------------------------------------------------------

_SKEW_2 = [[1.0, 0.3], [0.3, 0.8]]
_SKEW_3 = [[1.0, 0.2, 0.1], [0.2, 1.2, -0.3], [0.1, -0.3, 0.9]]


def _k_gmm() -> Case:
    model = sl.k_gmm(
        means_gram=_SKEW_3, probabilities=[0.5, 0.3, 0.2], snr=[0.7, 1.5, 4.0], ridge=0.05
    )
    return _case(model, 1.3, (*ALL, "population", "empirical"))


def _erf_trained() -> Case:
    model = sl.committee(
        3, 2, "erf", None, 0.2, _SKEW_2, [1.2, 0.7], True, second_layer=[0.8, 1.1, -0.6]
    )
    return _case(model, 0.9, ALL, second_layer_rate=0.6)


def _erf_mean_field() -> Case:
    model = sl.committee(5, 2, "erf", None, 0.1, _SKEW_2, [1.2, 0.7], True)
    return _case(model, 1.5, ("mean_field",), ode_time=1.0)


#: Every case by its name, made when it is asked for.
CASES: dict[str, Callable[[], Case]] = {
    "spiked-matrix-ridge": lambda: _spiked(0.6, order=2, snr=2.0, ridge=0.3),
    "spiked-cubic": lambda: _spiked(0.2, order=3, snr=3.0, ridge=0.1),
    "k-gmm": _k_gmm,
    "xor-3": lambda: _case(
        sl.xor_gmm(snr=3.0, ridge=0.05, width=3), 0.7, (*COMMON, "literal", *SPECTRA)
    ),
    "binary-2": lambda: _case(
        sl.binary_gmm(snr=[2.0, 5.0]), 1.3, (*COMMON, *SPECTRA), second_layer_rate=0.7
    ),
    "xor-3-noiseless": lambda: _case(
        sl.xor_gmm(snr=np.inf, ridge=0.05, width=3), 0.7, ("ode", "fields"), fields=NOISELESS_FIELDS
    ),
    "multi-index-tanh": _tanh_on_three_classes,
    "erf-3-2-trained": _erf_trained,
    "erf-mean-field": _erf_mean_field,
    "relu-2-1": lambda: _case(sl.committee(2, 1, "relu", noise=0.2, teacher_gram=[[0.8]])),
    "relu-2-erf-1": lambda: _case(sl.committee(2, 1, "relu", "erf", noise=0.3)),
    "phase-retrieval-2-trained": lambda: _case(sl.phase_retrieval(2, 0.3, True), 0.02),
    "hermite-2-polynomial-1": lambda: _case(
        sl.committee(
            2, 1, sl.Hermite([0.1, 0.8, 0.4]), sl.Polynomial([0.0, 1.0, 0.0, -0.2]), noise=0.1
        ),
        0.1,
    ),
    "tanh-2-1": lambda: _case(
        sl.committee(2, 1, jnp.tanh, noise=0.1, second_layer=[1.3, -0.8]), 0.6
    ),
    "erf-2-1-sphere": lambda: _case(sl.committee(2, 1, "erf", noise=0.2), 0.8, ALL, spherical=True),
    "single-index-sphere": lambda: _case(
        sl.single_index("relu", sl.Hermite([0.0, 0.5, 0.7]), noise=0.2), 0.3, spherical=True
    ),
    "custom": _custom,
}
