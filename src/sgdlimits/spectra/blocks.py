"""Blocks of Hessian and gradient matrix, and what one sample adds to them, by autodiff.

The loss of a sample depends on X through s = W X alone, so with g = dl/ds and h = dl/dv its
Hessian and its gradient's second moment are, block by block,

    W_i W_j:  D X Xᵀ,  D = d2l/ds_i ds_j   or  g_i g_j       (D is one number per sample)
    v W_j:    a Xᵀ,    a = d2l/dv ds_j     or  h g_j
    v v:               d2l/dv dv           or  h hᵀ.

Second derivatives are those of the sample, which exist almost surely for kinked activations: the
point mass of ReLU's second derivative is never hit (see ``kink_surface`` for what it does to the
population loss). The ridge is left out, as in the papers: it adds ridge * I to the Hessian.
"""

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.models.base import AbstractModel, check_model
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.statistics.overlaps import Parameters, Statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["hessian", "gradient"]
KINDS: tuple[Kind, ...] = ("hessian", "gradient")


class Block(NamedTuple):
    """One block, its neurons counted from 0; -1 where it has none."""

    form: Literal["WW", "vv", "vW", "W", "all"]
    i: int = -1
    j: int = -1

    @property
    def name(self) -> str:
        """As the papers write it, neurons counted from 1: "W1W2", "vv", "vW3", "W", "all"."""
        if self.form == "WW":
            return f"W{self.i + 1}W{self.j + 1}"
        return f"vW{self.j + 1}" if self.form == "vW" else self.form


#: How a block is asked for: (i, j) for W_i W_j, "vv", ("v", j), "W" (all neurons), "all".
BlockLike = tuple[int, int] | tuple[str, int] | str | Block


def check_multi_index(model: object) -> MultiIndexModel:
    """Return ``model`` if it is a network of a few preactivations: those have these matrices."""
    check_model(model)
    cast(AbstractModel, model).check_capability("spectra")
    if not cast(AbstractModel, model).has_curvature:
        raise TypeError(
            f"model={model!r}: expected a MultiIndexModel, such as k_gmm(3) or committee()."
        )
    return cast(MultiIndexModel, model)


def check_kind(kind: object) -> Kind:
    """Return ``kind`` if it names a matrix, or raise."""
    return _validate.one_of("kind", kind, KINDS)  # type: ignore[return-value]


def check_block_name(name: str, block: object) -> None:
    """Raise TypeError or ValueError for what no model has for a block; sizes are not looked at."""
    if isinstance(block, Block) or block in ("vv", "all", "W"):
        return
    if not isinstance(block, tuple) or len(block) != 2:
        raise ValueError(
            f"{name}: {block!r} is none; expected (i, j), 'vv', ('v', j), 'W' or 'all'."
        )
    for part in block if block[0] != "v" else block[1:]:
        _validate.integer(name, part, 0)


def parse_block(model: MultiIndexModel, block: object) -> Block:
    """The block of this model that ``block`` names.

    Raises:
        ValueError: for a block that the model does not have.
    """
    if isinstance(block, Block):
        return block
    width, layer = model.width, model.layer_size
    if block in ("vv", "all", "W"):
        if block == "vv" and layer == 0:
            raise ValueError("block='vv': the network has no second layer that is trained.")
        return Block(block)  # type: ignore[arg-type]
    if isinstance(block, tuple) and len(block) == 2:
        first, second = block
        j = _validate.integer("block", second, 0, width - 1)
        if first == "v":
            if layer == 0:
                raise ValueError(
                    f"block={block!r}: the network has no second layer that is trained."
                )
            return Block("vW", j=j)
        return Block("WW", _validate.integer("block", first, 0, width - 1), j)
    raise ValueError(
        f"block={block!r}: expected (i, j) for W_i W_j, 'vv', ('v', j), 'W' or 'all', neurons "
        f"counted from 0 to {width - 1}."
    )


def block_shape(model: MultiIndexModel, block: Block, dim: int) -> tuple[int, int]:
    """Rows and columns of the block at a dimension of the data."""
    layer, weights = model.layer_size, model.width * dim
    return {
        "WW": (dim, dim), "vv": (layer, layer), "vW": (layer, dim), "W": (weights, weights),
        "all": (layer + weights, layer + weights),
    }[block.form]  # fmt: skip


# -- one sample ------------------------------------------------------------------------------------


def first_layer_weight(
    model: MultiIndexModel, v: Array, s: Array, label: Array, i: Any, j: Any, kind: Kind
) -> Float[Array, ""]:
    """D of W_i W_j for one sample; the neurons may be traced."""
    if kind == "gradient":
        g, _ = model.sample_gradients(v, s, label)
        return g[i] * g[j]
    direction = (jnp.arange(s.shape[0]) == j).astype(s.dtype)
    return jax.jvp(lambda s: model.sample_gradients(v, s, label)[0], (s,), (direction,))[1][i]


def mixed_weight(
    model: MultiIndexModel, v: Array, s: Array, label: Array, j: Any, kind: Kind
) -> Float[Array, " layer"]:
    """The vector a of v W_j for one sample."""
    g, h = model.sample_gradients(v, s, label)
    if kind == "gradient":
        return h * g[j]
    direction = (jnp.arange(s.shape[0]) == j).astype(s.dtype)
    return jax.jvp(lambda s: model.sample_gradients(v, s, label)[1], (s,), (direction,))[1]


def second_layer_weight(
    model: MultiIndexModel, v: Array, s: Array, label: Array, kind: Kind
) -> Float[Array, "layer layer"]:
    """The v v block of one sample."""
    if kind == "gradient":
        _, h = model.sample_gradients(v, s, label)
        return h[:, None] * h
    return jax.hessian(model.sample_loss)(v, s, label)


# -- many samples ----------------------------------------------------------------------------------


@eqx.filter_jit
def _first_layer(model, v, s, labels, pairs, kind):
    one = lambda s, y, pair: first_layer_weight(model, v, s, y, pair[0], pair[1], kind)  # noqa: E731
    over_samples = jax.vmap(one, in_axes=(0, 0, None))
    return jax.vmap(over_samples, in_axes=(None, None, 0))(s, labels, (pairs[:, 0], pairs[:, 1]))


def first_layer_weights(
    model: MultiIndexModel,
    v: Float[Array, " layer"],
    s: Float[Array, "samples width"],
    labels: Float[Array, "samples outputs"],
    blocks: "Sequence[Block]",
    kind: Kind,
) -> np.ndarray:
    """D of every block W_i W_j (rows) and sample (columns)."""
    pairs: Integer[Array, "blocks 2"] = jnp.asarray([(b.i, b.j) for b in blocks])
    return np.asarray(_first_layer(dynamic(model), v, s, labels, pairs, kind))


@eqx.filter_jit
def first_layer_matrices(
    model: MultiIndexModel,
    v: Float[Array, " layer"],
    s: Float[Array, "samples width"],
    labels: Float[Array, "samples outputs"],
    kind: Kind,
) -> Float[Array, "samples width width"]:
    """D of all pairs of neurons and every sample."""

    def of_sample(s: Array, label: Array) -> Array:
        gradient = lambda s: model.sample_gradients(v, s, label)[0]  # noqa: E731
        if kind == "gradient":
            g = gradient(s)
            return g[:, None] * g
        return jax.jacfwd(gradient)(s)

    return jax.vmap(of_sample)(s, labels)


@eqx.filter_jit
def second_layer_weights(
    model: MultiIndexModel,
    v: Float[Array, " layer"],
    s: Float[Array, "samples width"],
    labels: Float[Array, "samples outputs"],
    kind: Kind,
) -> Float[Array, "samples layer layer"]:
    """d2l/dv2 or h hᵀ of every sample."""
    return jax.vmap(lambda s, y: second_layer_weight(model, v, s, y, kind))(s, labels)


def of_parameters(model: MultiIndexModel, parameters: object) -> Parameters:
    """Real parameters (v, W) in double precision, their shapes checked.

    Raises:
        TypeError, ValueError: unless they are one pair (v, W) that fits the model.
    """
    try:
        v, W = parameters  # type: ignore[misc]
        v, W = (jnp.asarray(x, float) for x in (v, W))
    except (TypeError, ValueError) as error:
        raise TypeError("parameters: expected Parameters(v, W), as lift gives them.") from error
    shape, width, layer = W.shape, model.width, model.layer_size
    if v.shape != (layer,) or len(shape) != 2 or shape[0] != width:
        raise ValueError(
            f"parameters: v and W have shapes {v.shape} and {shape}, expected ({layer},) and "
            f"({width}, dim) without a run axis."
        )
    if not (np.isfinite(np.asarray(v)).all() and np.isfinite(np.asarray(W)).all()):
        raise ValueError("parameters: v and W must be finite.")
    return Parameters(v, W)


def of_statistics(model: MultiIndexModel, statistics: object) -> Statistics:
    """One state of statistics, checked.

    Raises:
        TypeError, ValueError: unless it is one state that real vectors can have.
    """
    model.check_statistics(statistics)  # type: ignore[arg-type]
    assert isinstance(statistics, Statistics)
    if statistics.batch_shape != ():
        raise ValueError(
            f"statistics have batch shape {statistics.batch_shape}: expected one state."
        )
    return statistics
