"""What is checked: a process at a few states and dimensions, and the paths drawn there so far."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from sgdlimits._tracing import dynamic
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.testing.controls import Control
from sgdlimits.testing.paths import chain_paths, real_paths
from sgdlimits.testing.statistics import FALSE_ALARM, random_rotation

T = TypeVar("T")

#: Steps of a path; laws are compared after the first and the last.
STEPS = 3
#: Nominal time of the first step, so that schedules have moved.
TIME = 0.7
#: Statistical comparisons of one check, among which its false-alarm rate is shared out.
_COMPARISONS = 10
_MOST_NUMBERS = 4e7  # drawn for literal samples, in all
_FEWEST_DRAWS = 4096  # of literal samples
_MOST_BLOCKS = 8


@dataclass
class Subject:
    """A process and where it is looked at.

    Attributes:
        process: what is checked.
        points: states, on one leading axis.
        dim: dimension of most comparisons.
        draws: of one block, at each state; comparisons whose control needs more take more blocks.
        seed: of all random numbers.
    """

    process: Process
    points: AbstractStatistics
    dim: int
    draws: int
    seed: int
    _kept: dict[Any, Any] = field(default_factory=dict)

    # -- what there is to check ----------------------------------------------------------------

    @property
    def rate(self) -> float:
        """False alarms of one comparison."""
        return FALSE_ALARM / _COMPARISONS

    @property
    def count(self) -> int:
        """States."""
        return len(self.points.vector)

    @property
    def has_chain(self) -> bool:
        """Whether the law of the statistics is known."""
        return self.process.model.has_chain and not self.process.algorithm.rule.by_coordinate

    @property
    def has_moments(self) -> bool:
        """Whether moments of a step are known."""
        return self.process.has_one_step_moments

    @property
    def has_literal(self) -> bool:
        """Whether steps along literal gradients are the same: not where rules look inside them."""
        rule = self.process.algorithm.rule
        looks = rule.scales_samples or rule.lookahead is not None
        return not (looks or rule.scalars or rule.alternates or rule.by_coordinate)

    @property
    def has_own_limit(self) -> bool:
        """Whether one step tells of drift and diffusion: not where memory forgets in few steps."""
        return self.process.in_the_limit() is self.process

    @property
    def in_the_limit(self) -> "Subject":
        """What has the limit."""
        if self.has_own_limit:
            return self
        process = self.process.in_the_limit()
        points = process.begin(self.process.base(self.points))
        return Subject(process, points, self.dim, self.draws, self.seed)

    @property
    def has_covariances(self) -> bool:
        """Whether the moments' covariance is exact, too: not of batches, as a rule."""
        model: Any = self.process.model
        if not self.process.kernel.knows_covariance:
            return False
        knows = model.kernel == "rows" and model.knows_batches
        return self.has_moments and (self.process.algorithm.batch == 1 or knows)

    @property
    def literal_dim(self) -> int:
        """Where literal samples are cheap: ``dim``, or one beside what every state needs.

        Always ``dim`` for models that know no law at finite dimension: their steps must agree.
        """
        known = self.has_chain or self.has_moments
        if not known or _MOST_NUMBERS / self._sample(self.dim, True) >= _FEWEST_DRAWS:
            return self.dim
        return self.process.minimum_dim + 1

    # -- paths ---------------------------------------------------------------------------------

    def increments(self, dim: int, literal: bool, blocks: int) -> np.ndarray:
        """Of the first real step: (points, draws, statistics)."""
        return self.real(dim, literal, blocks)[:, :, 0] - self.states

    def real(self, dim: int, literal: bool, blocks: int = 1) -> np.ndarray:
        """Paths of real vectors, (points, draws, steps, statistics), in a rotated frame."""
        return self._gather(("real", dim, literal), blocks, lambda b: self._real(dim, literal, b))

    def chain(self, dim: int, blocks: int = 1, control: Control | None = None) -> np.ndarray:
        """Paths of the chain, or of one that is wrong."""
        key = ("chain", dim, control and control.name)
        return self._gather(key, blocks, lambda b: self._chain(dim, b, control))

    def most_blocks(self, dim: int, literal: bool) -> int:
        """Blocks that are still cheap."""
        size = self._sample(dim, literal) * self.real_draws(dim, literal)
        return int(np.clip(2 * _MOST_NUMBERS / size, 1, _MOST_BLOCKS))

    def real_draws(self, dim: int, literal: bool) -> int:
        """Of one block, at each state: whole vectors of them, as many as are cheap."""
        most = min(self.draws, _MOST_NUMBERS / self._sample(dim, literal))
        return max(1, int(most) // 256) * 256

    def _sample(self, dim: int, literal: bool) -> int:
        size = self.process.model.literal_sample_size(dim) if literal else dim
        return size * self.count * STEPS * self.process.algorithm.batch

    def keep(self, key: Any, make: Callable[[], T]) -> T:
        """What was made under this key, once."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def _gather(self, key: Any, blocks: int, draw: Any) -> np.ndarray:
        have = self._kept.setdefault(key, [])
        while len(have) < blocks:
            have.append(np.asarray(draw(len(have))))
        return have[0] if blocks == 1 else np.concatenate(have[:blocks], axis=1)

    def _key(self, name: str, block: int) -> Key[Array, ""]:
        root = jax.random.fold_in(jax.random.key(self.seed), zlib.crc32(name.encode()))
        return jax.random.fold_in(root, block)

    def _real(self, dim: int, literal: bool, block: int) -> Array:
        key, draws = self._key(f"real {dim} {literal}", block), self.real_draws(dim, literal)
        frame = self.process.frame(dim)
        if self.process.model.kernel == "rows":  # a formula that reads coordinates is found out
            frame = frame @ jnp.asarray(random_rotation(dim, self.seed % 2**32))
        process = dynamic(self.process)
        return real_paths(process, self.points, frame, key, self.time, draws, STEPS, literal)

    def _chain(self, dim: int, block: int, control: Control | None) -> Array:
        control = Control("") if control is None else control
        process = self.process if control.process is None else control.process
        constants = control.constants(process.chain_constants(dim))
        key, size = self._key(f"chain {dim} {control.name}", block), jnp.asarray(float(dim))
        return chain_paths(
            dynamic(process), self.points, size, constants, key, self.time, self.draws, STEPS
        )

    # -- numbers -------------------------------------------------------------------------------

    @property
    def time(self) -> Array:
        """Of the first step."""
        return jnp.asarray(TIME)

    @property
    def states(self) -> np.ndarray:
        """The points' vectors, to be taken from paths' steps."""
        return np.asarray(self.points.vector)[:, None]
