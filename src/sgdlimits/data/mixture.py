"""The data law of classification problems: a Gaussian mixture with labelled classes."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer
from numpy.typing import ArrayLike

from sgdlimits import _validate
from sgdlimits._shown import in_one_line, number
from sgdlimits.data.base import AbstractDataLaw, Matrix
from sgdlimits.data.blocks import Blocks, blocks_of
from sgdlimits.data.spectrum import Spectrum
from sgdlimits.provenance import left_out

#: (class, f, z) -> label of one sample: f = F X (directions,), z ~ N(0, 1) a scalar.
MixtureLabel = Callable[[Array, Array, Array], Array]


def _matrix(name: str, value: object) -> Matrix:
    array = _validate.reals(name, value)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError(f"{name}: expected a finite matrix, got shape {array.shape}.")
    return tuple(tuple(float(x) for x in row) for row in array)


def _row(name: str, value: object, allow_infinite: bool = False) -> tuple[float, ...]:
    array = np.atleast_1d(_validate.reals(name, value))
    bad = np.isnan(array) if allow_infinite else ~np.isfinite(array)
    if array.ndim != 1 or bad.any():
        raise ValueError(f"{name}: expected a list of numbers, got {value!r}.")
    return tuple(float(x) for x in array)


def _snr(value: Any) -> tuple[float, ...]:
    """One number or one per class; placeholders of transformations, which are finite, pass."""
    items = value if isinstance(value, list | tuple) else [value]
    if any(map(_validate.is_placeholder, items)):
        return tuple(items)
    return _row("snr", value, allow_infinite=True)


def _infinite(value: float) -> bool:
    return not _validate.is_placeholder(value) and value == math.inf


def _table(labels: ArrayLike) -> Matrix:
    table = _validate.reals("labels", labels)
    if table.size == 0:
        raise ValueError(f"labels={labels!r}: expected one for each class.")
    return _matrix("labels", table[:, None] if table.ndim == 1 else table)


class GaussianMixture(AbstractDataLaw):
    """X = mu_c + Z, Z ~ N(0, Sigma_c/snr_c), class c with probability p_c, label y_c.

    The class means lie in the span of r linearly independent directions, the rows of the frame F:
    mu_c = Fᵀ a_c.

    Args:
        coefficients: a, shape (classes, directions).
        labels: what the loss is given for each class, shape (classes,) or (classes, outputs); or a
            function (class, f, z) -> label in JAX, of the sample's projections f = F X and a
            standard normal z.
        gram: G = F Fᵀ; default: orthonormal directions. Dependent means are coefficients over
            fewer directions. With a covariance they are spread evenly over its blocks; or
            (blocks, r, r), one Gram matrix per block.
        probabilities: default: equal.
        snr: lambda, one number or one per class; inf is the zero-noise limit.
        covariance: eigenvalues of Sigma, one set or one per class; default: the identity.

    Raises:
        ValueError: for shapes that disagree, probabilities that do not sum to 1, an snr that is
            not above 0, a Gram matrix that is not symmetric and positive definite, or snr = inf
            with a covariance.
    """

    coefficients: Matrix = eqx.field(static=True)
    labels: Matrix | MixtureLabel = eqx.field(static=True)
    gram: Matrix = eqx.field(static=True)
    probabilities: tuple[float, ...]
    snr: tuple[float, ...]
    noiseless: tuple[bool, ...] = eqx.field(static=True)  # classes with snr = inf
    outputs: int = eqx.field(static=True, metadata=left_out(lambda outputs: True))
    blocks: Blocks | None = eqx.field(metadata=left_out(lambda blocks: blocks is None))

    draws_classes: ClassVar = True
    has_snr: ClassVar = True

    def __init__(
        self,
        coefficients: ArrayLike,
        labels: ArrayLike | MixtureLabel,
        *,
        gram: ArrayLike | None = None,
        probabilities: ArrayLike | None = None,
        snr: ArrayLike = 1.0,
        covariance: Spectrum | None = None,
    ):
        self.coefficients = _matrix("coefficients", coefficients)
        classes, directions = np.shape(self.coefficients)
        self.gram, self.blocks = blocks_of(covariance, gram, directions, classes)
        self.labels = labels if callable(labels) else _table(labels)
        self.outputs = self._outputs(directions)
        equal = np.full(classes, 1 / classes)
        self.probabilities = _row(
            "probabilities", equal if probabilities is None else probabilities
        )
        row = _snr(snr)
        self.snr = row * classes if len(row) == 1 else row
        self._check(classes)
        self.noiseless = tuple(map(_infinite, self.snr))
        if covariance is not None and any(self.noiseless):
            raise ValueError(
                "snr=inf: without noise there is no covariance; leave one of them out."
            )

    def _check(self, classes: int) -> None:
        if not callable(self.labels) and len(self.labels) != classes:
            raise ValueError(f"labels: expected one per class ({classes}), got {len(self.labels)}.")
        p = np.array(self.probabilities)
        if p.shape != (classes,) or (p <= 0).any() or not math.isclose(p.sum(), 1, abs_tol=1e-9):
            raise ValueError(
                f"probabilities={self.probabilities!r}: expected {classes} numbers above 0 "
                "that sum to 1; leave out classes that do not occur."
            )
        if len(self.snr) != classes:
            raise ValueError(f"snr: expected one number, or one per class, got {len(self.snr)}.")
        for value in self.snr:
            if not _infinite(value):
                _validate.positive("snr", value)

    def _outputs(self, directions: int) -> int:
        if not callable(self.labels):
            return len(self.labels[0])
        c, z = jax.ShapeDtypeStruct((), int), jax.ShapeDtypeStruct((), float)
        f, function = jax.ShapeDtypeStruct((directions,), float), self.labels
        try:
            return jax.eval_shape(lambda *x: jnp.atleast_1d(function(*x)), c, f, z).size
        except Exception as error:
            raise ValueError(
                f"labels: failed at a class c, f of shape ({directions},) and a scalar z (it must "
                f"be written in JAX): {error}"
            ) from error

    def facts(self) -> dict[str, str]:
        """Classes, directions and snr."""
        each = sorted({float(x) for x in self.snr})
        several = f"{number(each[0])} to {number(each[-1])}"
        return {
            "classes": f"{len(self.coefficients)} in {self.directions} directions",
            "snr": number(each[0]) if len(each) == 1 else several,
            **super().facts(),
        }

    @in_one_line
    def __repr__(self) -> str:
        """Classes, directions and snr."""
        facts = self.facts()
        classes = facts["classes"].replace(" in", " classes in")
        return f"{type(self).__name__}({classes}, snr={facts['snr']})"

    def with_snr(self, snr: float) -> "GaussianMixture":
        """The same mixture with another snr, the same in every class."""
        covariance = self.covariance
        gram = self.gram if self.blocks is None else self.blocks.gram
        return self._with(snr=snr, gram=np.array(gram), covariance=covariance)

    def _with(self, **changed: Any) -> "GaussianMixture":
        return GaussianMixture(
            np.array(self.coefficients),
            self.labels if callable(self.labels) else np.array(self.labels),
            probabilities=np.array(self.probabilities),
            **changed,
        )

    def zero_noise(self) -> "GaussianMixture":
        """Every class at its mean; itself with a covariance, or labels that see the noise."""
        if self.labels_see_fields or self.blocks is not None:
            return self
        return self.with_snr(math.inf)

    # -- covariance ----------------------------------------------------------------------------

    @property
    def covariance(self) -> Spectrum | None:
        """Eigenvalues of Sigma; None: 1."""
        return None if self.blocks is None else self.blocks.spectrum

    def in_blocks(self) -> Blocks | None:
        """Of the covariance."""
        return self.blocks

    def total(self) -> "GaussianMixture":
        """The same mixture with isotropic noise."""
        if self.blocks is None:
            return self
        return self._with(snr=np.array(self.snr), gram=np.array(self.gram))

    # -- labels --------------------------------------------------------------------------------

    @property
    def labels_see_fields(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Only a function of them does."""
        return callable(self.labels)

    @property
    def label_noises(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One for a function, none for a table."""
        return int(callable(self.labels))

    def label(
        self, c: Integer[Array, ""], f: Float[Array, " directions"], z: Float[Array, " noises"]
    ) -> Float[Array, " outputs"]:
        """The class's, or what the function gives."""
        if callable(self.labels):
            return jnp.atleast_1d(jnp.asarray(self.labels(c, f, z[0]), f.dtype))
        return jnp.asarray(self.labels, f.dtype)[c]

    # -- classes -------------------------------------------------------------------------------

    @property
    def deviations(self) -> Float[Array, " classes"]:
        """Standard deviation of the noise of each class, snr^-1/2."""
        return 1 / jnp.sqrt(jnp.stack([jnp.asarray(x, float) for x in self.snr]))

    @property
    def weights(self) -> Float[Array, " classes"]:
        """Class probabilities."""
        return jnp.stack([jnp.asarray(x, float) for x in self.probabilities])
