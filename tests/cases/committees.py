"""Committees for the contract suite: widths, activations, noise, trained layers, the sphere."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

import sgdlimits as sl
from sgdlimits.models.committee import Committee
from sgdlimits.process.affine_step import Sample
from tests.cases.case import Case


class NoLabelNoise(Committee):
    """A chain that forgets the noise of the labels."""

    def chain_noise(self, key: Any, steps: int, constants: Any) -> Sample:
        noise = super().chain_noise(key, steps, constants)
        return noise._replace(label=jnp.zeros_like(noise.label))


def points(model: Committee, spherical: bool, count: int = 3, seed: int = 0) -> sl.Statistics:
    """Random states with overlaps of order one, none of them symmetric."""
    rng = np.random.default_rng(seed)
    p, k = model.width, model.teacher_width
    B = 0.5 * rng.standard_normal((count, p, k))
    factor = rng.standard_normal((count, p, p)) * np.sqrt(0.6 / p)
    M = B @ np.asarray(model.root).T
    Q = B @ np.swapaxes(B, -1, -2) + factor @ np.swapaxes(factor, -1, -2)
    v = 1 + 0.3 * rng.standard_normal((count, model.template.v.size))
    u = sl.Statistics(v, M, Q)
    return model.constrained(u, sl.OnlineSGD(spherical=spherical))


def aligned(model: Committee, spherical: bool) -> sl.Statistics:
    """Every student on a teacher: little error but that of the labels."""
    P = np.array(model.gram)
    rows = np.arange(model.width) % model.teacher_width
    u = sl.Statistics(np.ones(model.template.v.size), P[rows], P[np.ix_(rows, rows)])
    return model.constrained(u, sl.OnlineSGD(spherical=spherical))


def case(
    name: str,
    model: Committee,
    step: float,
    time: float,
    steps: int,
    spherical: bool = False,
    slow: bool = True,
) -> Case:
    """A committee under an algorithm at two or three random states."""
    least = model.minimum_dim
    rate = 0.6 if model.train_second_layer else 1.0
    fields = {f.name: getattr(model, f.name) for f in dataclasses.fields(model)}
    return Case(
        name,
        model,
        sl.OnlineSGD(step=step, spherical=spherical, second_layer_rate=rate),
        points(model, spherical),
        (least, least + 1, 14),
        60,
        time,
        steps,
        aligned(model, spherical),
        NoLabelNoise(**fields),
        slow,
    )


_SKEW = [[1.0, 0.3], [0.3, 0.8]]

CASES = [
    case("square-1", sl.phase_retrieval(1, noise=0.4), 0.05, 0.2, 20, slow=False),
    # With longer steps increments have tails that samples of them miss.
    case("square-2-trained", sl.phase_retrieval(2, 0.3, True), 0.005, 0.2, 12),
    case(
        "erf-3-trained",
        sl.committee(3, 2, "erf", None, 0.2, _SKEW, [1.2, 0.7], train_second_layer=True),
        0.9,
        2.0,
        30,
    ),
    case("relu-2", sl.committee(2, 1, "relu", noise=0.2), 0.5, 1.0, 30),
    case("relu-1-erf", sl.committee(1, 2, "relu", "erf", noise=0.8), 0.5, 1.0, 30),
    case("erf-1-sphere", sl.committee(1, 1, noise=0.2), 0.4, 1.0, 30, True, slow=False),
    case("erf-2-sphere", sl.committee(2, 1, "erf", noise=0.2), 0.8, 2.0, 30, True),
]
