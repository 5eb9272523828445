"""Trees of parameters under any rule: real steps. Limits are known for linear rules alone."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.algorithms.rules.base import AbstractRule, At
from sgdlimits.models.custom import CustomModel
from sgdlimits.process.literal import literal_mean
from sgdlimits.process.tree_kernel import TreeKernel
from sgdlimits.statistics.base import Label
from sgdlimits.statistics.constraints import Constraints
from sgdlimits.statistics.remembered import Extra, remembered


class TreeState(NamedTuple):
    """Parameters, trees of the same shape by name, and scalars by name."""

    scalars: dict[str, Array]
    memory: dict[str, PyTree]
    parameters: PyTree


class TreeDrawn(NamedTuple):
    """Samples on a leading axis, and the key of the rule's noise."""

    samples: PyTree
    key: Key[Array, ""]


class RuleTreeKernel(eqx.Module):
    """How trees and what is carried along with them move.

    Statistics are the model's, those of trees that copy the parameters (``m_average`` beside
    ``m``), and the rule's scalars. |gradient| stands for |g||X|.
    """

    model: CustomModel
    algorithm: OnlineSGD

    # -- what there is -------------------------------------------------------------------------

    @staticmethod
    def check_spherical(model: CustomModel) -> None:
        """Raise ValueError: nobody knows which parameters are rows."""
        TreeKernel.check_spherical(model)

    @staticmethod
    def check_rule(model: CustomModel, rule: AbstractRule) -> None:
        """Raise ValueError where the rule has no meaning for the model."""
        if rule.asks_population:
            raise ValueError(
                f"rule={rule!r}: {type(model).__name__} does not say its risk, which decides steps."
            )
        if rule.alternates:
            raise ValueError(
                f"rule={rule!r}: nobody knows which parameters of {type(model).__name__} are its "
                "second layer."
            )

    # -- states --------------------------------------------------------------------------------

    @property
    def _copies(self) -> list[str]:
        return [x.name for x in self.algorithm.rule.memory if x.copies]

    def _class(self) -> Any:
        rule = self.algorithm.rule
        meaning = {x.name: x.meaning for x in rule.memory}
        extras = [
            Extra(f"{name}_{kind}", (), False,
                  Label(rf"${name}_{{\mathrm{{{kind}}}}}$", f"{name} of {meaning[kind]}"))
            for kind in self._copies
            for name in self.model.names
        ]  # fmt: skip
        extras += [Extra(x.name, (), False, Label(x.symbol, x.meaning)) for x in rule.scalars]
        return remembered(self.model.statistics_class, tuple(extras))

    @property
    def _apart(self) -> bool:
        return bool(self._copies or self.algorithm.rule.scalars)

    @property
    def template(self) -> Any:
        """Zeros."""
        begun = self.begin(self.model.template)
        return begun.with_vector(jnp.zeros_like(begun.vector))

    @property
    def minimum_dim(self) -> int:
        """Of the model."""
        return self.model.minimum_dim

    def begin(self, base: Any) -> Any:
        """States whose memory is as it starts; any batch axes."""
        if not self._apart:
            return base
        own = {name: getattr(base, name) for name in self.model.names}
        copies = {f"{name}_{kind}": x for kind in self._copies for name, x in own.items()}
        some = next(iter(own.values()))
        starts = {x.name: jnp.full_like(some, x.start) for x in self.algorithm.rule.scalars}
        return self._class()(**own, **copies, **starts)

    def base(self, u: Any) -> Any:
        """The model's own statistics."""
        return u.base if self._apart else u

    def check_state(self, u: Any) -> None:
        """Raise ValueError unless the model has such statistics, and memory is as it starts."""
        if not self._apart:
            self.model.check_statistics(u)
            return
        if not isinstance(u, self._class()):
            raise TypeError(f"statistics={u!r}: expected {self._class().__name__}.")
        self.model.check_statistics(u.base)
        begun = self.begin(u.base)
        for kind in self._copies:
            names = [f"{name}_{kind}" for name in self.model.names]
            if any(np.any(getattr(u, x) != getattr(begun, x)) for x in names):
                raise ValueError(
                    f"statistics: {', '.join(names)} must be those of the parameters: nobody knows "
                    "which parameters have others."
                )

    def constrained(self, u: Any) -> Any:
        """No rows to normalise."""
        return u

    # -- real parameters -----------------------------------------------------------------------

    def frame(self, dim: int) -> Float[Array, "directions dim"]:
        """Of the model."""
        return self.model.frame(dim)

    def _state(self, parameters: PyTree, scalars: dict[str, Array]) -> TreeState:
        memory = {
            x.name: parameters if x.copies else jax.tree.map(jnp.zeros_like, parameters)
            for x in self.algorithm.rule.memory
        }
        return TreeState(scalars, memory, parameters)

    def lift(self, key: Key[Array, ""], u: Any, frame: Float[Array, "directions dim"]) -> TreeState:
        """Real parameters, whose memory is as it starts."""
        scalars = {x.name: getattr(u, x.name) for x in self.algorithm.rule.scalars}
        return self._state(self.model.lift(key, self.base(u), frame), scalars)

    def random_start(self, key: Key[Array, ""], frame: Float[Array, "directions dim"]) -> TreeState:
        """One random start."""
        scalars = {x.name: jnp.asarray(x.start, float) for x in self.algorithm.rule.scalars}
        return self._state(self.model.initial_parameters(key, frame), scalars)

    def parameters(self, state: TreeState) -> PyTree:
        """The model's."""
        return state.parameters

    def statistics(self, state: TreeState, frame: Float[Array, "directions dim"]) -> Any:
        """Of real parameters and of their copies."""
        base = self.model.statistics(state.parameters, frame)
        if not self._apart:
            return base
        fields = {name: getattr(base, name) for name in self.model.names}
        for kind in self._copies:
            copy = self.model.statistics(state.memory[kind], frame)
            fields |= {f"{name}_{kind}": getattr(copy, name) for name in self.model.names}
        return self._class()(**fields, **state.scalars)

    def draw(self, key: Key[Array, ""], frame: Float[Array, "r dim"], dtype: Any) -> TreeDrawn:
        """The samples of one step."""
        key_noise, key = jax.random.split(key)
        keys, dim = jax.random.split(key, self.algorithm.batch), frame.shape[1]
        return TreeDrawn(jax.vmap(lambda key: self.model.draw(key, dim, dtype))(keys), key_noise)

    def step_on(self, state: TreeState, frame: Array, drawn: TreeDrawn, time: Array) -> TreeState:
        """One step on given samples."""
        rule, parameters, dim = self.algorithm.rule, state.parameters, frame.shape[1]

        def of_sample(sample: PyTree) -> PyTree:
            gradient = jax.grad(self.model.loss)(parameters, sample)
            if rule.lookahead is not None:
                ahead = jax.tree.map(
                    lambda x, g: x - jnp.asarray(rule.lookahead, x.dtype) / dim * g,
                    parameters, gradient,
                )  # fmt: skip
                gradient = jax.grad(self.model.loss)(ahead, sample)
            if rule.scales_samples:
                gain = rule.gain(jnp.sqrt(_square(gradient) / dim))
                gradient = jax.tree.map(lambda g: gain * g, gradient)
            return gradient

        each = jax.vmap(of_sample)(drawn.samples)
        mean = jax.tree.map(lambda g: jnp.mean(g, axis=0), each)
        return self._move(state, mean, drawn.key, dim, time)

    def literal(
        self, state: TreeState, frame: Float[Array, "r dim"], key: Key[Array, ""], time: Array
    ) -> TreeState:
        """One step: the model has no other form of its gradient."""
        rule = self.algorithm.rule
        if rule.scales_samples or rule.lookahead is not None:
            dtype = jax.tree.leaves(state.parameters)[0].dtype
            return self.step_on(state, frame, self.draw(key, frame, dtype), time)
        key_noise, key = jax.random.split(key)
        mean = literal_mean(self.model, self.algorithm.batch, state.parameters, frame, key)
        return self._move(state, mean, key_noise, frame.shape[1], time)

    def _move(
        self, state: TreeState, gradient: PyTree, key: Key[Array, ""], dim: int, time: Array
    ) -> TreeState:
        rule, memory = self.algorithm.rule, state.memory
        names = [x.name for x in rule.memory]
        scalars = state.scalars | rule.accumulate(state.scalars, _square(gradient) / dim**2)
        leaves, shape = jax.tree.flatten(state.parameters)
        gradients = jax.tree.leaves(gradient)
        kept = {name: jax.tree.leaves(memory[name]) for name in names}
        moved, after = [], {name: [] for name in names}
        for i, (x, g) in enumerate(zip(leaves, gradients, strict=True)):
            dtype = x.dtype
            delta = jnp.asarray(self.algorithm.delta(dim), dtype)
            delta = delta * jnp.asarray(self.algorithm.factor(time), dtype)
            noise = 0.0
            if rule.noisy:
                noise = jax.random.normal(jax.random.fold_in(key, i), x.shape, dtype)
            numbers = {name: value.astype(dtype) for name, value in scalars.items()}
            here = {name: kept[name][i] for name in names}
            at = At(x, here, noise, numbers, delta, time.astype(dtype))
            direction, new = rule.direction(g, at)
            moved.append(x - delta * direction)
            for name in names:
                after[name].append(new[name])
        trees = {name: jax.tree.unflatten(shape, after[name]) for name in names}
        return TreeState(scalars, trees, jax.tree.unflatten(shape, moved))

    # -- what there is not ---------------------------------------------------------------------

    def _refuse(self) -> Any:
        raise ValueError(
            f"rule={self.algorithm.rule!r}: limits of {type(self.model).__name__} are estimated "
            "from moments of plain gradients, for rules that are linear in them and carry nothing "
            "along; use engine='sgd'."
        )

    has_jacobian = drift_is_sampled = drift_is_rough = drift_is_smooth = False
    can_refine = knows_covariance = False

    def relative_errors(self, u: Any) -> dict[str, Array]:
        """None."""
        return {}

    def constraints(self, u: Any) -> Constraints:
        """None."""
        return Constraints.create(len(u.names), [], [])

    def check_limit(self) -> None:
        """Raise ValueError: drift and diffusion are not known."""
        self._refuse()

    def population_drift(self, u: Any, time: Any) -> Any:
        """Unknown."""
        return self._refuse()

    def corrector(self, u: Any, step: Any, time: Any) -> Any:
        """Unknown."""
        return self._refuse()

    def drift(self, u: Any, step: Any, time: Any) -> Any:
        """Unknown."""
        return self._refuse()

    def drift_deviations(self, u: Any, step: Any, time: Any) -> Any:
        """Unknown."""
        return self._refuse()

    def diffusion_factor(self, u: Any, step: Any, time: Any) -> Any:
        """Unknown."""
        return self._refuse()


def _square(tree: PyTree) -> Array:
    return sum(jnp.sum(x * x) for x in jax.tree.leaves(tree))  # type: ignore[return-value]
