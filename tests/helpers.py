"""Statistics of tests: standard errors, thresholds with a stated false-alarm rate, laws."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

#: Probability that a correct program fails one statistical test (one test function, one case).
FALSE_ALARM = 1e-3
_ROUNDING = 1e-14


def z_limit(comparisons: int, rate: float = FALSE_ALARM) -> float:
    """|z| that one of so many standard normals exceeds with at most this probability."""
    return float(stats.norm.isf(rate / comparisons / 2))


def z_scores(samples: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """(mean over the first axis - expected) / standard error; 0 for an exact constant."""
    error = samples.mean(0) - expected
    standard_error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    rounding = 1e-9 * np.maximum(np.abs(expected), np.abs(samples).max(0)) + 1e-300
    return np.where(np.abs(error) <= rounding, 0.0, error / np.maximum(standard_error, rounding))


def moment_z_scores(samples: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """z-scores of all first and second moments; samples (draws, statistics).

    Products about the exact mean have exactly the covariance as mean, so their own spread gives
    the standard error whatever the law. Increments below 1e-14 are rounding: a constrained
    statistic rests, and its moments must then be 0.
    """
    samples = np.where(np.abs(samples) < _ROUNDING, 0.0, samples)
    centred = samples - mean
    rows, columns = np.triu_indices(samples.shape[1])
    products = centred[:, rows] * centred[:, columns]
    return np.concatenate([z_scores(samples, mean), z_scores(products, covariance[rows, columns])])


def two_sample_p_values(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Kolmogorov-Smirnov p-values of several functionals; arrays (runs, functionals).

    Values are compared to five digits: laws may have atoms (a ReLU neuron that a sample does not
    reach), which single precision moves by 1e-7.
    """
    both = np.abs(np.concatenate([one, other]))
    size = np.median(np.where(np.isfinite(both), both, 0), axis=0)
    grid = 1e-5 * np.maximum(size, np.median(size)) + 1e-300
    with np.errstate(over="ignore"):  # a run about to blow up is as good as infinite
        one, other = (np.round(x / grid) for x in (one, other))
    with warnings.catch_warnings():
        # With many ties SciPy may take the asymptotic law, which 1024 runs allow.
        warnings.filterwarnings("ignore", "ks_2samp: Exact calculation", RuntimeWarning)
        pairs = zip(one.T, other.T, strict=True)
        return np.array([stats.ks_2samp(x, y).pvalue for x, y in pairs])


def same_law(one: np.ndarray, other: np.ndarray, rate: float = FALSE_ALARM) -> bool:
    """Whether no functional tells the two apart; false alarm at most ``rate`` (Bonferroni)."""
    return bool(two_sample_p_values(one, other).min() > rate / one.shape[1])


def random_rotation(dim: int, seed: int) -> jax.Array:
    """A Haar-distributed orthogonal matrix."""
    return jnp.asarray(stats.ortho_group.rvs(dim, random_state=seed)) if dim > 1 else jnp.eye(1)


@eqx.filter_jit
def one_step_statistics(model, sgd, u, frame, keys, literal):
    """Statistics after one real step from vectors with statistics ``u``, one per key."""

    def one(key):
        key_lift, key_step = jax.random.split(key)
        parameters = model.lift(key_lift, u, frame)
        moved = model.sgd_step(parameters, frame, key_step, sgd, literal=literal)
        return model.statistics(moved, frame).vector

    return jax.lax.map(one, keys, batch_size=256)


def functionals(dataset, names) -> np.ndarray:
    """(runs, functionals): every statistic at the last two records, their sum and increments."""
    values = np.concatenate(
        [np.asarray(dataset[name]).reshape(*dataset[name].shape[:2], -1) for name in names], axis=2
    )
    last, before = values[:, -1], values[:, -2]
    result = np.concatenate([last, before, last - before, last.sum(1, keepdims=True)], axis=1)
    # A run that blew up is beyond every other: NaN would be beside all of them.
    return np.nan_to_num(result, nan=np.inf, posinf=np.inf, neginf=np.inf)
