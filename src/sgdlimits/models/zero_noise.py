"""The limit of zero noise (snr = inf) of a network with kinked activations.

Without noise a class is one point, s = M a. The drift then jumps where a preactivation crosses a
kink: on a *wall*, a hyperplane M_i . a = kink in the overlaps of one neuron. Where both sides push
towards the wall, the state slides along it (Filippov 1988): as the noise vanishes, the fraction of
samples on either side adjusts itself so that the state stays. XOR neurons of the wrong sign do that
at m_i = 0, so orthants are not invariant (Ben Arous et al. 2023, before Prop. 5.18, says they are).

The gradient in s_i may jump in s_i alone: any function of v and of activations of single neurons.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from sgdlimits.models.expectations import Expectations

LAYER = 1e-7  # closer than this to a wall is on it
_RELAXATION = 1.0  # rate at which a state in the layer returns to a wall it slides on
_SWEEPS = 4  # enough unless several walls of one neuron meet at correlated means
_JUST = 1e-14  # beside a kink by rounding


class Wall(NamedTuple):
    """A hyperplane M_i . normal = offset shared by some classes, with the side each looks from."""

    normal: np.ndarray
    offset: float
    kink: float
    classes: tuple[int, ...]
    sides: tuple[int, ...]


def walls(
    coefficients: np.ndarray, noiseless: tuple[bool, ...], kinks: tuple[float, ...]
) -> list[Wall]:
    """The distinct walls of the classes without noise; classes at ±mu share those of kink 0."""
    found: list[Wall] = []
    for c in np.flatnonzero(noiseless):
        norm = float(np.linalg.norm(coefficients[c]))
        if norm == 0:
            continue  # s = 0 whatever M is: no wall to cross
        for kink in kinks:
            normal, offset = coefficients[c] / norm, kink / norm
            for index, wall in enumerate(found):
                side = float(np.sign(normal @ wall.normal))
                same = np.allclose(normal, side * wall.normal, atol=1e-12)
                if same and np.isclose(offset, side * wall.offset, atol=1e-12):
                    found[index] = wall._replace(
                        classes=(*wall.classes, int(c)), sides=(*wall.sides, int(side))
                    )
                    break
            else:
                found.append(Wall(normal, offset, kink, (int(c),), (1,)))
    return found


class Points(NamedTuple):
    """The classes without noise, as a model sees them.

    ``gradient`` is (class, s) -> (dl/ds, dl/dv) at the model's present second layer.
    """

    gradient: Callable[[Array, Array], tuple[Array, Array]]
    coefficients: np.ndarray  # (classes, directions)
    weights: Float[Array, " classes"]  # zero for classes with noise
    gram: np.ndarray
    walls: list[Wall]

    @property
    def reach(self) -> np.ndarray:
        """f = F mu_c: projections of the class means on the frame, (classes, directions)."""
        return self.coefficients @ self.gram

    @property
    def _normals(self) -> np.ndarray:
        return np.array([wall.normal for wall in self.walls]).reshape(-1, len(self.gram))

    @property
    def _sides(self) -> np.ndarray:
        """(walls, classes): the side from which a class sees the wall; 0 for another's wall."""
        sides = np.zeros((len(self.walls), len(self.coefficients)))
        for row, wall in zip(sides, self.walls, strict=True):
            row[list(wall.classes)] = wall.sides
        return sides

    def moments(self, M: Float[Array, "width directions"], background: Array) -> Expectations:
        """What these classes add to the moments, without a leading axis.

        ``background`` is what else drives -dM/dt: noisy classes and ridge.
        """
        slide = self.slide(M, background)
        s = jnp.asarray(self.coefficients) @ M.T
        _, h = jax.vmap(self.gradient)(jnp.arange(len(s)), s)
        found = self._of_points(h, slide.mean, s)
        # The pull moves W_i along the means, as samples would.
        along = jnp.asarray(np.linalg.inv(self.gram)) @ M.T
        return found._replace(gf=found.gf - slide.pull, gs=found.gs - slide.pull @ along)

    def _of_points(self, h: Array, g: Array, s: Array) -> Expectations:
        p = s.shape[1]
        return Expectations(
            h=jnp.einsum("c,ci->i", self.weights, h),
            gf=jnp.einsum("c,ci,cj->ij", self.weights, g, jnp.asarray(self.reach)),
            gs=jnp.einsum("c,ci,cj->ij", self.weights, g, s),
            gg=jnp.zeros((p, p)),
        )

    def slide(self, M: Float[Array, "width directions"], background: Array) -> "Slide":
        """Gradients with Filippov's fractions, and the pull back to the walls."""
        s = jnp.asarray(self.coefficients) @ M.T
        offsets = np.array([wall.offset for wall in self.walls])[:, None]
        kinks = np.array([wall.kink for wall in self.walls])[:, None, None]
        y = jnp.asarray(self._normals) @ M.T - offsets  # (walls, width)
        sides = self._sides[:, :, None]
        on = (jnp.abs(y) < LAYER)[:, None, :] & (sides != 0)  # (walls, classes, width)
        near, kink = on.any(0), jnp.sum(jnp.where(on, kinks, 0.0), axis=0)
        beside = jnp.maximum(jnp.abs(s - kink), _JUST)
        gradient = jax.vmap(lambda c, s: self.gradient(c, s)[0])
        classes = jnp.arange(len(s))
        result = Slide(
            above=gradient(classes, jnp.where(near, kink + beside, s)),
            below=gradient(classes, jnp.where(near, kink - beside, s)),
            fraction=0.5
            + 0.5 * jnp.sum(jnp.where(on, sides * jnp.sign(y)[:, None, :], 0.0), axis=0),
            pull=jnp.zeros_like(M),
            slides=jnp.zeros((0, M.shape[0]), dtype=bool),
        )
        for _ in range(_SWEEPS if self._coupled() else 1):
            result = result._replace(pull=jnp.zeros_like(M), slides=result.slides[:0])
            for index in range(len(self.walls)):
                result = self._meet(index, y[index], background, result)
        return result

    def _coupled(self) -> bool:
        """Whether a class moves neurons across another class's walls."""
        across = self.reach @ self._normals.T  # (classes, walls)
        foreign = (self._sides.T == 0) & (np.abs(self._sides).sum(0) > 0)[:, None]
        return bool((np.abs(across) > 1e-12)[foreign].any())

    def _meet(self, index: int, y: Array, background: Array, now: "Slide") -> "Slide":
        """Set the fraction on one wall, given those on the others."""
        normal, sides = jnp.asarray(self._normals[index]), self._sides[index][:, None]
        along = self.weights * (self.reach @ self._normals[index])
        push = jnp.where(sides != 0, along[:, None], 0.0)
        up = jnp.where(sides > 0, now.above, now.below)
        down = jnp.where(sides > 0, now.below, now.above)
        others = -background @ normal - jnp.sum((along[:, None] - push) * now.mean, axis=0)
        plus = others - jnp.sum(push * up, axis=0)  # d/dt of the distance, seen from above
        minus = others - jnp.sum(push * down, axis=0)
        slides = (jnp.abs(y) < LAYER) & (plus < 0) & (minus > 0)
        share = minus / jnp.where(slides, minus - plus, 1.0)
        mixed = jnp.where(sides > 0, share, 1 - share)
        back = jnp.where(slides, -_RELAXATION * y, 0.0)
        return now._replace(
            fraction=jnp.where(slides & (sides != 0), mixed, now.fraction),
            pull=now.pull + back[:, None] * normal,
            slides=jnp.concatenate([now.slides, slides[None]]),
        )

    def pushes(self, M: Array, background: Array) -> tuple[Array, Expectations]:
        """Whether (wall, neuron) slides, and how the moments change with its fraction."""
        s, now = jnp.asarray(self.coefficients) @ M.T, self.slide(M, background)

        def push(sides: Array, i: Array) -> Expectations:
            mine = jnp.arange(s.shape[1]) == i
            jump = jnp.where(mine, sides[:, None] * (now.above - now.below), 0.0)
            return self._of_points(jnp.zeros((len(s), 0)), jump, s)

        over_neurons = jax.vmap(push, in_axes=(None, 0))
        each = jax.vmap(over_neurons, in_axes=(0, None))
        return now.slides, each(jnp.asarray(self._sides), jnp.arange(s.shape[1]))


class Slide(NamedTuple):
    """Gradients dl/ds of every class from both sides of a wall, and how they mix on it."""

    above: Float[Array, "classes width"]
    below: Float[Array, "classes width"]
    fraction: Float[Array, "classes width"]  # of samples seen from above
    pull: Float[Array, "width directions"]  # what keeps a state on its walls; of size LAYER
    slides: Bool[Array, "walls width"]

    @property
    def mean(self) -> Float[Array, "classes width"]:
        """What the drift sees."""
        return self.fraction * self.above + (1 - self.fraction) * self.below
