"""States under rules that carry nothing along: the model's own."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits.statistics.constraints import Constraints


class PlainStates(eqx.Module):
    """What kernels say of states, where these are the model's."""

    model: eqx.AbstractVar[Any]

    @property
    def template(self) -> Any:
        """Zeros."""
        return self.model.template

    @property
    def minimum_dim(self) -> int:
        """Smallest dimension in which every state can be realised."""
        return self.model.minimum_dim

    def begin(self, base: Any) -> Any:
        """States whose memory is as it starts."""
        return base

    def base(self, u: Any) -> Any:
        """The model's own statistics."""
        return u

    def admissible(self, u: Any) -> Any:
        """Moved into the domain of drift and diffusion."""
        return self.model.admissible(u)

    def interior(self, u: Any) -> Any:
        """Where the drift is differentiated."""
        return self.model.interior(u)

    def on_border(self, u: Any) -> Any:
        """Where the state is on the border of the domain to rounding, it is there."""
        return self.model.on_border(u)

    def search_points(self, rng: np.random.Generator, count: int, step: float) -> Any:
        """Random valid states wide enough to find every fixed point from."""
        return self.model.search_points(rng, count, step)

    def neighbours(self, u: Any, rng: np.random.Generator, count: int, radius: float) -> Any:
        """Random valid states around ``u``."""
        return self.model.neighbours(u, rng, count, radius)

    def constraints(self, u: Any) -> Constraints:
        """Walls that the state slides on."""
        return self.model.constraints(u)

    def frame(self, dim: int) -> Float[Array, "directions dim"]:
        """The fixed directions."""
        return self.model.frame(dim)

    def lift(self, key: Key[Array, ""], u: Any, frame: Float[Array, "directions dim"]) -> PyTree:
        """Real parameters."""
        return self.model.lift(key, u, frame)

    def random_start(self, key: Key[Array, ""], frame: Float[Array, "directions dim"]) -> PyTree:
        """Of one random start."""
        return self.model.initial_parameters(key, frame)

    def parameters(self, state: PyTree) -> PyTree:
        """The real state itself."""
        return state

    def statistics(self, state: PyTree, frame: Float[Array, "directions dim"]) -> Any:
        """Of a real state."""
        return self.model.statistics(state, frame)

    def check_limit(self) -> None:
        """Raise ValueError where drift and diffusion are not known."""

    # -- the drift as a function ---------------------------------------------------------------

    @property
    def has_jacobian(self) -> bool:
        """Whether the drift may be differentiated."""
        return self.model.has_jacobian

    @property
    def drift_is_sampled(self) -> bool:
        """Whether drifts are sums over random points, the same at every state."""
        return self.model.drift_is_sampled

    @property
    def drift_is_rough(self) -> bool:
        """Whether drifts, smooth as they are, are known to a few digits only."""
        return self.model.drift_is_rough

    @property
    def drift_is_smooth(self) -> bool:
        """Whether drifts are smooth in the state to rounding."""
        return self.model.drift_is_smooth

    @property
    def can_refine(self) -> bool:
        """Whether expectations are the model's own, which may be finer or coarser."""
        return True

    @property
    def knows_covariance(self) -> bool:
        """Whether the covariance of one step at finite dim is more than its leading order."""
        return True

    def relative_errors(self, u: Any) -> dict[str, Float[Array, ""]]:
        """Of expectations."""
        return self.model.relative_errors(u)
