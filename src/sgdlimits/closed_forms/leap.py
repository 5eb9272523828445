"""Leap complexity of a target given by its Hermite components.

Abbe, Boix-Adsera and Misiakiewicz (2023), "SGD learning on neural networks: leap complexity and
saddle-to-saddle dynamics".
"""

from collections.abc import Iterable, Sequence
from itertools import permutations

from sgdlimits import _validate
from sgdlimits.formulas import formula

Component = Sequence[int]  # degree in each coordinate: h_2(z_1) z_3 is (2, 0, 1)


@formula("exact", "Abbe, Boix-Adsera and Misiakiewicz (2023)")
def leap(components: Iterable[Component]) -> int:
    """Leap complexity: min over orders of max over i of the degree of component i that is new.

    New are the coordinates that no component before it contains; one-pass SGD on the isotropic
    Gaussian then needs about dim^max(leap - 1, 1) samples, up to logarithms. Always taking next the
    component with the least new degree is optimal: what is seen only ever helps.

    Status: exact; a definition. The number of samples is for one gradient per sample and a fixed
    second layer; algorithms that see a sample twice need fewer.

    Args:
        components: the multi-indices of the target's non-zero Hermite coefficients, the constant
            left out or all zeros; ``[(1, 0), (1, 1)]`` for z_1 + z_1 z_2.

    Returns:
        The leap; 0 for a constant target. With one coordinate it is the information exponent.

    Raises:
        TypeError, ValueError: for indices of different lengths or that are not integers >= 0.
    """
    left = _check(components)
    seen: set[int] = set()
    largest = 0
    while left:
        following = min(left, key=lambda c: (_new(c, seen), c))
        largest = max(largest, _new(following, seen))
        seen |= {i for i, degree in enumerate(following) if degree}
        left.remove(following)
    return largest


@formula("exact", "Abbe, Boix-Adsera and Misiakiewicz (2023)")
def leap_by_enumeration(components: Iterable[Component]) -> int:
    """The definition itself, over all orders: for checks, factorial in the number of components.

    Status: exact; the definition itself.
    """
    listed = _check(components)
    best = sum(map(sum, listed))
    for order in permutations(listed):
        seen: set[int] = set()
        largest = 0
        for component in order:
            largest = max(largest, _new(component, seen))
            seen |= {i for i, degree in enumerate(component) if degree}
        best = min(best, largest)
    return best


def _new(component: tuple[int, ...], seen: set[int]) -> int:
    return sum(degree for i, degree in enumerate(component) if i not in seen)


def _check(components: Iterable[Component]) -> list[tuple[int, ...]]:
    if isinstance(components, str):
        raise TypeError(f"components={components!r}: expected tuples with a degree a coordinate.")
    given = _validate.listed("components", components)
    listed = [tuple(_validate.listed("components", component)) for component in given]
    for component in listed:
        if not component:
            raise ValueError(f"components={listed!r}: expected a degree for each coordinate.")
        if len(component) != len(listed[0]):
            raise ValueError(
                f"components={listed!r}: expected one degree per coordinate in each, all of the "
                "same length."
            )
        for degree in component:
            _validate.integer("components", degree, 0)
    return sorted({component for component in listed if any(component)})
