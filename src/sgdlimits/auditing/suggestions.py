"""What to add where statistics do not close: inner products that explain the drift's spread."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree
from scipy import stats

from sgdlimits.auditing.points import Scene, parameter_rows
from sgdlimits.models.base import AbstractModel

#: Parameters to a scalar.
Candidate = Callable[[PyTree], Array]
_MOST = 3  # suggestions a statistic
_FIXED = 1e-9  # a candidate whose spread within fibres is below this is a function of u already


class Suggestion(NamedTuple):
    """A candidate that explains a share of the drift's spread within fibres."""

    statistic: str
    candidate: str
    explained: float  # share of the spread within fibres, beside the candidates before it
    p: float  # corrected for the number of candidates


def check_candidates(given: object, model: AbstractModel) -> None:
    """Raise TypeError or ValueError unless they are named functions, none a statistic's name."""
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise TypeError(f"candidates={given!r}: expected a dict of names and functions.")
    for name, candidate in given.items():
        if not isinstance(name, str) or not callable(candidate):
            raise TypeError(
                f"candidates[{name!r}]={candidate!r}: expected a name and a function of the "
                "parameters."
            )
        if name in model.template.names:
            raise ValueError(f"candidates[{name!r}]: a statistic has that name; choose another.")


def candidates(scene: Scene, given: Mapping[str, Candidate]) -> dict[str, Candidate]:
    """Inner products of the vectors with each other and with known directions, fourth powers."""
    example = jax.tree.map(lambda x: jnp.zeros(x.shape), scene.shapes())
    rows = [name for name, _ in parameter_rows(example, scene.dim)]
    result: dict[str, Candidate] = dict(given)

    def product(i: int, j: int) -> Candidate:
        def value(parameters: PyTree) -> Array:
            vectors = parameter_rows(parameters, scene.dim)
            return jnp.sum(vectors[i][1] * vectors[j][1])

        return value

    def overlap(i: int, r: int) -> Candidate:
        return lambda p: jnp.sum(parameter_rows(p, scene.dim)[i][1] * scene.frame[r])

    def fourth(i: int) -> Candidate:
        return lambda p: jnp.sum(parameter_rows(p, scene.dim)[i][1] ** 4)

    for i, name in enumerate(rows):
        for j in range(i, len(rows)):
            result[f"<{name}, {rows[j]}>"] = product(i, j)
        for r in range(scene.frame.shape[0]):
            result[f"<{name}, direction {r + 1}>"] = overlap(i, r)
        result[f"sum of {name}^4"] = fourth(i)
    return result


def suggest(
    scene: Scene,
    points: np.ndarray,
    drift: np.ndarray,
    names: list[str],
    given: Mapping[str, Candidate],
    level: float,
) -> list[Suggestion]:
    """Candidates that explain the spread of the drift of ``names``, the best first for each.

    Args:
        scene: the model at the dimension of the points.
        points: flat parameters (fibres, points, n).
        drift: estimates (fibres, points, statistics), in the order of ``names``.
        names: the statistics that do not close.
        given: candidates of the user's, besides inner products and fourth powers.
        level: of the test of one regression, corrected for the number of candidates.

    Returns:
        At most three for each statistic; none where no candidate explains a significant share.
    """
    table = candidates(scene, given)
    if not table or not names:
        return []
    values = _values(scene, points, table)
    finite = np.asarray(np.isfinite(values).all(axis=(0, 1)))
    for name, good in zip(table, finite.tolist(), strict=True):
        if name in given and not good:
            raise ValueError(f"candidates[{name!r}]: not finite at points that SGD visits.")
    values = np.where(finite, values, 0.0)
    x = values - values.mean(axis=1, keepdims=True)
    size = np.abs(values).max(axis=(0, 1))
    varies = x.std(axis=(0, 1)) > _FIXED * (1 + size)
    found = []
    for i, name in enumerate(names):
        y = drift[..., i] - drift[..., i].mean(axis=1, keepdims=True)
        found += _forward(name, y, x, varies, list(table), level)
    return found


def _forward(
    name: str, y: np.ndarray, x: np.ndarray, varies: np.ndarray, labels: list[str], level: float
) -> list[Suggestion]:
    """Forward selection: each candidate must explain what those before it did not.

    A slope of its own for every fibre, since the effect of what is missing depends on the state.
    ``y`` (fibres, points) and ``x`` (fibres, points, candidates) are centred within fibres.
    """
    fibres, points = y.shape
    total, found, x = float((y**2).sum()), [], x.copy()
    freedom = fibres * (points - 2)
    for _ in range(_MOST):
        norm = (x**2).sum(axis=1)  # (fibres, candidates)
        usable = norm > 1e-12 * np.maximum(norm.max(axis=0), 1e-300)
        slope = np.where(usable, (x * y[..., None]).sum(axis=1) / np.where(usable, norm, 1), 0.0)
        gain = (slope**2 * norm).sum(axis=0) * varies
        left = (y**2).sum() - gain
        freedom_left = freedom - fibres * len(found)
        if freedom_left < 1 or not varies.any():
            break
        ratio = (gain / fibres) / np.maximum(left / freedom_left, 1e-300)
        best = int(np.argmax(gain))
        p = min(1.0, float(stats.f.sf(ratio[best], fibres, freedom_left)) * int(varies.sum()))
        if p >= level:
            break
        found.append(Suggestion(name, labels[best], float(gain[best] / total), p))
        chosen = x[..., best]
        y = y - slope[:, None, best] * chosen
        part = (x * chosen[..., None]).sum(axis=1) / np.maximum(norm[:, best], 1e-300)[:, None]
        x = x - part[:, None, :] * chosen[..., None]
        varies = varies & ((x**2).sum(axis=(0, 1)) > 1e-6 * np.maximum(norm.sum(axis=0), 1e-300))
    return found


def _values(scene: Scene, points: np.ndarray, table: Mapping[str, Candidate]) -> np.ndarray:
    unravel = scene.unravel()

    @jax.jit
    def every(x: Array) -> Array:
        return jax.vmap(lambda x: jnp.stack([f(unravel(x)) for f in table.values()]))(x)

    flat = np.asarray(every(jnp.asarray(points.reshape(-1, points.shape[-1]))))
    return flat.reshape(*points.shape[:2], len(table))
