"""SGD on the samples of a table, beside SGD on samples of the law that is estimated from them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.models.sample_gradient import Seen


class Table(NamedTuple):
    """Samples and labels."""

    X: Float[np.ndarray, "samples features"]
    y: Float[np.ndarray, " samples"]


def load(name: str) -> Table:
    """``digits``, ``breast_cancer`` or ``diabetes`` of scikit-learn, which come with it.

    Columns that never change are left out; the inputs are divided by one number, so that the mean
    of their variances is 1.

    Raises:
        ModuleNotFoundError: without scikit-learn.
    """
    try:
        from sklearn import datasets  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "this figure takes its data from scikit-learn: pip install 'sgdlimits[data]'."
        ) from error
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    moves = X.std(0) > 0
    X = X[:, moves]
    return Table(X / np.sqrt(X.var(0).mean()), np.asarray(y, dtype=float))


class Runs(NamedTuple):
    """Risks (runs, times) over all samples of the table."""

    times: Float[np.ndarray, " times"]
    risk: Float[np.ndarray, "runs times"]


def on_samples(
    model: Any,
    rows: Float[np.ndarray, "width features"],
    X: Float[np.ndarray, "samples features"],
    labels: Float[np.ndarray, "samples outputs"],
    step: float,
    time: float,
    runs: int,
    seed: int,
    recorded: int = 24,
) -> Runs:
    """Real SGD of a model from given rows; samples are drawn from the table, with repetition."""
    dim, count = X.shape[1], len(X)
    between = max(1, round(time * dim / step / recorded))
    x_all, y_all = jnp.asarray(X), jnp.asarray(labels)

    def risk(W: Array) -> Array:
        loss = jax.vmap(lambda x, y: model.base.sample_loss(jnp.zeros(0), W @ x, y))
        return jnp.mean(loss(x_all, y_all))

    def one(W: Array, i: Array) -> tuple[Array, None]:
        x = x_all[i]
        found = model.gradient(jnp.zeros(0), Seen(W @ x, y_all[i]))
        return W - step / dim * (found.pull * W + found.g[:, None] * x), None

    def chunk(W: Array, key: Array) -> tuple[Array, Array]:
        W, _ = jax.lax.scan(one, W, jax.random.randint(key, (between,), 0, count))
        return W, risk(W)

    @jax.jit
    def run(key: Array) -> Array:
        start = jnp.asarray(rows)
        _, later = jax.lax.scan(chunk, start, jax.random.split(key, recorded))
        return jnp.concatenate([risk(start)[None], later])

    keys = jax.random.split(jax.random.key(seed), runs)
    found = np.stack([np.asarray(run(key)) for key in keys])
    return Runs(np.arange(recorded + 1) * between * step / dim, found)
