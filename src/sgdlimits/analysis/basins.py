"""Where random starts end: probabilities of basins of attraction, by any engine."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.engines.base import AbstractEngine
from sgdlimits.engines.choose import choose_full
from sgdlimits.limits import flow
from sgdlimits.limits.effective_dynamics import EffectiveDynamics, effective_dynamics
from sgdlimits.limits.fixed_points import FixedPoint
from sgdlimits.simulation.simulate import simulate
from sgdlimits.statistics.base import AbstractStatistics

_AT_REST = 1e-6  # largest drift of a state that is followed no further


@dataclass(frozen=True)
class BasinProbabilities:
    """How often runs ended in each component.

    Attributes:
        components: the fixed points and continua, as ``EffectiveDynamics.fixed_points`` gives them.
        counts: runs that ended in each.
        runs: number of runs.
        component_of: per run the index of its component; -1 if it rests in none of them.
    """

    components: list[FixedPoint[Any]]
    component_of: np.ndarray

    @property
    def runs(self) -> int:
        """Number of runs."""
        return len(self.component_of)

    @property
    def counts(self) -> np.ndarray:
        """Runs that ended in each component."""
        return np.array([(self.component_of == i).sum() for i in range(len(self.components))])

    @property
    def probabilities(self) -> np.ndarray:
        """Fraction of runs that ended in each component."""
        return self.counts / self.runs

    @property
    def standard_errors(self) -> np.ndarray:
        """Binomial standard errors of ``probabilities``."""
        return np.sqrt(self.probabilities * (1 - self.probabilities) / self.runs)

    @property
    def unresolved(self) -> float:
        """Fraction of runs that rest in none of the components."""
        return float((self.component_of < 0).mean())

    def of(self, which) -> tuple[float, float]:
        """(probability, standard error) of ending in a component for which ``which`` is true.

        ``result.of(lambda component: component.stable)``, for example.
        """
        chosen = np.array([bool(which(component)) for component in self.components])
        p = float(self.probabilities[chosen].sum())
        return p, float(np.sqrt(p * (1 - p) / self.runs))

    def __repr__(self) -> str:
        """One line per component that was reached, most frequent first."""
        lines = [f"BasinProbabilities({self.runs} runs, {self.unresolved:.2%} unresolved)"]
        for i in np.argsort(-self.counts, kind="stable"):
            if self.counts[i]:
                component = self.components[i]
                name = component.label or str(component.statistics)
                kind = "stable" if component.stable else "not stable"
                p, e = self.probabilities[i], self.standard_errors[i]
                lines.append(f"  {p:.4f} ± {e:.4f}  {name} ({kind}, dim {component.dimension})")
        return "\n".join(lines)


def basin_probabilities(
    dynamics: EffectiveDynamics,
    dim: int,
    runs: int,
    engine: str | AbstractEngine,
    time: float,
    seed: int,
    initial: AbstractStatistics | None,
    components: list[FixedPoint] | None,
    radius: float,
    options: dict[str, Any],
) -> BasinProbabilities:
    """``EffectiveDynamics.basin_probabilities``."""
    radius = _validate.positive("radius", radius)
    choose_full(engine)  # options beside a name are for ``simulate`` to join
    model = dynamics.model.zero_noise()
    resting = effective_dynamics(model, dynamics.sgd)
    if components is not None and not components:
        raise ValueError("components=[]: expected at least one fixed point.")
    # First, because it refuses bad input before any work.
    dataset = simulate(
        dynamics.model, dynamics.sgd, engine, dim=dim, time=time, runs=runs, seed=seed,
        initial=initial, **{"record": 2, **options},
    )  # fmt: skip
    components = resting.fixed_points() if components is None else list(components)
    if not components:
        raise ValueError(f"{type(model).__name__} has no fixed point that was found.")
    last = dataset.isel(time=-1)
    names = model.template.dims
    ends = model.statistics_class(**{name: np.asarray(last[name]) for name in names})
    alive = np.isfinite(np.asarray(ends.vector)).all(-1)
    component_of = np.full(runs, -1)
    # Time steps of the SDE may leave the domain.
    rested = _follow(resting, model.admissible(ends[np.flatnonzero(alive)]), time)
    distances = np.stack([component.distance(rested) for component in components])
    nearest = distances.argmin(0)
    near = np.take_along_axis(distances, nearest[None], 0)[0] <= radius
    component_of[alive] = np.where(near, nearest, -1)
    return BasinProbabilities(components, component_of)


def _follow(
    dynamics: EffectiveDynamics, ends: AbstractStatistics, time: float
) -> AbstractStatistics:
    """Where the flow rests, or where it is after 21 times ``time``."""
    process = dynamic(dynamics.process)
    for duration in (0.0, time, 4 * time, 16 * time):
        if duration:
            end = jnp.asarray([duration])
            y = flow.solve_vectors(process, ends.vector, end, 1e-8, 1e-10)[0]
            ends = ends.with_vector(jnp.where(jnp.isfinite(y), y, ends.vector))
        if np.abs(np.asarray(dynamics.drift(ends).vector)).max(initial=0) < _AT_REST:
            break
    return ends
