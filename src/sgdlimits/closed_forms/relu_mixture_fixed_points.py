"""Two-layer ReLU networks on classes at ±e_i: the fixed points without noise, by formula.

A *bin* is a class: a neuron is in it when its overlap with the class mean equals |v| and v has the
sign of the label; on the other directions it is zero. Neurons in one bin share sum v^2 = C,

    C = log((p - alpha)/alpha),  p the class's probability,

and the rest of the neurons are zero. Ben Arous, Gheissari and Jagannath (2022), Prop. 4.2 and
section 5; Ben Arous et al. (2023), section 5.4.3.
"""

import itertools
import math
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from sgdlimits.formulas import formula
from sgdlimits.statistics.fixed_sets import FixedSet
from sgdlimits.statistics.overlaps import Statistics


@formula("asymptotic", "Ben Arous et al. (2022), Proposition 4.2")
def bin_mass(probability: float, ridge: float) -> float:
    """C = log((p - alpha)/alpha), the sum of v^2 over a bin; 0 from alpha = p/2 on (empty bin).

    The papers' C_alpha: p = 1/2 for the binary mixture, 1/4 for XOR. inf without ridge.

    Status: asymptotic; exact for the ODE without noise.
    """
    if ridge == 0:
        return math.inf
    return math.log((probability - ridge) / ridge) if ridge < probability / 2 else 0.0


@dataclass(frozen=True)
class ReluBins:
    """A two-layer ReLU network and the classes that its neurons may choose among.

    Args:
        coefficients: ±e_i, one row a class.
        labels: 0 or 1.
        probabilities: of the classes.
        ridge: alpha, above 0.
        width: number of neurons.

    Status: exact, without noise.
    """

    coefficients: np.ndarray
    labels: np.ndarray
    probabilities: tuple[float, ...]
    ridge: float
    width: int

    @formula("asymptotic", "Ben Arous et al. (2022), Proposition 4.2 and section 5")
    def fixed_sets(self) -> list[FixedSet]:
        """Every component of fixed points.

        Status: asymptotic; exact for the ODE without noise.
        """
        masses = [bin_mass(p, self.ridge) for p in self.probabilities]
        bins = [c for c, mass in enumerate(masses) if mass > 0]
        width, found = self.width, []
        for count in range(min(len(bins), width) + 1):
            for occupied in itertools.combinations(bins, count):
                full = count in (width, len(bins))
                orders = itertools.permutations(occupied) if 0 < count == width else [occupied]
                for order in orders:
                    found.append(self._component(order, masses, full))
        return found

    def _component(self, bins: tuple[int, ...], masses: list[float], stable: bool) -> FixedSet:
        """Neurons in ``bins``; in order if there are as many as neurons, spread otherwise."""
        width = self.width
        home = [bins[i % len(bins)] if bins else None for i in range(width)]
        size = [math.sqrt(masses[c] / home.count(c)) if c is not None else 0.0 for c in home]
        return FixedSet(
            statistics=self._in_bins(home, size),
            dimension=width - len(bins) if bins else 0,
            stable=stable,
            label=self._label(bins, ordered=len(bins) == width),
            distance=lambda u: self._distance(u, bins, masses),
        )

    def _in_bins(self, home: list[int | None], size: list[float]) -> Statistics:
        v, M = np.zeros(len(home)), np.zeros((len(home), self.coefficients.shape[1]))
        for i, (c, a) in enumerate(zip(home, size, strict=True)):
            if c is not None:
                v[i], M[i] = a * self._sign(c), a * self.coefficients[c]
        return Statistics(jnp.asarray(v), jnp.asarray(M), jnp.asarray(M @ M.T))

    def _sign(self, c: int) -> float:
        return 1.0 if self.labels[c] > 0.5 else -1.0

    def _label(self, bins: tuple[int, ...], ordered: bool) -> str:
        if not bins:
            return "zero"
        names = [f"class {c + 1}" for c in bins]
        return "neurons in " + ", ".join(names) if ordered else "bins {" + ", ".join(names) + "}"

    def _distance(self, u: Statistics, bins: tuple[int, ...], masses: list[float]) -> np.ndarray:
        """Distance of (v, M) to the component, in the Euclidean norm.

        Exact near it; from far away every neuron goes to the bin that it is nearest to, although
        another assignment may be closer.
        """
        v, M = np.asarray(u.v), np.asarray(u.M)
        total = (v**2).sum(-1) + (M**2).sum((-2, -1))
        if not bins:
            return np.asarray(np.sqrt(total))
        # A neuron of amplitude a in bin c is a (sign, mean), of squared length 2 a^2: the nearest
        # amplitudes are in proportion to the overlaps p with it.
        overlap = np.stack([self._sign(c) * v + M @ self.coefficients[c] for c in bins], axis=-1)
        width = self.width
        if len(bins) == width:
            placed = np.diagonal(overlap, axis1=-2, axis2=-1) * np.sqrt([masses[c] for c in bins])
            gain = placed.sum(-1)
        else:
            best = overlap.argmax(-1)[..., None] == np.arange(len(bins))
            mine = np.where(best, np.maximum(overlap, 0.0), 0.0)
            gain = (np.sqrt((mine**2).sum(-2)) * np.sqrt([masses[c] for c in bins])).sum(-1)
        squared = total - 2 * gain + 2 * sum(masses[c] for c in bins)
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)))
