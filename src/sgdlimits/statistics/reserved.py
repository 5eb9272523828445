"""Names that mean something in every result, so that no statistic may have them."""

from collections.abc import Iterable

#: Coordinates and variables of the results of ``simulate``.
RESERVED = ("run", "time", "step", "diverged", "risk")
#: Ends the name of a variable that holds the errors of another.
ERROR = "_error"


def is_error(name: object) -> bool:
    """Whether a variable of a result holds the errors of another one."""
    return str(name).endswith(ERROR)


def check_names(argument: str, names: Iterable[str]) -> None:
    """Raise ValueError for names that results use for something else."""
    for name in names:
        if name in RESERVED or is_error(name):
            raise ValueError(
                f"{argument}: name {name!r} has another meaning in results, which keep "
                f"{', '.join(RESERVED)} and all that ends in {ERROR!r}; choose another."
            )
