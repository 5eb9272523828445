"""Roots between two points of opposite sign, to rounding."""

from collections.abc import Callable

from scipy import optimize


def bracketed_root(
    function: Callable[[float], float], low: float, high: float, xtol: float = 1e-15
) -> float:
    """The root of a continuous function that changes sign on [low, high]."""
    solution = optimize.root_scalar(
        function, bracket=(low, high), method="brentq", xtol=xtol, rtol=1e-14
    )
    return float(solution.root)
