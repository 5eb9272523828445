"""The algorithm: online SGD, its batches, its schedule and its update rule."""

from dataclasses import fields
from typing import Any

import equinox as eqx

from sgdlimits import _validate
from sgdlimits.algorithms.rules.base import AbstractRule
from sgdlimits.algorithms.rules.plain import Plain
from sgdlimits.algorithms.schedules import Schedule, check_schedule
from sgdlimits.provenance import left_out

_STEP = "the learning rate is step / dim: give step"
_RULES = "see sgdlimits.rules: give rule"
#: What it is called elsewhere.
_WORDS = {
    **dict.fromkeys(("lr", "learning_rate", "eta", "step_size", "gamma", "delta"), _STEP),
    **dict.fromkeys(("momentum", "nesterov", "clip", "dampening", "optimizer"), _RULES),
    **dict.fromkeys(("batch_size", "minibatch", "mini_batch"), "give batch"),
    "weight_decay": "give ridge to the model",
    **dict.fromkeys(("lr_schedule", "scheduler", "decay"), "give schedule"),
}


class OnlineSGD(eqx.Module):
    """Online (one-pass) SGD, theta <- theta - delta s(t) grad L, with delta = step / dim.

    Every step takes ``batch`` fresh samples; nominal time is ``t = steps * step / dim``, whatever
    the schedule and the batch.

    Args:
        step: learning rate times dimension: c_delta of Ben Arous, Gheissari and Jagannath (2022),
            gamma of the teacher-student papers. ``step`` of order one is the critical scaling.
        schedule: factor s(t) of the step, any function of nominal time in JAX; see
            ``sgdlimits.schedules``. Default: constant.
        batch: number of samples whose gradients one step averages.
        rule: what a step does with the mean gradient; see ``sgdlimits.rules``. Default: plain SGD.
        spherical: renormalise every row of the first layer to norm 1 after each step.
        second_layer_rate: step of the second layer relative to ``step`` (models that train one).

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if ``step`` is not above 0, ``batch`` below 1, ``second_layer_rate`` negative,
            or ``schedule`` fails or is negative at t = 0.
    """

    step: float = eqx.field(converter=_validate.as_float, default=1.0)
    schedule: Schedule | None = eqx.field(
        default=None, kw_only=True, metadata=left_out(lambda schedule: schedule is None)
    )
    batch: int = eqx.field(
        static=True, default=1, kw_only=True, metadata=left_out(lambda batch: batch == 1)
    )
    rule: AbstractRule = eqx.field(
        converter=lambda rule: Plain() if rule is None else rule,
        default=None,
        kw_only=True,
        metadata=left_out(lambda rule: rule.plain),
    )
    spherical: bool = eqx.field(static=True, default=False)
    second_layer_rate: float = eqx.field(converter=_validate.as_float, default=1.0)

    def __new__(cls, *arguments: Any, **words: Any) -> "OnlineSGD":
        """Refuse words of other libraries with those of this one."""
        _validate.check_words("OnlineSGD", words, [f.name for f in fields(cls)], _WORDS)
        return super().__new__(cls)

    def __check_init__(self) -> None:
        _validate.positive("step", self.step)
        _validate.integer("batch", self.batch, 1)
        if self.schedule is not None:
            check_schedule(self.schedule)
        if not isinstance(self.rule, AbstractRule):
            raise TypeError(f"rule={self.rule!r}: expected one of sgdlimits.rules.")
        _validate.boolean("spherical", self.spherical)
        _validate.nonnegative("second_layer_rate", self.second_layer_rate)

    def __repr__(self) -> str:
        """What differs from the default, in one line."""
        return eqx.tree_pformat(self, width=10**6)

    def delta(self, dim: Any) -> Any:
        """Size of one step without schedule, delta = step / dim: its nominal time.

        ``dim`` is a number or an array (inside compiled programs).
        """
        return self.step / dim

    def factor(self, time: Any) -> Any:
        """s(t)."""
        return 1.0 if self.schedule is None else self.schedule(time)

    @property
    def constant(self) -> bool:
        """Whether no schedule changes the step."""
        return self.schedule is None

    @property
    def plain(self) -> bool:
        """Whether steps go against the gradient, and nothing else."""
        return self.rule.plain
