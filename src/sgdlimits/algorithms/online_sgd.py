"""The algorithm: online SGD with constant step."""

from typing import Any

import equinox as eqx

from sgdlimits import _validate


class OnlineSGD(eqx.Module):
    """Online (one-pass) SGD, theta <- theta - delta grad L, with delta = step / dim.

    One fresh sample per step; time is ``t = steps * step / dim``.

    Args:
        step: learning rate times dimension: c_delta of Ben Arous, Gheissari and Jagannath (2022),
            gamma of the teacher-student papers. ``step`` of order one is the critical scaling.
        spherical: renormalise every row of the first layer to norm 1 after each step.
        second_layer_rate: step of the second layer relative to ``step`` (models that train one).

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if ``step`` is not above 0 or ``second_layer_rate`` is negative.
    """

    step: float = eqx.field(converter=_validate.as_float, default=1.0)
    spherical: bool = eqx.field(static=True, default=False)
    second_layer_rate: float = eqx.field(converter=_validate.as_float, default=1.0)

    def __check_init__(self) -> None:
        _validate.positive("step", self.step)
        _validate.boolean("spherical", self.spherical)
        _validate.nonnegative("second_layer_rate", self.second_layer_rate)

    def delta(self, dim: Any) -> Any:
        """Size of one step, delta = step / dim: also the time that one step takes.

        ``dim`` is a number or an array (inside compiled programs).
        """
        return self.step / dim
