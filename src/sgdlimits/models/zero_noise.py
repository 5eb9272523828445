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
from jaxtyping import Array, Float

from sgdlimits.models.moments import Moments

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
    coefficients: Float[Array, "classes directions"]
    weights: Float[Array, " classes"]  # zero for classes with noise
    gram: Float[Array, "directions directions"]
    walls: list[Wall]

    @property
    def reach(self) -> Float[Array, "classes directions"]:
        """f = F mu_c: projections of the class means on the frame."""
        return self.coefficients @ self.gram

    def moments(self, M: Float[Array, "width directions"], background: Array) -> Moments:
        """What these classes add to the moments, without a leading axis.

        ``background`` is what else drives -dM/dt: noisy classes and ridge.
        """
        slide = self.slide(M, background)
        s = self.coefficients @ M.T
        _, h = jax.vmap(self.gradient)(jnp.arange(len(s)), s)
        found = self._of_points(h, slide.mean, s)
        # The pull moves W_i along the means, as samples would.
        along = jnp.linalg.solve(self.gram, M.T)
        return found._replace(gf=found.gf - slide.pull, gs=found.gs - slide.pull @ along)

    def _of_points(self, h: Array, g: Array, s: Array) -> Moments:
        p = s.shape[1]
        return Moments(
            h=jnp.einsum("c,ci->i", self.weights, h),
            gf=jnp.einsum("c,ci,cj->ij", self.weights, g, self.reach),
            gs=jnp.einsum("c,ci,cj->ij", self.weights, g, s),
            gg=jnp.zeros((p, p)),
        )

    def slide(self, M: Float[Array, "width directions"], background: Array) -> "Slide":
        """Gradients with Filippov's fractions, and the pull back to the walls."""
        s = self.coefficients @ M.T
        distances = [M @ jnp.asarray(wall.normal) - wall.offset for wall in self.walls]
        inside = [jnp.abs(y) < LAYER for y in distances]
        above, below, fraction = s, s, jnp.full(s.shape, 0.5)
        for wall, y, near in zip(self.walls, distances, inside, strict=True):
            for c, side in zip(wall.classes, wall.sides, strict=True):
                offset = jnp.maximum(jnp.abs(s[c] - wall.kink), _JUST)
                above = above.at[c].set(jnp.where(near, wall.kink + offset, above[c]))
                below = below.at[c].set(jnp.where(near, wall.kink - offset, below[c]))
                start = 0.5 * (1 + side * jnp.sign(y))
                fraction = fraction.at[c].set(jnp.where(near, start, fraction[c]))
        gradient = jax.vmap(lambda c, s: self.gradient(c, s)[0])
        classes = jnp.arange(len(s))
        result = Slide(
            gradient(classes, above), gradient(classes, below), fraction, jnp.zeros_like(M), ()
        )
        for _ in range(_SWEEPS if len(self.walls) > 1 else 1):
            result = result._replace(pull=jnp.zeros_like(M), slides=())
            for wall, y, near in zip(self.walls, distances, inside, strict=True):
                result = self._meet(wall, y, near, background, result)
        return result

    def _meet(self, wall: Wall, y: Array, near: Array, background: Array, now: "Slide") -> "Slide":
        """Set the fraction on one wall, given those on the others."""
        index, sides = np.array(wall.classes), np.array(wall.sides)[:, None]
        along = self.reach @ jnp.asarray(wall.normal)
        push = (self.weights * along)[index][:, None]
        up = jnp.where(sides > 0, now.above[index], now.below[index])
        down = jnp.where(sides > 0, now.below[index], now.above[index])
        others = (
            -background @ jnp.asarray(wall.normal)
            - jnp.einsum("c,c,ci->i", self.weights, along, now.mean)
            + jnp.sum(push * now.mean[index], axis=0)
        )
        plus = others - jnp.sum(push * up, axis=0)  # d/dt of the distance, seen from above
        minus = others - jnp.sum(push * down, axis=0)
        slides = near & (plus < 0) & (minus > 0)
        share = minus / jnp.where(slides, minus - plus, 1.0)
        fraction = now.fraction
        for c, side in zip(wall.classes, wall.sides, strict=True):
            mixed = share if side > 0 else 1 - share
            fraction = fraction.at[c].set(jnp.where(slides, mixed, fraction[c]))
        back = jnp.where(slides, -_RELAXATION * y, 0.0)
        return now._replace(
            fraction=fraction,
            pull=now.pull + back[:, None] * jnp.asarray(wall.normal),
            slides=(*now.slides, slides),
        )

    def pushes(self, M: Array, background: Array) -> tuple[Array, Moments]:
        """Whether (wall, neuron) slides, and how the moments change with its fraction."""
        s, now = self.coefficients @ M.T, self.slide(M, background)

        def push(sides: Array, i: Array) -> Moments:
            mine = jnp.arange(s.shape[1]) == i
            jump = jnp.where(mine, sides[:, None] * (now.above - now.below), 0.0)
            return self._of_points(jnp.zeros((len(s), 0)), jump, s)

        sides = np.zeros((len(self.walls), len(s)))
        for row, wall in zip(sides, self.walls, strict=True):
            row[list(wall.classes)] = wall.sides
        over_neurons = jax.vmap(push, in_axes=(None, 0))
        each = jax.vmap(over_neurons, in_axes=(0, None))
        slides = jnp.stack([*now.slides]) if self.walls else jnp.zeros((0, s.shape[1]), bool)
        return slides, each(jnp.asarray(sides), jnp.arange(s.shape[1]))


class Slide(NamedTuple):
    """Gradients dl/ds of every class from both sides of a wall, and how they mix on it."""

    above: Float[Array, "classes width"]
    below: Float[Array, "classes width"]
    fraction: Float[Array, "classes width"]  # of samples seen from above
    pull: Float[Array, "width directions"]  # what keeps a state on its walls; of size LAYER
    slides: tuple[Array, ...]  # per wall: which neurons slide on it

    @property
    def mean(self) -> Float[Array, "classes width"]:
        """What the drift sees."""
        return self.fraction * self.above + (1 - self.fraction) * self.below
