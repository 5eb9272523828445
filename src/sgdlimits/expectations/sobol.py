"""Scrambled Sobol points and their normal quantiles, kept as long as one problem asks for them."""

from functools import lru_cache

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc


@lru_cache(maxsize=4)
def sobol_points(dim: int, log2_nodes: int, replicates: int, seed: int) -> np.ndarray:
    """Independent scrambles in the open unit cube, shape (replicates, dim, nodes)."""
    sets = [
        qmc.Sobol(dim, rng=np.random.default_rng([seed, r])).random_base2(log2_nodes).T
        for r in range(replicates)
    ]
    # Sobol points may hit 0, where the normal quantile is infinite.
    return np.clip(np.stack(sets), 1e-12, 1 - 1e-12)


@lru_cache(maxsize=4)
def sobol_normals(dim: int, log2_nodes: int, replicates: int, seed: int) -> np.ndarray:
    """Standard normal nodes of equal weight, shape (replicates, dim, nodes)."""
    # Not through the cache of the points: who wants normals has no use for those.
    return ndtri(sobol_points.__wrapped__(dim, log2_nodes, replicates, seed))
