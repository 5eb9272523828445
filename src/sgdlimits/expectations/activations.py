"""Activations with what their Gaussian expectations need: derivatives, kinks, degree."""

import math
import weakref
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits.expectations.breaks import distinct, find_breaks
from sgdlimits.expectations.sampled import sampled

Elementwise = Callable[[Array], Array]
_SQUARE = (0.0, 0.0, 1.0)


class AbstractActivation(eqx.Module):
    """sigma, applied entry by entry, and its derivatives."""

    @abstractmethod
    def __call__(self, s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """sigma(s)."""

    @abstractmethod
    def slope(self, s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """sigma'(s)."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names under which ``expectations.pairs`` may know closed forms, most special first."""
        return ()

    @property
    def kinks(self) -> tuple[float, ...]:
        """Where sigma is not smooth."""
        return ()

    @property
    def degree(self) -> int | None:
        """Degree of a polynomial; None for anything else."""
        return None


class Erf(AbstractActivation):
    """sigma(s) = erf(s/sqrt(2))."""

    def __call__(self, s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """erf(s/sqrt(2))."""
        return jax.scipy.special.erf(s * math.sqrt(0.5))

    def slope(self, s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """sqrt(2/pi) exp(-s^2/2)."""
        return math.sqrt(2 / math.pi) * jnp.exp(-0.5 * s * s)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Erf."""
        return ("erf",)


class Relu(AbstractActivation):
    """sigma(s) = max(s, 0)."""

    def __call__(self, s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """max(s, 0)."""
        return jnp.maximum(s, 0)

    def slope(self, s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """1 for s > 0, else 0."""
        return (s > 0).astype(s.dtype)

    @property
    def kinds(self) -> tuple[str, ...]:
        """ReLU."""
        return ("relu",)

    @property
    def kinks(self) -> tuple[float, ...]:
        """The origin."""
        return (0.0,)


class Polynomial(AbstractActivation):
    """sigma(s) = sum_n c_n s^n.

    Args:
        coefficients: c_0, c_1, ..., by increasing power.

    Raises:
        ValueError: if there is none, or one is not finite.
    """

    coefficients: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, coefficients: Sequence[float]):
        self.coefficients = _row("coefficients", coefficients)

    def __call__(self, s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Horner's rule."""
        return _horner(self.coefficients, s)

    def slope(self, s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """sum_n n c_n s^(n-1)."""
        return _horner(self.derivative.coefficients, s)

    @property
    def derivative(self) -> "Polynomial":
        """The polynomial sigma'."""
        return Polynomial([n * c for n, c in enumerate(self.coefficients)][1:] or [0.0])

    @property
    def kinds(self) -> tuple[str, ...]:
        """Polynomial, and square for s^2."""
        return ("square", "polynomial") if self.coefficients == _SQUARE else ("polynomial",)

    @property
    def degree(self) -> int:
        """Highest power with a coefficient."""
        powers = [n for n, c in enumerate(self.coefficients) if c != 0]
        return max(powers, default=0)


class Hermite(Polynomial):
    """sigma(s) = sum_j c_j h_j(s), h_j = He_j/sqrt(j!) orthonormal under N(0, 1).

    Args:
        series: c_0, c_1, ...

    Raises:
        ValueError: if there is none, or one is not finite.
    """

    series: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, series: Sequence[float]):
        self.series = _row("series", series)
        scaled = [c / math.sqrt(math.factorial(j)) for j, c in enumerate(self.series)]
        self.coefficients = tuple(map(float, np.polynomial.hermite_e.herme2poly(scaled)))


class Activation(AbstractActivation):
    """Any function of one variable, written in JAX.

    Args:
        function: elementwise, differentiable by JAX.
        kinks: where it, or its derivative, jumps, beside where that is found by looking.

    Raises:
        TypeError: if ``function`` is not callable.
        ValueError: if JAX cannot trace it, or it is not elementwise.
    """

    function: Elementwise = eqx.field(static=True)
    at: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, function: Elementwise, kinks: Sequence[float] = ()):
        if not callable(function):
            raise TypeError(f"function={function!r}: expected a function of one variable.")
        try:
            weakref.ref(function)  # which JAX keeps; it does not survive that there is none
            shape = jax.eval_shape(function, jax.ShapeDtypeStruct((2,), float)).shape
        except Exception as error:
            raise ValueError(
                f"function={function!r}: expected an elementwise function written in JAX, such as "
                f"jax.numpy.tanh; it failed: {str(error).splitlines()[0]}"
            ) from error
        if shape != (2,):
            raise ValueError(f"function={function!r}: turns shape (2,) into {shape}.")
        self.function = function
        self.at = tuple(_validate.number("kinks", x) for x in _validate.listed("kinks", kinks))

    def __call__(self, s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The function."""
        return self.function(s)

    def slope(self, s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Its derivative by forward differentiation."""
        return jax.jvp(self.function, (s,), (jnp.ones_like(s),))[1]

    @property
    def kinks(self) -> tuple[float, ...]:
        """As found and as declared, ascending."""
        return _kinks(self)


@lru_cache(maxsize=256)
def _kinks(activation: Activation) -> tuple[float, ...]:
    both = sampled(lambda x: jnp.stack([activation(x), activation.slope(x)]))
    found = find_breaks(both)
    return distinct(np.array([*activation.at, *found]))


_NAMED: dict[str, Callable[[], AbstractActivation]] = {
    "erf": Erf,
    "relu": Relu,
    "square": lambda: Polynomial(_SQUARE),
}


def as_activation(name: str, value: object) -> AbstractActivation:
    """An activation from its name, from a function, or as it is.

    Raises:
        ValueError: for an unknown name.
        TypeError: for anything else.
    """
    if isinstance(value, AbstractActivation):
        return value
    if isinstance(value, str) and value in _NAMED:
        return _NAMED[value]()
    if not callable(value):
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(
            f"{name}={value!r}: expected {', '.join(map(repr, _NAMED))}, Hermite, Polynomial, "
            "Activation or a function of one variable."
        )
    with _validate.renamed("function", name):
        return Activation(cast(Elementwise, value))


def hermite_coefficients(activation: AbstractActivation, count: int) -> np.ndarray:
    """c_j = E[sigma(z) h_j(z)], z ~ N(0, 1), for j < ``count``; by quadrature split at kinks."""
    edges = np.unique(np.concatenate([[-14.0, 14.0], np.linspace(-9, 9, 13), activation.kinks]))
    t, w = np.polynomial.legendre.leggauss(40)
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half * (t + 1)).ravel()
    weight = (half * w).ravel() * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    value = weight * np.asarray(activation(jnp.asarray(z)))
    basis = np.polynomial.hermite_e.hermevander(z, count - 1)
    scale = np.sqrt([float(math.factorial(j)) for j in range(count)])
    return value @ basis / scale


def _horner(coefficients: tuple[float, ...], s: Array) -> Array:
    total = jnp.full_like(s, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * s + c
    return total


def _row(name: str, value: Sequence[float]) -> tuple[float, ...]:
    array = _validate.reals(name, value)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name}={value!r}: expected a list of finite numbers.")
    return tuple(float(x) for x in array)
