"""Committees of erf on hidden manifolds: inputs sign or erf of random features, latent teacher.

Goldt et al. (2020): X = g(A C) in R^N with latent C ~ N(0, I_D), features of norm 1, labels from a
committee of the latent coordinates. SGD runs on the generated inputs themselves; the limit and its
Gaussian law know of them by the covariance, and by the share of the teacher that X lacks.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.data.hidden_manifold import HiddenManifold, hidden_manifold
from sgdlimits.expectations.activations import Erf
from sgdlimits.models.block_committee import BlockCommittee
from sgdlimits.models.committees_zoo import committee
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.checks import Check, equal, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.block_overlaps import BlockStatistics

_STEP, _STUDENTS, _TEACHERS = 1.0, 2, 2
_BIAS = 12.0  # relative, over N: discrete steps, and fields that are Gaussian up to that
_RATIOS = {0.5: "second", 2.0: "simulation"}  # D/N


class _Curve(NamedTuple):
    """Of real SGD on the manifold."""

    times: Float[np.ndarray, " times"]
    risk: Float[np.ndarray, "runs times"]


def hidden_manifolds(work: Workspace) -> tuple[Figure, list[Check]]:
    """Risk against time for two sizes of the manifold; the spectra of their inputs."""
    figure, axes = new_figure(1, 2, width=PAGE, height=2.6)
    dim, checks = work.size(400, 1000, 24), []
    ratios = dict(list(_RATIOS.items())[: work.size(2, 2, 1)])
    for ratio, colour in ratios.items():
        law = _law(dim, round(ratio * dim))
        checks += _learn(work, axes[0, 0], ratio, law, colour)
        checks.append(_draws(work, axes[0, 1], ratio, law, colour))
    axes[0, 0].set(xlabel="$t$ = samples$/N$", ylabel=r"$\epsilon_g$")
    axes[0, 1].set(xlabel="rank of the eigenvalue$/N$", ylabel=r"eigenvalues of $E[X X^\top]$")
    for axis in axes[0]:
        axis.legend(title="$D/N$")
    return figure, checks


def _label(f: Array, z: Array) -> Array:
    return jnp.sum(jax.scipy.special.erf(f / 2**0.5))


def _law(dim: int, latent: int) -> HiddenManifold:
    """Random features of norm 1, teachers of norm 1."""
    rng = np.random.default_rng(2)
    A, T = rng.standard_normal((dim, latent)), rng.standard_normal((_TEACHERS, latent))
    A, T = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (A, T))
    # Times 2: bent, so that inputs are far from linear in C.
    return hidden_manifold(2 * A, Erf(), _label, teacher=T, blocks=min(20, dim // 4))


def _model(law: HiddenManifold) -> BlockCommittee:
    ones = [2.0, 2.0]
    return committee(
        _STUDENTS, _TEACHERS, "erf", noise=0.0, second_layer=ones, teacher_second_layer=ones,
        teacher_gram=law.parts.gram, covariance=law.covariance, hidden=law.hidden,
    )  # fmt: skip


def _learn(
    work: Workspace, axis: Axes, ratio: float, law: HiddenManifold, colour: str
) -> list[Check]:
    dim, runs, time = len(law.manifold.features), work.size(4, 16, 2), work.size(60.0, 200.0, 1.0)
    model = _model(law)
    rows = 0.5 * np.random.default_rng(5).standard_normal((_STUDENTS, dim)) / dim**0.5
    real = _on_manifold(law, jnp.asarray(rows), time, runs, work.seed)
    parts = np.split(np.arange(dim), np.cumsum(law.parts.spectrum.sizes(dim))[:-1])
    frame = law.manifold.frame
    start = BlockStatistics(
        jnp.zeros(0),
        np.stack([rows[:, part] @ frame[:, part].T for part in parts]),
        np.stack([rows[:, part] @ rows[:, part].T for part in parts]),
    )
    ode = work.simulate(
        f"ode-{ratio:g}", model, OnlineSGD(_STEP), "ode", dim=dim, time=time, runs=1,
        initial=start, record=real.times,
    )["risk"].values[0]  # fmt: skip
    mean = real.risk.mean(0)
    low, high = np.quantile(real.risk, [0.05, 0.95], axis=0)
    axis.fill_between(real.times, low, high, color=COLOURS[colour], alpha=0.25, lw=0)
    axis.plot(real.times, mean, "o", ms=2, color=COLOURS[colour], label=f"{ratio:g}")
    axis.plot(real.times, ode, color=COLOURS["theory"], lw=0.9)
    axis.set_yscale("log")
    error = real.risk.std(0, ddof=1) / runs**0.5
    away, allowed = np.abs(mean - ode), 4 * error + (0.02 + _BIAS / dim) * ode
    missing = float(law.manifold.missing.mean())
    return [
        holds(f"D/N = {ratio:g}, N = {dim}: SGD on the manifold follows the Gaussian law",
              "theory = SGD", bool((away <= allowed).all()),
              f"largest distance {100 * float((away / ode).max()):.1f} %, allowed 4 s.e. + 2 % of "
              f"the test set + {_BIAS:g}/N; inputs lack {100 * missing:.0f} % of the teacher"),
        equal(f"D/N = {ratio:g}: fields of the teacher keep their variance", "1", 1.0,
              float(np.diagonal(np.tensordot(np.asarray(law.parts.spectrum.eigenvalues[0]),
                                             np.asarray(law.parts.gram), axes=1)
                                + np.array(law.hidden)).mean()), 1e-9),
    ]  # fmt: skip


def _on_manifold(
    law: HiddenManifold, rows: Float[Array, "width dim"], time: float, runs: int, seed: int
) -> _Curve:
    """Risk on a test set along SGD on fresh samples of the manifold."""
    dim = rows.shape[1]
    recorded, test = 24, 10_000
    between = max(1, round(time * dim / recorded))

    def output(W: Array, x: Array) -> Array:
        return jnp.sum(jax.scipy.special.erf(x @ W.T / 2**0.5), axis=-1)

    def loss(W: Array, x: Array, y: Array) -> Array:
        return jnp.mean((output(W, x) - y) ** 2) / 2

    # In the coordinates of the inputs themselves, which saves a rotation a sample.
    turned = rows @ jnp.asarray(law.manifold.directions).T

    def step(W: Array, key: Array) -> tuple[Array, None]:
        x, y = law.raw_sample(key)
        return W - _STEP / dim * jax.grad(loss)(W, x, y[0]), None

    @jax.jit
    def run(key: Array) -> Array:
        X, y = jax.vmap(law.raw_sample)(jax.random.split(jax.random.key(seed + 1), test))

        def chunk(W: Array, key: Array) -> tuple[Array, Array]:
            W, _ = jax.lax.scan(step, W, jax.random.split(key, between))
            return W, loss(W, X, y[:, 0])

        first = loss(turned, X, y[:, 0])
        _, risk = jax.lax.scan(chunk, turned, jax.random.split(key, recorded))
        return jnp.concatenate([first[None], risk])

    keys = jax.random.split(jax.random.key(seed), runs)
    risk = np.stack([np.asarray(run(key)) for key in keys])
    return _Curve(np.arange(recorded + 1) * between / dim, risk)


def _draws(work: Workspace, axis: Axes, ratio: float, law: HiddenManifold, colour: str) -> Check:
    """Eigenvalues of the law, and variances of real inputs along its directions."""
    dim, count = len(law.manifold.features), work.size(4000, 20000, 200)
    keys = jax.random.split(jax.random.key(work.seed), count)
    X = np.asarray(jax.jit(jax.vmap(lambda key: law.real_sample(key)[0]))(keys))
    sizes = law.parts.spectrum.sizes(dim)
    known = np.asarray(law.parts.spectrum.eigenvalues[0])
    seen = np.array([x.mean() for x in np.split((X**2).mean(0), np.cumsum(sizes)[:-1])])
    places = np.cumsum(sizes) / dim
    axis.semilogy(places, seen, "o", ms=2.5, color=COLOURS[colour], label=f"{ratio:g}")
    axis.step(places, known, where="mid", color=COLOURS["theory"], lw=0.9)
    off = float(np.abs(seen / known - 1).max())
    return holds(f"D/N = {ratio:g}: variances of inputs along the law's directions", "equal",
                 off < 0.1, f"relative distance of a block at most {100 * off:.1f} %")  # fmt: skip
