"""Population blocks at large snr: rank at most the number of classes, and no bulk.

To leading order a class is its mean, and a neuron is on one side of its kink with a probability:

    W_i W_j:  sum_c p_c E[D | s = M a_c, sides] mu_c mu_cᵀ.

For the XOR network this is (4.11) and (4.18) of Ben Arous et al. (2023), where the probability is
F(sqrt(snr/Q_ii) m_i); for softmax the first terms of their lemmas 3.1 to 3.3. The error is O(1/snr)
where all overlaps are of order one, and O(snr^-1/2) where an overlap of *any* neuron is near zero
(their bounds name neuron i alone). Asymptotic; snr=inf is the limit itself.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.stats import multivariate_normal, norm

from sgdlimits._tracing import dynamic
from sgdlimits.expectations.sobol import sobol_normals
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.blocks import (
    Block,
    BlockLike,
    Kind,
    check_kind,
    check_multi_index,
    first_layer_weight,
    mixed_weight,
    parse_block,
    second_layer_weight,
)
from sgdlimits.spectra.labelled_nodes import labels_of
from sgdlimits.spectra.population_matrices.block_expectations import SmallMatrices
from sgdlimits.spectra.population_matrices.population_blocks import PopulationMatrix
from sgdlimits.spectra.population_matrices.span import span_coordinates
from sgdlimits.statistics.overlaps import Parameters, Statistics

_SIDE = 1e-9
_LOG2 = 14  # nodes of label noise: labels may jump with it


def leading(
    model: MultiIndexModel,
    statistics: Statistics | Parameters,
    block: BlockLike,
    kind: Kind = "hessian",
) -> PopulationMatrix:
    """The large-snr form of ``population``, with no bulk.

    Args:
        model: a network on a mixture; snr=inf is allowed. Labels that are functions are those at
            the class mean, averaged over their noise.
        statistics: one state, or real parameters.
        block: (i, j), "vv" or ("v", j).
        kind: "hessian" or "gradient".

    Raises:
        TypeError, ValueError: for bad input, or inputs that are noise alone.
    """
    model, kind = check_multi_index(model), check_kind(kind)
    chosen = parse_block(model, block)
    if chosen.form in ("W", "all"):
        raise ValueError(f"block={block!r}: expected (i, j), 'vv' or ('v', j).")
    law = model.data
    if not law.draws_classes:
        raise ValueError(
            f"{type(law).__name__}: its inputs are noise about no class mean, and there is no form "
            "at large snr; use population(...)."
        )
    v, T, A = span_coordinates(model, statistics, None)
    means = np.array(law.coefficients) @ A
    total = 0.0
    sided = {"WW": sorted({chosen.i, chosen.j}), "vW": [chosen.j], "vv": []}[chosen.form]
    for c, p in enumerate(np.asarray(law.weights)):
        s, labels = T @ means[c], _labels_at_mean(model, c, A @ means[c])
        sigma = float(law.deviations[c])
        for probability, point in _sides(model, s, sigma, T @ T.T, sided):
            total = total + p * probability * _term(model, chosen, kind, v, point, labels, means[c])
    inner = np.asarray(total)
    exact = SmallMatrices(np.zeros((1, *inner.shape)), np.zeros(1), np.zeros(1))
    return PopulationMatrix(chosen, kind, inner, np.zeros(()), T, A, exact)


def _term(
    model: MultiIndexModel,
    block: Block,
    kind: Kind,
    v: np.ndarray,
    s: np.ndarray,
    labels: Array,
    mean: np.ndarray,
) -> np.ndarray:
    """What samples at one point add to a block, averaged over labels of equal weight."""
    at, i, j = (jnp.asarray(v), jnp.asarray(s)), block.i, block.j
    if block.form == "WW":
        D = jax.vmap(lambda y: first_layer_weight(model, *at, y, i, j, kind))(labels)
        return float(D.mean()) * np.outer(mean, mean)
    if block.form == "vW":
        a = jax.vmap(lambda y: mixed_weight(model, *at, y, j, kind))(labels)
        return np.outer(np.asarray(a.mean(0)), mean)
    second = jax.vmap(lambda y: second_layer_weight(model, *at, y, kind))(labels)
    return np.asarray(second.mean(0))


def _labels_at_mean(model: MultiIndexModel, c: int, f: np.ndarray) -> Array:
    """Labels of a class at its mean, of equal weight: one, or one for each node of the noise."""
    law = model.data
    noise = np.zeros((1, 0))
    if law.label_noises:
        noise = sobol_normals(law.label_noises, _LOG2, 1, 0)[0].T
    at = jnp.broadcast_to(jnp.asarray(f), (len(noise), len(f)))
    return labels_of(dynamic(law), jnp.asarray(c), at, jnp.asarray(noise))


def _sides(
    model: MultiIndexModel, s: np.ndarray, sigma: float, gram: np.ndarray, neurons: list[int]
) -> list[tuple[float, np.ndarray]]:
    """Probability of every choice of sides for the neurons, with s moved to those sides."""
    covariance = gram[np.ix_(neurons, neurons)]
    kinks = sorted(model.network.kinks)
    if not kinks or not neurons:
        return [(1.0, s)]
    edges = [-np.inf, *kinks, np.inf]
    pieces = list(itertools.pairwise(edges))
    choices = []
    for chosen in itertools.product(pieces, repeat=len(neurons)):
        low, high = (np.array(x) for x in zip(*chosen, strict=True))
        below, above = (_in_deviations(edge - s[neurons], sigma) for edge in (low, high))
        probability = _probability(covariance, below, above)
        point = s.copy()
        point[neurons] = np.clip(s[neurons], low + _SIDE, high - _SIDE)
        choices.append((probability, point))
    return choices


def _in_deviations(distance: np.ndarray, sigma: float) -> np.ndarray:
    """Distance over sigma; without noise in the limit sigma -> 0, where only a zero stays."""
    if sigma > 0:
        return distance / sigma
    return np.where(np.abs(distance) < _SIDE, 0.0, np.copysign(np.inf, distance))


def _probability(covariance: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Of a centred Gaussian in a box; without variance on either side of an edge by halves."""
    moving = np.diagonal(covariance) > 0
    still = (np.sign(high[~moving]) - np.sign(low[~moving])) / 2
    probability = float(np.prod(still))
    if probability == 0 or not moving.any():
        return probability
    low, high, covariance = low[moving], high[moving], covariance[np.ix_(moving, moving)]
    if len(low) == 1:
        deviation = np.sqrt(covariance[0, 0])
        box = norm.cdf(high[0] / deviation) - norm.cdf(low[0] / deviation)
    else:
        law = multivariate_normal(cov=covariance, allow_singular=True)  # pyright: ignore[reportArgumentType]
        box = law.cdf(high, lower_limit=low)  # pyright: ignore[reportArgumentType]
    return probability * float(box)
