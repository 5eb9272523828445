"""Nodes that stand for a sample as its weight sees it: fields, label noise, and the label there.

A weight depends on s = W X and on the label. Labels that are a class's own leave s alone; labels
that are functions of f = F X and of noise make the fields (f, s), beside the noise. Rows of the
fields are always in this order, so that the neurons come last.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer
from scipy.linalg import block_diag

from sgdlimits._tracing import dynamic
from sgdlimits.data.base import AbstractDataLaw
from sgdlimits.expectations.rules import AbstractRule, QuasiMonteCarlo, rule_for
from sgdlimits.models.class_nodes import factors, field_count
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.flat_nodes import flat_nodes
from sgdlimits.statistics.overlaps import Statistics

_LOG2 = 12  # Sobol points of a scramble, where the model's rule does not fit
# Nodes of noise that the model's own rule leaves to a formula. Exact to degree 5: the squares of a
# squared loss's weights have degree 4.
_HERMITE = 3


class LabelledNodes(NamedTuple):
    """Nodes of one class, one a row; label noise is averaged over, and has no coordinates."""

    z: Float[Array, "nodes fields"]  # standard normals behind the fields
    weight: Float[Array, " nodes"]
    s: Float[Array, "nodes neurons"]
    labels: Float[Array, "nodes outputs"]


def seen_rows(
    law: AbstractDataLaw, neurons: Float[np.ndarray, "p n"], frame: Float[np.ndarray, "r n"]
) -> Float[np.ndarray, "fields n"]:
    """The rows through which a weight sees a sample, in any coordinates."""
    return np.concatenate([frame, neurons]) if law.labels_see_fields else neurons


def fields_of(
    law: AbstractDataLaw, u: Statistics
) -> tuple[Float[Array, "classes fields"], Float[Array, "fields fields"]]:
    """Means of the fields in every class, and lower triangular factor of their covariance."""
    of, a = factors(law, u), jnp.asarray(law.coefficients)
    s = a @ u.M.T
    if not law.labels_see_fields:
        return s, of.s
    rows = jnp.concatenate([of.f, of.s])[:, : field_count(law, len(u.M))]
    return jnp.concatenate([a @ jnp.asarray(law.gram), s], axis=1), rows


@eqx.filter_jit
def labels_of(
    law: AbstractDataLaw,
    c: Integer[Array, ""],
    f: Float[Array, "samples directions"],
    noise: Float[Array, "samples noises"],
) -> Float[Array, "samples outputs"]:
    """Labels of samples of class ``c``."""
    return jax.vmap(law.label, in_axes=(None, 0, 0))(c, f, noise)


def labelled_nodes(
    model: MultiIndexModel,
    c: int,
    mean: Float[np.ndarray, " fields"],
    factor: Float[np.ndarray, "fields fields"],
) -> LabelledNodes:
    """Nodes of class ``c`` for fields mean + factor z.

    Args:
        model: whose labels, and whose rule.
        c: the class; with noise.
        mean, factor: of the fields; some neurons may have been left out.
    """
    law, count = model.data, len(mean)
    directions = law.directions if law.labels_see_fields else 0
    rule, apart = _rule(model, count)
    if rule is None:
        z, weight, noise = jnp.zeros((1, 0)), jnp.ones(1), jnp.zeros((1, law.label_noises))
    elif apart:
        z, weight = flat_nodes(rule, mean, factor, model.kinks)
        z, weight, noise = _with_noise(z, weight, law.label_noises)
    else:
        noises = law.label_noises
        mean_of_all = np.append(mean, np.zeros(noises))
        of_all = np.asarray(block_diag(factor, np.eye(noises)))
        z, weight = flat_nodes(rule, mean_of_all, of_all, model.kinks)
        z, noise = z[:, :count], z[:, count:]
    fields = jnp.asarray(mean) + z @ jnp.asarray(factor).T
    seen = fields[:, :directions] if directions else jnp.zeros((len(z), law.directions))
    labels = labels_of(dynamic(law), jnp.asarray(c), seen, noise)
    return LabelledNodes(z, weight, fields[:, directions:], labels)


def _rule(model: MultiIndexModel, count: int) -> tuple[AbstractRule | None, bool]:
    """Rule for ``count`` fields, and whether it leaves out the label noise; None: for no field.

    The model's own where it fits. One that leaves out the noise belongs to a model that knows its
    moments by formula, such as a committee, whose loss is a polynomial of the noise.
    """
    law = model.data
    fields, own = field_count(law, model.width), getattr(model.rule, "dim", None)
    apart = law.label_noises > 0 and own == fields
    dim = count if apart else count + law.label_noises
    if dim == 0:
        return None, False
    if count == fields and own in (dim, None):
        return model.rule, apart
    if law.labels_see_fields and isinstance(model.rule, QuasiMonteCarlo):
        return QuasiMonteCarlo(dim, _LOG2), apart  # nobody knows where labels jump
    return rule_for(dim, kinks=model.kinks), apart


def _with_noise(z: Array, weight: Array, noises: int) -> tuple[Array, Array, Array]:
    """Every node at every node of the noise: z, weight, noise."""
    x, share = np.polynomial.hermite_e.hermegauss(_HERMITE)
    grid = np.stack(np.meshgrid(*[x] * noises, indexing="ij"), -1).reshape(-1, noises)
    of_grid = np.ones(1)
    for _ in range(noises):
        of_grid = np.outer(of_grid, share / share.sum()).ravel()
    noise = jnp.tile(jnp.asarray(grid), (len(z), 1))
    both = jnp.outer(weight, jnp.asarray(of_grid)).ravel()
    return jnp.repeat(z, len(grid), axis=0), both, noise
