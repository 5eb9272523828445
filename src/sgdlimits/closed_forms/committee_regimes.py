"""Which limit one-pass SGD has when width and step grow with the dimension.

width = p0 dim^kappa, step = g0 dim^-delta. Per unit of t/width the noise terms of the equations
weigh step/width ~ dim^-(kappa + delta), and one step takes step/(width dim). Veiga, Stephan,
Loureiro, Krzakala and Zdeborova (2022), as quoted in Loureiro's slides (2023).
"""

from dataclasses import dataclass

from sgdlimits import _validate
from sgdlimits.formulas import formula

_SAME = 1e-12  # distance of a sum of exponents from a boundary that is rounding


@dataclass(frozen=True)
class Regime:
    """One region of the plane of exponents.

    Attributes:
        name: "perfect learning", "plateau", "bad learning" or "no ODE".
        limit: what the limit is, in words.
        steps_exponent: SGD steps per unit of the limit's own time grow like dim to this power.
        excess_exponent: the final excess risk behaves like dim to this power; None where learning
            fails.
    """

    name: str
    limit: str
    steps_exponent: float
    excess_exponent: float | None


@formula("asymptotic", "Veiga et al. (2022), as in Loureiro (2023)")
def regime(width_exponent: float, step_exponent: float) -> Regime:
    """The region of (kappa, delta) = (``width_exponent``, ``step_exponent``).

    - kappa + delta > 0, perfect learning: gradient flow, no noise term, excess risk ->
      dim^-(kappa + delta). Time t/width; width*dim/step steps per unit.
    - kappa + delta = 0, plateau: the full ODE, excess risk proportional to noise*step/width. (The
      classical case is kappa = delta = 0.)
    - -1/2 < kappa + delta < 0, bad learning: the noise term alone, in units of width^2 dim/step^2
      steps; M stands still, the norms inflate.
    - kappa + delta <= -1/2, no ODE: one step moves Q by order one or more.

    Status: asymptotic. The last boundary follows from the count of steps per unit time.

    Args:
        width_exponent: kappa, at least 0.
        step_exponent: delta, of either sign.

    Raises:
        TypeError, ValueError: for arguments that do not fit.
    """
    kappa = _validate.nonnegative("width_exponent", width_exponent)
    total = kappa + _validate.number("step_exponent", step_exponent)
    if abs(total) < _SAME:
        return Regime("plateau", "ODE with noise term", 1.0, 0.0)
    if total > 0:
        return Regime("perfect learning", "gradient flow without noise", 1 + total, -total)
    if total > -0.5 + _SAME:
        return Regime("bad learning", "noise term alone: norms inflate", 1 + 2 * total, None)
    return Regime("no ODE", "jumps of order one", 0.0, None)


@formula("asymptotic", "Veiga et al. (2022)")
def ode_error_scale(dim: int, step: float, width: int = 1) -> float:
    """sqrt(step/(width dim)): how the distance of SGD's statistics from the ODE shrinks.

    Expected max-distance up to a fixed time T is at most e^(C T) times this, T in units of t/width.
    Veiga et al. (2022).

    Status: asymptotic.
    """
    dim, width = _validate.integer("dim", dim, 1), _validate.integer("width", width, 1)
    return (_validate.positive("step", step) / (width * dim)) ** 0.5
