"""The data law of teacher-student problems: Gaussian inputs, labels from a few projections."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Key
from numpy.typing import ArrayLike

from sgdlimits._shown import in_one_line
from sgdlimits.data.base import AbstractDataLaw, Matrix
from sgdlimits.data.blocks import Blocks, blocks_of
from sgdlimits.data.spectrum import Spectrum
from sgdlimits.expectations.small_linalg import cholesky
from sgdlimits.provenance import left_out

#: (f, z) -> label of one sample: projections f = F X (directions,), z ~ N(0, 1) a scalar.
LabelFunction = Callable[[Array, Array], Array]


class Teacher(AbstractDataLaw):
    """X ~ N(0, Sigma), label y = label(f, z) with f = F X and z ~ N(0, 1): any teacher, any noise.

    Args:
        label: (f, z) -> a number or a vector, written for one sample in JAX; f has shape
            (directions,), z is a scalar. ``lambda f, z: jnp.sign(f[0] + 0.5 * z)`` has noisy signs.
        gram: G = F Fᵀ of the teacher's rows, symmetric positive definite; default: one row of
            norm 1. With a covariance they are spread evenly over its blocks; or (blocks, r, r), one
            Gram matrix per block.
        covariance: eigenvalues of Sigma; default: the identity.
        hidden: covariance (r, r) of a Gaussian part of f that X does not contain, which the label
            alone sees: misfit, random features, hidden manifolds. It may be singular; default:
            none.

    Raises:
        TypeError, ValueError: for a label that is no function of (f, z), or a bad Gram matrix,
            covariance or hidden part.

    Source: Gardner and Derrida (1989); Saad and Solla (1995). Exact.
    """

    label_function: LabelFunction
    gram: Matrix = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    scalar: bool = eqx.field(static=True)
    blocks: Blocks | None = eqx.field(metadata=left_out(lambda blocks: blocks is None))
    hidden: Matrix | None = eqx.field(static=True, metadata=left_out(lambda hidden: hidden is None))

    draws_classes: ClassVar = False

    def __init__(
        self,
        label: LabelFunction,
        *,
        gram: ArrayLike | Matrix | None = None,
        covariance: Spectrum | None = None,
        hidden: ArrayLike | Matrix | None = None,
    ):
        if not callable(label):
            raise TypeError(f"label={label!r}: expected a function (f, z) -> label.")
        self.label_function = label
        self.gram, self.blocks = blocks_of(covariance, gram, None, classes=1)
        self.hidden = None if hidden is None else _hidden(hidden, len(self.gram))
        shape = _label_shape(label, len(self.gram))
        if len(shape) > 1:
            raise ValueError(f"label: gives shape {shape} for one sample, expected () or (n,).")
        self.scalar = shape == ()
        self.outputs = math.prod(shape)

    def facts(self) -> dict[str, str]:
        """The label's name and the number of directions."""
        count = f"{self.directions} direction{'s' * (self.directions > 1)}"
        return {"teacher": f"{_name(self.label_function)} of {count}", **super().facts()}

    @in_one_line
    def __repr__(self) -> str:
        """The label's name and the number of directions."""
        return f"{type(self).__name__}({self.facts()['teacher']})"

    @property
    def coefficients(self) -> Matrix:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One class, at the origin."""
        return ((0.0,) * self.directions,)

    @property
    def noiseless(self) -> tuple[bool, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Inputs have noise."""
        return (False,)

    @property
    def label_noises(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """z, and one for every row that has a hidden part."""
        return 1 if self.hidden is None else 1 + self.directions

    @property
    def labels_see_fields(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """They are functions of f and z."""
        return True

    @property
    def deviations(self) -> Float[Array, " classes"]:
        """1."""
        return jnp.ones(1)

    @property
    def weights(self) -> Float[Array, " classes"]:
        """1."""
        return jnp.ones(1)

    def label(
        self, c: Integer[Array, ""], f: Float[Array, " directions"], z: Float[Array, " noises"]
    ) -> Float[Array, " outputs"]:
        """The teacher's."""
        if self.hidden is not None:
            f = f + cholesky(jnp.asarray(self.hidden)).astype(f.dtype) @ z[1:]
        y = jnp.asarray(self.label_function(f, z[0]))
        return y[None] if self.scalar else y

    # -- covariance ----------------------------------------------------------------------------

    @property
    def covariance(self) -> Spectrum | None:
        """Eigenvalues; None: 1."""
        return None if self.blocks is None else self.blocks.spectrum

    def in_blocks(self) -> Blocks | None:
        """Of the covariance."""
        return self.blocks

    def total(self) -> "Teacher":
        """Isotropic inputs with the same fields f = F X.

        Raises:
            ValueError: where a field has no variance.
        """
        if self.blocks is None:
            return self
        eigenvalues = np.asarray(self.blocks.spectrum.eigenvalues[0])
        gram = np.tensordot(eigenvalues, np.asarray(self.blocks.gram), axes=1)
        try:
            return Teacher(self.label_function, gram=gram, hidden=self.hidden)
        except ValueError as error:
            raise ValueError(
                f"covariance: the covariance of f = F X is {gram.tolist()}; the label must see "
                "directions along which inputs vary."
            ) from error

    def sample(
        self, key: Key[Array, ""], frame: Float[Array, "directions dim"], dtype: Any
    ) -> tuple[Float[Array, " dim"], Float[Array, " outputs"]]:
        """One sample (X, y) in R^dim."""
        key_x, key_z = jax.random.split(key)
        x = self._coloured(jax.random.normal(key_x, frame.shape[1:], dtype), 0)
        # Both the preactivations and the update need x: without the barrier it is drawn twice.
        x = jax.lax.optimization_barrier(x)
        z = jax.random.normal(key_z, (self.label_noises,), dtype)
        return x, self.label(jnp.zeros((), int), frame @ x, z).astype(dtype)


def _hidden(value: Any, directions: int) -> Matrix:
    matrix = np.atleast_2d(np.asarray(value, dtype=float))
    shape = (directions, directions)
    if matrix.shape != shape or not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
        raise ValueError(
            f"hidden has shape {matrix.shape}: expected a finite, symmetric matrix {shape}, one "
            "row for each of the teacher's."
        )
    least = np.linalg.eigvalsh(matrix)[0]
    if least < -1e-10 * np.trace(np.abs(matrix)):
        raise ValueError(f"hidden: eigenvalue {least:.3g}; expected a covariance, none below 0.")
    return tuple(tuple(float(x) for x in row) for row in matrix)


def _label_shape(label: LabelFunction, directions: int) -> tuple[int, ...]:
    f, z = jax.ShapeDtypeStruct((directions,), float), jax.ShapeDtypeStruct((), float)
    try:
        return jax.eval_shape(lambda f, z: jnp.asarray(label(f, z), float), f, z).shape
    except Exception as error:
        raise ValueError(
            f"label: failed at f of shape ({directions},) and a scalar z (it must be written in "
            f"JAX): {error}"
        ) from error


def _name(function: LabelFunction) -> str:
    return getattr(function, "__name__", type(function).__name__)
